# SPDX-License-Identifier: MIT
"""Why two machines, as they are, cannot become a pair. Pure.

It forgives nothing that an owner could regret. An empty answer is the only yes.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from firstboot.probe import Disk, Machine
from firstboot.proposal import LEAST_DATA_DISK, Blocker, blocker, choose_disk, is_alike
from firstboot.values import SECTOR
from firstboot.wording import Side, size, sized
from haagent.fencing.watchdog import SOFTWARE
from haagent.storage.lvm import GROUP

DOM0_MEMORY = 1024 << 20  # bytes; dom0_mem in image/menu.cfg
# What the README asks for, and what firmware and graphics may keep of it for themselves.
PROMISED_MEMORY = 2 << 30
KEPT_BY_FIRMWARE = 256 << 20
LEAST_MEMORY = PROMISED_MEMORY - KEPT_BY_FIRMWARE
# Less than any stick that is sold as one of 4 GB, and more than one of 2 GB.
LEAST_STICK = 3 << 30
# What else keeps a disk from being taken, and what to do about it.
UNFIT = {
    Blocker.READ_ONLY: (
        "takes no writes",
        "Look for a switch on it, or put in another one.",
    ),
    Blocker.NO_SERIAL: (
        "has no serial number to know it by",
        "Put in another one.",
    ),
    Blocker.SERIAL_TWICE: (
        "has the same serial number as another one",
        "Take one of the two out.",
    ),
}


class Reason(StrEnum):
    """Why these two machines, as they are, cannot become a pair."""

    COPIED_STICK = "own stick copied"
    DIFFERENT_IMAGES = "different images"
    NO_XEN = "Xen is not running"
    NO_DRBD = "DRBD is missing"
    NO_STATE = "state partition missing"
    STICK_TOO_SMALL = "stick too small"
    TOO_LITTLE_MEMORY = "too little memory"
    NO_WATCHDOG = "no watchdog"
    TOO_FEW_CARDS = "fewer than two network cards"
    NO_DATA_DISK = "no data disk"
    DISK_TOO_SMALL = "data disk too small"
    DISK_OURS = "disk holds a pair's guests"
    DISK_UNFIT = "disk cannot be used"
    SECTORS = "data disks with different sectors"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing in the way."""

    reason: Reason
    side: Side
    sentence: str
    remedy: str  # what to do about it


def refusals(here: Machine, there: Machine, begun: Collection[str] = ()) -> Iterator[Refusal]:
    """All that is in the way, what concerns both machines first. BEGUN is as in `Between`."""
    if here.machine_id and here.machine_id == there.machine_id:
        # safety: two machines that pass for one would each take the other's words for its own.
        yield Refusal(
            Reason.COPIED_STICK,
            Side.BOTH,
            "Both machines have the same identity: one stick is a copy of the other, made after"
            " it had been started.",
            "Flash one of the two sticks anew and start that machine again.",
        )
    images = [(machine.version, machine.kernel) for machine in (here, there)]
    if images[0] != images[1]:
        versions = " and ".join(f"{version} with Linux {kernel}" for version, kernel in images)
        yield Refusal(
            Reason.DIFFERENT_IMAGES,
            Side.BOTH,
            f"The two sticks hold different versions of Shoestring: {versions}.",
            "Flash both sticks with the same image.",
        )
    for side, machine in ((Side.HERE, here), (Side.THERE, there)):
        yield from _system(side, machine)
        yield from _hardware(side, machine)
        yield from _disks(side, machine, begun)


def of_one(machine: Machine) -> Iterator[Refusal]:
    """What of MACHINE, here, is in the way of anything."""
    yield from _system(Side.HERE, machine)
    yield from _hardware(Side.HERE, machine)
    yield from _disks(Side.HERE, machine, ())


def mismatch(here: Machine, there: Machine, begun: Collection[str] = ()) -> Iterator[Refusal]:
    """Why no disk here goes with any there, where each machine by itself has one that would do. It
    is about the founding of a pair: who has guests already judges one machine only.
    """
    ours, theirs = (choose_disk(machine, begun).candidates for machine in (here, there))
    if not ours or not theirs or any(is_alike(one, other) for one in ours for other in theirs):
        return
    sectors = f"{ours[0].logical_sector} bytes here and {theirs[0].logical_sector}"
    yield Refusal(
        Reason.SECTORS,
        Side.BOTH,
        f"The disks for the guests have sectors of {sectors} on the other machine: what a guest"
        " writes on the one cannot be written on the other.",
        f"Put a disk with sectors of {SECTOR} bytes into the machine that has none; nearly every"
        " disk with a SATA plug has them.",
    )


def _system(side: Side, machine: Machine) -> Iterator[Refusal]:
    this = side.capitalize()
    if machine.xen is None:
        yield Refusal(
            Reason.NO_XEN,
            side,
            f"{this} was started without Xen, for rescue: no guest can run on it.",
            "Start it again and take the first entry of the menu.",
        )
    if machine.drbd is None:
        yield Refusal(
            Reason.NO_DRBD,
            side,
            f"{this} has not loaded DRBD: nothing can be mirrored.",
            "Switch it off and on. If that does not help, flash its stick anew.",
        )
    if machine.state_size is None:
        yield Refusal(
            Reason.NO_STATE,
            side,
            f"The stick of {side} has no state partition: settings cannot be kept.",
            "Use a stick of 4 GB or more, and flash it anew.",
        )
    for stick in machine.disks:
        if stick.is_boot_medium and stick.size < LEAST_STICK:
            yield Refusal(
                Reason.STICK_TOO_SMALL,
                side,
                f"The stick of {side} has {size(stick.size)}, and 4 GB are needed: what this"
                " machine must remember would not fit for long.",
                "Flash a larger one and start from it.",
            )
    if machine.xen and not any(name and name != SOFTWARE for name in machine.watchdogs):
        # safety: without one, nobody may take over when this machine hangs. Xen brings its own, so
        # that one cause is told once.
        yield Refusal(
            Reason.NO_WATCHDOG,
            side,
            f"{this} has no watchdog: if it hangs, the other could not be sure that it is off.",
            "Switch it off and on. If that does not help, flash its stick anew.",
        )


def _hardware(side: Side, machine: Machine) -> Iterator[Refusal]:
    this = side.capitalize()
    memory = machine.total_memory
    if memory is not None and memory < LEAST_MEMORY:
        yield Refusal(
            Reason.TOO_LITTLE_MEMORY,
            side,
            f"{this} has {memory >> 20} MiB of memory, and {PROMISED_MEMORY >> 20} MiB are needed:"
            f" {DOM0_MEMORY >> 20} for the system itself, the rest for guests. Firmware and"
            f" graphics may keep {KEPT_BY_FIRMWARE >> 20} MiB of them.",
            "Put more memory in, or use another machine.",
        )
    if len(machine.nics) < 2:
        found = "one network card" if machine.nics else "no network card"
        yield Refusal(
            Reason.TOO_FEW_CARDS,
            side,
            f"{this} has {found}, and two are needed: one for the crossover cable, one for the"
            " LAN.",
            "Put another one in; one at a USB port will do.",
        )


def _disks(side: Side, machine: Machine, begun: Collection[str]) -> Iterator[Refusal]:
    """What is on a disk matters only if there is none that could be taken, with one exception: a
    second group of LVM's with the name of ours, on any disk, would stop the set-up half way.
    """
    this = side.capitalize()
    others = [disk for disk in machine.disks if not disk.is_boot_medium]
    if not others:
        yield Refusal(
            Reason.NO_DATA_DISK,
            side,
            f"{this} has no disk but the one that it started from.",
            f"Put in a blank one of {size(LEAST_DATA_DISK)} or more, for the guests.",
        )
        return
    found = [(disk, blocker(disk, machine, begun)) for disk in others]
    # One that holds something can be taken, too: the consent names what is lost with it.
    is_none_left = not any(why in (None, Blocker.FOREIGN) for _, why in found)
    for disk, why in found:
        if why is not None and (is_none_left or disk.group == GROUP):
            yield _blocked(side, disk, Blocker.OURS if disk.group == GROUP else why)


def _blocked(side: Side, disk: Disk, why: Blocker) -> Refusal:
    called = f"The disk {disk.name} of {side} ({sized(disk.size, disk.model)})"
    match why:
        case Blocker.OURS:
            return Refusal(
                Reason.DISK_OURS,
                side,
                f"{called} holds the guests of a Shoestring pair, perhaps of this one before its"
                " sticks were flashed anew. Nothing on it was changed.",
                "To keep them, take the disk out, or start with the stick that belongs to it. If"
                " nobody needs them, empty it on another machine.",
            )
        case Blocker.TOO_SMALL:
            return Refusal(
                Reason.DISK_TOO_SMALL,
                side,
                f"{called} is too small: {size(LEAST_DATA_DISK)} are needed.",
                "Put in a larger one.",
            )
    problem, remedy = UNFIT[why]
    return Refusal(Reason.DISK_UNFIT, side, f"{called} {problem}.", remedy)
