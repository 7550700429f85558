# SPDX-License-Identifier: MIT
"""Makes an internal disk this machine, and the stick none, whatever moment the power fails in.

Owns the order. It runs at a start, alone: nothing of the pair runs, and nothing does afterwards,
for it always ends with a restart. Until the mark says DECIDED the stick is the machine, and the
disk holds nothing that any firmware or GRUB could start; from then on the stick is none, whether
the disk is there or not. It must not write to any disk but the one with the serial number and size
that the mark names.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from firstboot.hands import Signature
from firstboot.installing import layout as layouts
from firstboot.installing import mark as marks
from firstboot.installing import target
from firstboot.installing.esp import given_up
from firstboot.installing.layout import Layout
from firstboot.installing.mark import PATH, WHY_NOT, Mark, Stage, to_file
from firstboot.probe import Disk, Machine
from firstboot.rendering import File
from firstboot.wording import sentence, size
from haagent.errors import OperatorError, ShoestringError
from haagent.run import Run

LIMIT = 60.0  # seconds for one program
PATIENCE = 60.0  # seconds that the disk may come late
MOST_TRIES = 3
GONE_BACK = "This machine goes on from its stick, as before."
PULL = "The stick is not needed any more. Pull it out."


class Hands(Protocol):
    """What is needed of a machine. Every method ends when what it did lasts, or raises
    ShoestringError; all can be repeated. DISK is a name below /dev.
    """

    def machine(self) -> Machine: ...

    def signature(self, disk: str) -> Signature: ...

    def await_hardware_for(self, seconds: float) -> bool: ...

    def read(self, path: str) -> File | None: ...

    def write(self, file: File) -> None: ...

    def remove(self, path: str) -> None: ...

    def stick(self) -> Layout:
        """That of the medium that we run from."""

    def used(self) -> int:
        """Bytes on the state partition."""

    def count_starts_anew(self) -> None:
        """GRUB gives this slot all of its starts again: an install is no start that failed."""

    def clear(self, disk: str, layout: Layout) -> None:
        """Makes DISK blank, also where partitions of LAYOUT that could be started will be.
        safety: it asks nobody.
        """

    def divide(self, disk: str, layout: Layout) -> None:
        """Gives DISK the partitions of LAYOUT, with identities of their own."""

    def copy_boot_code(self, disk: str, layout: Layout) -> None:
        """GRUB for BIOS."""

    def copy_esp(self, disk: str, layout: Layout, volume: str) -> None:
        """All but its first sector: without that one it is no file system."""

    def copy_slots(self, disk: str, layout: Layout, tell: Callable[[str], None]) -> None:
        """The root file systems, each verified on DISK by its root hash."""

    def copy_state(self, disk: str, layout: Layout) -> None:
        """A new file system with everything on state but the mark, compared file by file."""

    def start_from(self, disk: str, layout: Layout, volume: str) -> None:
        """Writes the ESP's first sector, if it is not there. Raises OperatorError if something else
        is in its place.
        """

    def give_up_stick(self, words: str) -> None:
        """No start of the stick leads to this machine any more; its grub.cfg becomes WORDS."""


def install(hands: Hands, tell: Callable[[str], None]) -> bool:
    """Goes on with the install that a mark asks for, and tells each step; whether there was one.

    Raises ShoestringError once it is decided and cannot be finished: the next call goes on. Before
    that, whatever fails leaves the stick as the machine that it was, and the reason is kept.
    """
    mark = marks.from_file(hands.read(PATH))
    if mark is None:
        return False
    if mark.stage is not Stage.DECIDED:
        try:
            mark = _make(hands, mark, tell)
        except ShoestringError as error:
            _go_back(hands, mark, error, tell)
            return True
    _finish(hands, mark, tell)
    return True


def at_start(hands: Hands, tell: Callable[[str], None], run: Run) -> int:
    """What systemd runs before anything else of ours; its exit code. It restarts the machine."""
    try:
        if install(hands, tell):
            # It only asks for it: whatever waits for us is not started any more.
            run(("systemctl", "--no-block", "reboot"), timeout=LIMIT)
    except ShoestringError as error:
        tell(f"The install cannot go on: {_words(error)}\nIt tries again by itself.")
        return 1
    return 0


def _make(hands: Hands, mark: Mark, tell: Callable[[str], None]) -> Mark:
    """Everything up to the decision, and that. Raises ShoestringError."""
    if mark.tries >= MOST_TRIES:
        raise OperatorError(
            f"It was begun {mark.tries} times and never came to its end.",
            "The disk, or the machine's power, may be failing.",
        )
    tell(
        f"Installing to the disk {mark.model}, serial {mark.serial}. Leave the machine on, and the"
        " stick in it. This takes some minutes."
    )
    disk = _await(hands, mark, tell)
    stick = hands.stick()
    layout = layouts.for_disk(stick, disk.size)
    _assert_fit(hands, mark, disk, layouts.needed(stick, hands.used()))
    begun = replace(mark, stage=Stage.BEGUN, tries=mark.tries + 1)
    hands.write(to_file(begun))
    hands.count_starts_anew()
    hands.clear(disk.name, layout)
    hands.divide(disk.name, layout)
    tell("Copying what starts it.")
    hands.copy_boot_code(disk.name, layout)
    hands.copy_esp(disk.name, layout, mark.volume)
    hands.copy_slots(disk.name, layout, tell)
    tell("Copying what this machine knows.")
    hands.copy_state(disk.name, layout)
    decided = replace(begun, stage=Stage.DECIDED)
    # safety: the decision. Before it the disk cannot start; after it the stick is no machine,
    # whether or not the next step comes about.
    hands.write(to_file(decided))
    if hands.read(PATH) != to_file(decided):
        raise OperatorError(f"{PATH} was written, and something else is read back.", "")
    return decided


def _assert_fit(hands: Hands, mark: Mark, disk: Disk, least: int) -> None:
    """Raises OperatorError for a disk that is not, or not any more, what was agreed to."""
    why = target.unfit(disk, hands.machine(), least)
    if why is not None:
        raise OperatorError(target.why_not(disk, why, least), "Choose another disk.")
    # safety: read from the disk itself, right before the first write to it.
    found = hands.signature(disk.name)
    if found.is_a_pairs:
        raise OperatorError(
            f"The disk {mark.serial} holds the guests of a Shoestring pair.",
            "Nothing on it was changed. Choose another disk.",
        )
    if found.kinds and not mark.erases and mark.stage is Stage.AGREED:
        raise OperatorError(
            f"The disk {mark.serial} was blank, and holds something by now:"
            f" {', '.join(found.kinds)}.",
            "Nothing on it was changed. Look at it, and agree to it again if you want it.",
        )


def _finish(hands: Hands, mark: Mark, tell: Callable[[str], None]) -> None:
    """What follows from the decision. Raises ShoestringError."""
    try:
        disk = _await(hands, mark, tell)
    except OperatorError as error:
        raise OperatorError(
            f"This stick was installed to the disk {mark.model}, serial {mark.serial}, and is no"
            f" machine any more. {error}",
            "Plug that disk in: the machine is on it. If it is lost, this machine is: flash the"
            " stick anew, and replace the machine or set it up again.",
        ) from error
    hands.start_from(disk.name, layouts.for_disk(hands.stick(), disk.size), mark.volume)
    tell(f"This machine is on the disk {mark.model}, serial {mark.serial}, now.")
    hands.give_up_stick(given_up(mark))
    tell(
        f"{PULL} The machine restarts from the disk. If it does not, choose the disk in the set-up"
        " of its firmware."
    )


def _go_back(hands: Hands, mark: Mark, error: ShoestringError, tell: Callable[[str], None]) -> None:
    """The stick goes on as the machine. Raises ShoestringError: then nothing starts, and this is
    tried again.
    """
    why = f"The disk {mark.serial} did not become the system disk. {_words(error)}"
    tell(f"{why}\n{GONE_BACK}")
    hands.write(File(WHY_NOT, f"{why}\n"))
    # safety: the disk cannot start, for its ESP has no first sector before the decision.
    hands.remove(PATH)


def _await(hands: Hands, mark: Mark, tell: Callable[[str], None]) -> Disk:
    """The one disk that the mark names. Raises OperatorError if it does not come."""
    while (disk := _find(hands.machine(), mark)) is None:
        tell(f"Waiting for the disk {mark.serial}, a minute at most.")
        if not hands.await_hardware_for(PATIENCE):
            raise OperatorError(
                f"No disk of {size(mark.size)} with the serial number {mark.serial} is there.",
                "Look at its cables.",
            )
    return disk


def _find(machine: Machine, mark: Mark) -> Disk | None:
    """Not if there are two: neither is surely the one."""
    found = [
        disk
        for disk in machine.disks
        if (disk.serial, disk.size) == (mark.serial, mark.size) and not disk.is_boot_medium
    ]
    return found[0] if len(found) == 1 else None


def _words(error: ShoestringError) -> str:
    if not isinstance(error, OperatorError):
        return f"{error}."  # it may begin with a command
    return f"{sentence(str(error))} {error.hint}".rstrip()
