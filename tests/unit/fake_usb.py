# SPDX-License-Identifier: MIT
"""What lsblk says of sticks and disks."""

from typing import Any


def part(name: str, kind: str | None = None, **more: Any) -> dict[str, Any]:
    """A row of `lsblk --json`, as util-linux 2.41 prints it."""
    row = {"name": name, "tran": None, "fstype": kind, "partlabel": None, "mountpoints": [None]}
    return {**row, "model": None, "size": "4G", **more}


def disk(
    name: str, *parts: dict[str, Any], tran: str | None = "usb", **more: Any
) -> dict[str, Any]:
    children = {"children": list(parts)} if parts else {}
    return {**part(name, tran=tran, model="Cruzer Blade", size="7.5G"), **children, **more}


STICK = disk("sdc", part("sdc1", "vfat"))
OTHERS = (
    disk("sda", part("sda1"), part("sda2", "vfat", partlabel="shoestring-esp")),
    disk("nvme0n1", part("nvme0n1p1", "vfat", partlabel="EFI System"), tran="nvme"),
    disk("vda", part("vda1", "vfat"), tran=None),
    disk("sdb", fstype="LVM2_member"),
    disk("sdd", part("sdd1", "ntfs")),
    disk("sde", part("sde1", "vfat", mountpoints=["/mnt"])),
)
