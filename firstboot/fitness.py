# SPDX-License-Identifier: MIT
"""Judges a blank machine as the new second half of a pair that serves its guests already. Pure.

What the survivor is made of is not judged: it serves. An empty answer is the only yes.
"""

from collections.abc import Iterator

from firstboot.description import Description
from firstboot.probe import Disk, Machine
from firstboot.proposal import choose_disk, in_words
from firstboot.refusals import DOM0_MEMORY, refusals
from firstboot.survivor import Survivor
from firstboot.validate import EXTENT, LVM_OVERHEAD
from firstboot.wording import Side, in_short, size
from haagent.storage.lvm import GROUP

LABEL, COLUMN = 15, 26  # widths on the page


def room_needed(survivor: Survivor) -> int:
    """Bytes that the new data disk must have: all volumes, as large as they are here."""
    return LVM_OVERHEAD + sum(guest.disk + EXTENT for guest in survivor.guests)


def sector(here: Machine) -> int | None:
    """Bytes of a sector of the disk that the guests are on; None: not known."""
    return next((disk.logical_sector for disk in here.disks if disk.group == GROUP), None)


def candidates(survivor: Survivor, new: Machine) -> tuple[Disk, ...]:
    """The disks of the NEW machine that could hold the guests, the proposed one first."""
    needed = room_needed(survivor)
    return tuple(disk for disk in _alike(survivor, new) if disk.size >= needed)


def _alike(survivor: Survivor, new: Machine) -> tuple[Disk, ...]:
    """safety: the guests must be able to write there what they write here; see is_alike."""
    same = None, survivor.sector
    found = choose_disk(new).candidates
    if survivor.sector is None:
        return found
    return tuple(disk for disk in found if disk.logical_sector in same)


def is_plain(survivor: Survivor, new: Machine) -> bool:
    """Whether the first of the candidates is plainly the right one."""
    proposed = choose_disk(new).disk
    return proposed is not None and proposed in candidates(survivor, new)


def unfit(survivor: Survivor, here: Description, there: Description) -> Iterator[tuple[str, str]]:
    """All that keeps the machine THERE from the place: what it is, and what to do about it."""
    for refusal in refusals(here.machine, there.machine):
        if refusal.side is not Side.HERE:
            yield refusal.sentence, refusal.remedy
    if here.scale != there.scale:
        yield (
            f"The time scale is {here.scale:g} here and {there.scale:g} there.",
            "Take shoestring.timescale= off the kernel command line of the new machine.",
        )
    yield from _too_little(survivor, there.machine)


def _too_little(survivor: Survivor, new: Machine) -> Iterator[tuple[str, str]]:
    needed, total = DOM0_MEMORY + survivor.memory, new.total_memory
    if total is not None and total < needed:
        yield (
            f"The other machine has {size(total)} of memory, and needs {size(needed)} to run all"
            f" guests of {survivor.name}: {size(survivor.memory)}, and {size(DOM0_MEMORY)} for"
            " itself.",
            "Put more memory in, or take another machine.",
        )
    found = _alike(survivor, new)
    if not found and choose_disk(new).candidates:
        yield (
            f"The guests were made on a disk with sectors of {survivor.sector} bytes, and no disk"
            " of the other machine has such: what they write could not be written there.",
            f"Put in a disk with sectors of {survivor.sector} bytes.",
        )
    if found and not candidates(survivor, new):
        largest = max(found, key=lambda disk: disk.size)
        yield (
            f"No disk of the other machine is large enough: the guests need"
            f" {room_needed(survivor)} bytes, and {largest.name} has {largest.size}.",
            "Put in a larger one.",
        )


def page(survivor: Survivor, here: Machine, there: Machine, speed: float) -> list[str]:
    """Both machines, as far as it matters for a replacement. SPEED is of the crossover, Mbit/s."""
    rows = [
        ("", f"{survivor.name} (this one)", "the new machine"),
        ("memory", _memory(here), _memory(there)),
        ("network cards", str(len(here.nics)), str(len(there.nics))),
        ("watchdog", _watchdog(here), _watchdog(there)),
    ]
    lines = [f"{label:<{LABEL}}{ours:<{COLUMN}}{theirs}" for label, ours, theirs in rows]
    found = candidates(survivor, there)
    lines += [
        "",
        f"The crossover carries {speed:.0f} Mbit/s of data.",
        f"The guests ({in_short([guest.name for guest in survivor.guests])}) need"
        f" {size(survivor.memory)} of memory and a disk of {size(room_needed(survivor))}.",
        *(f"Could hold them: {in_words(disk)}" for disk in found),
    ]
    return lines


def _memory(machine: Machine) -> str:
    return "not known" if machine.total_memory is None else size(machine.total_memory)


def _watchdog(machine: Machine) -> str:
    return ", ".join(name for name in machine.watchdogs if name)[: COLUMN - 1] or "none"
