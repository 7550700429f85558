# SPDX-License-Identifier: MIT
"""Asks which internal disk shall become the system disk, and has a person agree to what is lost:
at the first page of a blank machine, and for `shoestring install` (on_a_pair.py).

It writes nothing but the mark; what that asks for is done at the next start (install.py).
"""

import secrets
from typing import Protocol

from firstboot.answers import Answers
from firstboot.installing import layout, mark, target
from firstboot.installing.layout import Layout
from firstboot.installing.mark import DONE, WHY_NOT, Mark
from firstboot.probe import Disk, Machine
from firstboot.proposal import in_words
from firstboot.question import TELLING, telling
from firstboot.rendering import File
from firstboot.validate import find_disk
from firstboot.wording import in_short
from haagent.errors import OperatorError

WORD = "install"
STAYS = "Nothing was changed: this machine stays on its stick."
MOST = 4  # disks that are listed of each kind, to leave all on one screen


class Screens(Protocol):
    """firstboot/terminals.py's, or a seat."""

    def tell(self, text: str) -> None: ...
    def prompt(self, text: str) -> None: ...
    def read(self, timeout: float | None, *others: int) -> str | int | None: ...


class Hands(Protocol):
    """What is needed of a machine; carrying.py's."""

    def machine(self) -> Machine: ...
    def examined_machine(self) -> Machine: ...
    def stick(self) -> Layout: ...
    def used(self) -> int: ...
    def read(self, path: str) -> File | None: ...
    def write(self, file: File) -> None: ...
    def remove(self, path: str) -> None: ...


def is_possible(machine: Machine) -> bool:
    """Whether the first page speaks of it: MACHINE started from what can be pulled out, and has
    another disk that is built in. What keeps that one from being taken is said when asked.
    """
    medium = [disk for disk in machine.disks if disk.is_boot_medium]
    # The least that any layout of ours needs; the exact number takes a program to find out.
    return bool(
        any(disk.is_removable or disk.bus in target.OUTSIDE for disk in medium)
        and target.fitting(machine, layout.LEAST_STATE)
    )


def choose(screens: Screens, hands: Hands) -> bool:
    """Whether a person has agreed, and the mark is written. Raises ShoestringError."""
    if hands.read(DONE) is not None:
        raise OperatorError("This machine runs from an internal disk already.", STAYS)
    failed = hands.read(WHY_NOT)
    if failed is not None:
        screens.tell(f"The last try: {failed.text}")
    machine = hands.examined_machine()
    least = layout.needed(hands.stick(), hands.used())
    disk = _chosen(screens, machine, least)
    if disk is None or not _is_agreed(screens, disk):
        screens.tell(STAYS)
        return False
    _agree(hands, disk)
    return True


def agreed_in_file(answers: Answers, hands: Hands) -> bool:
    """The same for the `system-disk` of an answers.yaml: whether the machine is to restart now.
    Raises OperatorError.
    """
    if not answers.system_disk or hands.read(DONE) is not None:
        return False
    failed = hands.read(WHY_NOT)
    if failed is not None:
        hands.remove(WHY_NOT)  # so that Enter tries again
        raise OperatorError(failed.text.strip(), "Mend that, or take `system-disk` out.")
    machine = hands.examined_machine()
    disk = find_disk(machine, answers.system_disk)
    if disk is None:
        raise OperatorError(
            f"No disk has the serial number {answers.system_disk}, named as the system disk.",
            "Nothing was changed. Correct answers.yaml or the machine.",
        )
    if disk.is_boot_medium:
        return False
    least = layout.needed(hands.stick(), hands.used())
    why = target.unfit(disk, machine, least, (answers.disk,))
    if why is not None:
        raise OperatorError(target.why_not(disk, why, least), "Correct answers.yaml.")
    if disk.holds and not answers.erases_system_disk:
        # safety: whatever it is, somebody may want it back.
        raise OperatorError(
            f"The disk {disk.serial} is not empty, it holds: {', '.join(disk.holds)}.",
            "Nothing was changed. `erase: true` below `system-disk` says that it may be lost.",
        )
    _agree(hands, disk)
    return True


def _chosen(screens: Screens, machine: Machine, least: int) -> Disk | None:
    fit = target.fitting(machine, least)[:MOST]
    lines = ["The system goes from the stick to an internal disk; the stick is not needed then."]
    for number, disk in enumerate(fit, 1):
        lines.append(f"  {number}  {in_words(disk)}")
        if disk.holds:
            lines.append(f"     NOT BLANK: {in_short(disk.holds)}")
    refused = [
        target.why_not(disk, why, least)
        for disk in machine.disks
        if (why := target.unfit(disk, machine, least)) not in (None, target.Unfit.BOOT_MEDIUM)
        and why is not None
    ]
    lines += refused[:MOST]
    if not fit:
        screens.tell("\n".join([*lines, "There is no disk that could be taken."]))
        return None
    lines.append("The guests need another disk than this one: leave the largest to them.")
    screens.tell("\n".join(lines))
    screens.prompt("The number of the disk, or Enter to stay on the stick: ")
    typed = _line(screens)
    if typed.isdecimal() and 1 <= int(typed) <= len(fit):
        return fit[int(typed) - 1]
    return None


def _is_agreed(screens: Screens, disk: Disk) -> bool:
    lines = [f"ERASED: {in_words(disk).removesuffix(f', serial {disk.serial}')}"]
    lost = f"LOST: {in_short(disk.holds)}" if disk.holds else "it is blank"
    lines.append(f"  serial {disk.serial}; {lost}")
    if (warning := target.warning(disk)) != "":
        lines.append(warning)
    lines += [
        "This machine restarts, copies itself to that disk, and restarts from there. From then on"
        " the stick does not start any more. It keeps its name, its addresses and its half of the"
        " pair. If the power fails meanwhile, it goes on by itself.",
    ]
    screens.tell("\n".join(lines))
    screens.prompt(f"To go on, type the last {TELLING} characters of that serial number: ")
    return _line(screens).upper() == telling(disk.serial)


def _agree(hands: Hands, disk: Disk) -> None:
    hands.remove(WHY_NOT)
    hands.write(
        mark.to_file(
            Mark(disk.serial, disk.model, disk.size, bool(disk.holds), secrets.token_hex(4))
        )
    )


def _line(screens: Screens) -> str:
    while True:
        typed = screens.read(None)
        if isinstance(typed, str):
            return typed.strip()
