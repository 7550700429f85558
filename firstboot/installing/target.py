# SPDX-License-Identifier: MIT
"""Which disks the system can be installed to, and why not the others. Pure.

What is refused here no consent allows.
"""

from collections.abc import Collection
from enum import StrEnum

from firstboot.probe import Bus, Disk, Machine
from firstboot.values import SERIAL
from firstboot.wording import size, sized
from haagent.storage.lvm import GROUP

SECTOR = 512  # bytes; the least that GRUB on BIOS, and our table, can do with
OUTSIDE = (Bus.USB, Bus.MMC)


class Unfit(StrEnum):
    """Why a disk cannot become the system disk."""

    BOOT_MEDIUM = "the system runs from it"
    OURS = "it holds the guests of a pair"
    IN_USE = "it is to hold the guests"
    REMOVABLE = "it can be taken out; one that is built in is needed"
    READ_ONLY = "it takes no writes"
    NO_SERIAL = "it has no serial number to know it by"
    SERIAL_TWICE = "it has the same serial number as another one"
    SECTORS = "its sectors are not of 512 bytes: a PC's BIOS could not start from it"
    TOO_SMALL = "it is too small"


def unfit(disk: Disk, machine: Machine, least: int, taken: Collection[str] = ()) -> Unfit | None:
    """What keeps DISK of MACHINE from becoming the system disk; None if nothing does. LEAST are the
    bytes that it must have, TAKEN the serial numbers of data disks.
    """
    if disk.is_boot_medium:
        return Unfit.BOOT_MEDIUM
    # safety: no consent is for guests.
    if disk.group == GROUP:
        return Unfit.OURS
    if disk.serial in taken:
        return Unfit.IN_USE
    if disk.is_removable or disk.bus in OUTSIDE:
        return Unfit.REMOVABLE
    if disk.is_read_only:
        return Unfit.READ_ONLY
    if not SERIAL.fullmatch(disk.serial):
        return Unfit.NO_SERIAL
    if sum(other.serial == disk.serial for other in machine.disks) > 1:
        return Unfit.SERIAL_TWICE
    if disk.logical_sector != SECTOR:
        return Unfit.SECTORS
    return Unfit.TOO_SMALL if disk.size < least else None


def fitting(machine: Machine, least: int) -> tuple[Disk, ...]:
    """Those that could be taken: blank ones first, the smallest of them first, for the guests need
    the largest.
    """
    fit = (disk for disk in machine.disks if unfit(disk, machine, least) is None)
    return tuple(sorted(fit, key=lambda disk: (bool(disk.holds), disk.size, disk.name)))


def why_not(disk: Disk, why: Unfit, least: int) -> str:
    """A sentence about a DISK that cannot be taken."""
    more = f": {size(least)} are needed" if why is Unfit.TOO_SMALL else ""
    return f"{disk.name} ({sized(disk.size, disk.model)}) cannot be taken: {why}{more}."


def warning(disk: Disk) -> str:
    """What its owner should know before it is taken; "" if there is nothing."""
    signs = f" ({', '.join(disk.health.signs)})" if disk.health.signs else ""
    if disk.health.is_failing:
        return f"WARNING: it says that it is failing{signs}. Take another one, or replace it first."
    if signs:
        return f"It shows wear{signs}. Keep an eye on it."
    return ""
