# SPDX-License-Identifier: MIT
"""Owns the numbers and structures of a backup's file, and the error that tells a bad one.

It must not read or write anything. Lengths from a file are compared with the limits here first.
"""

import contextlib
import hashlib
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from haagent.errors import OperatorError

MAGIC = b"Shoestring backup\r\n\x1a\n\0\0\0"  # a transfer as text would break it
VERSION = 1
SUM = 32  # bytes of a BLAKE2b
START = struct.Struct(">24sHI")  # mark, version, length of the head; the same in every version
RECORD = struct.Struct(">4sHII32s")  # tag, disk, block, packed length, sum
ENTRY = struct.Struct(">32sI")  # sum, packed length; in this order for every block of every disk
PIECE = struct.Struct(">I")  # packed length
CLOSING = struct.Struct(">4sQQ32s32s")  # tag, where the index begins, length, digest, sum
TAG = 4  # bytes; tells what comes next
BLOCK_TAG, INDEX_TAG, CLOSING_TAG = b"BLCK", b"INDX", b"DONE"
ENTRIES = 4096  # of the index in one piece

BLOCK_SIZES = tuple(1 << power for power in range(16, 23))  # 64 KiB to 4 MiB
MOST_BLOCKS = 1 << 21  # of all disks
MOST_DISKS = 26  # xvda to xvdz
LONGEST_HEAD = 1 << 18  # bytes
LONGEST_CHAIN = 100  # incremental backups on a full one
NO_SUM = bytes(SUM)  # in the index: the block is zero

AGAIN = "Copy the file once more from where it came from, or take another backup."

Progress = Callable[[float], None]  # how much is done: 0 to 1


def silent(share: float) -> None:
    """A `Progress` that nobody sees."""


class BadBackup(OperatorError):
    """FILE is no backup, or not a whole one."""

    def __init__(self, file: str, what: str, hint: str = AGAIN) -> None:
        super().__init__(f"{file}: {what}.", hint)
        self.file, self.what = file, what


@contextlib.contextmanager
def readable(file: str) -> Iterator[None]:
    """What the kernel says while FILE is read becomes a BadBackup."""
    try:
        yield
    except OSError as error:
        raise BadBackup(file, f"it cannot be read: {error.strerror or error}") from error


def title(path: Path) -> str:
    """The name of a file, for a person."""
    # safety: a file's name is whatever somebody wrote there, and a terminal obeys.
    return "".join(c if c.isprintable() else "?" for c in path.name)


def checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=SUM).digest()


def place(disk: str, offset: int) -> str:
    """How a block is named to a person."""
    return f"the block at byte {offset} of disk {disk}"


def fitting_block(sizes: list[int]) -> int:
    """How large the blocks of a guest with disks of these SIZES are. Raises OperatorError."""
    for block in (1 << 20, BLOCK_SIZES[-1]):
        if sum(-(-size // block) for size in sizes) <= MOST_BLOCKS:
            return block
    raise OperatorError(
        f"The guest's disks have {sum(sizes) >> 40} TiB together, and a backup has at most "
        f"{BLOCK_SIZES[-1] * MOST_BLOCKS >> 40} TiB. Nothing was written.",
        "Back such a guest up from within.",
    )
