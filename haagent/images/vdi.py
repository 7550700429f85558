# SPDX-License-Identifier: MIT
"""The header of a VDI, VirtualBox's own; block/vdi.c of QEMU."""

import struct
from typing import Any

from haagent.images.blob import SECTOR, Window, damaged
from haagent.images.header import Header, needs_others, table, unknown

AT = 0x44  # behind the mark
# version, header's size, type, flags; a text; the map's and the data's offset; cylinders, heads,
# sectors; bytes of a sector; unused; bytes of the disk; of a block, of what is before one; blocks,
# and how many of them are there; UUIDs: own, of the snapshot, of the link, of the parent
FIELDS = struct.Struct("<4I256s2I3I2IQ4I16s16s16s16s")
VERSION = 0x00010001
DYNAMIC, STATIC, DIFFERENCING = 1, 2, 4
BLOCK = 1 << 20  # bytes; QEMU takes no other
MISSING = 0xFFFFFFFE  # this and above: a block that is not there
NONE = bytes(16)


def header(window: Window) -> Header:
    """Raises OperatorError if the image leads to another file, or is damaged."""
    version, _, kind, *_ = fields = _fields(window)
    sector, size, block, extra, blocks = (fields[i] for i in (10, 12, 13, 14, 15))
    link, parent = fields[19:21]
    if version != VERSION:
        raise unknown(window.title, f"is a VDI of version {version >> 16}.{version & 0xFFFF}")
    if kind == DIFFERENCING or (link, parent) != (NONE, NONE):
        raise needs_others(
            window.title, "is only the changes to another image, as a snapshot has them"
        )
    if kind not in (DYNAMIC, STATIC) or sector != SECTOR or block != BLOCK or extra:
        raise unknown(window.title, "is a VDI of an unusual kind")
    if blocks != -(-size // BLOCK):
        raise damaged(window.title, f"it has {blocks} blocks for a disk of {size} bytes")
    return Header(size)


def end(window: Window) -> int:
    """Up to where its file must reach."""
    fields = _fields(window)
    map_at, data_at, blocks = fields[5], fields[6], fields[15]
    used = [
        max((n for n in part if n < MISSING), default=-1) for part in table(window, map_at, blocks)
    ]
    last = max(used, default=-1)
    return int(data_at + (last + 1) * BLOCK)


def _fields(window: Window) -> tuple[Any, ...]:
    return FIELDS.unpack(window.read(AT, FIELDS.size))
