# SPDX-License-Identifier: MIT
"""Which backup a person means: a path, an address, or a name on the one USB disk there is."""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from haagent.alone import alone
from haagent.backup import catalogue
from haagent.backup.layout import title
from haagent.backup.retention import Point
from haagent.elsewhere import address
from haagent.elsewhere.share import Reach
from haagent.errors import OperatorError
from haagent.mounting import LIMIT, mounted
from haagent.run import Run
from haagent.usb import WRITABLE, Plugged, Stick, plugged

POINT = Path("/run/shoestring/backups")
AHEAD = timedelta(days=1)  # what two clocks may well differ by


@contextlib.contextmanager
def folder(what: str, to: str | None, reach: Reach) -> Iterator[Path]:
    """Where WHAT is written: the folder TO, or without one the USB disk. Raises as below."""
    if to is None:
        with usb_disk(what, reach.run, is_writable=True) as place:
            yield place
    elif address.is_one(to):
        with reach.folder(address.parse(to), is_writable=True) as place:
            yield place
    elif Path(to).is_dir():
        yield Path(to)
    else:
        raise OperatorError(
            f"There is no folder {title(Path(to))}. Nothing was done.",
            "Name a folder that is there, or an address: nfs://HOST/FOLDER, ssh://USER@HOST/FOLDER.",
        )


def path_of(path: Path, to: str | None) -> str:
    """Where PATH, which was written to TO, is found by a person."""
    return str(path) if to is None or not address.is_one(to) else f"{to.rstrip('/')}/{path.name}"


@contextlib.contextmanager
def usb_disk(what: str, run: Run, *, is_writable: bool) -> Iterator[Path]:
    """Where the one USB disk is that is plugged in, for WHAT takes one. Raises OperatorError and
    ToolError.
    """
    busy = OperatorError(
        "The USB disk is in use already, by another backup, export or restore. Nothing was done.",
        "Wait until that has ended.",
    )
    with alone(POINT.with_suffix(".lock"), busy):
        if POINT.is_mount():
            run(("umount", str(POINT)), timeout=LIMIT)  # it was left by one that was killed
        stick = _only(what, usb_disks(run))
        with mounted(stick.device, stick.kind, POINT, is_writable=is_writable, run=run) as place:
            yield place


def _only(what: str, found: Plugged) -> Stick:
    if len(found.fit) == 1:
        return found.fit[0]
    raise OperatorError(
        f"{what} the one USB disk that is plugged in, and there is {found.seen}.{found.remark}"
        " Nothing was done.",
        "Plug in one (exFAT: FAT ends at 4 GiB a file), or name a folder, or an address:"
        " nfs://HOST/FOLDER, ssh://USER@HOST/FOLDER.",
    )


def usb_disks(run: Run) -> Plugged:
    """Those that backups are written to. Raises ToolError."""
    return plugged(run, WRITABLE)


@contextlib.contextmanager
def meant(where: str, reach: Reach) -> Iterator[Path]:
    """WHERE is a path or an address; or, without a slash and where there is none, the name of a
    backup on the USB disk, or of a guest, whose newest one is meant. Raises OperatorError and
    ToolError.
    """
    if address.is_one(where):
        folder, name = address.parse(where).split()
        with reach.folder(folder, is_writable=False) as place:
            yield place / name
        return
    path = Path(where)
    if "/" in where or path.exists():
        yield path
        return
    with usb_disk(f"{where} is looked for on", reach.run, is_writable=False) as disk:
        if (disk / where).exists():
            yield disk / where
            return
        points, bad = catalogue.survey(disk)
        ours = [point for point in points if point.name.guest == where]
        if not ours:
            guests = ", ".join(sorted({point.name.guest for point in points})) or "none"
            odd = f" {bad[0]}." if bad else ""
            raise OperatorError(
                f"On the USB disk there is neither a file {title(path)} nor a backup of a guest"
                f" that is called so. It has backups of: {guests}.{odd}",
                "Nothing was done. Name one of these, or the file with its folder.",
            )
        yield disk / newest(ours, datetime.now(UTC)).file


def newest(points: Sequence[Point], now: datetime) -> Point:
    """Of those of one guest. Raises OperatorError if that is in doubt: the clock that dated some of
    them, or the one that says what is NOW, was wrong.
    """

    def last(of: Sequence[Point]) -> Point:
        return max(of, key=lambda point: (point.name.at, point.file))

    ahead = [point for point in points if point.name.at > now + AHEAD]
    if ahead and len(ahead) < len(points):
        past = last([point for point in points if point not in ahead])
        raise OperatorError(
            f"Which backup of {past.name.guest} is the newest is not known: {last(ahead).file} is"
            f" dated ahead of this machine's clock, and {past.file} is not.",
            "Nothing was done. Name the file that is meant; `shoestring backup show FILE` tells of"
            " each.",
        )
    return last(points)
