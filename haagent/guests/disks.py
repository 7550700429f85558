# SPDX-License-Identifier: MIT
"""Owns how the disks of a guest lie on its one mirrored device: one behind the other, each a slice
of it. Pure.

What is kept of them is how large each is but the last, which has the rest: so the device's own size
is the only one, and when it grows, the last disk does. A guest with one disk has the device itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from haagent.errors import OperatorError

MEBIBYTE = 1 << 20
LARGEST = 1 << 30  # MiB
# As a guest calls them, in its order, and as a PC does: its CD drive, hdc, is its xvdc.
USUAL = tuple(f"xvd{letter}" for letter in "abcdefgh")
OF_A_PC = ("xvda", "xvdb", "xvdd")
LINKS = Path("/run/shoestring/slices")


@dataclass(frozen=True, slots=True)
class Slice:
    """One disk, in bytes of the device."""

    disk: str
    start: int
    size: int


def most(*, is_pc: bool) -> int:
    """Disks that a guest can have."""
    return len(OF_A_PC if is_pc else USUAL)


def names(sizes: Sequence[int], *, is_pc: bool) -> tuple[str, ...]:
    """Of the disks of a guest, of which all but the last have these SIZES."""
    return (OF_A_PC if is_pc else USUAL)[: len(sizes) + 1]


def device(minor: int, disk: str) -> str:
    """What device-mapper calls DISK on /dev/drbdMINOR."""
    return f"drbd{minor}-{disk}"


def path(minor: int, disk: str) -> Path:
    """Where it is as long as there is one."""
    return LINKS / device(minor, disk)


def cut(names: Sequence[str], sizes: Sequence[int], whole: int) -> tuple[Slice, ...]:
    """The disks called NAMES on a device of WHOLE bytes; SIZES are those of all but the last, in
    MiB. Raises OperatorError if they find no room.
    """
    starts = [start * MEBIBYTE for start in accumulate(sizes, initial=0)]
    if len(names) != len(starts) or starts[-1] >= whole:
        raise OperatorError(
            f"Disks of {', '.join(map(str, sizes))} MiB and one more are called"
            f" {', '.join(names)}, and cannot be on a device of {whole} bytes.",
            "The guest's settings and its disk are not of one make: ask for help before you change"
            " either.",
        )
    ends = [*starts[1:], whole]
    return tuple(
        Slice(name, start, end - start)
        for name, start, end in zip(names, starts, ends, strict=True)
    )


def in_mebibytes(sizes: Sequence[int]) -> tuple[int, ...]:
    """What is kept of disks of so many bytes each, in whole MiB, for the next begins behind."""
    return tuple(-(-size // MEBIBYTE) for size in sizes[:-1])


def room(sizes: Sequence[int]) -> int:
    """Bytes of a device for disks of so many bytes each."""
    return sum(in_mebibytes(sizes)) * MEBIBYTE + sizes[-1]
