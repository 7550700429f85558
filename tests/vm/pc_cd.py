# SPDX-License-Identifier: MIT
"""A CD that a PC with a BIOS starts from, and that says so on the serial line: ISO 9660 (ECMA-119)
with a boot record (El Torito, version 1.0). There is no file on it.
"""

import struct

SECTOR = 2048  # bytes
SAYS = "started from a CD"
CATALOG, PROGRAM = 19, 20  # sectors; the descriptors are from 16 on
# What the BIOS loads and jumps to: it writes what follows it to COM1, twice a second, for ever.
CODE = bytes.fromhex(
    "fc 0e 1f"  # cld; push cs; pop ds
    "e8 00 00 5b"  # call, pop bx: where we are
    "b4 86 b9 07 00 31 d2 cd 15"  # the BIOS waits for 7 << 16 microseconds
    "8d 77 24"  # lea si, [bx+36]: what follows
    "ac 84 c0 74 ef"  # lodsb; nothing left: from the wait on
    "88 c4 ba fd 03 ec a8 20 74 fb"  # until the line's status has bit 5
    "88 e0 ba f8 03 ee eb e9"  # out, and the next
)


def image() -> bytes:
    descriptors = (
        _descriptor(1, b""),
        _descriptor(0, b"EL TORITO SPECIFICATION".ljust(64, b"\0") + struct.pack("<I", CATALOG)),
        _descriptor(255, b""),
    )
    program = CODE + f"{SAYS}\r\n".encode() + b"\0"
    sectors = [*([b""] * 16), *descriptors, _catalog(), program]
    return b"".join(sector.ljust(SECTOR, b"\0") for sector in sectors)


def _descriptor(kind: int, content: bytes) -> bytes:
    return struct.pack("B5sB", kind, b"CD001", 1) + content


def _catalog() -> bytes:
    """A PC's program of one sector, loaded where BIOSes load such, without the look of a disk."""
    check = struct.pack("<BBH24sHBB", 1, 0, 0, b"", 0, 0x55, 0xAA)
    total = -sum(struct.unpack("<16H", check)) & 0xFFFF
    check = check[:28] + struct.pack("<H", total) + check[30:]
    return check + struct.pack("<BBHBBHI20x", 0x88, 0, 0, 0, 0, SECTOR // 512, PROGRAM)
