# SPDX-License-Identifier: MIT
"""Owns the index of a backup: for every block the sum of what it holds, and the length that is
stored of it. It is bytes in memory as well, for there may be two millions of them.
"""

import hashlib
from collections.abc import Callable, Iterator

from haagent.backup.compression import most, packer, unpacked
from haagent.backup.head import Head
from haagent.backup.layout import ENTRIES, ENTRY, NO_SUM, PIECE, RECORD, SUM


class Index:
    """RAW has an entry for each block of every disk of HEAD, in their order.

    Raises ValueError if it contradicts itself.
    """

    def __init__(self, head: Head, raw: bytearray) -> None:
        self.raw = raw
        self.firsts = head.firsts
        self._starts = {disk.name: at for disk, at in zip(head.disks, self.firsts, strict=False)}
        self._ends = dict(zip(self._starts, self.firsts[1:], strict=True))
        if len(raw) != head.blocks * ENTRY.size:
            raise ValueError("it has another length")
        limit = most(head.block)
        for found, stored in self:
            if stored > limit or (stored and found == NO_SUM):
                raise ValueError("a block has an impossible length")
            if head.base is None and not stored and found != NO_SUM:
                raise ValueError("a block is nowhere")

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        """The sum and the stored length of each block."""
        return ENTRY.iter_unpack(self.raw)

    def sum_of(self, block: int) -> bytes:
        """Of a BLOCK, counted over all disks; NO_SUM of a zero one."""
        return bytes(self.raw[block * ENTRY.size : block * ENTRY.size + SUM])

    def find(self, disk: str, number: int) -> int | None:
        """Where block NUMBER of DISK is among all; None if there is none."""
        start = self._starts.get(disk)
        if start is None or start + number >= self._ends[disk]:
            return None
        return start + number

    @property
    def stored(self) -> int:
        """Bytes of all blocks in the file, with what stands before each."""
        return sum(RECORD.size + stored for _, stored in self if stored)


def pieces(raw: bytearray) -> Iterator[bytes]:
    """The index as it is in the file; `parse` is the reverse."""
    pack = packer()
    for at in range(0, len(raw), ENTRIES * ENTRY.size):
        packed = pack(bytes(raw[at : at + ENTRIES * ENTRY.size]))
        yield PIECE.pack(len(packed)) + packed


def parse(head: Head, exactly: Callable[[int], bytes]) -> Index:
    """From a file, of which EXACTLY gives the next bytes. Raises ValueError."""
    whole = head.blocks * ENTRY.size
    found = bytearray()
    while len(found) < whole:
        size = min(whole - len(found), ENTRIES * ENTRY.size)
        (packed,) = PIECE.unpack(exactly(PIECE.size))
        if packed > most(size):
            raise ValueError("a piece of it is too long")
        found += unpacked(exactly(packed), size)
    return Index(head, found)


def digest(head: bytes, raw: bytearray) -> bytes:
    """Of a backup, over its HEAD as it is in the file and the RAW index."""
    made = hashlib.blake2b(head, digest_size=SUM)
    made.update(raw)
    return made.digest()
