# SPDX-License-Identifier: MIT
"""`shoestring guest import` and `shoestring guest remove`: a guest comes to the pair, or goes.

Said first, agreed to, then led from this machine (leading.py). What another change left open is
ended before.
"""

import argparse
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from firstboot import values
from firstboot.roster import leading
from firstboot.roster.change import Change, Kind, NewGuest, Stage
from firstboot.roster.door import Other
from firstboot.roster.leading import Side
from firstboot.roster.machine import Changing
from firstboot.roster.part import Part
from haagent import config, running
from haagent.asking import ask, tell
from haagent.command import Exit, Places, is_at_a_terminal, look
from haagent.config import Config
from haagent.console.sizes import size
from haagent.console.snapshot import Snapshot
from haagent.errors import OperatorError, PeerError, ShoestringError
from haagent.guests.name import checked, fitted
from haagent.handover import agree, guest_of
from haagent.images import conversion, sources
from haagent.images.inspection import Image, inspect
from haagent.progress import Line

MEBIBYTE = 1 << 20
LARGEST = 1 << 50  # bytes; the room is each machine's to judge
OUI = "00:16:3e"  # of Xen's guests
# Above those that a set-up gives. A number is of one change, and no change has it again: DRBD on
# a machine that was away may remember the guest that had it.
FIRST_NUMBER = 20
T = TypeVar("T")
BACK = "Nothing was changed: what was made for it is removed again."


class Disks(Protocol):
    """What of this machine fills a disk."""

    def fill_disk(self, change: Change, bring: Callable[[Path], None]) -> None: ...


@dataclass(frozen=True, slots=True)
class Pair:
    """Both machines' parts, and the disks of this one."""

    name: str  # of the other machine
    here: Side
    there: Side
    disks: Disks
    carry_on: Callable[[], None]  # what is left open is ended by itself from now on

    def lead(self, change: Change, fill: Callable[[], None]) -> None:
        """Raises what went wrong. If it is decided, or the other machine was lost on the way, that
        is an OperatorError which says what becomes of it.
        """
        try:
            leading.lead(change, self.here, self.there, fill)
        except ShoestringError as error:
            left = self.here.standing().change
            if left is not None:
                self.carry_on()
            if left is not None and left.stage is Stage.DECIDED:
                raise OperatorError(
                    f"{change.guest.name} is not {change.kind} on both machines yet: {error}.",
                    "It is decided, and goes on by itself as soon as that is over. Nothing has to"
                    " be said again; `journalctl -b -u shoestring-list` tells how it goes.",
                ) from error
            if not isinstance(error, PeerError):
                raise
            raise OperatorError(
                f"{self.name} was lost on the way: {error}. Nothing is changed on {self.name} or"
                " here.",
                "What was made for it is removed, on each as soon as it can be. Look at the"
                f" crossover cable and at {self.name}, and say it again.",
            ) from error


def meet(places: Places) -> Pair:
    """This machine's pair. Raises ConfigError."""
    found = config.load(places.file, places.cmdline)
    name = found.pair.names[1 - found.pair.me]
    key = config.read_key(found.key_file)
    hands = Changing(places.run)
    other = Other(name, found.crossover.peer_address, key)
    return Pair(name, Part(hands, tell), other, hands, hands.carry_on_with_the_list)


def bring(
    arguments: argparse.Namespace, places: Places, meet: Callable[[Places], Pair] = meet
) -> Exit:
    """`guest import`. Raises ShoestringError."""
    _, shown = look(places)
    _refuse(shown)
    found, pair = config.load(places.file, places.cmdline), meet(places)
    number = _next_number(pair, shown)
    line = Line()
    source = sources.source(arguments.source, places.run, _no_address)
    with source.opened() as blob:
        image = inspect(blob, LARGEST, places.run)
        guest = _wanted(arguments, image, found, number)
        change = Change(number, Kind.ADDED, guest)
        tell(*prospect(guest, image, shown, found))
        agree(arguments)
        interrupted = f"The import of {guest.name} was interrupted."
        with line.watched(interrupted, BACK):
            pair.lead(
                change,
                lambda: pair.disks.fill_disk(
                    change, lambda device: conversion.bring(image, device, line.shows)
                ),
            )
    tell(f"{guest.name} is on both machines.")
    return running.await_start(guest.name, places)


def remove(
    arguments: argparse.Namespace, places: Places, meet: Callable[[Places], Pair] = meet
) -> Exit:
    """`guest remove`. Raises ShoestringError."""
    _, shown = look(places)
    _refuse(shown)
    view = guest_of(shown, arguments.guest)
    if running.is_wanted(view) or view.runs_on:
        raise OperatorError(
            f"{view.name} is not stopped. Nothing was done.",
            f"`shoestring guest stop {view.name}` first; then say it again.",
        )
    if not is_at_a_terminal():
        raise OperatorError(
            "To remove a guest takes a person at a terminal.",
            "Log in, and type the command yourself; no script may do it.",
        )
    found, pair = config.load(places.file, places.cmdline), meet(places)
    number = _next_number(pair, shown)
    tell(
        f"{view.name} goes, with its disk, on {shown.me} and on {shown.peer}. All that is on it is"
        " lost for good; a backup that was made of it elsewhere stays.",
    )
    if ask("Type the guest's name to remove it: ") != view.name:
        raise OperatorError(
            "The name was not typed: nothing was done.", "Say it again if you want it."
        )
    change = Change(number, Kind.REMOVED, _as_it_is(view.name, found))
    pair.lead(change, lambda: None)
    tell(f"{view.name} is removed, on both machines.")
    return Exit.PROTECTED


def prospect(guest: NewGuest, image: Image, shown: Snapshot, found: Config) -> list[str]:
    """What will happen, for the person who is asked."""
    first = found.pair.names[guest.first_node]
    return [
        f"{guest.name} comes to {shown.me} and {shown.peer}, from {image.blob.title}"
        f" ({image.kind}), and starts on {first}. It gets {guest.memory} MiB of memory, processors:"
        f" {guest.vcpus}, a disk of {size(image.size >> 10)}, the MAC address {guest.mac}.",
        *(f"{image.blob.title}: {remark}." for remark in image.remarks),
        "It is started by the kernel on its own disk. One that cannot run without hardware of its"
        " own, such as Windows, does not start here.",
    ]


def volume_size(disk: int) -> int:
    """Bytes of a volume whose DRBD device has DISK bytes at least: behind them are DRBD's own, a
    bit for each 4 KiB, its activity log and its superblock (drbd_int.h of 8.4). In whole extents.
    """
    extent = 4 * MEBIBYTE
    return -(-(disk + disk // 32768 + MEBIBYTE) // extent) * extent


def _refuse(shown: Snapshot) -> None:
    node = next(node for node in shown.nodes if not node.is_me)
    if not node.is_heard:
        raise OperatorError(
            f"{shown.peer} is silent. Nothing was changed.",
            "The list of guests is the same on both machines, so both must be there to change it.",
        )
    if shown.lan.is_open:
        raise OperatorError(
            "The addresses on the LAN are being changed. Nothing was changed.",
            "Wait until that is done: `shoestring status` says so.",
        )


def _next_number(pair: Pair, shown: Snapshot) -> int:
    """Of the change that comes next. What was left open is ended first."""
    try:
        if pair.here.standing().change is not None:
            tell("First, what an earlier change of the list of guests left open is ended.")
            leading.settle(pair.here, pair.there)
        return 1 + max(pair.here.standing().number, pair.there.standing().number)
    except PeerError as error:
        raise OperatorError(
            f"{shown.peer} cannot be asked over the crossover cable: {error}. Nothing was changed.",
            "Look at the cable, and say it again in a minute.",
        ) from error


def _wanted(arguments: argparse.Namespace, image: Image, found: Config, number: int) -> NewGuest:
    """Raises OperatorError for what cannot be."""
    name = arguments.name or fitted(Path(image.blob.title).stem)
    if name is None:
        raise OperatorError(
            f"{image.blob.title} says no name that a guest can have. Nothing was changed.",
            "Give one: --name web.",
        )
    disk = 0 if arguments.disk is None else _given("disk", values.size, arguments.disk)
    return NewGuest(
        name=checked(name),
        number=FIRST_NUMBER + number,
        size=volume_size(max(image.size, disk)),
        first_node=_node(arguments.on, found),
        mac=_given("mac", values.mac, arguments.mac) if arguments.mac else _free_mac(found),
        memory=_given("memory", values.memory, arguments.memory),
        vcpus=_given("vcpus", values.vcpus, arguments.vcpus),
        place=_given("place", values.place, arguments.place),
        pause=_given("pause", values.pause, arguments.pause),
        address=str(_given("address", values.address, arguments.address))
        if arguments.address
        else "",
    )


def _given(option: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise OperatorError(
            f"--{option} {error}. Nothing was changed.",
            "`shoestring guest import --help` has more.",
        ) from error


def _node(name: str | None, found: Config) -> int:
    names = found.pair.names
    if name is None:
        return found.pair.me
    if name not in names:
        raise OperatorError(
            f"No machine of this pair is called {name}. Nothing was changed.",
            f"They are {names[0]} and {names[1]}.",
        )
    return names.index(name)


def _free_mac(found: Config) -> str:
    taken = {guest.mac for guest in found.guests.values()}
    while True:
        mac = ":".join((OUI, *(f"{byte:02x}" for byte in secrets.token_bytes(3))))
        if mac not in taken:
            return mac


def _as_it_is(name: str, found: Config) -> NewGuest:
    guest = found.guests[name]
    return NewGuest(
        name=name,
        number=guest.minors[0],
        size=0,  # it is not made
        first_node=guest.first_node,
        mac=guest.mac,
        memory=guest.memory,
        vcpus=guest.vcpus,
        place=guest.place,
        pause=guest.pause,
        address="" if guest.address is None else str(guest.address),
    )


def _no_address(url: str) -> sources.Fetched:
    raise OperatorError(
        f"{url} is an address on the network, and an import from there is not built yet.",
        "Bring the image on a USB stick or as a file.",
    )
