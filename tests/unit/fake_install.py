# SPDX-License-Identifier: MIT
"""A stick and a disk made of values, and a machine that may lose its power after everything that
lasts on either of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from firstboot.hands import Signature
from firstboot.installing.layout import Layout, Part
from firstboot.installing.mark import PATH, Mark, Stage, from_file, to_file
from firstboot.probe import Bus, Disk, Machine
from firstboot.rendering import SETTINGS, File
from haagent.errors import OperatorError
from tests.unit.fake_machine import PowerCutError

GIB = 1 << 30
VOLUME = "cafe1234"
STICK_LAYOUT = Layout(
    2048,
    (
        Part(1, 2048, 2048, "BIOS", "shoestring-bios"),
        Part(2, 4096, 786432, "ESP", "shoestring-esp"),
        Part(3, 790528, 1572864, "ROOT", "shoestring-root-a", "GUID:59"),
        Part(4, 2363392, 1572864, "ROOT", "shoestring-root-b", "GUID:59"),
        Part(5, 3936256, 4452352, "LINUX", "shoestring-state"),
    ),
)
STICK = Disk("sda", "Flash", "STICK-1", 4 * GIB, True, True, bus=Bus.USB, logical_sector=512)
INSIDE = Disk("sdb", "SSD 850", "S3Z2NB0K", 120 * GIB, False, False, bus=Bus.SATA)
INSIDE = replace(INSIDE, logical_sector=512)
AGREED = Mark(INSIDE.serial, INSIDE.model, INSIDE.size, False, VOLUME)


@dataclass
class Content:
    """What is on the disk, piece by piece; nothing of it was there at first."""

    kinds: tuple[str, ...] = ()
    is_a_pairs: bool = False
    layout: Layout | None = None
    boot_code: bool = False
    esp: str = ""  # the volume ID in its copy, without the first sector
    first_sector: str = ""
    slots: bool = False
    state: dict[str, File] = field(default_factory=dict)
    is_state_whole: bool = False


class FakeInstall:
    """Hands of an install. CUT is how many effects happen before the power fails."""

    def __init__(self, mark: Mark | None = AGREED, machine: Machine | None = None) -> None:
        self.files = {SETTINGS: File(SETTINGS, "a pair's\n")}
        if mark is not None:
            self.files[PATH] = to_file(mark)
        self.has_state = True
        self.words = ""  # that the stick's GRUB says since it was given up
        self.starts = 3
        self.disk = Content()
        self.disks: tuple[Disk, ...] = (STICK, INSIDE)
        self.later: list[tuple[Disk, ...]] = []
        self.bad = ""  # the name of what the disk does not keep
        self.cut: int | None = None
        self.effects = 0
        self.said: list[str] = []
        self.done: list[str] = []

    # What a test asks.

    @property
    def mark(self) -> Mark | None:
        return from_file(self.files.get(PATH)) if self.has_state else None

    @property
    def is_stick_a_machine(self) -> bool:
        """Whether it would, alone and whatever else is there, become this machine again."""
        decided = self.mark is not None and self.mark.stage is Stage.DECIDED
        return self.has_state and not self.words and not decided

    @property
    def is_disk_a_machine(self) -> bool:
        """Whether a firmware or GRUB can start it."""
        return bool(self.disk.first_sector)

    @property
    def is_disk_whole(self) -> bool:
        disk = self.disk
        is_filled = bool(disk.layout and disk.boot_code and disk.esp and disk.slots)
        return is_filled and disk.is_state_whole and PATH not in disk.state

    def start(self) -> None:
        """GRUB takes one of the starts."""
        self.cut = None
        self.starts -= 1
        assert self.starts >= 0, "GRUB gave this slot up"

    def tell(self, text: str) -> None:
        self.said.append(text)

    # Hands.

    def machine(self) -> Machine:
        return Machine("", 1, 0, "", "", None, None, (), True, None, (), self.disks)

    def signature(self, disk: str) -> Signature:
        self._assert_ours(disk)
        return Signature(self.disk.kinds, "", self.disk.is_a_pairs)

    def await_hardware_for(self, seconds: float) -> bool:
        if not self.later:
            return False
        self.disks = self.later.pop(0)
        return True

    def read(self, path: str) -> File | None:
        assert self.has_state
        return self.files.get(path)

    def write(self, file: File) -> None:
        self._effect(lambda: None)  # the new file, under its other name
        self._effect(lambda: self.files.update({file.path: file}), "write")

    def remove(self, path: str) -> None:
        if path in self.files:
            self._effect(lambda: self.files.pop(path), "remove")

    def stick(self) -> Layout:
        return STICK_LAYOUT

    def used(self) -> int:
        return 20 << 20

    def count_starts_anew(self) -> None:
        self._effect(lambda: setattr(self, "starts", 3), "starts")

    def clear(self, disk: str, layout: Layout) -> None:
        self._assert_ours(disk)
        slots = self.disk.slots

        def happen() -> None:
            self.disk = Content(slots=slots)

        self._effect(lambda: setattr(self.disk, "layout", None))
        self._effect(happen, "clear")

    def divide(self, disk: str, layout: Layout) -> None:
        self._assert_ours(disk)
        assert not self.disk.first_sector, "an old ESP would come back"
        self._effect(lambda: self._set(layout=layout, kinds=("gpt",)), "divide")

    def copy_boot_code(self, disk: str, layout: Layout) -> None:
        self._piece(disk, layout, "boot_code", True)

    def copy_esp(self, disk: str, layout: Layout, volume: str) -> None:
        assert self.starts == 3, "the disk would begin with the starts that are left"
        self._piece(disk, layout, "esp", volume)

    def copy_slots(self, disk: str, layout: Layout, tell: Callable[[str], None]) -> None:
        if not self.disk.slots:
            self._piece(disk, layout, "slots", True)

    def copy_state(self, disk: str, layout: Layout) -> None:
        self._effect(lambda: self._set(is_state_whole=False, state={}))
        copied = {path: file for path, file in self.files.items() if path != PATH}
        half = dict(list(copied.items())[:1])
        self._effect(lambda: self._set(state=half))
        self._effect(lambda: self._set(state=copied))
        self._piece(disk, layout, "is_state_whole", True)

    def start_from(self, disk: str, layout: Layout, volume: str) -> None:
        self._assert_ours(disk)
        if self.disk.first_sector == volume:
            return
        if self.disk.first_sector or self.disk.esp != volume:
            raise OperatorError("something else is there", "")
        self._effect(lambda: self._set(first_sector=volume), "start")

    def give_up_stick(self, words: str) -> None:
        assert self.is_disk_a_machine, "then there would be none"
        self._effect(lambda: setattr(self, "words", words), "words")
        self._effect(lambda: setattr(self, "has_state", False), "state gone")

    # Inside.

    def _effect(self, happen: Callable[[], object], name: str = "") -> None:
        assert self.effects != self.cut, "the machine is off"
        happen()
        self.effects += 1
        self.done += [name] * bool(name)
        assert not (self.is_stick_a_machine and self.is_disk_a_machine), "there are two of it"
        assert self.is_disk_whole or not self.is_disk_a_machine, "half a machine would start"
        if self.effects == self.cut:
            raise PowerCutError

    def _piece(self, disk: str, layout: Layout, name: str, value: object) -> None:
        self._assert_ours(disk)
        assert self.disk.layout == layout and not self.disk.first_sector
        if name == self.bad:
            raise OperatorError(f"{name} reads otherwise", "Use another disk.")
        self._effect(lambda: self._set(**{name: value}), name)

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            setattr(self.disk, name, value)

    def _assert_ours(self, disk: str) -> None:
        assert disk == INSIDE.name, "the only disk that may be touched"
