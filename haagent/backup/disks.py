# SPDX-License-Identifier: MIT
"""The disks on both ends: one that is read from its beginning to its end, one that is written.

They are larger than the memory, and a guest's agent lives beside them: what was read or written is
not kept in the kernel's cache.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from haagent.backup.layout import title
from haagent.errors import OperatorError

SETTLED = 64 << 20  # bytes that may wait to be written, or stay in the cache
ZEROS = bytes(4 << 20)
FORGET = os.POSIX_FADV_DONTNEED
LOST = (
    "The other computer was lost on the way: look at it and at the LAN cable, and say it again."
    " What ends with .part there was not finished: remove it."
)
HINTS = {  # what to do, by what failed
    errno.ENOSPC: "It is full: make room, or take another one.",
    errno.EDQUOT: "There is no room left for us: ask for more, or take another one.",
    errno.EFBIG: "FAT has no files of 4 GiB or more: format it with exFAT, or take a disk that is.",
    errno.EACCES: "Who this machine's root is there may not write: allow it (NFS: no_root_squash).",
    errno.EROFS: "It is read-only: look for a switch on it.",
    errno.EPIPE: "Whoever should have taken it has ended: look there.",
    errno.EIO: "It may be failing, or was pulled: use another one.",
    errno.ENOTCONN: LOST,
    errno.ETIMEDOUT: LOST,
}
UNUSABLE = "Look at `journalctl -k`: the disk, or the way to it, may be failing."


def is_zero(data: bytes) -> bool:
    """DATA has at most as many bytes as the largest block."""
    return data == (ZEROS if len(data) == len(ZEROS) else ZEROS[: len(data)])


class Source:
    """A disk NAME that is read: a block device such as a snapshot, or a file. Every method raises
    OperatorError.
    """

    def __init__(
        self, name: str, descriptor: int, shown: str, size: int | None = None, start: int = 0
    ) -> None:
        """From byte START on; SIZE is what the guest sees of it, if that is not all: other disks
        of its, and DRBD's own data, lie behind it.
        """
        self.name = name
        self._descriptor, self._shown, self._start = descriptor, shown, start
        there = max(0, os.lseek(descriptor, 0, os.SEEK_END) - start)
        self.size = there if size is None else size
        if self.size > there:
            raise OperatorError(
                f"Disk {name} ({shown}) has {there} bytes instead of {size}. Nothing was written.",
                UNUSABLE,
            )
        self._forgotten = start

    def read(self, offset: int, length: int) -> bytes:
        """Exactly as many bytes; from lower offsets to higher ones."""
        parts = []
        at = self._start + offset
        end = at + length
        while at < end:
            try:
                part = os.pread(self._descriptor, end - at, at)
            except OSError as error:
                raise self._unread(at - self._start, error.strerror or str(error)) from error
            if not part:
                raise self._unread(at - self._start, "it ends there")
            parts.append(part)
            at += len(part)
        if at - self._forgotten >= SETTLED:
            os.posix_fadvise(self._descriptor, self._forgotten, at - self._forgotten, FORGET)
            self._forgotten = at
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _unread(self, offset: int, why: str) -> OperatorError:
        return OperatorError(
            f"Disk {self.name} ({self._shown}) could not be read at byte {offset}: {why}. The "
            "backup was given up.",
            UNUSABLE,
        )


def settle(descriptor: int) -> None:
    """Returns when all is on the disk, and nothing of it in the memory. Raises OSError."""
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, FORGET)


@contextlib.contextmanager
def source(name: str, path: Path, size: int | None = None, start: int = 0) -> Iterator[Source]:
    """The disk NAME of a guest, at PATH from byte START on, and SIZE bytes of it if that is not
    all. Raises OperatorError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise OperatorError(
            f"Disk {name} ({title(path)}) could not be opened: {error.strerror}. Nothing was "
            "written.",
            UNUSABLE,
        ) from error
    try:
        _kind(descriptor, path)
        yield Source(name, descriptor, title(path), size, start)
    finally:
        os.close(descriptor)


class Target:
    """What a disk is written to. Every method raises OperatorError."""

    def __init__(self, path: Path, descriptor: int, *, is_new: bool = False) -> None:
        self._is_new = is_new  # made by us a moment ago: it has holes alone
        self._path, self._descriptor = path, descriptor
        self._is_device = _kind(descriptor, path)
        self.size = os.lseek(descriptor, 0, os.SEEK_END)
        self._waiting = 0

    @property
    def identity(self) -> tuple[int, ...]:
        """The same for two paths that lead to one place."""
        found = os.fstat(self._descriptor)
        return (found.st_rdev,) if self._is_device else (found.st_dev, found.st_ino)

    def write(self, offset: int, data: bytes) -> None:
        done = 0
        with self._failing(f"written at byte {offset}"):
            while done < len(data):
                done += os.pwrite(self._descriptor, memoryview(data)[done:], offset + done)
            self._waiting += len(data)
            if self._waiting >= SETTLED:
                # So that the share that is told is true, and the memory stays free.
                settle(self._descriptor)
                self._waiting = 0

    def zero(self, offset: int, length: int) -> None:
        """LENGTH zeros; a file keeps its holes."""
        if self._is_new:
            return
        # safety: a target is not blank. What was deleted in the guest must not come back.
        if self._is_device or not is_zero(self.read(offset, length)):
            self.write(offset, ZEROS[:length])

    def read(self, offset: int, length: int) -> bytes:
        parts = []
        with self._failing(f"read at byte {offset}"):
            while length and (part := os.pread(self._descriptor, length, offset)):
                parts.append(part)
                offset, length = offset + len(part), length - len(part)
        return b"".join(parts)

    def settle(self) -> None:
        """Returns when all is on the disk, and a read would come from there."""
        with self._failing("written to its end"):
            settle(self._descriptor)

    @contextlib.contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OperatorError(
                f"{title(self._path)} could not be {what}: {error.strerror}. What is in it now "
                "is no whole disk.",
                HINTS.get(error.errno or 0, UNUSABLE),
            ) from error


@contextlib.contextmanager
def target(path: Path) -> Iterator[Target]:
    """A block device or a file that is there. Raises OperatorError."""
    try:
        # safety: O_EXCL without O_CREAT refuses a block device that is mounted, or that DRBD or LVM
        # has claimed (open(2)).
        is_device = stat.S_ISBLK(path.stat().st_mode)
        flags = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_EXCL if is_device else 0)
        descriptor = os.open(path, flags)
    except OSError as error:
        raise OperatorError(
            f"{title(path)} cannot be written: {error.strerror}. Nothing was changed.",
            "Name a block device or a file that is there and that nothing else uses.",
        ) from error
    try:
        yield Target(path, descriptor)
    finally:
        os.close(descriptor)


def _kind(descriptor: int, path: Path) -> bool:
    """Whether it is a block device. Raises OperatorError unless it is one, or a file."""
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISBLK(mode) and not stat.S_ISREG(mode):
        raise OperatorError(
            f"{title(path)} is neither a block device nor a file. Nothing was changed.",
            "Name one of these.",
        )
    return stat.S_ISBLK(mode)
