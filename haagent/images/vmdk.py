# SPDX-License-Identifier: MIT
"""The headers of a VMDK: one file with a header (monolithicSparse, streamOptimized), or a text that
names the file with the data (monolithicFlat); VMware's "Virtual Disk Format 5.0", block/vmdk.c of
QEMU.
"""

import re
import struct
from dataclasses import dataclass
from typing import Self

from haagent.carrying import shown
from haagent.errors import OperatorError
from haagent.images.blob import SECTOR, Window, damaged
from haagent.images.header import ALONE, Header, needs_others, table, unknown
from haagent.images.recognition import DECRYPT

MARK = b"KDMV"
# magic, version, flags, capacity, grain, descriptor's offset and size, entries of a grain table,
# redundant directory, directory, overhead, unclean, four line ends, compression
FIELDS = struct.Struct("<4sIIQQQQIQQQB4sH")
LINE_ENDS = b"\n \r\n"  # a transfer as text changes them
COMPRESSED, HAS_MARKERS = 1 << 16, 1 << 17
AT_THE_END = (1 << 64) - 1  # for the directory's offset: it is in the footer
FOOTER = struct.Struct("<QII496x512sQII496x")  # a marker, the header again, the last marker
FOOTER_KIND, LAST_KIND = 3, 0
GRAIN_MARKER = struct.Struct("<QI")  # a sector of the disk, bytes that follow
ZERO_GRAIN = 1  # this and below: nothing is there
MOST_ENTRIES = 512  # of a grain table; QEMU takes no more
MOST_TABLES = 1 << 20
LARGEST_GRAIN = 1 << 21  # sectors
LONGEST_TEXT = 1 << 20  # bytes
QEMU_LOOKS = (SECTOR, 20 * SECTOR)  # where it looks for a parent, whatever the header says
IN_ONE_FILE = ("monolithicSparse", "streamOptimized")
FLAT = ("monolithicFlat", "vmfs")

SETTING = re.compile(r'^\s*([A-Za-z.]+)\s*=\s*"?([^"\n]*?)"?\s*$', re.MULTILINE)
EXTENT_LINE = re.compile(r"^\s*(?:RW|RDONLY|NOACCESS)\b.*$", re.MULTILINE)
EXTENT = re.compile(r'\s*(?:RW|RDONLY)\s+([0-9]{1,15})\s+(\w+)\s+"([^"]+)"(?:\s+([0-9]{1,15}))?\s*')


@dataclass(frozen=True, slots=True)
class Flat:
    """The data of a disk: SIZE bytes at OFFSET of the file NAME beside the descriptor."""

    name: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class _Fields:
    """The fields of a header, in their order."""

    mark: bytes
    version: int
    flags: int
    capacity: int  # sectors, as are all offsets
    grain: int
    text: int
    text_size: int
    entries: int
    redundant: int
    directory: int
    overhead: int
    unclean: int
    line_ends: bytes
    compression: int

    @classmethod
    def of(cls, data: bytes) -> Self:
        return cls(*FIELDS.unpack_from(data))

    @property
    def tables(self) -> int:
        return -(-self.capacity // (self.grain * self.entries))


def is_text(window: Window) -> bool:
    return window.head(len(MARK)) != MARK


def header(window: Window) -> Header:
    """Of one file with a header. Raises OperatorError if it leads to another, or is damaged."""
    first = _Fields.of(window.read(0, FIELDS.size))
    # safety: where this is 0, QEMU takes the text inside for a list of other files.
    if not first.capacity:
        raise damaged(window.title, "its header says that the disk has no size")
    if first.version not in (1, 2, 3):
        raise unknown(window.title, f"is a VMDK of version {first.version}")
    if first.line_ends != LINE_ENDS:
        raise damaged(window.title, "it was transferred as text")
    if not first.text:
        raise needs_others(window.title, "is one piece of a disk of several files")
    if first.text_size > LONGEST_TEXT // SECTOR:
        raise damaged(window.title, "its header cannot be right")
    text = window.read(first.text * SECTOR, first.text_size * SECTOR)
    start, length = QEMU_LOOKS
    _check_alone(window, _decoded(window, text), IN_ONE_FILE)
    # safety: QEMU finds a parent here even where the header names another place.
    if b"parentFileNameHint" in window.head(start + length):
        raise _has_parent(window)
    found = _whole(window, first)
    if (
        not 0 < found.grain <= LARGEST_GRAIN
        or found.grain.bit_count() != 1
        or not 0 < found.entries <= MOST_ENTRIES
        or found.tables > MOST_TABLES
    ):
        raise damaged(window.title, "its header cannot be right")
    return Header(found.capacity * SECTOR)


def end(window: Window) -> int:
    """Up to where its file must reach."""
    found = _whole(window, _Fields.of(window.read(0, FIELDS.size)))
    last = 0
    for directory in table(window, found.directory * SECTOR, found.tables):
        for at in filter(None, directory):
            (grains,) = table(window, at * SECTOR, found.entries)
            last = max(last, max(grains))
    if last <= ZERO_GRAIN:
        return 0
    if found.flags & COMPRESSED and found.flags & HAS_MARKERS:
        _, size = GRAIN_MARKER.unpack(window.read(last * SECTOR, GRAIN_MARKER.size))
        return int(last * SECTOR + GRAIN_MARKER.size + size)
    return (last + (0 if found.flags & COMPRESSED else found.grain)) * SECTOR


def flat(window: Window) -> Flat:
    """Of a descriptor. Raises OperatorError if it is not about one flat file beside it."""
    if window.size > LONGEST_TEXT:
        raise damaged(window.title, "a descriptor is never so long")
    text = _decoded(window, window.read(0, window.size))
    _check_alone(window, text, FLAT)
    lines = EXTENT_LINE.findall(text)
    if len(lines) != 1:
        raise needs_others(window.title, f"is a disk of {len(lines)} files")
    extent = EXTENT.fullmatch(lines[0])
    if not extent or extent[2] not in ("FLAT", "VMFS"):
        raise unknown(window.title, f"has its data as {shown(lines[0]):.60}")
    name = extent[3]
    if "/" in name or "\\" in name or name in (".", ".."):
        raise OperatorError(
            f"{window.title} has its data in {shown(name):.80}, outside of its own folder. Nothing"
            " was changed.",
            "Put both files into one folder, and change the name in the descriptor to the file's"
            f" alone. {ALONE}",
        )
    return Flat(name, int(extent[4] or 0) * SECTOR, int(extent[1]) * SECTOR)


def _whole(window: Window, first: _Fields) -> _Fields:
    """The header that counts: the one at the end, where FIRST was written before the data."""
    if first.directory != AT_THE_END:
        return first
    if window.size % SECTOR or window.size < FOOTER.size:
        raise damaged(window.title, "it has no end")
    _, size, kind, data, last, last_size, last_kind = FOOTER.unpack(
        window.read(window.size - FOOTER.size, FOOTER.size)
    )
    found = _Fields.of(data)
    is_footer = (size, kind, found.mark) == (0, FOOTER_KIND, MARK)
    if not is_footer or (last, last_size, last_kind) != (0, 0, LAST_KIND):
        raise damaged(window.title, "it has no end")
    if found.capacity != first.capacity or found.directory == AT_THE_END:
        raise damaged(window.title, "its beginning and its end are of two disks")
    return found


def _decoded(window: Window, text: bytes) -> str:
    try:
        return text.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        raise unknown(window.title, "has a descriptor that is not in UTF-8") from None


def _check_alone(window: Window, text: str, kinds: tuple[str, ...]) -> None:
    settings = {name.lower(): value for name, value in SETTING.findall(text)}
    if "parentfilenamehint" in settings or settings.get("parentcid", "ffffffff") != "ffffffff":
        raise _has_parent(window)
    if any("encrypt" in name or "keysafe" in name for name in settings):
        raise OperatorError(f"{window.title} is encrypted. Nothing was changed.", DECRYPT)
    kind = settings.get("createtype", "")
    if kind not in kinds:
        raise unknown(window.title, f"is a VMDK of the kind {shown(kind)[:40]!r}")


def _has_parent(window: Window) -> OperatorError:
    return needs_others(
        window.title, "is only the changes to another image, as a snapshot has them"
    )
