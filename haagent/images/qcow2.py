# SPDX-License-Identifier: MIT
"""The header of a qcow2 file; docs/interop/qcow2.txt of QEMU. Whether its tables are right is for
`qemu-img check` to say.
"""

import struct
from dataclasses import dataclass
from typing import Self

from haagent.errors import OperatorError
from haagent.images.blob import Window, damaged
from haagent.images.header import Header, needs_others, unknown
from haagent.images.recognition import DECRYPT

# magic, version, backing file's offset and size, cluster bits, size, encryption, L1's entries and
# offset, the refcount table's offset and clusters, number of snapshots and their offset
FIRST = struct.Struct(">4sIQIIQIIQQIIQ")
SECOND = struct.Struct(">QQQII")  # features: incompatible, compatible, autoclear; order; length
CORRUPT, DATA_FILE = 1 << 1, 1 << 2  # incompatible features
# dirty, corrupt, data file, compression type, extended L2
KNOWN = 0b11111
EXTENSION = struct.Struct(">II")  # type, length
END, ENCRYPTION, DATA_FILE_NAME = 0, 0x0537BE77, 0x44415441
MOST_EXTENSIONS = 100


@dataclass(frozen=True, slots=True)
class _Fields:
    """The fields that matter, in their order."""

    version: int
    backing_offset: int
    backing_size: int
    cluster_bits: int
    size: int
    encryption: int
    l1_entries: int
    l1_offset: int
    refcount_offset: int
    refcount_clusters: int
    snapshots: int
    snapshots_offset: int

    @classmethod
    def of(cls, data: bytes) -> Self:
        return cls(*FIRST.unpack_from(data)[1:])


def header(window: Window) -> Header:
    """Raises OperatorError if the image leads to another file, or is damaged."""
    found = _Fields.of(window.read(0, FIRST.size))
    if found.version not in (2, 3):
        raise unknown(window.title, f"is a qcow2 of version {found.version}")
    if found.backing_offset or found.backing_size:
        raise needs_others(window.title, "is only the changes to another image, its backing file")
    if found.encryption:
        raise _encrypted(window)
    if not 9 <= found.cluster_bits <= 21:
        raise damaged(window.title, f"its clusters cannot be 2^{found.cluster_bits} bytes")
    if found.version == 3:
        _check_features(window)
    _check_extensions(window, found)
    ends = (
        found.l1_offset + 8 * found.l1_entries,
        found.refcount_offset + (found.refcount_clusters << found.cluster_bits),
    )
    if max(ends) > window.size:
        raise damaged(window.title, f"it ends at {window.size}, and its tables at {max(ends)}")
    count = found.snapshots
    remarks = (f"{count} snapshots in it; the disk is taken as it is now",) if count else ()
    return Header(found.size, remarks)


def _check_features(window: Window) -> None:
    features, *_ = SECOND.unpack(window.read(FIRST.size, SECOND.size))
    if features & DATA_FILE:
        raise _has_data_file(window)
    if features & CORRUPT:
        raise damaged(window.title, "it is marked as corrupt")
    if features & ~KNOWN:
        raise unknown(window.title, "has features that are newer than what reads it here")


def _check_extensions(window: Window, found: _Fields) -> None:
    """docs/interop/qcow2.txt: they follow the header, up to the one of type 0."""
    at = FIRST.size
    if found.version == 3:
        *_, at = SECOND.unpack(window.read(FIRST.size, SECOND.size))
    for _ in range(MOST_EXTENSIONS):
        # A header of version 2 may fill its file: then there are none.
        if at + EXTENSION.size > min(window.size, 1 << found.cluster_bits):
            return
        kind, length = EXTENSION.unpack(window.read(at, EXTENSION.size))
        if kind == END:
            return
        if kind == DATA_FILE_NAME:
            raise _has_data_file(window)
        if kind == ENCRYPTION:
            raise _encrypted(window)
        at += EXTENSION.size + length + -length % 8
    raise damaged(window.title, "its header does not end")


def _has_data_file(window: Window) -> OperatorError:
    return needs_others(window.title, "has its data in another file")


def _encrypted(window: Window) -> OperatorError:
    return OperatorError(f"{window.title} is encrypted. Nothing was changed.", DECRYPT)
