# SPDX-License-Identifier: MIT
"""A pair whose list of guests changes, and the acts that change it, on it."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from firstboot.roster import coming, content, editing, going, renaming, resizing
from firstboot.roster import pair as pairs
from firstboot.roster.change import Change
from firstboot.roster.part import Part
from haagent.command import Places
from haagent.core.model import Phase
from haagent.core.wish import Target, Wish
from haagent.guests.definition import Kind
from haagent.images.blob import Blob
from haagent.images.inspection import Image
from haagent.images.recognition import Format
from tests.unit.fake_roster import Behind, FakeHost
from tests.unit.fake_state import both, guest, ledger, words

DISK = 3 << 20
NOW = 1 << 30  # bytes of the disk that the agent's guest has


STOPPED = both(
    guest(phase=Phase.RELEASED, is_running=False),
    words(phase=Phase.RELEASED),
    ledger(wish=Wish(2, Target.STOPPED)),
)


@dataclass
class FakePair:
    """Both machines; what fills a disk may fail."""

    a: FakeHost = field(default_factory=lambda: FakeHost("anna", number=0))
    b: FakeHost = field(default_factory=lambda: FakeHost("berta", number=0))
    filled: list[Change] = field(default_factory=list)
    fails: Callable[[], None] = lambda: None
    carried_on: int = 0
    can: frozenset[Kind] = frozenset({Kind.PV})
    lock: Path | None = None

    def __post_init__(self) -> None:
        self.there = Behind(self.b)
        self.a.peer, self.b.peer = self.b, self.a

    def fill_disk(self, change: Change, bring: Callable[[Sequence[Path]], None]) -> None:
        self.fails()
        self.filled.append(change)

    def kinds(self) -> frozenset[Kind]:
        return self.can

    def carry_on(self) -> None:
        self.carried_on += 1

    def meet(self, places: Places) -> pairs.Pair:
        part = Part(self.a, print)
        turn = partial(pairs.my_turn, self.lock) if self.lock else contextlib.nullcontext
        return pairs.Pair("berta", part, self.there, self, self.carry_on, turn=turn)

    @property
    def has(self) -> set[str]:
        assert self.a.guests == self.b.guests
        assert self.a.volumes == self.b.volumes == set(self.a.guests)
        return set(self.a.guests)


def shown_disk(folder: Path) -> Path:
    """FOLDER, as /sys/class/block shows the device of the first guest."""
    (folder / "drbd0").mkdir(parents=True)
    (folder / "drbd0/size").write_text(f"{NOW // 512}\n")
    return folder


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakePair:
    pair = FakePair()
    grow = resizing.resize
    sysfs = shown_disk(tmp_path / "sys")
    monkeypatch.setattr(resizing, "resize", lambda a, p: grow(a, p, pair.meet, sysfs))
    bring, restore, remove = coming.bring, coming.restore, going.remove
    clone, create = coming.clone, coming.create
    monkeypatch.setattr(coming, "clone", lambda a, p: clone(a, p, pair.meet))
    monkeypatch.setattr(coming, "create", lambda a, p: create(a, p, pair.meet))
    monkeypatch.setattr(coming, "bring", lambda a, p: bring(a, p, pair.meet))
    monkeypatch.setattr(coming, "restore", lambda a, p: restore(a, p, pair.meet))
    monkeypatch.setattr(going, "remove", lambda a, p: remove(a, p, pair.meet))
    rename = renaming.rename
    monkeypatch.setattr(renaming, "rename", lambda a, p: rename(a, p, pair.meet))
    edit = editing.edit
    monkeypatch.setattr(editing, "edit", lambda a, p: edit(a, p, pair.meet))
    return pair


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """It passes the gate; that is tested elsewhere."""
    path = tmp_path / "Web Server.qcow2"
    path.write_bytes(b"QFI\xfb" + bytes(508))

    def inspect(blob: Blob, room: int, run: object) -> Image:
        return Image(blob, Format.QCOW2, DISK, ("its snapshots",))

    monkeypatch.setattr(content, "inspect", inspect)
    return str(path)


def brings(image: str, *more: str) -> list[str]:
    return ["guest", "import", image, "--memory", "512", *more]
