# SPDX-License-Identifier: MIT
"""What a new guest's disk is filled with, and what came with it about the guest.

That is an image of a disk, a machine with one disk in an OVA, or a backup.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from firstboot.roster.properties import SPOKEN
from haagent.backup import chain, plain, restoring
from haagent.backup.definition import mapping
from haagent.backup.head import Disk
from haagent.backup.layout import Progress as Share
from haagent.backup.layout import title
from haagent.backup.restoring import Restored
from haagent.carrying import shown
from haagent.config import Config
from haagent.elsewhere.share import Reach
from haagent.errors import OperatorError
from haagent.guests.name import fitted
from haagent.images import conversion, export, ova, sources
from haagent.images.blob import Blob, Progress
from haagent.images.inspection import Image, inspect
from haagent.images.ovf import Firmware
from haagent.images.recognition import Format, recognise
from haagent.run import Run

LARGEST = 1 << 50  # bytes; the room is each machine's to judge


@dataclass(frozen=True, slots=True)
class Content:
    """A disk that can be put onto a volume."""

    title: str  # for a person
    size: int  # bytes
    said: Mapping[str, str]  # what came with it, for each of SPOKEN that it says; not yet judged
    remarks: tuple[str, ...]  # what is not taken over, in plain words
    put: Callable[[Path, Progress], None]  # onto a device; all of that is written, zeros behind it


@contextlib.contextmanager
def of_image(
    where: str | None, reach: Reach, progress: Progress, *, sha256: str | None = None
) -> Iterator[Content]:
    """The image at WHERE (sources.py), which is read before anything is changed if it has sums of
    its own. Raises OperatorError and ToolError.
    """
    run = reach.run
    with sources.source(where, reach, progress, sha256=sha256).opened() as blob:
        with blob.opened() as window:
            is_machine = recognise(window) is Format.OVA
        yield _of_machine(blob, run, progress) if is_machine else _of_disk(blob, run)


@contextlib.contextmanager
def of_backup(path: Path) -> Iterator[Content]:
    """The backup at PATH: a file, with what it builds on, or a plain one's folder. Raises
    OperatorError.
    """
    if path.is_dir():
        folder = plain.read(path)
        yield _backed_up(title(path), folder.disks, folder.definition, folder.restore)
        return
    with chain.opened(path) as found:
        name = f"{title(path)} (of {found.head.at:%Y-%m-%d %H:%M} UTC)"
        restore = partial(restoring.restore, found)
        yield _backed_up(name, found.head.disks, found.head.definition, restore)


def of_guest(name: str, found: Config, run: Run, sysfs: Path) -> Content:
    """The disk of the guest NAME as `export.disk_of` has it, at the moment that it is copied: a
    snapshot costs the guest something, and no person is waited for with one. Raises OperatorError.
    """
    guest = found.guests[name]

    def put(device: Path, show: Progress) -> None:
        with export.disk_of(name, found, run, sysfs) as image:
            conversion.bring(image, device, show)

    return Content(
        title=f"the disk of {name}",
        size=export.length_of(name, found, sysfs),
        said={
            "memory": str(guest.memory),
            "vcpus": str(guest.vcpus),
            "type": guest.kind.value,
            "place": str(guest.place),
            "pause": str(guest.pause),
        },
        remarks=(),
        put=put,
    )


def blank(size: int) -> Content:
    """A disk of SIZE bytes with nothing on it."""
    return Content(
        title="a blank disk",
        size=size,
        said={},
        remarks=(),
        put=conversion.clear,
    )


class _Restore(Protocol):
    """As `restoring.restore`, of one backup."""

    def __call__(
        self, targets: Mapping[str, Path], progress: Share, *, is_read_back: bool
    ) -> Restored: ...


def _backed_up(name: str, disks: Sequence[Disk], definition: str, restore: _Restore) -> Content:
    if len(disks) != 1:
        raise OperatorError(
            f"{name} has {len(disks)} disks, and a guest here has one. Nothing was changed.",
            "`shoestring backup unpack` writes each disk as a file.",
        )
    [disk] = disks
    known = mapping(definition)

    def put(device: Path, show: Progress) -> None:
        restore({disk.name: device}, partial(show, "Restoring"), is_read_back=True)
        conversion.clear(device, show, start=disk.size)

    return Content(
        title=name,
        size=disk.size,
        said={option: str(known[option]) for option in SPOKEN if option in known},
        remarks=(),
        put=put,
    )


def _of_disk(blob: Blob, run: Run) -> Content:
    image = inspect(blob, LARGEST, run)
    name = fitted(Path(blob.title).stem)
    said = {} if name is None else {"name": name}
    return _content(f"{blob.title} ({image.kind})", image, said, image.remarks)


def _of_machine(blob: Blob, run: Run, progress: Progress) -> Content:
    machine = ova.read(blob, LARGEST, run, progress)
    images = [disk.image for disk in machine.disks if disk.image is not None]
    if len(machine.disks) != 1 or len(images) != 1:
        empty = len(machine.disks) - len(images)
        raise OperatorError(
            f"{blob.title} is a machine with {len(machine.disks)} disks, {empty} of them empty; a"
            " guest here has one, with something on it. Nothing was changed.",
            "Put all of it onto one disk where it comes from, and export it anew.",
        )
    said = {"memory": str(machine.memory), "vcpus": str(machine.vcpus)}
    if machine.name is not None:
        said["name"] = machine.name
    remarks = list(machine.remarks)
    if machine.firmware is Firmware.EFI:
        remarks.append("it was started by EFI, which no guest has here; its kernel may start")
    if machine.cards != 1:
        remarks.append(f"it had network cards: {machine.cards}; here it gets one")
    return _content(f"{shown(blob.title)} (ova)", images[0], said, tuple(remarks))


def _content(name: str, image: Image, said: Mapping[str, str], remarks: tuple[str, ...]) -> Content:
    return Content(
        title=name,
        size=image.size,
        said=said,
        remarks=remarks,
        put=lambda device, show: conversion.bring(image, device, show),
    )
