# SPDX-License-Identifier: MIT
"""Reads a whole backup from its beginning to its end, in a pipe too, and checks every byte of it.

It needs no base: what an incremental backup leaves to its base is checked there.
"""

import hashlib
import io
import os
from dataclasses import dataclass
from typing import IO

from haagent.backup import head as heads
from haagent.backup import index as indexes
from haagent.backup.compression import most, unpacked
from haagent.backup.head import Head
from haagent.backup.layout import (
    AGAIN,
    BLOCK_TAG,
    CLOSING,
    CLOSING_TAG,
    ENTRY,
    INDEX_TAG,
    LONGEST_HEAD,
    MAGIC,
    RECORD,
    START,
    SUM,
    TAG,
    VERSION,
    BadBackup,
    Progress,
    checksum,
    place,
    silent,
)

CUT_OFF = "It was not finished, or was cut off. " + AGAIN


@dataclass(frozen=True, slots=True)
class Examined:
    """All of it was read, and is as it was written."""

    head: Head
    digest: bytes
    length: int  # bytes of the file
    blocks: int  # that are stored in it


class Stream:
    """FILE, called NAME to a person, from where it stands; `at` says what is read just now."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = name
        self.at = "at its beginning"
        self.position = 0
        self._file = file
        self.sum = hashlib.blake2b(digest_size=SUM)

    def exactly(self, count: int) -> bytes:
        """The next COUNT bytes. Raises BadBackup."""
        data = self._read(count)
        if len(data) != count:
            raise BadBackup(self.name, f"it ends too early, {self.at}", CUT_OFF)
        self.sum.update(data)
        return data

    def is_at_end(self) -> bool:
        return not self._read(1)

    def bad(self, why: str) -> BadBackup:
        return BadBackup(self.name, f"it is damaged {self.at}: {why}")

    def _read(self, count: int) -> bytes:
        parts = []
        try:
            while count and (part := self._file.read(count)):
                parts.append(part)
                count -= len(part)
        except OSError as error:
            raise BadBackup(
                self.name, f"it cannot be read {self.at}: {error.strerror or error}"
            ) from error
        data = b"".join(parts)
        self.position += len(data)
        return data


def read_head(stream: Stream) -> tuple[Head, bytes]:
    """The head, and the bytes that the digest covers. Raises BadBackup."""
    start = stream.exactly(START.size)
    mark, version, length = START.unpack(start)
    if mark != MAGIC:
        raise BadBackup(stream.name, "it is no backup of Shoestring's")
    if version != VERSION:
        raise BadBackup(
            stream.name,
            f"its format is {version}, and this release reads {VERSION}",
            "It is from a newer release, or damaged. Update both machines first.",
        )
    stream.at = "in its head"
    if length > LONGEST_HEAD:
        raise stream.bad("that is too long")
    start += stream.exactly(length)
    if stream.exactly(SUM) != checksum(start):
        raise stream.bad("its sum is wrong")
    try:
        return heads.parse(start[START.size :]), start
    except ValueError as error:
        raise BadBackup(stream.name, f"its head is not understood: {error}") from error


def read_index(stream: Stream, tag: bytes, head: Head) -> indexes.Index:
    """The index, behind its TAG. Raises BadBackup."""
    if tag != INDEX_TAG:
        raise stream.bad("neither a block nor the index follows")
    stream.at = "in its index"
    try:
        return indexes.parse(head, stream.exactly)
    except ValueError as error:
        raise stream.bad(str(error)) from error


def examine(
    file: IO[bytes], name: str, length: int | None = None, progress: Progress = silent
) -> Examined:
    """FILE, which stands at its beginning and is called NAME; LENGTH is how long it is, if that is
    known. Raises BadBackup.
    """
    stream = Stream(file, name)
    head, start = read_head(stream)
    stored = _Stored(stream, head)
    stream.at = "before its first block"
    while (tag := stream.exactly(TAG)) == BLOCK_TAG:
        stored.take()
        progress(min(1.0, stream.position / length) if length else 0.0)
    index_at = stream.position - TAG
    index = read_index(stream, tag, head)
    stored.compare(index)
    stream.at = "at its end"
    digest = _closing(stream, index_at, indexes.digest(start, index.raw))
    if not stream.is_at_end():
        raise stream.bad("there is more behind it")
    progress(1.0)
    return Examined(head, digest, stream.position, stored.count)


def _closing(stream: Stream, index_at: int, digest: bytes) -> bytes:
    """Checks the last bytes. Raises BadBackup."""
    whole = stream.position + CLOSING.size
    data = stream.exactly(CLOSING.size - SUM)
    expected = CLOSING.pack(CLOSING_TAG, index_at, whole, digest, bytes(SUM))[:-SUM]
    total = stream.sum.digest()
    if data != expected:
        raise stream.bad("it does not belong to what is before it")
    if stream.exactly(SUM) != total:
        raise stream.bad("the sum over all of it is wrong")
    return digest


@dataclass(frozen=True, slots=True)
class _Record:
    """What stands before a block."""

    block: int  # among those of all disks
    size: int  # bytes of what it holds
    packed: int
    sum: bytes
    place: str


class _Records:
    """The records of a stream, which are in order."""

    def __init__(self, stream: Stream, head: Head) -> None:
        self._stream, self._head, self._firsts = stream, head, head.firsts
        self._last = -1

    def next(self) -> _Record:
        """Of the next block, behind its tag. Raises BadBackup."""
        stream, head = self._stream, self._head
        rest = stream.exactly(RECORD.size - TAG)
        _, disk, number, packed, found = RECORD.unpack(BLOCK_TAG + rest)
        offset = number * head.block
        if disk >= len(head.disks) or offset >= head.disks[disk].size:
            raise stream.bad("a block follows that no disk has")
        if self._firsts[disk] + number <= self._last:
            raise stream.bad("a block follows that belongs before it")
        self._last = self._firsts[disk] + number
        where = place(head.disks[disk].name, offset)
        stream.at = f"in {where}"
        size = min(head.block, head.disks[disk].size - offset)
        if packed > most(size):
            raise stream.bad("it is too long")
        return _Record(self._last, size, packed, found, where)


class _Stored:
    """The blocks in a stream, each checked."""

    def __init__(self, stream: Stream, head: Head) -> None:
        self.count = 0
        self._stream, self._head = stream, head
        self._records = _Records(stream, head)
        self._found = bytearray(head.blocks * ENTRY.size)

    def take(self) -> None:
        """The next block, behind its tag. Raises BadBackup."""
        stream, record = self._stream, self._records.next()
        try:
            data = unpacked(stream.exactly(record.packed), record.size)
        except ValueError as error:
            raise stream.bad(str(error)) from error
        if checksum(data) != record.sum:
            raise stream.bad("its sum is wrong")
        stream.at = f"after {record.place}"
        ENTRY.pack_into(self._found, record.block * ENTRY.size, record.sum, record.packed)
        self.count += 1

    def compare(self, index: indexes.Index) -> None:
        """Raises BadBackup unless INDEX tells of these blocks, and of no others."""
        theirs = ENTRY.iter_unpack(self._found)
        for block, ((found, stored), (our, packed)) in enumerate(zip(index, theirs, strict=True)):
            if stored != packed or (stored and found != our):
                where = located(self._head, block)
                raise self._stream.bad(f"it tells something else of {where}")


def located(head: Head, block: int) -> str:
    """Block number BLOCK of all, for a person."""
    for disk, first in reversed(list(zip(head.disks, head.firsts, strict=False))):
        if block >= first:
            return place(disk.name, (block - first) * head.block)
    raise IndexError(block)


def ending(file: IO[bytes], name: str) -> BadBackup:
    """Why FILE, which stands at its beginning, does not end as it should: how far it goes. Blocks
    are passed over, for there may be hours of them.
    """
    stream = Stream(file, name)
    try:
        _pass_over(file, stream)
    except BadBackup as error:
        return error
    return BadBackup(name, "its end is damaged")


def _pass_over(file: IO[bytes], stream: Stream) -> None:
    """Raises BadBackup."""
    head, _ = read_head(stream)
    records, whole = _Records(stream, head), os.fstat(file.fileno()).st_size
    stream.at = "before its first block"
    while (tag := stream.exactly(TAG)) == BLOCK_TAG:
        record = records.next()
        if file.seek(record.packed, io.SEEK_CUR) > whole:
            stream.exactly(1)
        stream.at = f"after {record.place}"
    read_index(stream, tag, head)
    stream.at = "at its end"
    stream.exactly(CLOSING.size)
    if not stream.is_at_end():
        raise stream.bad("there is more behind it")
