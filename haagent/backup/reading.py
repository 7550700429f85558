# SPDX-License-Identifier: MIT
"""A backup's file, opened: its head, its index, and any of its blocks without reading the others.

What is at its ends is checked when it is opened, and a block when it is read: what is given out is
what was backed up. Everything raises BadBackup.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

from haagent.backup import index as indexes
from haagent.backup.compression import unpacked
from haagent.backup.examining import Examined, Stream, ending, examine, read_head, read_index
from haagent.backup.head import Head
from haagent.backup.index import Index
from haagent.backup.layout import (
    AGAIN,
    BLOCK_TAG,
    CLOSING,
    CLOSING_TAG,
    RECORD,
    TAG,
    BadBackup,
    Progress,
    checksum,
    place,
    silent,
    title,
)


class Backup:
    """PATH, until it is closed; as a context manager, until its end."""

    def __init__(self, path: Path) -> None:
        self.path, self.title = path, title(path)
        with contextlib.ExitStack() as undo:
            self._file = undo.enter_context(opened(path))
            stream = Stream(self._file, self.title)
            self.head: Head
            self.head, start = read_head(stream)
            self.blocks_at = stream.position
            index_at, self.digest, self.length = self._closing()
            self.index: Index = self._index(index_at)
            if indexes.digest(start, self.index.raw) != self.digest:
                raise BadBackup(self.title, "its head or its index is damaged")
            self._undo = undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._undo.close()

    def forget_index(self) -> None:
        """For whoever keeps many open: there is none any more."""
        del self.index

    @property
    def identity(self) -> tuple[int, ...]:
        """Of the file, as `Target.identity`."""
        found = os.fstat(self._file.fileno())
        return (found.st_dev, found.st_ino)

    def block(self, disk: int, number: int, at: int, packed: int, found: bytes) -> bytes:
        """What block NUMBER of DISK holds: PACKED bytes behind its record AT that place of the
        file, with the sum FOUND.
        """
        offset = number * self.head.block
        size = min(self.head.block, self.head.disks[disk].size - offset)
        data = self._at(at, RECORD.size + packed)
        try:
            if data[: RECORD.size] != RECORD.pack(BLOCK_TAG, disk, number, packed, found):
                raise ValueError("something else is in its place")
            whole = unpacked(data[RECORD.size :], size)
            if checksum(whole) != found:
                raise ValueError("its sum is wrong")
        except ValueError as error:
            where = place(self.head.disks[disk].name, offset)
            raise BadBackup(self.title, f"{where} is damaged: {error}") from error
        return whole

    def examine(self, progress: Progress = silent) -> Examined:
        """Checks every byte of the file."""
        self._file.seek(0)
        return examine(self._file, self.title, self.length, progress)

    def _closing(self) -> tuple[int, bytes, int]:
        """Where the index begins, the digest, and the length of the file."""
        length = os.fstat(self._file.fileno()).st_size
        if length >= self.blocks_at + CLOSING.size:
            data = self._at(length - CLOSING.size, CLOSING.size)
            tag, index_at, said, digest, _ = CLOSING.unpack(data)
            if tag == CLOSING_TAG and said == length and self.blocks_at <= index_at < length:
                return index_at, digest, length
        self._file.seek(0)
        raise ending(self._file, self.title)

    def _index(self, index_at: int) -> Index:
        self._file.seek(index_at)
        stream = Stream(self._file, self.title)
        found = read_index(stream, stream.exactly(TAG), self.head)
        ends_at = index_at + stream.position + CLOSING.size
        if self.blocks_at + found.stored != index_at or ends_at != self.length:
            raise BadBackup(self.title, "its index does not belong to its blocks")
        return found

    def _at(self, offset: int, count: int) -> bytes:
        self._file.seek(offset)
        stream = Stream(self._file, self.title)
        stream.at = f"at byte {offset} of the file"
        return stream.exactly(count)


def peek(path: Path) -> Head:
    """What PATH says of itself; the rest is not looked at."""
    with opened(path) as file:
        head, _ = read_head(Stream(file, title(path)))
        return head


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    try:
        # A name on somebody's stick may be that of a pipe, which nobody ever writes to.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        why = f"it cannot be opened: {error.strerror}"
        raise BadBackup(title(path), why, "Look at the place where it is.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadBackup(title(path), "it is no file", AGAIN)
    with os.fdopen(descriptor, "rb") as file:
        yield file
