# SPDX-License-Identifier: MIT
"""`shoestring guest import`, `create`, `restore` and `clone`: a guest comes to the pair.

Said first, agreed to, then led from this machine (leading.py).
"""

import argparse
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from firstboot import values
from firstboot.roster import content, properties
from firstboot.roster.change import Change, Kind, NewGuest
from firstboot.roster.content import Content
from firstboot.roster.pair import Pair, meet, next_number, refuse
from firstboot.roster.properties import SPOKEN, given, node, numbered
from haagent import config, inserting, running
from haagent.asking import tell
from haagent.backup import act as copies
from haagent.backup import finding
from haagent.command import Exit, Places, look
from haagent.config import Config
from haagent.console.sizes import size
from haagent.console.snapshot import Snapshot
from haagent.core.ordering import USUAL
from haagent.core.wish import Target
from haagent.elsewhere import share
from haagent.errors import OperatorError
from haagent.guests import disks
from haagent.guests.definition import Kind as GuestKind
from haagent.guests.name import checked
from haagent.handover import agree, guest_of
from haagent.progress import Line
from haagent.storage.sysfs import SYSFS

MEBIBYTE = 1 << 20
STARTS = {
    GuestKind.PVH: "It is started by the kernel on its own disk, which must be a Linux of these"
    " years. What needs a PC's hardware, such as Windows, is of --type hvm.",
    GuestKind.PV: "It is started by the kernel on its own disk, as Xen starts one without the help"
    " of the processor: that must be packed with gzip or xz, and Debian's and Ubuntu's of the last"
    " years are not. What needs a PC's hardware, such as Windows, is of --type hvm.",
    GuestKind.HVM: "It is started as a PC with a BIOS starts from its disk; one that starts by EFI"
    " alone does not start here. Such a PC is slow until its system has drivers for Xen, as every"
    " Linux of these years has. Windows has not been tried.",
}
OUI = "00:16:3e"  # of Xen's guests
# Above those that a set-up gives. A number is of one change, and no change has it again: DRBD on
# a machine that was away may remember the guest that had it.
FIRST_NUMBER = 20
TITLES = {"mac": "MAC address", "address": "address"}
BACK = "Nothing was changed: what was made for it is removed again."


def bring(
    arguments: argparse.Namespace, places: Places, meet: Callable[[Places], Pair] = meet
) -> Exit:
    """`guest import`. Raises ShoestringError."""
    _, shown = look(places)
    refuse(shown)
    line = Line()
    reach, source = share.of(arguments, places), arguments.source
    with content.of_image(source, reach, line.shows, sha256=arguments.sha256) as found:
        line.ends()
        return _come(arguments, places, found, "import", meet, line)


def create(
    arguments: argparse.Namespace, places: Places, meet: Callable[[Places], Pair] = meet
) -> Exit:
    """`guest create`. Raises ShoestringError."""
    _, shown = look(places)
    refuse(shown)
    if arguments.memory is None:
        raise OperatorError(
            "How much memory the new guest has is not said. Nothing was changed.",
            "Say it: --memory 2048",
        )
    arguments.off = True
    blank = content.blank(tuple(given("--disk", values.size, said) for said in arguments.disk))
    arguments.disk = None
    cd = None if arguments.cdrom is None else inserting.within_reach(arguments.cdrom, places.run)
    code = _come(arguments, places, blank, "creation", meet, Line())
    if cd is None:
        what = "Its disk is blank" if len(blank.sizes) == 1 else "Its disks are blank"
        tell(f"{what}: --cdrom FILE, said with that, starts it from an installer's CD.")
        return code
    _, shown = look(places)
    view = guest_of(shown, arguments.name)
    inserting.check(view, places)
    return inserting.start_with(shown, view, cd, places)


def restore(
    arguments: argparse.Namespace, places: Places, meet: Callable[[Places], Pair] = meet
) -> Exit:
    """`guest restore`. Raises ShoestringError."""
    _, shown = look(places)
    refuse(shown)
    with (
        finding.meant(arguments.file, share.of(arguments, places)) as path,
        content.of_backup(path) as found,
    ):
        return _come(arguments, places, found, "restore", meet, Line())


def clone(
    arguments: argparse.Namespace,
    places: Places,
    meet: Callable[[Places], Pair] = meet,
    sysfs: Path = SYSFS,
) -> Exit:
    """`guest clone`. Raises ShoestringError."""
    _, shown = look(places)
    refuse(shown)
    view = guest_of(shown, arguments.guest)
    copies.refuse(shown, view, is_here_meant=arguments.here)
    found = config.load(places.file, places.cmdline)
    copy = copies.opened(view.name, places, is_here_meant=arguments.here)
    disks_ = content.of_guest(view.name, found, copy, sysfs)
    return _come(arguments, places, disks_, "clone", meet, Line())


def _come(
    arguments: argparse.Namespace,
    places: Places,
    filling: Content,
    verb: str,
    meet: Callable[[Places], Pair],
    line: Line,
) -> Exit:
    _, shown = look(places)
    found, pair = config.load(places.file, places.cmdline), meet(places)
    number = next_number(pair, shown)
    guest, remarks = _wanted(arguments, filling, found, number, pair)
    is_meant = arguments.more_than_one_machine_can_hold
    cramped = properties.refuse_cramped(shown, guest, is_meant=is_meant)
    tell(*prospect(guest, filling, shown, found), *remarks, *cramped)
    agree(arguments)
    change = Change(number, Kind.ADDED, guest)
    with line.watched(f"The {verb} of {guest.name} was interrupted.", BACK):
        pair.lead(
            change,
            lambda: pair.ours.fill_disk(change, lambda devices: filling.put(devices, line.shows)),
        )
    if guest.begins != Target.STARTED:
        tell(
            f"{guest.name} is {pair.where}, and off: `shoestring guest start {guest.name}`"
            " starts it."
        )
        return Exit.PROTECTED
    tell(f"{guest.name} is {pair.where}.")
    return running.await_start(guest.name, places)


def prospect(guest: NewGuest, filling: Content, shown: Snapshot, found: Config) -> list[str]:
    """What will happen, for the person who is asked."""
    first = found.pair.names[guest.first_node]
    begin = f"starts on {first}" if guest.begins == Target.STARTED else "stays off at first"
    address = f", the address {guest.address}" if guest.address else ""
    sizes = [size(length >> 10) for length in filling.sizes]
    held = f"a disk of {sizes[0]}" if len(sizes) == 1 else f"disks of {', '.join(sizes)}"
    return [
        f"{guest.name} comes to {' and '.join(shown.machines)}, from {filling.title}, and"
        f" {begin}. It gets {guest.memory} MiB of memory, processors: {guest.vcpus}, {held}, the"
        f" MAC address {guest.mac}{address}.",
        *(f"{filling.title}: {remark}." for remark in filling.remarks),
        STARTS[GuestKind(guest.kind)],
    ]


def volume_size(disk: int) -> int:
    """Bytes of a volume whose DRBD device has DISK bytes at least: behind them are DRBD's own, a
    bit for each 4 KiB, its activity log and its superblock (drbd_int.h of 8.4). In whole extents.
    """
    extent = 4 * MEBIBYTE
    return -(-(disk + disk // 32768 + MEBIBYTE) // extent) * extent


def _wanted(
    arguments: argparse.Namespace, filling: Content, found: Config, number: int, pair: Pair
) -> tuple[NewGuest, list[str]]:
    """The guest as it is asked for, and what of it is otherwise than it was. Raises OperatorError
    for what cannot be.
    """
    typed = {option: getattr(arguments, option) for option in SPOKEN}
    options = {option: text for option, text in typed.items() if text is not None}
    known, remarks = _without_what_is_taken(filling.said, options, found)
    said = known | options

    def where(option: str) -> str:
        return f"--{option}" if option in options else f"Its {option} in {filling.title}"

    for option, example in (("name", "web"), ("memory", "2048")):
        if option not in said:
            raise OperatorError(
                f"{filling.title} does not say what {option} a guest of it has. Nothing was"
                " changed.",
                f"Say it: --{option} {example}",
            )
    least = given("--disk", values.size, arguments.disk) if arguments.disk else 0
    sizes = (*filling.sizes[:-1], max(filling.sizes[-1], least))
    mac, address = said.get("mac"), said.get("address")
    guest = NewGuest(
        name=checked(said["name"]),
        number=FIRST_NUMBER + number,
        size=volume_size(disks.room(sizes)),
        slices=disks.in_mebibytes(sizes),
        first_node=found.pair.me if arguments.on is None else node(arguments.on, found),
        mac=given(where("mac"), values.mac, mac) if mac else _free_mac(found),
        address=str(given(where("address"), values.address, address)) if address else "",
        begins=(Target.STOPPED if arguments.off or remarks else Target.STARTED).value,
        kind=_kind(said, where, pair).value,
        memory=0,  # as it is said
        vcpus=1,
        place=USUAL,
        pause=0,
    )
    _refuse_too_many(guest)
    return numbered(guest, said, where), remarks


def _refuse_too_many(guest: NewGuest) -> None:
    """Raises OperatorError for more disks than a guest of its type has."""
    is_pc = guest.config.kind is GuestKind.HVM
    if len(guest.slices) >= (most := disks.most(is_pc=is_pc)):
        raise OperatorError(
            f"{guest.name} would have {len(guest.slices) + 1} disks, and a guest of type"
            f" {guest.kind} has {most} at most. Nothing was changed.",
            "Another --type has more; else put all of it onto fewer disks where it comes from."
            if is_pc
            else "Put all of it onto fewer disks where it comes from.",
        )


def _kind(said: Mapping[str, str], where: Callable[[str], str], pair: Pair) -> GuestKind:
    """As it is said; else the one that starts most kernels on this machine's processor. What the
    other machine's cannot do it says itself.
    """
    if "type" in said:
        return given(where("type"), values.kind, said["type"])
    return GuestKind.PVH if GuestKind.PVH in pair.ours.kinds() else GuestKind.PV


def _without_what_is_taken(
    said: Mapping[str, str], typed: Mapping[str, str], found: Config
) -> tuple[dict[str, str], list[str]]:
    """Of what came with a disk: a guest that is restored beside itself has a card of its own."""
    known, remarks = dict(said), []
    for name, guest in found.guests.items():
        theirs = {"mac": guest.mac, "address": str(guest.address)}
        for option, value in theirs.items():
            if option not in typed and known.get(option) == value:
                del known[option]
                remarks.append(
                    f"{name} has the {TITLES[option]} {value} here, so this one does not get it."
                )
    return known, remarks


def _free_mac(found: Config) -> str:
    taken = {guest.mac for guest in found.guests.values()}
    while True:
        mac = ":".join((OUI, *(f"{byte:02x}" for byte in secrets.token_bytes(3))))
        if mac not in taken:
            return mac
