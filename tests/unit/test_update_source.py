# SPDX-License-Identifier: MIT
"""An update over the network, from a server on this host; and the stick's own files, for real."""

import os
import shutil
from collections import namedtuple
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from haagent.errors import OperatorError, ToolError
from haagent.update import medium, source
from haagent.update.grubenv import SIZE
from haagent.update.medium import Stick, boot_medium
from haagent.update.slots import ENVIRONMENT
from tests.unit.fake_server import serving

DATA = bytes(range(256)) * 20_000  # 5 MB
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(DATA) as address:
        yield address


def nobody(argv: object, *, timeout: float, stdin: str | None = None) -> str:
    raise AssertionError(f"{argv} was run")


@pytest.mark.parametrize("path", ["/whole", "/no-length"])
def test_it_is_fetched_and_does_not_stay(path: str, address: str, tmp_path: Path) -> None:
    told: list[float] = []
    with source.found(
        address + path, nobody, tmp_path / "update", lambda _, n: told.append(n)
    ) as f:
        assert f.read_bytes() == DATA
        assert f.stat().st_mode & 0o777 == 0o600
        assert f.parent.stat().st_mode & 0o777 == 0o700
    assert not f.exists()
    assert told == ([] if path == "/no-length" else sorted(told)) and set(told[-1:]) <= {1.0}


@pytest.mark.parametrize(
    ("path", "told"), [("/none", "404"), ("/half", r"ended after|IncompleteRead|could not be")]
)
def test_what_does_not_come_whole_leaves_nothing(
    path: str, told: str, address: str, tmp_path: Path
) -> None:
    with pytest.raises(OperatorError, match=told):
        source.fetch(address + path, tmp_path / "it", lambda what, share: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["/whole", "/no-length"])
def test_nobody_fills_the_partition_that_the_agent_writes_to(
    path: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = source.SPARE + len(DATA) - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(room, 0, room))
    with pytest.raises(OperatorError, match="has room for"):
        source.fetch(address + path, tmp_path / "it", lambda what, share: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["http://server/it.update", "https://a.example:8080/", "http:///x"])
def test_names_are_not_looked_up_and_that_is_said(url: str, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="looks no names up"):
        source.fetch(url, tmp_path / "it", lambda what, share: None)


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[Stick]:
    (tmp_path / "esp/grub").mkdir(parents=True)
    (tmp_path / "esp" / ENVIRONMENT).write_bytes(b"#" * SIZE)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/root-b").write_bytes(bytes(1 << 16))
    made = Stick(tmp_path / "esp", tmp_path / "dev")
    yield made
    made.close()


def test_the_real_stick_keeps_what_is_written(stick: Stick, tmp_path: Path) -> None:
    for name in ("slot-b/xen", "root-b"):
        stick.write(name, 0, b"one ")
        stick.write(name, 4, b"two")
    stick.flush()
    assert b"".join(stick.read_back("slot-b/xen", 100)) == b"one two"
    assert b"".join(stick.read_back("root-b", 7)) == b"one two"
    assert stick.size("slot-b/xen") == 7 and stick.size("root-b") == 1 << 16
    assert stick.names("slot-b") == ["slot-b/xen"] and stick.names("slot-c") == []
    assert stick.read("slot-b/xen") == b"one two" and stick.read("slot-b/none") is None
    with pytest.raises(FileExistsError):
        stick.write("slot-b/xen", 0, b"x")
    stick.remove("slot-b/xen")
    stick.remove("slot-b/xen")
    stick.flush()
    assert stick.names("slot-b") == []
    assert stick.room() > 0
    (tmp_path / "dev/root-b").unlink()
    with pytest.raises(FileNotFoundError):
        stick.write("root-b", 0, b"a partition is not made")


def test_grubs_variables_stay_in_their_place(stick: Stick, tmp_path: Path) -> None:
    file = tmp_path / "esp" / ENVIRONMENT
    before = file.stat()
    stick.overwrite(ENVIRONMENT, b"x" * SIZE)
    stick.flush()
    assert file.read_bytes() == b"x" * SIZE
    assert (file.stat().st_ino, file.stat().st_size) == (before.st_ino, SIZE)
    with pytest.raises(OSError, match="another size"):
        stick.overwrite(ENVIRONMENT, b"x")
    assert file.stat().st_size == SIZE


def test_everything_is_synced_before_flush_returns(
    stick: Stick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    stick.write("slot-b/xen", 0, b"x")
    stick.write("root-b", 0, b"x")
    stick.overwrite(ENVIRONMENT, b"y" * SIZE)
    stick.remove("grub/none")
    stick.flush()
    esp = tmp_path / "esp"
    wanted = {esp, esp / "slot-b", esp / "slot-b/xen", esp / ENVIRONMENT, tmp_path / "dev/root-b"}
    assert set(map(Path, synced)) == wanted
    synced.clear()
    stick.remove("slot-b/xen")
    stick.flush()
    assert synced == [str(esp / "slot-b")]


def test_the_esp_is_mounted_for_one_at_a_time_and_unmounted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(medium, "DEV", tmp_path)
    (tmp_path / "shoestring").mkdir()
    ran: list[str] = []

    def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        ran.append(argv[0])
        return ""

    def opened() -> None:
        devices, point = tmp_path / "shoestring", tmp_path / "run/esp"
        with boot_medium(run=run, devices=devices, point=point) as stick:
            stick.read("slot-a/slot.cfg")
            raise ToolError(("x",), 1, "")

    with pytest.raises(OperatorError, match="is gone"):
        opened()
    (tmp_path / "shoestring/esp").touch()
    with pytest.raises(ToolError):
        opened()
    assert ran == ["mount", "umount"]
