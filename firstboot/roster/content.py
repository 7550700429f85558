# SPDX-License-Identifier: MIT
"""What a new guest's disks are filled with, and what came with them about the guest.

That is an image of a disk, a machine in an OVA, or a backup.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from firstboot.roster.properties import SPOKEN
from haagent.backup import chain, head, plain, restoring
from haagent.backup.act import Copy
from haagent.backup.definition import mapping
from haagent.backup.layout import Progress as Share
from haagent.backup.layout import title
from haagent.backup.restoring import Restored
from haagent.carrying import shown
from haagent.config import Config
from haagent.elsewhere.share import Reach
from haagent.errors import OperatorError
from haagent.guests.disks import most
from haagent.guests.name import fitted
from haagent.images import conversion, export, ova, sources
from haagent.images.blob import Blob, Progress
from haagent.images.inspection import Image, inspect
from haagent.images.ova import Disk
from haagent.images.ovf import Firmware
from haagent.images.recognition import Format, recognise
from haagent.run import Run

LARGEST = 1 << 50  # bytes; the room is each machine's to judge
MOST = most(is_pc=False)


@dataclass(frozen=True, slots=True)
class Content:
    """Disks that can be put onto devices, in the guest's order."""

    title: str  # for a person
    sizes: tuple[int, ...]  # bytes of each
    said: Mapping[str, str]  # what came with it, for each of SPOKEN that it says; not yet judged
    remarks: tuple[str, ...]  # what is not taken over, in plain words
    # Onto a device for each; all of that is written, zeros behind the disk.
    put: Callable[[Sequence[Path], Progress], None]


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


def of_guest(name: str, found: Config, copy: Copy, sysfs: Path) -> Content:
    """The disks of the guest NAME as `export.disks_of` has them, at the moment that they are
    copied: COPY is a snapshot, which costs the guest something, and no person is waited for with
    one. Raises OperatorError.
    """
    guest = found.guests[name]

    def put(devices: Sequence[Path], show: Progress) -> None:
        with export.disks_of(name, found, copy, sysfs) as images:
            _put([*images.values()], devices, show)

    parts = guest.cut(export.length_of(name, found, sysfs))
    return Content(
        title=f"the disk of {name}" if len(parts) == 1 else f"the disks of {name}",
        sizes=tuple(part.size for part in parts),
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


def blank(sizes: tuple[int, ...]) -> Content:
    """Disks of SIZES in bytes, with nothing on them."""
    return Content(
        title="a blank disk" if len(sizes) == 1 else "blank disks",
        sizes=sizes,
        said={},
        remarks=(),
        put=lambda devices, show: _put([None] * len(sizes), devices, show),
    )


class _Restore(Protocol):
    """As `restoring.restore`, of one backup."""

    def __call__(
        self, targets: Mapping[str, Path], progress: Share, *, is_read_back: bool
    ) -> Restored: ...


def _backed_up(
    name: str, disks: Sequence[head.Disk], definition: str, restore: _Restore
) -> Content:
    if len(disks) > MOST:
        raise OperatorError(
            f"{name} has {len(disks)} disks, and a guest here {MOST} at most. Nothing was changed.",
            "`shoestring backup unpack` writes each disk as a file.",
        )
    known = mapping(definition)

    def put(devices: Sequence[Path], show: Progress) -> None:
        targets = {disk.name: device for disk, device in zip(disks, devices, strict=True)}
        restore(targets, partial(show, "Restoring"), is_read_back=True)
        for disk in disks:
            conversion.clear(targets[disk.name], show, start=disk.size)

    return Content(
        title=name,
        sizes=tuple(disk.size for disk in disks),
        said={option: str(known[option]) for option in SPOKEN if option in known},
        remarks=(),
        put=put,
    )


def _of_disk(blob: Blob, run: Run) -> Content:
    image = inspect(blob, LARGEST, run)
    name = fitted(Path(blob.title).stem)
    said = {} if name is None else {"name": name}
    return _content(f"{blob.title} ({image.kind})", (Disk(image.size, image),), said, image.remarks)


def _of_machine(blob: Blob, run: Run, progress: Progress) -> Content:
    machine = ova.read(blob, LARGEST, run, progress)
    count, empty = len(machine.disks), sum(disk.image is None for disk in machine.disks)
    if count > MOST or count == empty:
        raise OperatorError(
            f"{blob.title} is a machine with disks: {count}, empty ones: {empty}; a guest here has"
            f" {MOST} at most, and something on one. Nothing was changed.",
            "Put all of it onto fewer disks where it comes from, and export it anew."
            if count > MOST
            else "`shoestring guest create` makes a guest with blank disks.",
        )
    said = {"memory": str(machine.memory), "vcpus": str(machine.vcpus)}
    if machine.name is not None:
        said["name"] = machine.name
    remarks = list(machine.remarks)
    if machine.firmware is Firmware.EFI:
        remarks.append("it was started by EFI, which no guest has here; its kernel may start")
    if machine.cards != 1:
        remarks.append(f"it had network cards: {machine.cards}; here it gets one")
    return _content(f"{shown(blob.title)} (ova)", machine.disks, said, tuple(remarks))


def _content(
    name: str, disks: Sequence[Disk], said: Mapping[str, str], remarks: tuple[str, ...]
) -> Content:
    images = [disk.image for disk in disks]
    return Content(
        title=name,
        sizes=tuple(disk.size for disk in disks),
        said=said,
        remarks=remarks,
        put=lambda devices, show: _put(images, devices, show),
    )


def _put(images: Sequence[Image | None], devices: Sequence[Path], show: Progress) -> None:
    """Each of IMAGES onto its device; None: it is blank."""
    for at, (image, device) in enumerate(zip(images, devices, strict=True), 1):

        def told(what: str, share: float, at: int = at) -> None:
            show(f"{what}, disk {at} of {len(images)}" if len(images) > 1 else what, share)

        if image is None:
            conversion.clear(device, told)
        else:
            conversion.bring(image, device, told)
