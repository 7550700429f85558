# SPDX-License-Identifier: MIT
"""Owns the copies that are kept of a guest's volume before its data is given up.

A copy is a snapshot of LVM's classic kind, with room for every block of the volume: whatever is
written to the volume afterwards, it stays whole. A smaller one would become invalid in the middle
of a resync. It must not touch the volume itself, and removes nothing but a copy of its own whose
making was cut short.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from haagent.errors import OperatorError, ParseError, ToolError
from haagent.guests.name import checked
from haagent.run import Run, run
from haagent.storage.lvm import GROUP, JSON, LIMIT, UNFINISHED

STAMP = re.compile(r"\d{8}-\d{4}", re.ASCII)  # the day and the minute, UTC
CHUNK = 4096  # bytes; lvcreate(8): the default of a snapshot
# The kernel notes each copied chunk in 16 bytes (dm-snap-persistent.c), and LVM rounds up to its
# extents of 4 MiB; a little more than both is no harm, LVM takes no more than can ever be used.
NOTE = 16
SPARE = 16 << 20
MIB = 1 << 20
PASSING = "passing"  # the tag of a volume that is there only while somebody reads it
RESYNC = "resync"  # of one that is there only while a resync writes over what it was made of
FOR_A_WHILE = frozenset({PASSING, RESYNC})
COLUMNS = ("lv_name", "lv_size", "lv_tags", "origin", "lv_active", "lv_snapshot_invalid")
LIST = ("lvs", *JSON, ",".join(COLUMNS), "--select", f"vg_name={GROUP}")
FREE = ("vgs", *JSON, "vg_free", "--select", f"vg_name={GROUP}")


@dataclass(frozen=True, slots=True)
class Volume:
    """A row of `lvs`; ORIGIN is empty for what is no copy."""

    name: str
    size: int  # bytes; of a copy: its room for what changes
    origin: str
    is_active: bool
    is_invalid: bool
    is_unfinished: bool
    tags: tuple[str, ...] = ()


def name_of(guest: str, stamp: str) -> str:
    """What the copy of GUEST's volume is called. Raises OperatorError for what is no stamp."""
    if not STAMP.fullmatch(stamp):
        raise OperatorError(f"{stamp!r} names no copy", "It is a day and a time: 20260102-0304.")
    return f"{checked(guest)}-before-{stamp}"


def needed(size: int) -> int:
    """Bytes that the copy of a volume of SIZE bytes takes."""
    chunks = -(-size // CHUNK)
    return size + chunks * NOTE + SPARE


def parse_volumes(text: str) -> tuple[Volume, ...]:
    """From `lvs`. Raises ParseError."""
    return tuple(
        Volume(
            name=row["lv_name"],
            size=_bytes(LIST, row["lv_size"]),
            origin=row["origin"],
            is_active=row["lv_active"] == "active",
            # lvs(8) prints it as a word or, with --binary or in some reports, as 1.
            is_invalid=row["lv_snapshot_invalid"] in ("snapshot invalid", "1"),
            is_unfinished=UNFINISHED in row["lv_tags"].split(","),
            tags=tuple(filter(None, row["lv_tags"].split(","))),
        )
        for row in _rows(LIST, text, "lv", COLUMNS)
    )


def parse_free(text: str) -> int | None:
    """Bytes, from `vgs`; None if there is no such group. Raises ParseError."""
    rows = _rows(FREE, text, "vg", ("vg_free",))
    return _bytes(FREE, rows[0]["vg_free"]) if rows else None


def _bytes(argv: Sequence[str], text: str) -> int:
    if not text.isdecimal():
        raise ParseError(argv, text)
    return int(text)


def _rows(
    argv: Sequence[str], text: str, kind: str, columns: Sequence[str]
) -> list[dict[str, str]]:
    try:
        rows = json.loads(text)["report"][0][kind]
        return [{column: str(row[column]) for column in columns} for row in rows]
    except (ValueError, KeyError, IndexError, TypeError):
        raise ParseError(argv, text[:200]) from None


class Kept:
    """The copies in our volume group."""

    def __init__(self, run: Run = run) -> None:
        self._run = run

    def keep(self, guest: str, stamp: str, number: int) -> None:
        """Makes the copy of GUEST's volume as it is now, or finds the one that was made for the
        choice of that NUMBER whole, and reads it back.

        Raises OperatorError if there is no room, no volume, or a copy of that name for another
        choice; ToolError if LVM fails or if what it shows is no whole copy.
        """
        name, tag = name_of(guest, stamp), f"choice-{number}"
        volumes = {volume.name: volume for volume in self._volumes()}
        origin, found = volumes.get(guest), volumes.get(name)
        if origin is None:
            raise OperatorError(
                f"the volume {guest} is not in the group {GROUP}", "`lvs` lists what there is."
            )
        if found is not None and found.is_unfinished:
            # safety: only one with our tag; a copy that was told as made has none.
            self._run(("lvremove", "--yes", f"{GROUP}/{name}"), timeout=LIMIT)
            found = None
        if found is not None and tag not in found.tags:
            # safety: it is of another moment, and has nothing of what is given up now.
            raise OperatorError(
                f"{name} is there already, and was kept for another choice; `lvrename` it",
                "Or remove it with `lvremove`, if nobody needs it; the copy is made then.",
            )
        size = needed(origin.size)
        create = self._create(guest, name, size, tag)
        if found is None:
            self._refuse_without_room(name, size)
            self._run(create, timeout=LIMIT)
            self._run(("lvchange", "--deltag", UNFINISHED, f"{GROUP}/{name}"), timeout=LIMIT)
        made = next((volume for volume in self._volumes() if volume.name == name), None)
        if made is None or not _is_whole(made, origin):
            raise ToolError(create, 0, f"lvs shows {made}")

    def room(self) -> int:
        """MiB free in the group, -1 if it is not there. Raises ToolError."""
        free = parse_free(self._run(FREE, timeout=LIMIT))
        return -1 if free is None else free // MIB

    def needs(self) -> dict[str, int]:
        """MiB that a copy of each guest's volume takes, by its name. Raises ToolError."""
        ours = (v for v in self._volumes() if not v.origin and PASSING not in v.tags)
        return {v.name: -(-needed(v.size) // MIB) for v in ours}

    def copies(self) -> tuple[str, ...]:
        """The names of all copies in the group, without what is there for a while, for a backup or
        a resync. Raises ToolError.
        """
        return tuple(v.name for v in self._volumes() if v.origin and not {*v.tags} & FOR_A_WHILE)

    def _volumes(self) -> tuple[Volume, ...]:
        return parse_volumes(self._run(LIST, timeout=LIMIT))

    def _create(self, guest: str, name: str, size: int, tag: str) -> tuple[str, ...]:
        # lvcreate(8). Not by percentage: that is an upper limit, and a smaller one would be made.
        # Nobody has to watch it with dmeventd: it cannot overflow.
        how = ("--snapshot", "--size", f"{size}b", "--monitor", "n")
        tags = ("--addtag", UNFINISHED, "--addtag", tag)
        return ("lvcreate", "--yes", *how, *tags, "--name", name, f"{GROUP}/{guest}")

    def _refuse_without_room(self, name: str, size: int) -> None:
        room, need = self.room(), -(-size // MIB)
        if room < need:
            raise OperatorError(
                f"no room for the copy {name}: it takes {need} MiB, {room} MiB are free",
                "Remove an older copy with `lvremove`, or go on without one.",
            )


def _is_whole(made: Volume, origin: Volume) -> bool:
    has_room = made.size >= origin.size + origin.size // CHUNK * NOTE
    is_usable = made.is_active and not made.is_invalid and not made.is_unfinished
    return made.origin == origin.name and has_room and is_usable
