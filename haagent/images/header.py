# SPDX-License-Identifier: MIT
"""Owns what all formats' headers have in common: what one says, and how it is refused."""

from collections.abc import Iterator
from dataclasses import dataclass

from haagent.errors import OperatorError
from haagent.images.blob import Window

ALONE = (
    "Bring it in one file that needs no other: `qemu-img convert -O qcow2 IT NEW.qcow2` where it"
    " comes from makes one, with all that belongs to it."
)
NEWER = "Convert it where it comes from: `qemu-img convert -O raw IT NEW.raw`."
PIECE = 1 << 20  # bytes of a table that are looked at at once


@dataclass(frozen=True, slots=True)
class Header:
    """What a header says."""

    size: int  # bytes of the disk
    remarks: tuple[str, ...] = ()  # what is not taken over


def needs_others(title: str, what: str) -> OperatorError:
    """The image leads to another file: WHAT says to which."""
    # safety: a name in an image may be that of any file here, and the guest would read it.
    return OperatorError(f"{title} {what}. Nothing was changed.", ALONE)


def unknown(title: str, what: str) -> OperatorError:
    """WHAT is in there may be right, and we do not know it."""
    return OperatorError(f"{title} {what}, which is not taken in. Nothing was changed.", NEWER)


def table(window: Window, offset: int, count: int) -> Iterator[memoryview]:
    """COUNT little-endian numbers of four bytes at OFFSET, in pieces."""
    end = offset + 4 * count
    for at in range(offset, end, PIECE):
        yield memoryview(window.read(at, min(PIECE, end - at))).cast("I")
