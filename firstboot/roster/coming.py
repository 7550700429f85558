# SPDX-License-Identifier: MIT
"""`shoestring guest import` and `shoestring guest restore`: a guest comes to the pair.

Said first, agreed to, then led from this machine (leading.py).
"""

import argparse
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from firstboot import values
from firstboot.roster import content
from firstboot.roster.change import Change, Kind, NewGuest
from firstboot.roster.content import Content
from firstboot.roster.pair import Pair, meet, next_number, refuse
from haagent import config, running
from haagent.asking import tell
from haagent.command import Exit, Places, look
from haagent.config import Config
from haagent.console.sizes import size
from haagent.console.snapshot import Snapshot
from haagent.core.ordering import USUAL
from haagent.errors import OperatorError
from haagent.guests.footprint import footprint
from haagent.guests.name import checked
from haagent.handover import agree
from haagent.progress import Line

MEBIBYTE = 1 << 20
OUI = "00:16:3e"  # of Xen's guests
# Above those that a set-up gives. A number is of one change, and no change has it again: DRBD on
# a machine that was away may remember the guest that had it.
FIRST_NUMBER = 20
BACK = "Nothing was changed: what was made for it is removed again."
USUALLY = {"vcpus": "1", "place": str(USUAL), "pause": "0"}
T = TypeVar("T")


def bring(
    arguments: argparse.Namespace, places: Places, meet: Callable[[Places], Pair] = meet
) -> Exit:
    """`guest import`. Raises ShoestringError."""
    _, shown = look(places)
    refuse(shown)
    line = Line()
    with content.of_image(arguments.source, places.run, line.shows) as found:
        line.ends()
        return _come(arguments, places, found, "import", meet, line)


def restore(
    arguments: argparse.Namespace, places: Places, meet: Callable[[Places], Pair] = meet
) -> Exit:
    """`guest restore`. Raises ShoestringError."""
    _, shown = look(places)
    refuse(shown)
    with content.of_backup(Path(arguments.file)) as found:
        return _come(arguments, places, found, "restore", meet, Line())


def _come(
    arguments: argparse.Namespace,
    places: Places,
    disk: Content,
    verb: str,
    meet: Callable[[Places], Pair],
    line: Line,
) -> Exit:
    _, shown = look(places)
    found, pair = config.load(places.file, places.cmdline), meet(places)
    number = next_number(pair, shown)
    guest, remarks = _wanted(arguments, disk, found, number)
    cramped = _cramped(shown, guest)
    if cramped and not arguments.more_than_one_machine_can_hold:
        raise OperatorError(
            f"{' '.join(cramped)} Nothing was changed.",
            "Give it less memory, or make room. --more-than-one-machine-can-hold has it all the"
            " same: then not every guest is taken over.",
        )
    tell(*prospect(guest, disk, shown, found), *remarks, *cramped)
    agree(arguments)
    change = Change(number, Kind.ADDED, guest)
    with line.watched(f"The {verb} of {guest.name} was interrupted.", BACK):
        pair.lead(
            change,
            lambda: pair.disks.fill_disk(change, lambda device: disk.put(device, line.shows)),
        )
    tell(f"{guest.name} is on both machines.")
    return running.await_start(guest.name, places)


def prospect(guest: NewGuest, disk: Content, shown: Snapshot, found: Config) -> list[str]:
    """What will happen, for the person who is asked."""
    first = found.pair.names[guest.first_node]
    address = f", the address {guest.address}" if guest.address else ""
    return [
        f"{guest.name} comes to {shown.me} and {shown.peer}, from {disk.title}, and starts on"
        f" {first}. It gets {guest.memory} MiB of memory, processors: {guest.vcpus}, a disk of"
        f" {size(disk.size >> 10)}, the MAC address {guest.mac}{address}.",
        *(f"{disk.title}: {remark}." for remark in disk.remarks),
        "It is started by the kernel on its own disk. One that cannot run without hardware of its"
        " own, such as Windows, does not start here.",
    ]


def volume_size(disk: int) -> int:
    """Bytes of a volume whose DRBD device has DISK bytes at least: behind them are DRBD's own, a
    bit for each 4 KiB, its activity log and its superblock (drbd_int.h of 8.4). In whole extents.
    """
    extent = 4 * MEBIBYTE
    return -(-(disk + disk // 32768 + MEBIBYTE) // extent) * extent


def _wanted(
    arguments: argparse.Namespace, disk: Content, found: Config, number: int
) -> tuple[NewGuest, list[str]]:
    """The guest as it is asked for, and what of it is otherwise than it was. Raises OperatorError
    for what cannot be.
    """
    typed = {option: getattr(arguments, option) for option in content.SPOKEN}
    given = {option: text for option, text in typed.items() if text is not None}
    known, remarks = _without_what_is_taken(disk.said, given, found)
    said = USUALLY | known | given

    def valued(option: str, parse: Callable[[str], T]) -> T:
        where = f"--{option}" if option in given else f"Its {option} in {disk.title}"
        return _given(where, parse, said[option])

    for option, example in (("name", "web"), ("memory", "2048")):
        if option not in said:
            raise OperatorError(
                f"{disk.title} does not say what {option} a guest of it has. Nothing was changed.",
                f"Say it: --{option} {example}",
            )
    least = _given("--disk", values.size, arguments.disk) if arguments.disk else 0
    guest = NewGuest(
        name=checked(said["name"]),
        number=FIRST_NUMBER + number,
        size=volume_size(max(disk.size, least)),
        first_node=_node(arguments.on, found),
        mac=valued("mac", values.mac) if "mac" in said else _free_mac(found),
        memory=valued("memory", values.memory),
        vcpus=valued("vcpus", values.vcpus),
        place=valued("place", values.place),
        pause=valued("pause", values.pause),
        address=str(valued("address", values.address)) if "address" in said else "",
    )
    return guest, remarks


def _without_what_is_taken(
    said: Mapping[str, str], given: dict[str, str], found: Config
) -> tuple[dict[str, str], list[str]]:
    """Of what came with a disk: a guest that is restored beside itself has a card of its own."""
    known, remarks = dict(said), []
    for name, guest in found.guests.items():
        theirs = {"mac": guest.mac, "address": str(guest.address)}
        for option, value in theirs.items():
            if option not in given and known.get(option) == value:
                del known[option]
                remarks.append(
                    f"{name} has the {_TITLES[option]} {value} here, so this one does not get it."
                )
    return known, remarks


_TITLES = {"mac": "MAC address", "address": "address"}


def _cramped(shown: Snapshot, guest: NewGuest) -> list[str]:
    """What becomes of it if one machine is left alone with all guests. As the screens reckon it."""
    others = sum(max(0, view.takes) for view in shown.guests if running.is_wanted(view))
    needed = others + footprint(guest.memory, guest.vcpus)
    return [
        f"{node.name} has {node.memory} MiB for guests, and all of them take {needed} MiB with"
        f" {guest.name}: {node.name} alone could not run them all."
        for node in shown.nodes
        if 0 <= node.memory < needed
    ]


def _given(where: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise OperatorError(
            f"{where} {error}. Nothing was changed.",
            "Say it with its option; `shoestring guest import --help` has them.",
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
