# SPDX-License-Identifier: MIT
"""A machine in one file: a tar with its OVF, its disks, and a manifest of their sums.

Nothing is unpacked, and its certificate proves nothing to us: the sums tell that it came whole, not
from whom.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from haagent.carrying import shown
from haagent.errors import OperatorError
from haagent.guests.name import fitted
from haagent.images import ovf
from haagent.images.blob import Blob, Progress, damaged
from haagent.images.inspection import Image, inspect
from haagent.images.ovf import EXPORT, Described, Firmware
from haagent.images.recognition import Format
from haagent.images.tar import members
from haagent.run import Run

LONGEST_MANIFEST = 1 << 20  # bytes
SUM = re.compile(r"(SHA1|SHA256|SHA512)\s*\((.{1,100})\)\s*=\s*([0-9a-fA-F]{40,128})", re.ASCII)
NO_SUMS = "it has no manifest, so nothing tells whether its disks came whole"


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of a machine."""

    size: int  # bytes
    image: Image | None  # None: it is empty


@dataclass(frozen=True, slots=True)
class Machine:
    """What an OVA says about its machine, and where its disks lie."""

    name: str | None  # one that a guest can have; None where it says none like that
    memory: int  # MiB
    vcpus: int
    disks: tuple[Disk, ...]  # as its controllers have them
    cards: int  # for the network
    firmware: Firmware | None
    remarks: tuple[str, ...]  # what is not taken over, in plain words


def read(blob: Blob, room: int, run: Run, progress: Progress) -> Machine:
    """The machine in BLOB, whose disks may have ROOM bytes together. All sums are right then.

    Raises OperatorError and ToolError.
    """
    with blob.opened() as window:
        held = members(window)
    description = _only(blob, held, ".ovf", ovf.LONGEST)
    if description is None:
        raise OperatorError(
            f"{blob.title} has no description of a machine (*.ovf). Nothing was changed.", EXPORT
        )
    described = ovf.parse(blob.title, _content(description))
    remarks = [*_name_remark(described), *described.remarks]
    manifest = _only(blob, held, ".mf", LONGEST_MANIFEST)
    # What is not there, or no VMDK, is told before an hour of reading.
    disks = _disks(blob, held, described, room, run)
    for drive, disk in zip(described.drives, disks, strict=True):
        if drive.capacity not in (None, disk.size):
            remarks.append(
                f"a disk has {disk.size} bytes, and not the {drive.capacity} that are said of it"
            )
        remarks += disk.image.remarks if disk.image else ()
    remarks += [NO_SUMS] if manifest is None else _check_sums(blob, held, manifest, progress)
    return Machine(
        name=fitted(described.title),
        memory=described.memory,
        vcpus=described.vcpus,
        disks=disks,
        cards=described.cards,
        firmware=described.firmware,
        remarks=tuple(remarks),
    )


def _only(blob: Blob, held: Mapping[str, Blob], suffix: str, most: int) -> Blob | None:
    found = [part for name, part in held.items() if name.lower().endswith(suffix)]
    if len(found) > 1:
        raise OperatorError(
            f"{blob.title} has {len(found)} files *{suffix}, and one is expected. Nothing was"
            " changed.",
            EXPORT,
        )
    if found and found[0].size > most:
        raise damaged(blob.title, f"{found[0].title} is too long")
    return found[0] if found else None


def _content(part: Blob) -> bytes:
    with part.opened() as window:
        return window.read(0, part.size)


def _name_remark(described: Described) -> list[str]:
    name, title = fitted(described.title), shown(described.title)[:60]
    if name is None:
        return [
            f"its name, {title!r}, cannot be a guest's: give one" if title else "it has no name"
        ]
    return [] if name == described.title else [f"{title!r} is called {name} here"]


def _disks(
    blob: Blob, held: Mapping[str, Blob], described: Described, room: int, run: Run
) -> tuple[Disk, ...]:
    names = [drive.href for drive in described.drives if drive.href is not None]
    if len(set(names)) != len(names):
        raise OperatorError(
            f"{blob.title} has one file for several disks. Nothing was changed.", EXPORT
        )
    disks = []
    for drive in described.drives:
        if drive.href is None:
            image, size = None, drive.capacity or 0
            if not 0 < size <= room:
                raise OperatorError(
                    f"An empty disk of {size >> 20} MiB in {blob.title} finds no room: there are"
                    f" {room >> 20} MiB. Nothing was changed.",
                    "Make room by removing a guest that is not needed.",
                )
        else:
            image = _image(blob, held, drive.href, room, run)
            size = image.size
        room -= size
        disks.append(Disk(size, image))
    return tuple(disks)


def _image(blob: Blob, held: Mapping[str, Blob], name: str, room: int, run: Run) -> Image:
    if name not in held:
        raise OperatorError(
            f"{blob.title} has no file {shown(name):.80}, which is a disk of its machine. Nothing"
            " was changed.",
            EXPORT,
        )
    return inspect(held[name], room, run, Format.VMDK)


def _check_sums(
    blob: Blob, held: Mapping[str, Blob], manifest: Blob, progress: Progress
) -> list[str]:
    """Reads all that the MANIFEST names. Raises OperatorError if a sum is wrong."""
    sums = _sums(blob, _content(manifest))
    for name in sums:
        if name not in held:
            raise damaged(blob.title, f"{shown(name):.80} is missing, and its manifest has it")
    whole, done = sum(held[name].size for name in sums) or 1, 0
    for name, (kind, digest) in sums.items():
        summing = hashlib.new(kind, usedforsecurity=False)
        with held[name].opened() as window:
            for chunk in window.chunks():
                summing.update(chunk)
                done += len(chunk)
                progress("Checking", done / whole)
        if summing.hexdigest() != digest:
            raise damaged(blob.title, f"the sum of {shown(name)} is wrong")
    left = [n for n in held if n not in sums and not n.lower().endswith((".mf", ".cert"))]
    return [f"its manifest has no sum of {shown(name)}" for name in left]


def _sums(blob: Blob, data: bytes) -> dict[str, tuple[str, str]]:
    sums: dict[str, tuple[str, str]] = {}
    for line in data.decode(errors="replace").splitlines():
        if not line.strip():
            continue
        found = SUM.fullmatch(line.strip())
        kind = found[1].lower() if found else "sha1"
        if (
            not found
            or len(found[3]) != 2 * hashlib.new(kind, usedforsecurity=False).digest_size
            or found[2] in sums
        ):
            raise damaged(blob.title, f"its manifest cannot be read: {shown(line):.60}")
        sums[found[2]] = (kind, found[3].lower())
    return sums
