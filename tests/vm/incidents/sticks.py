# SPDX-License-Identifier: MIT
"""Sticks that go, and sticks that come: what a machine says of its own, and plugs in of others."""

import re
from pathlib import Path

from haagent.console.alarms import Alarm
from haagent.keeping import LOOK, LOOK_LIMIT
from tests.vm import stick
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import status
from tests.vm.wait import wait_until

NOTICED = 5 * (LOOK + LOOK_LIMIT)  # seconds; a generous deadline for a slow, busy host

# Fills the state partition, to the last block.
FULL = """
mkdir /state/full
number=0
for size in 64M 1M 64K 4K 1K; do
    while fallocate --length $size /state/full/$number; do number=$((number + 1)); done
done 2>/dev/null
sync --file-system /state
! head --bytes=100K /dev/zero >/state/full/more
"""


def says_so(machine: Machine, whose: str) -> bool:
    """MACHINE tells that the stick of WHOSE is gone."""
    return any(
        complaint["code"] == Alarm.STICK_LOST and complaint["what"].startswith(whose)
        for complaint in status(machine).get("complaints", [])
    )


def plug_in(machine: Machine, image: Path, kind: str = "vfat") -> None:
    """A USB stick with the content of IMAGE, a file system of this KIND without partitions, until
    MACHINE sees it.
    """
    machine.plug_in_stick(image)
    listing = "lsblk --noheadings --output TRAN,FSTYPE"
    wait_until(
        f"{machine.name} to see the stick",
        lambda: re.search(f"usb +{kind}", machine.run(listing)),
        120,
        1,
    )


def plug_in_a_blank_one(machine: Machine) -> None:
    image = machine.folder / "blank.fat"
    stick.make_blank(image)
    plug_in(machine, image)


def plug_in_files(machine: Machine, *files: Path) -> None:
    image = machine.folder / "files.fat"
    stick.make_with(image, *files)
    plug_in(machine, image)


def plug_in_backups(machine: Machine, lab: Lab, size: int = 64 << 20) -> None:
    """The USB disk of SIZE bytes with the backups, which is the same one at every machine."""
    image = lab.folder / "backups.fat"
    if not image.exists():
        stick.make_blank(image, size)
    plug_in(machine, image)
