# SPDX-License-Identifier: MIT
"""The answers on the stick: read as they were written, and put away without the secret."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from firstboot import files, stick
from firstboot.answers import AnswersError, read
from haagent.errors import OperatorError, ToolError

TEXT = (Path(__file__).parents[1] / "data/answers/a.yaml").read_text()
HASH = "scrypt:AAAAAAAAAAAAAAAAAAAAAA==:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
SECRET = "5f1d6e0b9c3a4728b6d0e1f2a3948576"


class PowerCutError(Exception):
    """The machine is off."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "answers.yaml").write_text(TEXT)
    return tmp_path


def everything(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.iterdir()).lower()


def test_reads_what_is_there(folder: Path) -> None:
    assert stick.read_answers(folder) == TEXT
    (folder / "answers.yaml").unlink()
    assert stick.read_answers(folder) is None


def test_reads_what_a_windows_editor_wrote(folder: Path) -> None:
    (folder / "answers.yaml").write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    text = stick.read_answers(folder)
    assert text is not None and read(text) == read(TEXT)


def test_says_so_when_it_is_no_text(folder: Path) -> None:
    (folder / "answers.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(AnswersError, match="1: this is not plain text in UTF-8"):
        stick.read_answers(folder)


def test_says_so_when_it_cannot_be_read(folder: Path) -> None:
    (folder / "answers.yaml").unlink()
    (folder / "answers.yaml").mkdir()
    with pytest.raises(OperatorError, match="cannot be read: Is a directory"):
        stick.read_answers(folder)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.replace(SECRET, SECRET.upper()),
        TEXT.replace(SECRET, f'"{SECRET}"  # not {SECRET.upper()}, of course'),
        "{version: 1, secret: " + SECRET + "}\n",
        TEXT.replace("\n", "\r\n"),
    ],
)
def test_puts_them_away_without_the_secret(folder: Path, text: str) -> None:
    (folder / "answers.yaml").write_text(text, newline="")
    stick.retire_answers(folder)
    assert [path.name for path in folder.iterdir()] == ["answers.done.yaml"]
    done = (folder / "answers.done.yaml").read_bytes().decode()
    assert done == re.sub(SECRET, "erased", text, flags=re.IGNORECASE)
    assert (folder / "answers.done.yaml").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("quote", ['"', "'", ""])
def test_the_hash_of_the_password_goes_as_well(folder: Path, quote: str) -> None:
    (folder / "answers.yaml").write_text(f"{TEXT}password: {quote}{HASH}{quote}\n")
    stick.retire_answers(folder)
    assert HASH not in (folder / "answers.done.yaml").read_text()
    assert f"password: {quote}erased{quote}\n" in (folder / "answers.done.yaml").read_text()


def test_what_is_written_with_escapes_is_erased_as_a_whole(folder: Path) -> None:
    escaped = HASH.replace(":", "\\x3a")
    (folder / "answers.yaml").write_text(f'{TEXT}password: "{escaped}"\n')
    stick.retire_answers(folder)
    assert list(folder.iterdir()) == []


def test_what_was_put_away_is_forgotten_with_the_pair(folder: Path) -> None:
    stick.retire_answers(folder)
    (folder / "answers.yaml").write_text("of the next pair")
    held = (folder / "answers.done.yaml").open("rb")
    stick.forget_answers(folder)
    stick.forget_answers(folder)
    assert everything(folder) == "of the next pair"
    with held:
        assert not held.read().strip(b"\0"), "only its name is gone"


def test_twice_is_as_good_as_once(folder: Path) -> None:
    stick.retire_answers(folder)
    before = everything(folder)
    stick.retire_answers(folder)
    assert everything(folder) == before


def test_the_secret_is_overwritten_before_its_file_is_deleted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = (folder / "answers.yaml").open("rb")  # the same blocks, whatever their name is
    monkeypatch.setattr(files, "remove", lambda path: (_ for _ in ()).throw(PowerCutError))
    with pytest.raises(PowerCutError):
        stick.retire_answers(folder)
    with held:
        assert held.read() == b"\0" * len(TEXT)


@pytest.mark.parametrize("cut", range(20))
def test_a_power_cut_anywhere_leaves_answers_that_can_be_put_away(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    """The power fails at the CUTth write, sync, rename or removal."""
    left = cut

    def counted(real: object) -> object:
        def step(*args: object, **kwargs: object) -> object:
            nonlocal left
            if left == 0:
                raise PowerCutError
            left -= 1
            assert callable(real)
            return real(*args, **kwargs)

        return step

    with monkeypatch.context() as patched:
        for name in ("fsync", "fchmod"):
            patched.setattr(os, name, counted(getattr(os, name)))
        for name in ("replace", "unlink"):
            patched.setattr(Path, name, counted(getattr(Path, name)))
        try:
            stick.retire_answers(folder)
        except PowerCutError:
            assert left == 0
    stick.retire_answers(folder)
    assert SECRET not in everything(folder)
    assert (folder / "answers.done.yaml").read_text() == TEXT.replace(SECRET, "erased")
    assert not (folder / "answers.yaml").exists()


def test_what_cannot_be_understood_is_erased_as_a_whole(folder: Path) -> None:
    (folder / "answers.yaml").write_text(f"secret: {SECRET}\n\tx\n")
    stick.retire_answers(folder)
    assert list(folder.iterdir()) == []


def test_a_stick_that_cannot_be_written_is_told(folder: Path) -> None:
    (folder / "answers.done.yaml.new").mkdir()
    with pytest.raises(OperatorError, match="The secret cannot be erased"):
        stick.retire_answers(folder)


def test_the_esp_is_mounted_for_root_alone_and_only_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stick, "MOUNT_POINT", tmp_path / "esp")
    ran: list[tuple[str, ...]] = []

    def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        ran.append(tuple(argv))
        return ""

    with stick.mounted("sda2", run=run) as folder:
        assert folder == tmp_path / "esp"
        assert ran == [
            (
                "mount",
                "-t",
                "vfat",
                "-o",
                "ro,nosuid,nodev,noexec,umask=0077",
                "/dev/sda2",
                str(folder),
            )
        ]
    assert ran[1:] == [("umount", str(tmp_path / "esp"))]

    with pytest.raises(ToolError), stick.mounted("sda2", is_writable=True, run=run):
        raise ToolError(("any",), 1, "")
    assert ran[2][4].startswith("rw,")
    assert ran[3][0] == "umount"
