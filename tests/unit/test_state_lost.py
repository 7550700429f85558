# SPDX-License-Identifier: MIT
"""An agent that finds no state: new where nothing was ever saved, and else one that lost it all."""

import errno
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from firstboot.appliance import pair_files
from haagent.core.model import Durable, Ledger
from haagent.errors import BugError
from haagent.folder import Folder
from haagent.state import NAMES, StateError, StateFile, encode, examine, trace_of

GUESTS = ("g",)
KEPT = Durable({"g": Ledger(term=4)})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "haagent"


def saved(folder: Path) -> StateFile:
    file = StateFile(folder)
    file.load(GUESTS)
    file.save(KEPT)
    return file


def trace(folder: Path) -> Path:
    return folder.with_name(trace_of(folder))


def below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@dataclass
class FullDisk:
    """A folder with ROOM for so many bytes; a file takes its place until its name is gone."""

    room: int
    files: dict[str, bytes] = field(default_factory=dict)

    def prepare(self) -> None:
        pass

    def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    def write(self, name: str, data: bytes) -> None:
        self.files.pop(name, None)
        if sum(map(len, self.files.values())) + len(data) > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.files[name] = data

    def rename(self, old: str, new: str) -> None:
        self.files[new] = self.files.pop(old)

    def sync(self) -> None:
        pass


def assert_refused(folder: Path) -> None:
    before = below(folder.parent)
    file = StateFile(folder)
    with pytest.raises(StateError, match=r"is lost: state-a\.json is missing") as told:
        file.load(GUESTS)
    assert "set this machine up again" in told.value.hint
    with pytest.raises(BugError):
        file.save(KEPT)
    with pytest.raises(StateError):
        examine(folder, GUESTS)
    assert below(folder.parent) == before


def test_a_new_machine_begins_with_nothing(folder: Path) -> None:
    assert StateFile(folder).load(GUESTS) is None
    assert below(folder.parent) == [], "to look is not to save"


def test_both_copies_gone_is_a_loss(folder: Path) -> None:
    saved(folder)
    for name in NAMES:
        (folder / name).unlink()
    assert_refused(folder)


def test_the_folder_gone_is_a_loss(folder: Path) -> None:
    saved(folder)
    shutil.rmtree(folder)
    assert_refused(folder)


def test_one_copy_gone_is_none(folder: Path) -> None:
    saved(folder)
    (folder / NAMES[0]).unlink()
    assert StateFile(folder).load(GUESTS) == KEPT


def test_a_machine_that_forgot_its_pair_begins_anew(folder: Path) -> None:
    """Whatever part of it the power failed in, the agent does not start before it is done."""
    saved(folder)
    assert str(trace(folder)) in pair_files(folder.parent)
    for path in pair_files(folder.parent):
        Path(path).unlink()
    assert StateFile(folder).load(GUESTS) is None


def test_a_state_without_a_trace_is_a_state_and_the_next_save_leaves_one(folder: Path) -> None:
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_bytes(encode(KEPT, 3))
    file = StateFile(folder)
    assert (file.load(GUESTS), file.warnings) == (KEPT, ())
    assert not trace(folder).exists()
    file.save(KEPT)
    assert trace(folder).exists()


def test_the_trace_is_left_once(folder: Path) -> None:
    file = saved(folder)
    first = trace(folder).stat().st_ino
    file.save(KEPT)
    saved(folder)
    assert trace(folder).stat().st_ino == first


def test_a_trace_that_cannot_be_left_is_a_state_that_cannot_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Folder.write

    def write(self: Folder, name: str, data: bytes) -> None:
        if name == trace_of(folder):
            raise OSError(28, "No space left on device")
        whole(self, name, data)

    monkeypatch.setattr(Folder, "write", write)
    with pytest.raises(StateError, match="No space left"):
        saved(folder)
    assert StateFile(folder).load(GUESTS) == KEPT, "the copies come first"


def test_a_trace_that_cannot_be_read_is_in_nobodys_way(folder: Path) -> None:
    saved(folder)
    trace(folder).unlink()
    trace(folder).mkdir()
    file = StateFile(folder)
    assert (file.load(GUESTS), file.warnings) == (KEPT, ())
    file.save(KEPT)
    shutil.rmtree(folder)
    assert_refused(folder)


@pytest.mark.parametrize("is_new", [True, False])
def test_a_look_finds_out_what_a_save_would(is_new: bool) -> None:
    """There is room for two copies, a look, and a little more: not for a third one to replace them.
    The file of an earlier look makes no room.
    """
    size = len(encode(KEPT, 1))
    disk = FullDisk(4 * size)
    file = StateFile(Path("/state/haagent"), disk)
    file.load(GUESTS)
    file.save(KEPT)
    file.look()
    if is_new:
        file = StateFile(Path("/state/haagent"), disk)
        file.load(GUESTS)
    before = dict(disk.files)
    disk.room = sum(map(len, before.values())) + size - 1
    with pytest.raises(StateError, match="No space left"):
        file.look()
    with pytest.raises(StateError, match="No space left"):
        file.save(KEPT)
    assert disk.files == before
    disk.room += 2
    file.look()
    file.save(KEPT)
