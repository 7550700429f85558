# SPDX-License-Identifier: MIT
"""Writes an image over a volume that is there, and proves that it is on it.

Whatever was on the volume is gone, behind the end of the disk as well. An interruption, or our own
death, ends what writes; nothing may take the volume for the image unless this has returned.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from haagent.errors import OperatorError, ToolError
from haagent.images import qemu
from haagent.images.blob import Progress
from haagent.images.inspection import Image
from haagent.images.recognition import Format
from haagent.run import Follow, follow

SLOWEST = 1 << 20  # bytes a second; what is slower is not waited for
PATIENCE = 120.0  # seconds on top, for a stick that fails and tries again
STEP = 1 << 30  # bytes that are zeroed by one program
AGAIN = (
    "The volume holds nothing that can be used. Look at `journalctl -k` for errors of a disk or"
    " stick, or at the computer that it comes from, and say it again."
)


def bring(image: Image, target: Path, progress: Progress, *, follow: Follow = follow) -> None:
    """TARGET is the disk of IMAGE, zeros behind it, flushed and compared, when this returns.

    Raises OperatorError and ToolError.
    """
    with _taken(target) as (descriptor, room):
        if room < image.size:
            raise OperatorError(
                f"{target} has {room} bytes, and the disk in {image.blob.title} {image.size}.",
                "Make the volume at least as large as the disk. Nothing was changed.",
            )
        argv = qemu.convert_argv(image.blob, image.kind, target)
        with _told(f"{image.blob.title} did not get onto the volume"):
            follow(argv, _hear(progress, "Copying"), silence=silence(image.size))
            _zero(target, image.size, room, follow, progress)
            # qemu-img flushes when it ends, and does not say whether that failed.
            os.fsync(descriptor)
        _verify(image, target, room, progress, follow)


def write_out(
    image: Image, path: Path, kind: Format, progress: Progress, *, follow: Follow = follow
) -> None:
    """PATH is a file of this KIND with the disk of IMAGE, compared, when this returns. Raises as
    above.
    """
    with _told(f"{image.blob.title} could not be written"):
        follow(
            qemu.export_argv(image.blob, kind, path),
            _hear(progress, "Copying"),
            silence=silence(image.size),
        )
        said: list[str] = []
        argv = qemu.same_argv(image.blob, kind, path)
        follow(argv, _hear(progress, "Comparing", said), silence=silence(image.size))


def clear(target: Path, progress: Progress, *, start: int = 0, follow: Follow = follow) -> None:
    """TARGET is zero from byte START on, and flushed, when this returns: with 0 an empty disk.
    Raises as above.
    """
    with _taken(target) as (descriptor, room), _told("The volume was not emptied"):
        _zero(target, start, room, follow, progress)
        os.fsync(descriptor)


def silence(size: int) -> float:
    """Seconds that qemu-img may say nothing: it tells every hundredth of SIZE bytes."""
    return PATIENCE + size / 100 / SLOWEST


def _verify(image: Image, target: Path, room: int, progress: Progress, follow: Follow) -> None:
    said: list[str] = []
    # safety: what was written past the cache, with -t none, left no pages of it in memory; what
    # is compared comes from the disk.
    argv = qemu.compare_argv(image.blob, image.kind, target)
    try:
        follow(argv, _hear(progress, "Comparing", said), silence=silence(room))
        progress("Comparing", 1.0)  # it stops counting before what is behind the disk
    except ToolError as error:
        if error.exit == qemu.DIFFERS:
            where = " ".join(said[-1:]) or "the two differ"
            raise OperatorError(
                f"{image.blob.title} was written, and something else is read back: {where}", AGAIN
            ) from error
        raise OperatorError(
            f"{image.blob.title} could not be read back: {_why(error)}.", AGAIN
        ) from error


@contextlib.contextmanager
def _taken(target: Path) -> Iterator[tuple[int, int]]:
    """Its descriptor and its bytes. Nobody mounts a volume, or gives it to DRBD, meanwhile."""
    try:
        is_device = stat.S_ISBLK(target.stat().st_mode)
        # safety: open(2), O_EXCL of a block device: not where anybody has it in use.
        descriptor = os.open(target, os.O_RDWR | (os.O_EXCL if is_device else 0))
    except OSError as error:
        why = "it is in use" if error.errno == errno.EBUSY else error.strerror
        raise OperatorError(
            f"{target} cannot be written: {why}.", "Nothing was changed. Look at `lsblk` and `lvs`."
        ) from error
    try:
        yield descriptor, os.lseek(descriptor, 0, os.SEEK_END)
    finally:
        os.close(descriptor)


def _zero(target: Path, start: int, end: int, follow: Follow, progress: Progress) -> None:
    """fallocate(2), FALLOC_FL_ZERO_RANGE: for a block device the kernel zeroes, in the way that is
    fastest for the disk, and writes where it has none. A step at a time, so that each has a limit;
    and followed, so that an interrupt ends it.
    """
    for at in range(start, end, STEP):
        size = min(STEP, end - at)
        place = ("--offset", str(at), "--length", str(size), str(target))
        argv = ("fallocate", "--zero-range", "--keep-size", *place)
        follow(argv, _hear(progress, ""), silence=PATIENCE + size / SLOWEST)
        progress("Emptying the rest", (at + size - start) / (end - start))


def _hear(progress: Progress, what: str, said: list[str] | None = None) -> Callable[[str], None]:
    def hear(line: str) -> None:
        share = qemu.share(line)
        if share is not None:
            progress(what, share)
        elif said is not None and line.strip():
            said.append(line.strip())

    return hear


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """What fails in here is WHAT to a person."""
    try:
        yield
    except ToolError as error:
        raise OperatorError(f"{what}: {_why(error)}.", AGAIN) from error
    except OSError as error:
        raise OperatorError(f"{what}: {error.strerror}.", AGAIN) from error


def _why(error: ToolError) -> str:
    return error.stderr.strip().rpartition("\n")[2].rstrip(".") or str(error)
