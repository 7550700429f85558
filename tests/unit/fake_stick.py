# SPDX-License-Identifier: MIT
"""A stick that forgets what was not flushed when its power is cut, and GRUB, which starts from it.

And updates to put onto it, packed by the very program that packs real ones.
"""

import contextlib
import importlib.util
import random
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from haagent.update import grubenv, slots
from haagent.update.grubenv import NotABlock
from haagent.update.installing import place
from haagent.update.machine import Ground
from haagent.update.manifest import FILES
from haagent.update.medium import Medium
from haagent.update.release import Release
from haagent.update.slots import CONFIG, ENVIRONMENT, Intent, Slot

TOP = Path(__file__).parents[2]
CMDLINE = "gpt ro shoestring.slot=a shoestring.roothash=00 quiet"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)  # of these tests, which signs nothing else
PARTITION = 64 << 10  # bytes of a root
ROOM = 1 << 24  # bytes of the ESP
OLD, NEW = "0.1.0", "0.2.0"


class PowerCutError(Exception):
    """The machine is off. Nothing of ours may catch this."""


def packer() -> ModuleType:
    """ci/pack."""
    loader = SourceFileLoader("pack", str(TOP / "ci/pack"))
    spec = importlib.util.spec_from_loader("pack", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


PACK = packer()


def contents(release: str) -> dict[str, bytes]:
    """What the files of RELEASE hold: something else in each."""
    sizes = dict(zip(FILES, (3 * slots.BLOCK, 700, 5000, 4096, 2048), strict=True))
    return {name: random.Random(f"{release} {name}").randbytes(n) for name, n in sizes.items()}


def slot_of(release: str) -> Slot:
    roothash = random.Random(release).randbytes(32).hex()
    return Slot(Release.of(release), roothash, 2, 3 * slots.BLOCK)


def update_file(folder: Path, release: str = NEW, key: Ed25519PrivateKey = KEY) -> Path:
    """RELEASE as a file in FOLDER."""
    files = {}
    for name, data in contents(release).items():
        files[name] = folder / f"{release}-{name}"
        files[name].write_bytes(data)
    made = folder / f"shoestring-{release}.update"
    PACK.write_update(key, slot_of(release), files, made)
    return made


def ground_of(folder: Path, stick: "FakeStick") -> Ground:
    """All that updates need of a machine that has its files in FOLDER and runs from STICK."""
    return Ground(
        key=folder / "update.pub",
        news=folder / "run/update.json",
        fetched=folder / "state/update",
        setup=folder / "setup",
        change=folder / "change.json",
        hypervisor=folder / "hypervisor",
        medium=stick.opened,
    )


def pairs(folder: Path) -> None:
    """The set-up is behind the machine with its files in FOLDER."""
    (folder / "setup").mkdir(exist_ok=True)
    (folder / "setup/complete").touch()


@dataclass(frozen=True, slots=True)
class _Write:
    name: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class _Remove:
    name: str


class FakeStick:
    """A `Medium`. The power is cut at the step CUT_AT, if it comes so far."""

    def __init__(self, *, cut_at: int | None = None, seed: int = 0) -> None:
        self.disk: dict[str, bytes] = {}  # what lasts
        self.pending: list[_Write | _Remove] = []
        self.steps = 0
        self.flips: str | None = None  # a file that does not keep what is written to it
        self._cut_at = cut_at
        self._chance = random.Random(seed)

    def holds(self, slot: str, release: str) -> "FakeStick":
        for name, data in contents(release).items():
            self.disk[place(slot, name)] = data
        self.disk[f"slot-{slot}/{CONFIG}"] = slots.config(slot_of(release)).encode()
        return self

    def intends(self, intent: Intent, **rest: str) -> "FakeStick":
        self.disk[ENVIRONMENT] = grubenv.build({**rest, **intent.variables()})
        return self

    @contextlib.contextmanager
    def opened(self, *, is_writable: bool = False) -> Iterator[Medium]:
        """As `boot_medium`; what is not meant to write is held to that."""
        before = (dict(self.disk), list(self.pending))
        yield self
        assert is_writable or before == (self.disk, self.pending)

    @property
    def files(self) -> dict[str, bytes]:
        """As a program sees it, which does not know what is on the disk yet."""
        seen = dict(self.disk)
        for step in self.pending:
            _apply(seen, step)
        return seen

    def read(self, name: str) -> bytes | None:
        return self.files.get(name)

    def names(self, folder: str) -> list[str]:
        return sorted(name for name in self.files if name.startswith(f"{folder}/"))

    def remove(self, name: str) -> None:
        self._step(_Remove(name))

    def write(self, name: str, offset: int, data: bytes) -> None:
        assert offset or name not in self.files or "/" not in name, f"{name} was there"
        self._step(_Write(name, offset, data))

    def overwrite(self, name: str, data: bytes) -> None:
        assert len(self.files[name]) == len(data)
        sectors = range(0, len(data), grubenv.SECTOR)
        self._step(*(_Write(name, at, data[at : at + grubenv.SECTOR]) for at in sectors))

    def flush(self) -> None:
        self._step()
        for step in self.pending:
            _apply(self.disk, step)
        self.pending.clear()
        if self.flips in self.disk:
            data = self.disk[self.flips]
            self.disk[self.flips] = bytes([data[0] ^ 1]) + data[1:]

    def read_back(self, name: str, size: int) -> Iterator[bytes]:
        data = self.disk[name][:size]
        yield data[: size // 2]
        yield data[size // 2 :]

    def room(self) -> int:
        return ROOM - sum(len(data) for name, data in self.files.items() if "/" in name)

    def size(self, name: str) -> int:
        return len(self.files[name]) if "/" in name else PARTITION

    def _step(self, *writes: _Write | _Remove) -> None:
        self.steps += 1
        if self.steps == self._cut_at:
            # Any of what was not flushed may be on the disk, and the last one in part.
            for step in (*self.pending, *writes):
                if self._chance.random() < 0.5:
                    _apply(self.disk, step)
            self.pending.clear()
            raise PowerCutError
        self.pending += writes


def _apply(files: dict[str, bytes], step: _Write | _Remove) -> None:
    if isinstance(step, _Remove):
        files.pop(step.name, None)
        return
    old = files.get(step.name, b"").ljust(step.offset, b"\0")
    files[step.name] = old[: step.offset] + step.data + old[step.offset + len(step.data) :]


def grub_starts(stick: FakeStick) -> str:
    """The release that comes up, as GRUB takes it from what lasts; or why nothing does."""
    try:
        intent = _intent(stick)
    except (NotABlock, ValueError) as error:
        return f"GRUB has no variables: {error}"
    return held(stick, intent.preferred)


def grub_falls_back_to(stick: FakeStick) -> str:
    """The same, once what it prefers was given up; "" if it would not be."""
    other = _intent(stick).other
    return held(stick, other) if other else ""


def _intent(stick: FakeStick) -> Intent:
    return Intent.of(grubenv.parse(stick.disk[ENVIRONMENT]))


def held(stick: FakeStick, slot: str) -> str:
    """The release in SLOT, if it is whole; or what is wrong."""
    config = stick.disk.get(f"slot-{slot}/{CONFIG}")
    if config is None:
        return f"slot {slot} is empty"
    try:
        found = slots.parse(config.decode("ascii", "replace"))
    except ValueError as error:
        return f"slot {slot}: {error}"
    for name, data in contents(str(found.release)).items():
        if stick.disk.get(place(slot, name), b"")[: len(data)] != data:
            return f"{name} of slot {slot} is broken"
    return str(found.release)
