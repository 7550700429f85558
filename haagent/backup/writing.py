# SPDX-License-Identifier: MIT
"""Writes a backup, from its beginning to its end, without ever going back: into a file or a pipe.

What it raises is an OperatorError; then what was written has no closing, and is no backup.
"""

import errno
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from haagent.backup import head as heads
from haagent.backup import index as indexes
from haagent.backup.compression import packer
from haagent.backup.disks import Source, is_zero
from haagent.backup.files import unwritten, whole_file
from haagent.backup.head import Disk, Head
from haagent.backup.index import Index
from haagent.backup.layout import (
    BLOCK_TAG,
    CLOSING,
    CLOSING_TAG,
    ENTRY,
    INDEX_TAG,
    MAGIC,
    NO_SUM,
    RECORD,
    START,
    SUM,
    VERSION,
    Progress,
    checksum,
    silent,
)
from haagent.backup.reading import Backup
from haagent.errors import BugError


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a backup."""

    head: Head
    digest: bytes
    length: int  # bytes of the file
    stored: int  # bytes of the blocks in it, unpacked
    zeros: int  # bytes of the blocks that are zero


def write_file(
    folder: Path,
    guest: str,
    at: datetime,
    definition: str,
    sources: Sequence[Source],
    base: Backup | None = None,
    progress: Progress = silent,
) -> tuple[Path, Written]:
    """A backup of GUEST in FOLDER, under the name that it should have; DEFINITION is YAML text.
    With BASE it is incremental.
    """
    head = planned(guest, at, definition, sources, base)
    path = folder / str(head.name)
    with whole_file(path) as file:
        written = write(file, head, sources, base, progress)
    return path, written


def planned(
    guest: str,
    at: datetime,
    definition: str,
    sources: Sequence[Source],
    base: Backup | None = None,
) -> Head:
    """What `write` needs; its name is what the file should be called."""
    disks = [Disk(source.name, source.size) for source in sources]
    return heads.offspring(
        guest, at, definition, disks, (base.head, base.digest) if base is not None else None
    )


def write(
    file: IO[bytes],
    head: Head,
    sources: Sequence[Source],
    base: Backup | None = None,
    progress: Progress = silent,
) -> Written:
    """HEAD's backup into FILE; SOURCES are its disks, and BASE is its base."""
    if (head.base and head.base.id) != (base and base.head.id):
        raise BugError(f"{head.name} is written against another base than it names")
    out = _Out(file)
    said = heads.text(head)
    start = START.pack(MAGIC, VERSION, len(said)) + said
    out.write(start + checksum(start))
    blocks = _Blocks(out, head, base.index if base is not None else None)
    done = 0
    for number, source in enumerate(sources):
        for at in range(0, source.size, head.block):
            data = source.read(at, min(head.block, source.size - at))
            blocks.add(number, at // head.block, data)
            done += len(data)
            progress(done / head.size)
    index_at = out.length
    out.write(INDEX_TAG)
    for piece in indexes.pieces(blocks.entries):
        out.write(piece)
    digest = indexes.digest(start, blocks.entries)
    closing = CLOSING.pack(CLOSING_TAG, index_at, out.length + CLOSING.size, digest, bytes(SUM))
    out.write(closing[:-SUM])
    out.write(out.sum.digest())
    return Written(head, digest, out.length, blocks.stored, blocks.zeros)


class _Blocks:
    """Writes what must be stored, and makes the index of all."""

    def __init__(self, out: "_Out", head: Head, base: Index | None) -> None:
        self.entries = bytearray()
        self.stored = self.zeros = 0
        self._out, self._head, self._base = out, head, base
        self._pack = packer()

    def add(self, disk: int, number: int, data: bytes) -> None:
        if is_zero(data):
            self.entries += ENTRY.pack(NO_SUM, 0)
            self.zeros += len(data)
            return
        found = checksum(data)
        if self._is_in_base(disk, number, found):
            self.entries += ENTRY.pack(found, 0)
            return
        packed = self._pack(data)
        self._out.write(RECORD.pack(BLOCK_TAG, disk, number, len(packed), found))
        self._out.write(packed)
        self.entries += ENTRY.pack(found, len(packed))
        self.stored += len(data)

    def _is_in_base(self, disk: int, number: int, found: bytes) -> bool:
        if self._base is None:
            return False
        block = self._base.find(self._head.disks[disk].name, number)
        return block is not None and self._base.sum_of(block) == found


class _Out:
    """A file or a pipe, and the sum of all that went there."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.length = 0
        self.sum = hashlib.blake2b(digest_size=SUM)

    def write(self, data: bytes) -> None:
        """Raises OperatorError."""
        left = memoryview(data)
        try:
            while left:
                # A pipe takes a part; one that does not wait takes None of it.
                if not (taken := self._file.write(left)):
                    raise OSError(errno.EAGAIN, "it takes nothing")
                left = left[taken:]
        except OSError as error:
            raise unwritten("The backup", error) from error
        self.sum.update(data)
        self.length += len(data)
