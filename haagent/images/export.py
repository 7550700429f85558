# SPDX-License-Identifier: MIT
"""`shoestring guest export`: each of a guest's disks as one file, for another hypervisor.

It is read from a snapshot of this machine's copy while the guest runs on, as a backup is. It must
not decide whether that copy is the newest: the agent's word counts, as for a backup.
"""

import argparse
import contextlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from haagent import config
from haagent.asking import tell
from haagent.backup import act as copies
from haagent.backup import finding
from haagent.backup.files import whole_file
from haagent.backup.layout import title
from haagent.backup.naming import stamp
from haagent.command import Exit, Places, look
from haagent.console.sizes import size
from haagent.elsewhere import share
from haagent.errors import OperatorError
from haagent.handover import guest_of
from haagent.images import blob as blobs
from haagent.images import conversion
from haagent.images.inspection import Image
from haagent.images.recognition import Format
from haagent.progress import Line
from haagent.storage.sysfs import SYSFS, disk_size

INTERRUPTED = "What was written of that disk is removed."


def export(arguments: argparse.Namespace, places: Places, sysfs: Path = SYSFS) -> Exit:
    """Raises ShoestringError."""
    _, shown = look(places)
    view = guest_of(shown, arguments.guest)
    copies.refuse(shown, view, is_here_meant=arguments.here, is_older_meant=arguments.older)
    kind = Format(arguments.format)
    found = config.load(places.file, places.cmdline)
    line, written = Line(), []
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(
            finding.folder("An export goes onto", arguments.to, share.of(arguments, places))
        )
        copy = copies.opened(
            view.name, places, is_here_meant=arguments.here, is_older_meant=arguments.older
        )
        images = stack.enter_context(disks_of(view.name, found, copy, sysfs))
        began = stamp(datetime.now(UTC))
        for disk, image in images.items():
            which = f"-{disk}" if len(images) > 1 else ""
            path = folder / f"{view.name}-{began}{which}.{kind}"
            with (
                line.watched("The export was interrupted.", INTERRUPTED),
                whole_file(path) as file,
            ):
                conversion.write_out(image, Path(str(file.name)), kind, line.shows)
            length = path.stat().st_size
            written.append(
                f"{title(path)} is written, and was compared with the disk: {size(length >> 10)}"
                f" for a disk of {size(image.size >> 10)}."
            )
    tell(*written, "It is as a power cut would have left the guest.")
    if copies.differs(view):
        tell(copies.doubt(view.name))
    if why := copies.older(shown, view):
        tell(why)
    return Exit.PROTECTED


@contextlib.contextmanager
def disks_of(
    name: str, found: config.Config, copy: copies.Copy, sysfs: Path = SYSFS
) -> Iterator[Mapping[str, Image]]:
    """The disks of the guest NAME, as it calls them, all as they are in one moment on this machine,
    as a power cut would leave them: as COPY has them. Whether that is its newest one is for whoever
    asks. Raises OperatorError and ToolError.
    """
    parts = found.guests[name].cut(length_of(name, found, sysfs))
    with copy as volume:
        # What lies behind is DRBD's own.
        whole = blobs.found(volume)
        yield {
            part.disk: Image(
                whole.part(
                    part.start,
                    part.size,
                    f"the disk of {name}" if len(parts) == 1 else f"{part.disk} of {name}",
                ),
                Format.RAW,
                part.size,
            )
            for part in parts
        }


def length_of(name: str, found: config.Config, sysfs: Path) -> int:
    """Bytes of the mirrored device of the guest NAME. Raises OperatorError."""
    [(_, device)] = found.guests[name].disks
    length = disk_size(device, sysfs)
    if length is None:
        raise OperatorError(
            f"DRBD does not have {name}'s disk now, so its size is not known. Nothing was done.",
            "`shoestring status` says what is wrong with it.",
        )
    return length
