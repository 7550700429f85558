# SPDX-License-Identifier: MIT
"""`shoestring guest start GUEST --cdrom FILE`: one start of a PC with a CD in its drive.

The agent starts the guest, as always; what is here gets the CD within its reach (guests/drive.py).
"""

import contextlib
from pathlib import Path

from haagent import carrying, config, running
from haagent.asking import tell
from haagent.carrying import Words
from haagent.command import Exit, Places
from haagent.console.snapshot import GuestView, Snapshot
from haagent.errors import OperatorError, ToolError
from haagent.guests.definition import Kind
from haagent.guests.drive import Drives
from haagent.mounting import LIMIT, mount
from haagent.run import Run

STICKS = Path("/run/shoestring/cd-sticks")  # each by its device
# ECMA-119: the first volume descriptor is in the sector 16, and this is its second to sixth byte.
MARK, AT = b"CD001", 16 * 2048 + 1
NO_STICK = (
    "Plug in a USB stick (FAT, exFAT or NTFS) with the image, not in a folder, wait a few seconds"
    " and say it again; or name a file with its folder, or the disk that it was written to:"
    " /dev/..."
)


def within_reach(wanted: str, run: Run) -> Path:
    """The image of a CD that a person means by WANTED: a file or a disk of this machine, or a file
    on a stick, which stays mounted. Raises OperatorError and ToolError.
    """
    path = Path(wanted)
    if "/" not in wanted and not path.exists():
        path = _on_stick(wanted, run)
    try:
        with path.open("rb") as file:
            file.seek(AT)
            is_cd = file.read(len(MARK)) == MARK
    except OSError as error:
        raise OperatorError(
            f"{carrying.shown(wanted)} cannot be read: {error.strerror}. Nothing was changed.",
            NO_STICK,
        ) from error
    if not is_cd:
        raise OperatorError(
            f"{carrying.shown(wanted)} is no image of a CD or DVD. Nothing was changed.",
            "Take the file as its maker has it, which mostly ends with .iso, not packed.",
        )
    return path.absolute()


def _on_stick(name: str, run: Run) -> Path:
    for old in sorted(STICKS.glob("*")):
        with contextlib.suppress(ToolError):  # it is in a guest's drive, or was not mounted
            run(("umount", str(old)), timeout=LIMIT)
    words = Words("image", NO_STICK, "Pull out the sticks that are not meant.")
    stick, name = carrying.the_only(run, lambda file: file.name == name, name, words)
    point = STICKS / stick.device
    mount(stick.device, stick.kind, point, run=run)
    return point / name


def check(view: GuestView, places: Places) -> None:
    """Raises OperatorError if the guest VIEW cannot be started with a CD now."""
    name = view.name
    if config.load(places.file, places.cmdline).guests[name].kind is not Kind.HVM:
        raise OperatorError(
            f"{name} has no drive for a CD. Nothing was changed.",
            f"Guests of type hvm have one: `shoestring guest edit {name} --type hvm`.",
        )
    if view.runs_on or running.is_wanted(view):
        raise OperatorError(
            f"{name} is to run already, and a CD is put in before a start. Nothing was changed.",
            f"`shoestring guest stop {name}`, and then say it again.",
        )


def start_with(
    shown: Snapshot, view: GuestView, cd: Path, places: Places, drives: Drives | None = None
) -> Exit:
    """The guest VIEW, which is off, is started once with CD. Raises OperatorError."""
    name, drives = view.name, drives or Drives()
    tell(
        f"{name} starts on {shown.me} with {carrying.shown(cd.name)} in its drive, and from that."
        " At its next start the drive is empty, also on the other machine. Leave a stick plugged in"
        " until then."
    )
    drives.insert(name, cd)
    try:
        return running.start_again(shown, view, places)
    finally:
        if drives.take_back(name):
            tell(f"The CD is not in the drive: {name} was not started here.")
