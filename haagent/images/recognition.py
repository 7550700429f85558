# SPDX-License-Identifier: MIT
"""Owns which format an image has, by the bytes that it begins with. A name says nothing."""

from enum import StrEnum

from haagent.errors import OperatorError
from haagent.images.blob import SECTOR, Window


class Format(StrEnum):
    """What can be taken in; qemu's own names but for the last one."""

    RAW = "raw"  # the bytes of a disk as they are
    QCOW2 = "qcow2"
    VMDK = "vmdk"
    VDI = "vdi"
    OVA = "ova"  # a tar with the description of a machine and its disks


HEAD = 0x9000  # bytes that all marks lie in
MARKS = (
    (0, b"QFI\xfb", Format.QCOW2),
    (0, b"KDMV", Format.VMDK),
    (0, b"# Disk Descriptor", Format.VMDK),
    (0x40, b"\x7f\x10\xda\xbe", Format.VDI),
    (257, b"ustar", Format.OVA),
)
CONVERT = "Convert it where it comes from: `qemu-img convert -O qcow2 IT NEW.qcow2` makes one file."
UNPACK = "Unpack it first, and name what comes out."
DECRYPT = "Take the encryption away where it comes from; nobody here can ask for its key."
# safety: what looks like another format is never taken for a raw disk: the guest would get the
# container instead of what is in it.
OTHERS = (
    (0, b"COWD", "a VMDK of old VMware ESX", CONVERT),
    (0, b"QED\0", "a QED image", CONVERT),
    (0, b"conectix", "a VHD", CONVERT),
    (-SECTOR, b"conectix", "a VHD", CONVERT),
    (0, b"vhdxfile", "a VHDX", CONVERT),
    (0, b"WithoutFreeSpace", "an image of Parallels", CONVERT),
    (0, b"WithouFreSpacExt", "an image of Parallels", CONVERT),
    (-SECTOR, b"koly", "a DMG", CONVERT),
    (0, b"LUKS\xba\xbe", "encrypted as a whole (LUKS)", DECRYPT),
    (0, b"\x1f\x8b", "packed by gzip", UNPACK),
    (0, b"BZh", "packed by bzip2", UNPACK),
    (0, b"\xfd7zXZ\0", "packed by xz", UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "packed by zstd", UNPACK),
    (0, b"PK\x03\x04", "a ZIP file", UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z file", UNPACK),
    (0, b"Rar!", "a RAR file", UNPACK),
    (
        0x8001,
        b"CD001",
        "the image of a CD or DVD, not of a disk",
        "Install from it in a virtual machine, and bring the disk of that one.",
    ),
    (
        0,
        b"<?xml",
        "a description in XML, not a disk",
        "If it is an OVF, pack it with its disks as an OVA: `tar --format=ustar -cf IT.ova IT.ovf"
        " IT.mf DISK.vmdk`; or name a disk of it.",
    ),
)


def recognise(window: Window) -> Format:
    """Raises OperatorError if it is something that cannot be taken in."""
    if window.size == 0:
        raise OperatorError(
            f"{window.title} is empty. Nothing was changed.", "Bring the file again, whole."
        )
    head = window.head(HEAD)
    tail = window.read(max(0, window.size - SECTOR), min(SECTOR, window.size))
    for offset, mark, kind in MARKS:
        if head.startswith(mark, offset):
            return kind
    for offset, mark, what, hint in OTHERS:
        # A mark at the end is of one that begins with anything, as a raw disk does.
        if tail.startswith(mark) if offset < 0 else head.startswith(mark, offset):
            raise OperatorError(
                f"{window.title} is {what}, which is not taken in. Nothing was changed.", hint
            )
    return Format.RAW
