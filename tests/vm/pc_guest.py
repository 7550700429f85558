# SPDX-License-Identifier: MIT
"""The built-in guest on a disk that a PC with a BIOS starts: GRUB, and a partition behind it."""

import struct
import subprocess
from pathlib import Path

from tests.vm import tools

GUEST = tools.BUILD / "guest"  # where the appliance's build has its kernel and its system
GRUB = tools.TREE / "usr/lib/grub/i386-pc"
SECTOR = 512  # bytes
START = 2048  # sectors, as sfdisk(8) leaves before the first partition
SIZE = 160 << 20  # bytes of the partition
LINUX = 0x83  # the type of a partition
# What GRUB finds before it has read anything: its own commands, and where the kernel is.
SCRIPT = """\
set root=(hd0,msdos1)
linux /boot/vmlinuz console=ttyS0 quiet panic=1 guest.disk=/dev/xvda1 {network}
initrd /boot/initramfs
boot
"""
MODULES = ("biosdisk", "part_msdos", "ext2", "linux", "boot")
ROOM = (START - 1) * SECTOR  # for GRUB, behind the first sector


def make(image: Path, address: str, gateway: str) -> None:
    """IMAGE is the disk of one that answers for ADDRESS."""
    folder = image.with_suffix(".made")
    (folder / "tree/boot").mkdir(parents=True)
    for name in ("vmlinuz", "initramfs"):
        (folder / "tree/boot" / name).write_bytes((GUEST / name).read_bytes())
    partition = folder / "partition"
    with partition.open("wb") as file:
        file.truncate(SIZE)
    _run("mke2fs", "-q", "-t", "ext4", "-m", "0", "-d", folder / "tree", partition)

    script, core = folder / "grub.cfg", folder / "core.img"
    network = f"guest.address={address}/24 guest.gateway={gateway}"
    script.write_text(SCRIPT.format(network=network))
    options = ("-O", "i386-pc", "-p", "/boot/grub", "-c", script, "-o", core)
    _run("grub-mkimage", *options, *MODULES)
    with image.open("wb") as disk:
        disk.write(disk_with(core.read_bytes(), (GRUB / "boot.img").read_bytes(), SIZE))
        disk.seek(START * SECTOR)
        disk.write(partition.read_bytes())


def disk_with(core: bytes, boot: bytes, size: int) -> bytes:
    """What is before a partition of SIZE bytes. GRUB's BOOT code goes to the first sector, and
    takes its CORE from the next ones, whose number grub-mkimage has put into it.
    """
    assert len(core) <= ROOM, "GRUB would be in the partition"
    entry = struct.pack("<B3sB3sII", 0x80, b"\xfe" * 3, LINUX, b"\xfe" * 3, START, size // SECTOR)
    first = boot[:440] + bytes(6) + entry + bytes(48) + b"\x55\xaa"
    return (first + core).ljust(START * SECTOR, b"\0")


def _run(*argv: str | Path) -> None:
    done = subprocess.run(
        tools.command(*argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, f"{argv[0]} failed:\n{done.stdout}"
