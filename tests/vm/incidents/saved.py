# SPDX-License-Identifier: MIT
"""Backups, and what a guest has in them."""

import zlib

from tests.vm.machine import Machine

READS = 600.0  # seconds; an emulated disk is slow


def numbers_in(machine: Machine, disk: str) -> set[int]:
    """What the guest's file system in the raw DISK has, once it is mounted as after a power cut. A
    line is a number and its sum; one that was cut short is no number.
    """
    look = f"mkdir -p /run/look && mount -t ext4 -o loop {disk} /run/look"
    text = machine.run(f"{look} && tr -d '\\000' </run/look/numbers && umount /run/look")
    lines = [line.partition(" ") for line in text.splitlines()]
    return {int(n) for n, _, told in lines if told == f"{zlib.crc32(n.encode()):08x}"}
