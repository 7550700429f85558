# SPDX-License-Identifier: MIT
"""What a PC starts from in the tests: a disk, and a CD."""

import struct

import pytest

from haagent import inserting
from tests.vm import pc_cd
from tests.vm.pc_guest import ROOM, SECTOR, START, disk_with


def test_grub_is_before_the_partition() -> None:
    core = b"core" * 300
    head = disk_with(core, b"b" * SECTOR, 8 << 20)
    assert len(head) == START * SECTOR and head[510:512] == b"\x55\xaa"
    assert head[:440] == b"b" * 440 and head[SECTOR : SECTOR + len(core)] == core
    assert struct.unpack("<B3xB3xII", head[446:462]) == (0x80, 0x83, START, (8 << 20) // SECTOR)
    with pytest.raises(AssertionError):
        disk_with(bytes(ROOM + 1), bytes(SECTOR), 8 << 20)


def test_a_bios_finds_the_program_of_the_cd() -> None:
    """By the steps of El Torito 1.0: the boot record, its catalog, the first entry of that."""
    sectors = [pc_cd.image()[at:][: pc_cd.SECTOR] for at in range(0, 21 * 2048, 2048)]
    assert b"".join(sectors)[inserting.AT :].startswith(inserting.MARK)
    record = sectors[17]
    assert record[:7] == b"\0CD001\1" and record[7:30] == b"EL TORITO SPECIFICATION"
    catalog = sectors[int.from_bytes(record[71:75], "little")]
    assert sum(struct.unpack("<16H", catalog[:32])) & 0xFFFF == 0
    assert catalog[:2] == b"\1\0" and catalog[30:34] == b"\x55\xaa\x88\0"
    count, place = struct.unpack("<HI", catalog[38:44])
    assert count == 4 and pc_cd.SAYS.encode() in sectors[place]
    # The program takes its text from 36 bytes behind what `pop bx` has found.
    assert len(pc_cd.CODE) == 6 + 0x24
