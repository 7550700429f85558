# SPDX-License-Identifier: MIT
"""The sticks and disks that are plugged in by USB, as far as a person may mean them.

Neither the stick that the machine runs from is one, nor a data disk: the one has partitions with
our names, and the other is LVM's.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haagent.errors import ParseError
from haagent.mounting import LIMIT
from haagent.run import Run

LIST = ("lsblk", "--json", "--output", "NAME,TRAN,FSTYPE,PARTLABEL,MOUNTPOINTS,MODEL,SIZE")
POINT = Path("/run/shoestring/usb")  # where one is mounted that is needed for a moment
WRITABLE = ("vfat", "exfat")  # what sticks are sold with, and every computer reads
# Large disks of Windows computers have NTFS. Nothing that has to last is written there.
READABLE = (*WRITABLE, "ntfs")
OURS = "shoestring-"  # what the labels of all partitions of our own stick begin with
MEMBER = "_member"  # how lsblk(8) ends the name of what is part of a group of LVM's, or of a RAID


@dataclass(frozen=True, slots=True)
class Stick:
    """A file system on a disk that is plugged in by USB."""

    device: str  # sdb1
    kind: str  # as lsblk(8) names it
    title: str  # for a person


@dataclass(frozen=True, slots=True)
class Plugged:
    """All of them: those that are FIT for a use, and the others."""

    fit: Sequence[Stick]
    others: Sequence[Stick] = ()

    @property
    def seen(self) -> str:
        """Those that are fit, or that there are none."""
        return " and ".join(stick.title for stick in self.fit) or "none"

    @property
    def remark(self) -> str:
        """Whole sentences about the others, to be said where something is missed."""
        return "".join(
            f" {one.title} has {one.kind}, which is not taken for this." for one in self.others
        )


def plugged(run: Run, kinds: Collection[str]) -> Plugged:
    """The sticks, of which those with file systems of KINDS are fit. Raises ToolError."""
    found = sticks(LIST, run(LIST, timeout=LIMIT))
    return Plugged(
        [one for one in found if one.kind in kinds],
        [one for one in found if one.kind not in kinds],
    )


def sticks(argv: Sequence[str], text: str) -> list[Stick]:
    """From lsblk(8). Raises ParseError."""
    try:
        return [
            Stick(str(part["name"]), str(part["fstype"]), f"{_title(disk)} ({part['name']})")
            for disk in json.loads(text)["blockdevices"]
            if disk["tran"] == "usb"
            if not any(str(part["partlabel"]).startswith(OURS) for part in _parts(disk))
            for part in _parts(disk)
            if part["fstype"] and not str(part["fstype"]).endswith(MEMBER)
            if not any(part["mountpoints"])
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ParseError(argv, text) from error


def _parts(disk: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Where there may be a file system. A stick that is one as a whole has no partitions, although
    the kernel takes the beginning of some for a partition table.
    """
    if disk["fstype"] is not None:
        yield disk
        return
    for part in disk.get("children", ()):
        yield from _parts(part)


def _title(disk: Mapping[str, Any]) -> str:
    # safety: a stick's model is whatever somebody wrote there, and a terminal obeys.
    model = "".join(c if c.isprintable() else "?" for c in str(disk["model"] or "a USB stick"))
    return f"{model}, {disk['size']}"
