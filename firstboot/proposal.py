# SPDX-License-Identifier: MIT
"""Proposes what a person would have to look up: the data disks, host names, a network for the
crossover. Pure. It proposes nothing that is not plainly right.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Network

from firstboot.probe import Bus, Disk, Machine
from firstboot.values import SECTOR, SERIAL
from firstboot.wording import size
from haagent.storage.lvm import GROUP

HOST_NAMES = ("shoestring-a", "shoestring-b")
# The built-in guest twice over, and what LVM and DRBD take for themselves.
LEAST_DATA_DISK = 512 << 20  # bytes
CROSSOVER_PREFIX = 30  # two machines, a broadcast address, nobody else
# RFC 1918, the least used by home routers first; of each network the far end, for the same reason.
PRIVATE = (
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("10.0.0.0/8"),
)


class Blocker(StrEnum):
    """Why a disk cannot become the data disk."""

    BOOT_MEDIUM = "boot medium"
    READ_ONLY = "read-only"
    NO_SERIAL = "no serial number"
    SERIAL_TWICE = "serial number twice"
    OURS = "holds a pair's guests"
    FOREIGN = "not empty"
    TOO_SMALL = "too small"


@dataclass(frozen=True, slots=True)
class Between:
    """What only the two together can find out. In pairs, this machine first."""

    crossover: tuple[str, str] | None = None  # MAC addresses of the cards that the cable is in
    speed: float | None = None  # Mbit/s of data, measured through it
    apart: float | None = None  # seconds that the other's clock is ahead of ours
    lans: tuple[IPv4Network, ...] = ()  # all networks that either machine is in
    # The LVM identities of physical volumes that an interrupted set-up of this very pair was
    # making: those may be there.
    begun: frozenset[str] = frozenset()


NOTHING_MORE = Between()


@dataclass(frozen=True, slots=True)
class Choice:
    """The data disk of one machine."""

    disk: Disk | None  # None: a person has to choose, or there is none
    why: str  # in a sentence
    # All that could be taken, the proposed one first; those that hold something last.
    candidates: tuple[Disk, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """In pairs, this machine first."""

    disks: tuple[Choice, Choice]
    names: tuple[str, str]
    crossover: IPv4Network | None  # None: every private network is in use


def propose(here: Machine, there: Machine, between: Between = NOTHING_MORE) -> Proposal:
    return Proposal(
        disks=_matched(choose_disk(here, between.begun), choose_disk(there, between.begun)),
        names=host_names(here, there),
        crossover=crossover_network(between.lans),
    )


def _matched(here: Choice, there: Choice) -> tuple[Choice, Choice]:
    """Nothing is proposed that does not go together."""
    if here.disk and there.disk and not is_alike(here.disk, there.disk):
        why = "The best disk of each does not go with that of the other: their sectors differ."
        return replace(here, disk=None, why=why), replace(there, disk=None, why=why)
    return here, there


def is_alike(disk: Disk, other: Disk) -> bool:
    """Whether a guest can move between the two.

    safety: DRBD shows a guest the sectors of the disk below it on its own machine
    (drbd_reconsider_queue_parameters in drbd_nl.c of Linux 6.12). With sectors of 512 bytes here,
    a guest writes pieces that a disk with 4096 refuses: the other copy is detached. And a file
    system or partition table that was made on the one may not be readable on the other.
    """
    sectors = disk.logical_sector, other.logical_sector
    return None in sectors or sectors[0] == sectors[1]


def choose_disk(machine: Machine, begun: Collection[str] = ()) -> Choice:
    """The largest one that is blank and built in."""
    blocked = {disk: blocker(disk, machine, begun) for disk in machine.disks}
    blank = _ordered(disk for disk, why in blocked.items() if why is None)
    ordered = (*blank, *_ordered(disk for disk, why in blocked.items() if why is Blocker.FOREIGN))
    if not blank:
        return Choice(None, "No disk is blank.", ordered)
    first = blank[0]
    if first.is_removable:
        return Choice(None, "Only what can be taken out is blank.", ordered)
    rivals = [disk for disk in blank if _is_loose(disk) == _is_loose(first)]
    if len(rivals) > 1 and rivals[1].size == first.size:
        return Choice(None, "Several disks are equally good.", ordered)
    if len(rivals) > 1:
        return Choice(first, "The largest blank disk.", ordered)
    if first.bus is Bus.USB:
        return Choice(first, "The only blank disk, at a USB port.", ordered)
    return Choice(first, "The only blank disk that is built in.", ordered)


def _ordered(disks: Iterable[Disk]) -> tuple[Disk, ...]:
    return tuple(sorted(disks, key=lambda disk: (_is_loose(disk), -disk.size)))


def _is_loose(disk: Disk) -> int:
    """0 built in, 1 plugged in from outside, 2 made to be taken out."""
    return 2 if disk.is_removable else int(disk.bus is Bus.USB)


def blocker(disk: Disk, machine: Machine, begun: Collection[str] = ()) -> Blocker | None:
    """What keeps DISK from becoming the data disk; None if nothing does. One that is FOREIGN may
    become it all the same, once a person has said that what is on it may be lost.
    """
    if disk.is_boot_medium:
        return Blocker.BOOT_MEDIUM
    if disk.is_read_only:
        return Blocker.READ_ONLY
    if not SERIAL.fullmatch(disk.serial):
        return Blocker.NO_SERIAL  # it could not be named, neither in the answers nor by a person
    if sum(other.serial == disk.serial for other in machine.disks) > 1:
        return Blocker.SERIAL_TWICE
    # safety: anything at all may be dear to somebody, but for what this set-up itself began.
    is_full = disk.holds and not (disk.physical_volume and disk.physical_volume in begun)
    if is_full and disk.group == GROUP:
        return Blocker.OURS
    if disk.size < LEAST_DATA_DISK:
        return Blocker.TOO_SMALL
    return Blocker.FOREIGN if is_full else None


def host_names(here: Machine, there: Machine) -> tuple[str, str]:
    """The same machine gets the same name on both screens, whoever asks."""
    first, second = HOST_NAMES
    return (first, second) if here.machine_id <= there.machine_id else (second, first)


def crossover_network(lans: Iterable[IPv4Network]) -> IPv4Network | None:
    """A private network of four addresses that none of LANS overlaps."""
    taken = tuple(lans)
    return next((net for net in _far_ends() if not any(net.overlaps(lan) for lan in taken)), None)


def _far_ends() -> Iterator[IPv4Network]:
    """The last four addresses of each of 256 parts, from the end."""
    for private in PRIVATE:
        last, first = int(private.broadcast_address), int(private.network_address)
        for end in range(last, first, -(private.num_addresses // 256)):
            yield IPv4Network((end - 3, CROSSOVER_PREFIX))


def in_words(disk: Disk) -> str:
    """DISK, so that a person finds it in the machine."""
    kind = {True: " (spins)", False: " (SSD)", None: ""}[disk.is_rotational]
    bus = "" if disk.bus is Bus.UNKNOWN else f" {disk.bus.upper()}{kind}"
    is_usual = disk.logical_sector in (None, SECTOR)
    sectors = "" if is_usual else f", {disk.logical_sector}-byte sectors"
    model = f" {disk.model}" if disk.model else ""
    told = f"{disk.name}: {size(disk.size)}{bus}{model}{sectors}"
    return f"{told}, serial {disk.serial or 'unknown'}"
