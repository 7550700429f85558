# SPDX-License-Identifier: MIT
"""What is on an ESP of ours, as far as an install reads or changes it: the slots, GRUB's count of
starts, the volume ID, and what a stick that was given up says. Pure.
"""

from firstboot.installing.layout import SECTOR
from firstboot.installing.mark import Mark
from haagent.errors import OperatorError
from haagent.update import grubenv, slots
from haagent.update.grubenv import NotABlock
from haagent.update.slots import TRIES, Slot

# Of a FAT32 boot sector (Microsoft's FAT specification, 3.1 and 3.3).
SECTOR_SIZE, BACKUP, VOLUME, KIND = 11, 50, 67, 82
FAT32 = b"FAT32   "


def parse_slot(name: str, text: str) -> Slot:
    """From the slot.cfg of the slot NAME. Raises OperatorError."""
    try:
        return slots.parse(text)
    except ValueError as error:
        raise OperatorError(
            f"slot-{name}/slot.cfg of the stick is damaged: {error}.",
            "Nothing was done. Flash a new stick, and install from that one.",
        ) from error


def with_all_starts(environment: bytes) -> bytes:
    """GRUB's environment block with its count of starts full, of the same length.

    Raises OperatorError for what is no such block.
    """
    try:
        return grubenv.build({**grubenv.parse(environment), "left": str(TRIES)})
    except NotABlock as error:
        raise OperatorError(
            f"GRUB's environment block on the stick is damaged: {error}.",
            "Nothing was done. Flash a new stick, and install from that one.",
        ) from error


def is_fat(sector: bytes) -> bool:
    return sector[KIND : KIND + len(FAT32)] == FAT32


def has_volume(sector: bytes, volume: str) -> bool:
    """Whether a FAT begins with SECTOR and has the ID VOLUME."""
    return is_fat(sector) and sector[VOLUME : VOLUME + 4] == _little(volume)


def backup_at(sector: bytes) -> int:
    """In bytes, where the copy of the boot SECTOR is. Raises OperatorError if this is no FAT32."""
    if not is_fat(sector):
        raise OperatorError(
            "The ESP of the stick is no FAT32 file system.",
            "Nothing was done. Flash a new stick, and install from that one.",
        )
    each = int.from_bytes(sector[SECTOR_SIZE : SECTOR_SIZE + 2], "little")
    return each * int.from_bytes(sector[BACKUP : BACKUP + 2], "little")


def with_volume(sector: bytes, volume: str) -> bytes:
    """A boot SECTOR, or its copy, with the ID VOLUME; anything else as it is."""
    if not is_fat(sector):
        return sector
    return sector[:VOLUME] + _little(volume) + sector[VOLUME + 4 :]


def boot_code_leads_to(sector: bytes, start: int) -> bool:
    """Whether GRUB's boot.img in SECTOR 0 goes on at START, where its core image is
    (GRUB_BOOT_MACHINE_KERNEL_SECTOR of include/grub/i386/pc/boot.h).
    """
    return len(sector) == SECTOR and int.from_bytes(sector[0x5C:0x64], "little") == start


def given_up(mark: Mark) -> str:
    """The grub.cfg of a stick that was installed to a disk. It goes on from that disk where it is
    there, whatever the firmware starts; without it, nothing starts.
    """
    disk = f"{_safe(mark.model)}, serial {_safe(mark.serial)}"
    volume = f"{mark.volume[:4]}-{mark.volume[4:]}".upper()
    return f"""\
# SPDX-License-Identifier: MIT
# This stick was installed to a disk, and is no machine any more.
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
set installed=
search --no-floppy --fs-uuid --set=installed {volume}
if [ -n "$installed" ]; then
    echo "This stick is not needed any more: pull it out. Starting from the disk"
    echo "{disk} ..."
    set root=$installed
    set prefix=($installed)/grub
    configfile ($installed)/grub/menu.cfg
fi
echo
echo "This stick was installed to the disk"
echo "{disk}."
echo "It does not start any more, so that there is only one of this machine."
echo "That disk is not there. Pull this stick out and look after the disk;"
echo "or flash this stick anew to use it again. Enter restarts the machine."
read
reboot
"""


def _little(volume: str) -> bytes:
    return bytes.fromhex(volume)[::-1]


def _safe(text: str) -> str:
    """TEXT without what GRUB would take for more than text."""
    return "".join(c if c.isascii() and (c.isalnum() or c in " .:_-") else "?" for c in text)
