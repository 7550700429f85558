# SPDX-License-Identifier: MIT
"""Owns where an image's bytes lie: in a file or block device, all of it or a part. It reads them,
and understands none.
"""

import contextlib
import errno
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from haagent.carrying import shown
from haagent.errors import OperatorError

SECTOR = 512  # bytes; what qemu and every disk format count in
CHUNK = 1 << 20  # bytes
DEV = Path("/dev")

Progress = Callable[[str, float], None]  # what is being done, and how much of it: 0 to 1

NOT_WHOLE = "It was cut short or changed, perhaps while it was copied: bring it again."


@dataclass(frozen=True, slots=True)
class Blob:
    """SIZE bytes of PATH, which is absolute and no link, from OFFSET on."""

    path: Path
    size: int
    offset: int = 0
    is_device: bool = False
    is_part: bool = False  # there is more in the file than these bytes
    name: str = ""  # for a person, where the path's own does not say it

    @property
    def title(self) -> str:
        return shown(self.name or self.path.name)

    def part(self, offset: int, size: int, name: str) -> "Blob":
        """SIZE bytes from OFFSET of these, which must have them."""
        assert min(offset, size) >= 0 and offset + size <= self.size
        return Blob(self.path, size, self.offset + offset, self.is_device, True, name)

    def address(self, kind: str) -> str:
        """What qemu-img(1) takes for the image of this KIND that lies here, beside `-f KIND`."""
        # safety: an absolute path is never taken for a protocol, such as nbd: or json:.
        if not self.is_part:
            return str(self.path)
        plain = {
            "driver": "host_device" if self.is_device else "file",
            "filename": str(self.path),
        }
        # What holds a part, a tar or a disk, goes on to the end of the sector.
        size = self.size + -self.size % SECTOR
        window = {"driver": "raw", "offset": self.offset, "size": size, "file": plain}
        return "json:" + json.dumps({"driver": kind, "file": window})

    @contextlib.contextmanager
    def opened(self) -> Iterator["Window"]:
        """To read it. Raises OperatorError, also for an OSError of whoever reads meanwhile."""
        try:
            # safety: O_NONBLOCK, so that a pipe that has come there does not keep us for ever.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                yield Window(self, descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise unreadable(self.title, error) from error


class Window:
    """A `Blob` that is open. Its methods raise OSError, and OperatorError where it ends early."""

    def __init__(self, blob: Blob, descriptor: int) -> None:
        self.blob = blob
        self._descriptor = descriptor

    @property
    def size(self) -> int:
        return self.blob.size

    @property
    def title(self) -> str:
        return self.blob.title

    def read(self, offset: int, count: int) -> bytes:
        """COUNT bytes at OFFSET, all of them."""
        if offset < 0 or offset + count > self.size:
            raise damaged(self.title, f"it ends at {self.size}, and should reach {offset + count}")
        data = b""
        while len(data) < count:
            more = os.pread(
                self._descriptor, count - len(data), self.blob.offset + offset + len(data)
            )
            if not more:
                raise damaged(self.title, f"it ends at {offset + len(data)}")
            data += more
        return data

    def head(self, count: int) -> bytes:
        """The first COUNT bytes, or as many as there are."""
        return self.read(0, min(count, self.size))

    def chunks(self) -> Iterator[bytes]:
        for offset in range(0, self.size, CHUNK):
            yield self.read(offset, min(CHUNK, self.size - offset))


def found(path: Path) -> Blob:
    """What lies at PATH. Raises OperatorError if it is no plain file and no disk that is free."""
    title = shown(path.name)
    try:
        real = path.resolve(strict=True)
        # safety: a link on a stick may lead to any file of this machine, keys included. Those in
        # /dev are udev's.
        homes = (path.parent.resolve(), DEV)
        if path.is_symlink() and not any(real.is_relative_to(home) for home in homes):
            raise OperatorError(
                f"{title} is only a link, to {shown(str(real))}. Nothing was changed.",
                "Name the file itself, or copy it in the place of the link.",
            )
        mode = real.stat().st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
            raise OperatorError(
                f"{title} is neither a file nor a disk. Nothing was changed.",
                "Name the file of the image, or the device of a disk.",
            )
        str(real).encode()  # qemu-img takes no other names
        return Blob(real, _size(real, stat.S_ISBLK(mode)), is_device=stat.S_ISBLK(mode))
    except UnicodeEncodeError as error:
        raise OperatorError(
            f"The name of {title} is not in UTF-8. Nothing was changed.", "Give it another name."
        ) from error
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise OperatorError(
                f"The disk {title} is in use here. Nothing was changed.",
                "What is mounted or belongs to the pair is not taken: it changes while it is read.",
            ) from error
        raise unreadable(title, error) from error


def _size(path: Path, is_device: bool) -> int:
    # open(2): with O_EXCL a block device is refused that somebody has mounted or taken.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | (os.O_EXCL if is_device else 0)
    descriptor = os.open(path, flags)
    try:
        return os.lseek(descriptor, 0, os.SEEK_END)
    finally:
        os.close(descriptor)


def unreadable(title: str, error: OSError) -> OperatorError:
    """What an ERROR of the file called TITLE means."""
    return OperatorError(
        f"{title} cannot be read: {error.strerror}. Nothing was changed.",
        "Look whether the name is right, and the stick or disk that it lies on is still there.",
    )


def damaged(title: str, why: str) -> OperatorError:
    """The image called TITLE is not whole; WHY says what was seen."""
    return OperatorError(f"{title} is damaged: {why}. Nothing was changed.", NOT_WHOLE)
