# SPDX-License-Identifier: MIT
"""Tells what is on a disk, in words: marks that blkid's library knows, and partitions.

The marks come from udev's database, which has one for each device at most, or from wipefs(8), which
finds them all.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from firstboot.wording import LONGEST, printable
from haagent.errors import ParseError

LVM = "LVM2_member"  # blkid(8) on a physical volume
GPT, PROTECTIVE = "gpt", "PMBR"  # the second belongs to the first
UNREADABLE = "something that cannot be read"
MOST = 24  # things that are told one by one

# As blkid(8) names them: what a person would call it.
NOUNS = {
    GPT: "a GPT partition table",
    PROTECTIVE: "the mark of a GPT partition table",
    "dos": "an MBR partition table",
    "mac": "a Mac partition table",
    "vfat": "a FAT file system",
    "exfat": "an exFAT file system",
    "ntfs": "a Windows file system (NTFS)",
    "ReFS": "a Windows file system (ReFS)",
    "BitLocker": "an encrypted Windows volume (BitLocker)",
    "apfs": "a Mac file system (APFS)",
    "hfsplus": "a Mac file system (HFS+)",
    "iso9660": "the image of a CD",
    "udf": "the image of a DVD",
    "swap": "Linux swap space",
    "crypto_LUKS": "an encrypted volume (LUKS)",
    "drbd": "DRBD metadata",
    "linux_raid_member": "a member of a Linux RAID",
    "zfs_member": "a member of a ZFS pool",
    "ceph_bluestore": "a Ceph disk",
    "VMFS_volume_member": "a VMware datastore",
    "VMFS": "a VMware datastore",
    "bcache": "a part of a bcache",
    **{kind: f"a Linux file system ({kind})" for kind in ("btrfs", "ext2", "ext3", "ext4", "xfs")},
}
RAID = "_raid_member"  # the end of what blkid(8) calls the RAIDs of a dozen makers


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that somebody left on a disk, or on a partition of it."""

    device: str  # sdb, or sdb1
    kind: str  # as blkid(8) names it
    label: str = ""
    identity: str = ""


def find_marks(devices: Sequence[str]) -> tuple[str, ...]:
    """wipefs(8); without --all it changes nothing."""
    columns = ("--json", "--output", "DEVICE,TYPE,LABEL,UUID")
    return ("wipefs", *columns, *(f"/dev/{device}" for device in devices))


def parse_marks(argv: Sequence[str], text: str) -> tuple[Mark, ...]:
    """From `wipefs --json`: nothing at all, or a list. Raises ParseError."""
    if not text.strip():
        return ()
    try:
        rows = json.loads(text)["signatures"]
        marks = [
            Mark(
                device=str(row["device"]),
                kind=str(row["type"] or "?"),
                label=str(row["label"] or ""),
                identity=str(row["uuid"] or ""),
            )
            for row in rows
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ParseError(argv, text[:200]) from error
    return tuple(dict.fromkeys(marks))  # a GPT and a FAT have several that say the same


def holds(
    disk: str,
    partitions: Iterable[str],
    marks: Iterable[Mark],
    groups: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """What is on DISK; empty if nothing was found. GROUPS names LVM's group for each device that
    is in one.
    """
    marks = tuple(marks)
    found = list(_nouns(disk, marks, groups or {}))
    for partition in partitions:
        nouns = tuple(_nouns(partition, marks, groups or {}))
        found += [f"{noun} in {partition}" for noun in nouns] or [f"the partition {partition}"]
    if len(found) > MOST:
        found = [*found[: MOST - 1], f"{len(found) - MOST + 1} more"]
    return tuple(words[:LONGEST] for words in found)


def sole_physical_volume(disk: str, partitions: Sequence[str], marks: Sequence[Mark]) -> str:
    """The LVM identity of the physical volume that fills DISK; empty if there is anything else."""
    if len(marks) != 1 or partitions or marks[0].device != disk or marks[0].kind != LVM:
        return ""
    return marks[0].identity


def _nouns(device: str, marks: Sequence[Mark], groups: Mapping[str, str]) -> Iterator[str]:
    kinds = {mark.kind for mark in marks if mark.device == device}
    for mark in marks:
        if mark.device != device or (mark.kind == PROTECTIVE and GPT in kinds):
            continue
        label = f' called "{printable(mark.label)}"' if mark.label else ""
        yield _noun(mark.kind, groups.get(device, "")) + label


def _noun(kind: str, group: str) -> str:
    if kind == LVM:
        return f"an LVM volume of the group {printable(group)}" if group else "an LVM volume"
    if kind in NOUNS:
        return NOUNS[kind]
    if kind.endswith(RAID):
        return f"a member of a RAID ({printable(kind)})"
    return f"something called {printable(kind)}"
