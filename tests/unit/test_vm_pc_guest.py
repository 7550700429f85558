# SPDX-License-Identifier: MIT
"""The disk of a guest that a PC starts: what is before its partition."""

import struct

import pytest

from tests.vm.pc_guest import ROOM, SECTOR, START, disk_with


def test_grub_is_before_the_partition() -> None:
    core = b"core" * 300
    head = disk_with(core, b"b" * SECTOR, 8 << 20)
    assert len(head) == START * SECTOR and head[510:512] == b"\x55\xaa"
    assert head[:440] == b"b" * 440 and head[SECTOR : SECTOR + len(core)] == core
    assert struct.unpack("<B3xB3xII", head[446:462]) == (0x80, 0x83, START, (8 << 20) // SECTOR)
    with pytest.raises(AssertionError):
        disk_with(bytes(ROOM + 1), bytes(SECTOR), 8 << 20)
