# SPDX-License-Identifier: MIT
"""`shoestring guest resize`: a guest's disk becomes larger on both machines, or on the only one,
while it runs on; of several the last one, for the others lie before it.

How it is done without a moment in which the guest is less protected: storage/growth.py.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from firstboot import values
from firstboot.roster.change import Change, Kind
from firstboot.roster.coming import volume_size
from firstboot.roster.pair import Pair, meet, next_number, refuse
from firstboot.roster.properties import as_it_is, given
from haagent import config
from haagent.asking import tell
from haagent.backup.layout import BLOCK_SIZES, MOST_BLOCKS
from haagent.command import Exit, Places, look
from haagent.console.sizes import size
from haagent.errors import OperatorError
from haagent.handover import agree, guest_of
from haagent.images.export import length_of
from haagent.storage.sysfs import SYSFS

LARGEST = BLOCK_SIZES[-1] * MOST_BLOCKS  # bytes; what a backup can have

SEEN = "A Linux guest sees the larger disk at once; another one when it is next started."
SEEN_LATER = "The guest sees the larger disk when it is next started."


def resize(
    arguments: argparse.Namespace,
    places: Places,
    meet: Callable[[Places], Pair] = meet,
    sysfs: Path = SYSFS,
) -> Exit:
    """Raises ShoestringError."""
    _, shown = look(places)
    refuse(shown)
    view = guest_of(shown, arguments.guest)
    name = view.name
    found, pair = config.load(places.file, places.cmdline), meet(places)
    *others, last = found.guests[name].cut(length_of(name, found, sysfs))
    now, wanted = last.size, given("--disk", values.size, arguments.disk)
    whole = last.start + wanted  # bytes of the device
    _refuse(name, now, wanted, whole)
    which = f"The last disk of {name}, {last.disk}," if others else f"The disk of {name}"
    number = next_number(pair, shown)
    nodes = (shown.me,) if shown.is_vacant else (shown.me, shown.peer)
    where = " and ".join(f"on {node}" for node in nodes)
    goes_on = "" if shown.is_vacant else f" {name} runs on, and is protected all the time."
    who = shown.me if shown.is_vacant else "each machine"
    tell(
        f"{which} grows from {_words(now)} to {_words(wanted)}, {where}, and never shrinks again."
        f"{goes_on}",
        f"First {who} blanks its part. That takes as long as writing it does, a quarter of an hour"
        " for 100 GiB on many disks, and makes the disks slower for the guests meanwhile.",
        f"{SEEN_LATER if others else SEEN} Its partitions and file systems stay as they are: they"
        " are made larger from within.",
    )
    agree(arguments)
    guest = replace(as_it_is(name, found), size=volume_size(whole))
    with pair.line.watched(f"The resize of {name} was interrupted.", "Nothing was changed."):
        pair.lead(Change(number, Kind.RESIZED, guest), lambda: None)
    # DRBD shows what both of them have; each is read all the same.
    for node, side in zip(nodes, (pair.here, pair.there), strict=False):
        length = side.disk_size(name)
        if length is None or length < whole:
            shows = "none" if length is None else _words(length)
            raise OperatorError(
                f"The disk of {name} was made larger, and DRBD on {node} shows {shows}.",
                "`shoestring status` says what is wrong with it.",
            )
    has = f"{_words(wanted)} of disk" + f" {last.disk}" * bool(others)
    tell(f"{name} has {has}, {where}.")
    return Exit.PROTECTED


def _refuse(name: str, now: int, wanted: int, whole: int) -> None:
    """Raises OperatorError for a size that its disk cannot become; all have WHOLE bytes then."""
    if wanted <= now:
        raise OperatorError(
            f"The disk of {name} has {_words(now)}, and a disk only grows: what lies behind the end"
            " of a smaller one would be lost. Nothing was changed.",
            "For a smaller one make another guest, and copy the files from within.",
        )
    if whole > LARGEST:
        raise OperatorError(
            f"A disk has {LARGEST >> 40} TiB at most, or it could not be backed up. Nothing was"
            " changed.",
            "Say less.",
        )


def _words(length: int) -> str:
    return size(length >> 10)
