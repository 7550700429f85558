# SPDX-License-Identifier: MIT
"""The report on a USB stick: the right one, and only if it can be read back."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from haagent import shoestring, usb
from haagent.command import Exit, Places
from haagent.errors import ToolError
from haagent.usb import LIST
from tests.unit.fake_usb import OTHERS, STICK, disk, part


class Programs:
    """lsblk, mount and umount; what is written is kept in a folder. Others fail."""

    def __init__(self, *disks: dict[str, Any]) -> None:
        self.disks = disks
        self.ran: list[Sequence[str]] = []
        self.spoil: Path | None = None

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        if argv[0] == "lsblk":
            assert tuple(argv) == LIST
            return json.dumps({"blockdevices": self.disks})
        if argv[0] not in ("mount", "umount"):
            raise ToolError(argv, 1, "not here")
        self.ran.append(argv)
        if argv[0] == "umount" and self.spoil:
            for file in self.spoil.iterdir():
                file.write_bytes(b"half")
        return ""


@pytest.fixture
def point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(usb, "POINT", tmp_path / "usb")
    return tmp_path / "usb"


def save(programs: Programs, tmp_path: Path) -> int:
    places = Places(tmp_path / "none", tmp_path / "none", tmp_path, tmp_path / "none", programs)
    return shoestring.main(["save-report"], places)


def test_it_is_written_and_read_back(
    point: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = Programs(STICK)
    assert save(programs, tmp_path) == Exit.PROTECTED
    (file,) = point.iterdir()
    assert file.read_text().startswith("haagent report, ")
    assert f"{file.name} is on the stick, and was read back" in capsys.readouterr().out
    mounts = [argv[4].partition(",")[0] for argv in programs.ran if argv[0] == "mount"]
    assert mounts == ["rw", "ro"]
    assert [argv[0] for argv in programs.ran] == ["mount", "umount"] * 2


@pytest.mark.parametrize(
    ("disks", "says"),
    [
        (OTHERS, "There is no USB stick"),
        ((STICK, disk("sdf", part("sdf1", "exfat"))), "several places"),
    ],
)
def test_without_just_one_stick_nothing_is_written(
    disks: tuple[dict[str, Any], ...],
    says: str,
    point: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    programs = Programs(*disks)
    assert save(programs, tmp_path) == Exit.FAILED
    assert says in capsys.readouterr().err
    assert programs.ran == []


def test_what_went_wrong_is_folded_on_a_terminal_and_not_for_a_program(
    point: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    save(Programs(), tmp_path)
    whole = capsys.readouterr().err
    assert len(whole.splitlines()) == 2
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    save(Programs(), tmp_path)
    folded = capsys.readouterr().err
    assert max(map(len, folded.splitlines())) < 80
    assert folded.split() == whole.split()


def test_a_stick_that_loses_it_is_told(
    point: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = Programs(STICK)
    programs.spoil = point
    assert save(programs, tmp_path) == Exit.FAILED
    said = capsys.readouterr()
    assert "something else is read back" in said.err
    assert "is on the stick" not in said.out


def test_a_stick_that_cannot_be_written_is_told(
    point: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert save(Programs(STICK), tmp_path) == Exit.FAILED
    assert "No space left on device" in capsys.readouterr().err
    assert list(point.iterdir()) == []
