# SPDX-License-Identifier: MIT
"""Judges answers against the machine they are for: what is in the way of the set-up, and why.

Pure: it reads no hardware and no file. An empty list is the only yes. It forgives nothing that an
owner could regret, above all a disk that holds anything.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from firstboot.answers import Answers, Cable, Guest, Part
from firstboot.probe import Disk, Machine
from haagent.core.timing import Timing
from haagent.guests import disks
from haagent.guests.definition import Kind
from haagent.storage.lvm import GROUP

LARGEST_PREFIX = 30  # a network needs a broadcast address: heartbeat speaks to it
LEAST_BUILT_IN = 192 << 20  # bytes: its kernel, its initramfs, and room to count
# LVM's own metadata, and for each volume up to one extent that it is rounded up by.
LVM_OVERHEAD = 4 << 20
EXTENT = 4 << 20
# linux/drbd_limits.h of 8.4: the longest ping-int and timeout, in seconds.
LONGEST_PING = 120
LONGEST_TIMEOUT = 60


class Reason(StrEnum):
    """Why the set-up cannot begin."""

    DISK_NOT_FOUND = "disk not found"
    DISK_TWICE = "two disks with that serial number"
    DISK_IS_BOOT_MEDIUM = "disk is the boot medium"
    DISK_NOT_EMPTY = "disk not empty"
    DISK_OURS = "disk holds a pair's guests"
    DISK_TOO_SMALL = "disk too small"
    DISK_SECTORS = "disk with other sectors"
    NIC_NOT_FOUND = "network card not found"
    MAC_TWICE = "MAC address used twice"
    NUMBER_TWICE = "number of a guest used twice"
    NOT_A_HOST = "not the address of a machine"
    PEER_ELSEWHERE = "peer in another network"
    GATEWAY_ELSEWHERE = "gateway in another network"
    GUEST_ELSEWHERE = "guest in another network"
    NETWORKS_OVERLAP = "networks overlap"
    ADDRESS_TWICE = "address used twice"
    REFEREE_IS_OURS = "referee is one of ours"
    REFEREE_ELSEWHERE = "referee is on the crossover"
    NAMES_EQUAL = "names equal"
    GUEST_TOO_SMALL = "guest's disk too small"
    GUEST_TYPE = "built-in guest of another type"
    TIME_SCALE = "time scale out of range"
    STATE_MISSING = "state partition missing"


# A disk or a card may be late, or be plugged in later: waiting helps against these.
MAY_PASS = frozenset({Reason.DISK_NOT_FOUND, Reason.NIC_NOT_FOUND})


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing in the way, in one sentence for a person."""

    reason: Reason
    sentence: str


def problems(
    answers: Answers, machine: Machine, scale: float, ours: str | None = None
) -> tuple[Problem, ...]:
    """All that is in the way. SCALE stretches the timers. OURS is the LVM identity of the physical
    volume that an interrupted set-up on this very stick began to make; only that one may be there.
    """
    found: list[Problem] = []
    for check in (
        _state(machine),
        _disk(answers, machine, ours),
        _cards(answers, machine),
        _names(answers),
        _macs(answers),
        _networks(answers),
        _addresses(answers),
        _referees(answers),
        _guests(answers),
        _scale(scale),
    ):
        found += check
    return tuple(found)


def find_disk(machine: Machine, serial: str) -> Disk | None:
    """The one disk with SERIAL; None also if there are two, for neither is surely the one."""
    disks = [disk for disk in machine.disks if disk.serial == serial]
    return disks[0] if len(disks) == 1 else None


def _state(machine: Machine) -> Iterator[Problem]:
    if machine.state_size is None:
        yield Problem(
            Reason.STATE_MISSING, "The stick has no state partition: settings cannot be kept."
        )


def _disk(answers: Answers, machine: Machine, ours: str | None) -> Iterator[Problem]:
    named = [disk for disk in machine.disks if disk.serial == answers.disk]
    if not named:
        there = ", ".join(disk.serial for disk in machine.disks if disk.serial) or "none"
        yield Problem(
            Reason.DISK_NOT_FOUND,
            f"No disk has the serial number {answers.disk}. Serial numbers here: {there}.",
        )
    elif len(named) > 1:
        yield Problem(
            Reason.DISK_TWICE,
            f"{' and '.join(disk.name for disk in named)} both have the serial number"
            f" {answers.disk}: take one of them out.",
        )
    else:
        yield from _content(answers, named[0], ours)


def _content(answers: Answers, disk: Disk, ours: str | None) -> Iterator[Problem]:
    name = f"The disk {disk.serial}"
    needed = LVM_OVERHEAD + sum(guest.disk + EXTENT for guest in answers.guests)
    if disk.is_boot_medium:
        # safety: it carries this very system, and what it would keep of the set-up.
        yield Problem(Reason.DISK_IS_BOOT_MEDIUM, f"{name} is the one this machine booted from.")
    elif disk.group == GROUP and not (ours and disk.physical_volume == ours):
        # safety: no consent is for guests. Their disk looks like any other to who is in a hurry.
        yield Problem(
            Reason.DISK_OURS,
            f"{name} holds the guests of a Shoestring pair. Nothing on it was changed. Start with"
            " the stick that belongs to it, or empty it on another machine if nobody needs them.",
        )
    elif disk.holds and not answers.erases and not (ours and disk.physical_volume == ours):
        # safety: whatever it is, somebody may want it back. Only a person may empty a disk.
        yield Problem(
            Reason.DISK_NOT_EMPTY,
            f"{name} is not empty, it holds: {', '.join(disk.holds)}. Nothing on it was changed."
            " Empty it on another machine if nobody needs it.",
        )
    if disk.size < needed:
        yield Problem(
            Reason.DISK_TOO_SMALL,
            f"{name} has {disk.size >> 20} MiB, and the guests need {needed >> 20} MiB.",
        )
    if disk.logical_sector not in (None, answers.sector):
        # safety: each machine sees its own disk only, so both files have to say the same.
        yield Problem(
            Reason.DISK_SECTORS,
            f"{name} has sectors of {disk.logical_sector} bytes, and the answers are for"
            f" {answers.sector}. The disks of both machines must have the same: if both have"
            f" {disk.logical_sector}, write `sector: {disk.logical_sector}` below `data-disk` in"
            " both files.",
        )


def _cards(answers: Answers, machine: Machine) -> Iterator[Problem]:
    there = ", ".join(nic.mac for nic in machine.nics) or "none"
    for name, cable in _cables(answers):
        if cable.mac not in (nic.mac for nic in machine.nics):
            yield Problem(
                Reason.NIC_NOT_FOUND,
                f"No network card has the MAC address {cable.mac}, named for the {name}."
                f" Cards here: {there}.",
            )


def _cables(answers: Answers) -> tuple[tuple[str, Cable], tuple[str, Cable]]:
    return ("crossover", answers.crossover), ("LAN", answers.lan)


def _names(answers: Answers) -> Iterator[Problem]:
    for name in _repeated(answers.names):
        yield Problem(Reason.NAMES_EQUAL, f"Both machines are called {name}.")


def _macs(answers: Answers) -> Iterator[Problem]:
    macs = [mac for _, cable in _cables(answers) for mac in (cable.mac, cable.peer_mac)]
    macs += [guest.mac for guest in answers.guests]
    for mac in _repeated(macs):
        yield Problem(Reason.MAC_TWICE, f"The MAC address {mac} is there twice.")


def _networks(answers: Answers) -> Iterator[Problem]:
    crossover, lan = answers.crossover.address.network, answers.lan.address.network
    if crossover.overlaps(lan):
        yield Problem(
            Reason.NETWORKS_OVERLAP,
            f"The crossover's network {crossover} and the LAN's {lan} overlap: the kernel could"
            " not tell which cable to use.",
        )
    for name, cable in _cables(answers):
        if answers.part is not Part.ALONE and cable.peer not in cable.address.network:
            yield Problem(
                Reason.PEER_ELSEWHERE,
                f"On the {name}, the peer {cable.peer} is not in our network"
                f" {cable.address.network}.",
            )
    if answers.gateway not in lan:
        yield Problem(
            Reason.GATEWAY_ELSEWHERE, f"The gateway {answers.gateway} is not in the LAN {lan}."
        )
    for guest in answers.guests:
        if guest.address and guest.address.network != lan:
            yield Problem(
                Reason.GUEST_ELSEWHERE,
                f"The guest {guest.name} has {guest.address}, which is not in the LAN {lan}.",
            )


def _addresses(answers: Answers) -> Iterator[Problem]:
    own = [cable.address for _, cable in _cables(answers)]
    lan = answers.lan.address.network
    others = [
        (answers.crossover.peer, answers.crossover.address.network),
        *((address, lan) for address in (answers.lan.peer, answers.gateway)),
        *((guest.address.ip, lan) for guest in answers.guests if guest.address),
    ]
    hosts = [*((one.ip, one.network) for one in own), *others]
    for address, network in hosts:
        if not _is_host(address, network):
            yield Problem(
                Reason.NOT_A_HOST, f"{address} cannot be the address of a machine in {network}."
            )
    for twice in _repeated(str(address) for address, _ in hosts):
        yield Problem(Reason.ADDRESS_TWICE, f"The address {twice} is there twice.")


def _is_host(address: IPv4Address, network: IPv4Network) -> bool:
    ends = (network.network_address, network.broadcast_address)
    return network.prefixlen <= LARGEST_PREFIX and address not in ends


def _referees(answers: Answers) -> Iterator[Problem]:
    ours = {one.ip for one in _own_and_guests(answers)}
    ours |= {cable.peer for _, cable in _cables(answers)}
    for referee in answers.referees:
        if referee in ours:
            # safety: it would answer a machine that is cut off from everybody else.
            yield Problem(
                Reason.REFEREE_IS_OURS,
                f"The referee {referee} is this pair's own: it would answer a machine that is cut"
                " off.",
            )
        elif referee in answers.crossover.address.network:
            yield Problem(
                Reason.REFEREE_ELSEWHERE,
                f"The referee {referee} is on the crossover, where nobody but the peer is.",
            )
    for twice in _repeated(map(str, answers.referees)):
        yield Problem(Reason.ADDRESS_TWICE, f"The referee {twice} is there twice.")


def _own_and_guests(answers: Answers) -> Iterator[IPv4Interface]:
    yield from (cable.address for _, cable in _cables(answers))
    yield from (guest.address for guest in answers.guests if guest.address)


def _guests(answers: Answers) -> Iterator[Problem]:
    for guest in answers.guests:
        if _is_cramped(guest):
            yield Problem(
                Reason.GUEST_TOO_SMALL,
                f"The built-in guest {guest.name} needs a disk of at least"
                f" {LEAST_BUILT_IN >> 20}M.",
            )
        if guest.is_built_in and guest.kind is not Kind.PV:
            yield Problem(
                Reason.GUEST_TYPE,
                f"The built-in guest {guest.name} is of type {Kind.PV}, and of no other: its kernel"
                " is unpacked.",
            )
        most = disks.most(is_pc=guest.kind is Kind.HVM)
        if len(guest.slices) >= most or sum(guest.slices) * disks.MEBIBYTE >= guest.disk:
            yield Problem(
                Reason.GUEST_TOO_SMALL,
                f"The {len(guest.slices) + 1} disks of {guest.name} do not fit: {most} can lie on"
                f" its {guest.disk >> 20}M, one behind the other, and each takes some of that.",
            )
    for twice in _repeated(str(guest.number) for guest in answers.guests):
        # safety: it names the device. Two guests would have one disk.
        yield Problem(Reason.NUMBER_TWICE, f"Two guests have the number {twice}.")


def _is_cramped(guest: Guest) -> bool:
    return guest.is_built_in and guest.disk < LEAST_BUILT_IN


def _scale(scale: float) -> Iterator[Problem]:
    timing = Timing()
    longest = min(LONGEST_PING / timing.drbd_ping, LONGEST_TIMEOUT / timing.drbd_timeout)
    if not 1 <= scale <= longest:
        yield Problem(
            Reason.TIME_SCALE,
            f"The time scale is {scale:g}, and DRBD can be stretched from 1 to {longest:g}.",
        )


def _repeated(things: Iterable[str]) -> list[str]:
    return sorted(thing for thing, times in Counter(things).items() if times > 1)
