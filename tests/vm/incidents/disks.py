# SPDX-License-Identifier: MIT
"""Data disks that fail, hang, are damaged or another pair's, and what both screens say of one."""

import re

from haagent.console.alarms import Alarm
from tests.vm.chaos.faults import BOOT_ID, await_restart
from tests.vm.disk_faults import BROKEN
from tests.vm.machine import Machine
from tests.vm.pair import status
from tests.vm.soak import copies
from tests.vm.story import BOOT, TAKEOVER, Story
from tests.vm.wait import wait_until

BLOCK = 4096  # bytes; what DRBD's superblock has for itself

# dmsetup(8): no request to the guest's volume is answered from now on. QEMU does not know of it,
# which would wait for a disk of its own that hangs before it resets a machine.
HANG = "dmsetup suspend --noflush --nolockfs shoestring-counter"

# A person restarts the machine, which tries its disk again then.
RESTART = "systemd-run --quiet --collect shoestring reboot --yes"

METADATA = "drbdmeta --force 0 v08 /dev/shoestring/counter internal"  # of the disk, drbdmeta(8)
# Whole, and its owner served alone when it was last used: the most that a copy can claim to be.
GENERATION = "5EED5EED5EED5EEC:0:0:0:1:1:0:0:0:1"

# The disk becomes that of another pair: all call their group, volumes and devices the same, and
# what tells them apart are the identities of LVM and the generation of the data.
ANOTHER_PAIRS = f"""
set -e
disk=$(pvs --noheadings --options pv_name --select vg_name=shoestring)
drbdadm down counter
{METADATA} set-gi {GENERATION}
udevadm settle
vgchange --quiet --activate n shoestring
pvchange --quiet --uuid $disk
vgchange --quiet --uuid shoestring
dd if=/dev/null of=$disk conv=fsync,notrunc status=none
"""

# A person gives up what is on the disk, for a whole copy of the other one.
NEW_METADATA = f"""
systemctl stop drbd-up
drbdadm down counter
set -e
{METADATA} create-md
systemctl start drbd-up
"""


def fail(story: Story, machine: Machine) -> None:
    """The data disk of MACHINE, which is connected, answers nothing but errors until it is
    healed. Both say so, and what is left.
    """
    machine.hurt("data", BROKEN)
    await_failed(story, machine)
    (good,) = (one.name for one in story.pair.both if one is not machine)
    for one in story.pair.both:
        means = f"counter has the disk on {good} alone, wherever it runs."
        assert complaint(one, Alarm.DISK_NOT_UP_TO_DATE)["means"].startswith(means)


def await_failed(story: Story, machine: Machine) -> None:
    """Both say that the data disk of MACHINE does not work, and that nothing is protected."""
    what = f"counter: the disk on {machine.name} does not work. DRBD calls it Diskless."
    wait_until(
        f"both to say: {what}",
        lambda: all(
            complaint(one, Alarm.DISK_NOT_UP_TO_DATE).get("what") == what for one in story.pair.both
        ),
        TAKEOVER,
        2,
    )
    for one in story.pair.both:
        assert status(one)["verdict"] == "NOT PROTECTED"


def complaint(machine: Machine, code: Alarm) -> dict[str, str]:
    """What MACHINE says under CODE; empty if it does not complain of that."""
    complaints: list[dict[str, str]] = status(machine).get("complaints", [])
    return next((one for one in complaints if one["code"] == code), {})


def restart(machine: Machine) -> None:
    """By a person, in order, until it is there again."""
    boot = machine.run(f"cat {BOOT_ID}")
    machine.run(RESTART)
    await_restart(machine, boot)


def await_same_copies(story: Story) -> None:
    """Both copies of the guest's disk have the same content, once nobody writes."""
    story.end_asking()
    wait_until(
        "both copies to be the same",
        lambda: len({one.run(copies.script(), 600) for one in story.pair.both}) == 1,
        BOOT,
        5,
    )


def superblock(table: str) -> int:
    """Where on its disk DRBD's superblock of a volume is, in bytes: in the last whole block of the
    volume ("internal", drbdmeta(8)). TABLE is what `dmsetup table` prints of it.
    """
    found = re.fullmatch(r"0 (\d+) linear \d+:\d+ (\d+)\s*", table)
    assert found, f"it is not in one piece: {table!r}"
    length, start = (512 * int(sectors) for sectors in found.groups())
    return start + (length // BLOCK - 1) * BLOCK


def record_of_lvm(headers: str) -> int:
    """Where on its disk the text is that LVM goes by, in bytes. HEADERS is what `pvck --dump
    headers` prints.
    """
    found = re.search(r"^ *metadata text at (\d+) ", headers, re.MULTILINE)
    assert found, f"LVM has no record there: {headers!r}"
    return int(found[1])


def kind_of_data(machine: Machine) -> str:
    """What the data disk of MACHINE holds, as lsblk(8) calls it; empty: nothing that it knows."""
    listed = machine.run("lsblk --noheadings --nodeps --output SERIAL,FSTYPE")
    found = re.search(rf"^{machine.name}-data *(.*)$", listed, re.IGNORECASE | re.MULTILINE)
    assert found, f"{machine.name} does not see its data disk: {listed!r}"
    return found[1]
