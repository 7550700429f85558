# SPDX-License-Identifier: MIT
"""What the owner of a pair should know about its two machines: a sentence each on what it means for
the guests. Pure. What nobody could find out is said, never assumed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from firstboot.probe import Bus, Disk, Machine, Nic
from firstboot.proposal import Between, Blocker, blocker
from firstboot.refusals import DOM0_MEMORY
from firstboot.wording import Side, in_short, size, sized, span

UNEQUAL_MEMORY = 256 << 20  # bytes; graphics and firmware take different shares of equal memory
UNEQUAL_DISKS = 0.01  # of the smaller one; two disks of one size differ by less
GIGABIT = 1000  # Mbit/s, as a card tells
GIGABIT_MEASURED = 800  # Mbit/s of data through a cable that a card calls 1000
APART = 60.0  # seconds


class Topic(StrEnum):
    """What a remark is about."""

    VENDORS = "processors of different makers"
    NO_HVM = "no hardware virtualisation"
    HVM_UNKNOWN = "hardware virtualisation not known"
    MEMORY = "unequal memory"
    MEMORY_UNKNOWN = "memory not known"
    DISK_SIZES = "unequal data disks"
    USB_DISK = "USB data disk"
    SPINNING = "spinning data disk"
    FAILING = "data disk failing"
    WORN = "data disk worn"
    HEALTH_UNKNOWN = "health not known"
    SLOW_CROSSOVER = "slow crossover"
    CLOCKS = "clocks apart"
    CLOCK_BATTERY = "the battery's clock is wrong"
    NO_CABLE = "no cable"
    NOT_BLANK = "no blank disk"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that the owner should know, and what it means."""

    topic: Topic
    side: Side
    sentence: str


def remarks(
    here: Machine, there: Machine, between: Between, disks: tuple[Disk | None, Disk | None]
) -> Iterator[Remark]:
    """All there is to know. DISKS are the data disks, as far as they are known."""
    for side, machine in ((Side.HERE, here), (Side.THERE, there)):
        yield from _contents(side, machine, between)
    yield from _data_disks(disks)
    yield from _processors(here, there)
    yield from _memory(here, there)
    yield from _crossover(here, there, between)
    yield from _clocks(here, there, between.apart)
    for side, machine in ((Side.HERE, here), (Side.THERE, there)):
        yield from _cables(side, machine)


def _processors(here: Machine, there: Machine) -> Iterator[Remark]:
    if here.vendor and there.vendor and here.vendor != there.vendor:
        yield Remark(
            Topic.VENDORS,
            Side.BOTH,
            f"The processors are of different makers, {here.vendor} and {there.vendor}: a guest"
            " is moved by stopping it here and starting it there, never while it runs.",
        )
    for side, machine in ((Side.HERE, here), (Side.THERE, there)):
        if machine.has_hvm is False:
            yield Remark(
                Topic.NO_HVM,
                side,
                f"{side.capitalize()} offers no hardware virtualisation: guests that know Xen run"
                " (Linux), Windows and installers from a CD do not. If the processor has it, it"
                " can be switched on in the firmware's set-up, as VT-x or SVM.",
            )
        elif machine.has_hvm is None:
            yield Remark(
                Topic.HVM_UNKNOWN,
                side,
                f"Whether {side} has hardware virtualisation is not known: Windows and installers"
                " from a CD may not run on it.",
            )


def _memory(here: Machine, there: Machine) -> Iterator[Remark]:
    room = []
    for side, machine in ((Side.HERE, here), (Side.THERE, there)):
        if machine.total_memory is None:
            yield Remark(
                Topic.MEMORY_UNKNOWN,
                side,
                f"How much memory {side} has is not known: guests may not fit.",
            )
        else:
            room.append(room_for_guests(machine) or 0)
    # With no room at all it is refused, and nothing more needs to be said.
    if len(room) == 2 and min(room) and abs(room[0] - room[1]) >= UNEQUAL_MEMORY:
        less = Side.HERE if room[0] < room[1] else Side.THERE
        yield Remark(
            Topic.MEMORY,
            Side.BOTH,
            f"Memory for guests: {size(room[0])} here, {size(room[1])} on the other machine. When"
            f" only {less} is left, guests that together need more than {size(min(room))} do not"
            " all fit.",
        )


def room_for_guests(machine: Machine) -> int | None:
    """Bytes of memory that guests can have; None: not known."""
    if machine.free_memory is not None or machine.total_memory is None:
        return machine.free_memory
    return max(0, machine.total_memory - DOM0_MEMORY)


def _contents(side: Side, machine: Machine, between: Between) -> Iterator[Remark]:
    """What would be lost, if there is no disk that holds nothing."""
    blocked = {disk: blocker(disk, machine, between.begun) for disk in machine.disks}
    if None in blocked.values():
        return
    for disk, why in blocked.items():
        if why is Blocker.FOREIGN:
            yield Remark(
                Topic.NOT_BLANK,
                side,
                f"The disk {disk.name} of {side} ({sized(disk.size, disk.model)}) is not blank, it"
                f" holds {in_short(disk.holds)}. If you choose it for the guests, all of that will"
                " be lost; you are asked once more before.",
            )


def _data_disks(disks: tuple[Disk | None, Disk | None]) -> Iterator[Remark]:
    for side, disk in zip((Side.HERE, Side.THERE), disks, strict=True):
        if disk is not None:
            yield from _health(side, disk)
            yield from _kind(side, disk)
    here, there = disks
    if here is None or there is None:
        return
    smaller = min(here.size, there.size)
    if abs(here.size - there.size) > smaller * UNEQUAL_DISKS:
        yield Remark(
            Topic.DISK_SIZES,
            Side.BOTH,
            f"The data disks differ: {size(here.size)} here, {size(there.size)} on the other"
            f" machine. The smaller one counts, the rest of the larger one stays unused.",
        )


def _health(side: Side, disk: Disk) -> Iterator[Remark]:
    called = f"The data disk {disk.name} of {side}"
    signs = ", ".join(disk.health.signs)
    if disk.health.is_failing:
        reason = f" ({signs})" if signs else ""
        yield Remark(
            Topic.FAILING,
            side,
            f"{called} says that it is failing{reason}. Replace it before you trust it.",
        )
    elif signs:
        yield Remark(Topic.WORN, side, f"{called} shows wear: {signs}. Keep an eye on it.")
    elif disk.health.is_failing is None:
        yield Remark(
            Topic.HEALTH_UNKNOWN,
            side,
            f"{called} does not tell how it is: nobody will be warned before it fails.",
        )


def _kind(side: Side, disk: Disk) -> Iterator[Remark]:
    called = f"The data disk {disk.name} of {side}"
    if disk.bus is Bus.USB:
        yield Remark(
            Topic.USB_DISK,
            side,
            f"{called} is at a USB port: it is slower, and a plug that is pulled is a disk that"
            " failed. A built-in one is better.",
        )
    if disk.is_rotational:
        yield Remark(
            Topic.SPINNING,
            side,
            f"{called} spins: whatever a guest writes waits for the slower disk of the two.",
        )


def _crossover(here: Machine, there: Machine, between: Between) -> Iterator[Remark]:
    means = "guests that write much are slowed down to that. A gigabit card on both sides helps."
    if between.speed is not None and between.speed < GIGABIT_MEASURED:
        yield Remark(
            Topic.SLOW_CROSSOVER,
            Side.BOTH,
            f"The crossover carries {between.speed:.0f} Mbit/s: {means}",
        )
    elif between.speed is None and between.crossover is not None:
        cards = zip((here, there), between.crossover, strict=True)
        speeds = [nic.speed for machine, mac in cards if (nic := _card(machine, mac)) and nic.speed]
        if speeds and min(speeds) < GIGABIT:
            yield Remark(
                Topic.SLOW_CROSSOVER,
                Side.BOTH,
                f"The crossover runs at {min(speeds)} Mbit/s: {means}",
            )


def _card(machine: Machine, mac: str) -> Nic | None:
    return next((nic for nic in machine.nics if nic.mac == mac), None)


def _clocks(here: Machine, there: Machine, apart: float | None) -> Iterator[Remark]:
    if apart is not None and abs(apart) > APART:
        order = "ahead of" if apart > 0 else "behind"
        yield Remark(
            Topic.CLOCKS,
            Side.BOTH,
            f"The other machine's clock is {span(apart)} {order} this one's. The pair works all"
            " the same, but guests will see time jump when they change machines. Set the clocks"
            " in the firmware's set-up.",
        )
    for side, machine in ((Side.HERE, here), (Side.THERE, there)):
        if machine.clock is None or machine.rtc is None:
            continue
        if abs(machine.clock - machine.rtc) > APART:
            yield Remark(
                Topic.CLOCK_BATTERY,
                side,
                f"{side.capitalize()} has two clocks, and they are"
                f" {span(machine.clock - machine.rtc)} apart: the one on the battery is what it"
                " starts with. The battery may be empty.",
            )


def _cables(side: Side, machine: Machine) -> Iterator[Remark]:
    empty = [nic for nic in machine.nics if nic.has_carrier is False]
    spare = len(machine.nics) - len(empty) >= 2
    for nic in empty:
        means = (
            "It stays unused."
            if spare
            else "A pair needs two cables at each machine, the crossover and the LAN."
        )
        yield Remark(
            Topic.NO_CABLE,
            side,
            f"No cable is in the network card {nic.name} ({nic.mac}) of {side}, or nothing is"
            f" switched on at its other end. {means}",
        )
