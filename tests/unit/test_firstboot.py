# SPDX-License-Identifier: MIT
"""The wizard's first page, from a machine made of files to the text on the screen."""

from dataclasses import replace
from pathlib import Path

import pytest

from firstboot.faces import line
from firstboot.faces.pager import ROOM
from firstboot.hotplug import concerns_hardware
from firstboot.probe import Disk, Machine, Nic, probe
from haagent import __version__
from haagent.folding import WIDTH, folded

FILES = {
    "proc/cpuinfo": "processor\t: 0\nmodel name\t: Old Faithful 3000\n\nprocessor\t: 1\n",
    "proc/meminfo": "MemTotal:        1048576 kB\nMemFree:  1 kB\n",
    "proc/self/mountinfo": "22 1 254:0 / / ro,relatime - erofs /dev/mapper/root ro\n"
    "23 22 8:5 / /state rw,noatime - ext4 /dev/sda5 rw\n"
    "30 22 0:25 / /dev rw,nosuid - devtmpfs devtmpfs rw\n",
    "proc/sys/kernel/osrelease": "6.12.0-amd64\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "sys/hypervisor/type": "xen\n",
    "sys/hypervisor/version/major": "4\n",
    "sys/hypervisor/version/minor": "20\n",
    "sys/hypervisor/version/extra": ".1\n",
    "sys/module/drbd/version": "8.4.11\n",
    "sys/class/watchdog/watchdog0/identity": "iTCO_wdt\n",
    "sys/class/watchdog/watchdog1/identity": "xen_wdt\n",
    "sys/class/net/eth0/device/vendor": "0x8086\n",
    "sys/class/net/eth0/address": "52:54:00:00:00:01\n",
    "sys/class/net/eth0/carrier": "1\n",
    "sys/class/net/eth0/speed": "1000\n",
    "sys/class/net/eth1/device/vendor": "0x10ec\n",
    "sys/class/net/eth1/address": "52:54:00:00:00:02\n",
    "sys/class/net/eth1/speed": "-1\n",
    "sys/class/net/lo/address": "00:00:00:00:00:00\n",
    "sys/block/sda/size": "8388608\n",
    "sys/block/sda/dev": "8:0\n",
    "sys/block/sda/removable": "1\n",
    "sys/block/sda/sda5/dev": "8:5\n",
    "state/haagent": "",
    "sys/block/sda/device/model": "Stick  \n",
    "sys/block/sdb/size": "1953525168\n",
    "sys/block/sdb/dev": "8:16\n",
    "sys/block/sdb/removable": "0\n",
    "run/udev/data/b8:16": "S:disk/by-id/x\nE:ID_MODEL=WDC_WD10\nE:ID_SERIAL_SHORT=WD-123\n",
    "sys/block/loop0/size": "100\n",
    "sys/block/sr0/size": "100\n",
    "sys/block/sdc/size": "0\n",
}

WHOLE = Machine(
    processor="Old Faithful 3000",
    cores=2,
    memory=1 << 30,
    machine_id="0123456789abcdef0123456789abcdef",
    kernel="6.12.0-amd64",
    xen="4.20.1",
    drbd="8.4.11",
    watchdogs=("iTCO_wdt", "xen_wdt"),
    root_is_read_only=True,
    state_size=None,
    nics=(
        Nic("eth0", "52:54:00:00:00:01", "unknown driver", True, 1000),
        Nic("eth1", "52:54:00:00:00:02", "unknown driver", None, None),
    ),
    disks=(
        Disk("sda", "Stick", "", 4 << 30, True, True),
        Disk("sdb", "WDC WD10", "WD-123", 1953525168 * 512, False, False),
    ),
    version=__version__,
    clock=1000000000,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path


def test_reads_a_whole_machine(root: Path) -> None:
    machine = probe(root, now=lambda: 1e9)
    assert machine.state_size  # that of the file system these files are on
    assert replace(machine, state_size=None) == WHOLE


@pytest.mark.parametrize("missing", FILES)
def test_no_missing_file_kills_the_screen(root: Path, missing: str) -> None:
    (root / missing).unlink()
    assert line.greeting(probe(root))


def test_an_empty_root_is_a_machine_with_nothing_in_it(tmp_path: Path) -> None:
    page = line.greeting(probe(tmp_path))
    for complaint in ("none found: a pair needs two", "DRBD is not loaded", "rescue boot"):
        assert complaint in page


@pytest.mark.parametrize(
    "machine",
    [WHOLE, replace(WHOLE, processor="x" * 200, watchdogs=("w" * 100,), disks=WHOLE.disks * 3)],
)
def test_the_page_fits_a_plain_terminal(machine: Machine) -> None:
    page = line.greeting(machine)
    assert page.isascii()
    assert max(map(len, page.splitlines())) <= WIDTH
    # Below it stands why nobody was found yet, in four lines at most.
    assert len(folded(page)) <= ROOM - 4


def test_what_does_not_fit_is_among_the_details() -> None:
    many = replace(WHOLE, disks=WHOLE.disks * 3)
    page = line.greeting(many)
    assert "  And more    4 cards and disks" in page
    assert page.count("  Disk  ") == 2 and "`details` shows everything" in page
    assert line.details(many).count("  Disk  ") == 6


def test_the_page_says_what_was_found() -> None:
    page = line.greeting(replace(WHOLE, state_size=2 << 30))
    for text in (
        "Xen 4.20.1",
        "DRBD 8.4.11",
        "iTCO_wdt, xen_wdt",
        "State       2.0 GiB",
        "Card        eth0  52:54:00:00:00:01  cable connected, 1000 Mbit/s",
        "not in use yet",
        "Disk        sda (boot medium, removable)  4.0 GiB  Stick, no serial",
        "931.5 GiB  WDC WD10, serial WD-123",
    ):
        assert text in page


def test_says_what_is_on_a_disk(root: Path) -> None:
    """As udev's blkid and the kernel tell it: a blank disk is the only one that may be taken."""
    database = root / "run/udev/data/b8:16"
    blank = database.read_text()

    database.write_text(blank + "E:ID_PART_TABLE_TYPE=gpt\n")
    (root / "sys/block/sdb/sdb1").mkdir()
    (root / "sys/block/sdb/sdb1/partition").write_text("1\n")
    assert probe(root).disks[1].holds == ("a GPT partition table", "the partition sdb1")
    assert probe(root).disks[1].physical_volume == ""

    database.write_text(blank + "E:ID_FS_TYPE=LVM2_member\nE:ID_FS_UUID=CcKxoH-s0fg\n")
    (root / "sys/block/sdb/sdb1/partition").unlink()
    assert probe(root).disks[1].holds == ("an LVM volume",)
    assert probe(root).disks[1].physical_volume == "CcKxoH-s0fg"

    database.write_text(blank + "E:ID_FS_TYPE=ext4\nE:ID_FS_UUID=CcKxoH-s0fg\n")
    assert probe(root).disks[1].physical_volume == ""


def test_finds_the_esp_of_the_stick_it_booted_from(root: Path) -> None:
    for partition in ("sda/sda1", "sda/sda2", "sdb/sdb1"):
        (root / "sys/block" / partition).mkdir(exist_ok=True)
    (root / "sys/block/sda/sda1/uevent").write_text("DEVNAME=sda1\nPARTNAME=shoestring-bios\n")
    other = root / "sys/block/sdb/sdb1/uevent"  # a second stick, not the one that is running
    other.write_text("DEVNAME=sdb1\nPARTNAME=shoestring-esp\n")
    assert probe(root).esp == ""
    (root / "sys/block/sda/sda2/uevent").write_text("DEVNAME=sda2\nPARTNAME=shoestring-esp\n")
    assert probe(root).esp == "sda2"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"libudev\0ACTION=add\0SUBSYSTEM=block\0DEVNAME=sdb\0", True),
        (b"libudev\0ACTION=remove\0SUBSYSTEM=net\0", True),
        (b"libudev\0ACTION=add\0SUBSYSTEM=netdev\0", False),
        (b"", False),
    ],
)
def test_only_disks_and_network_cards_redraw_the_page(message: bytes, expected: bool) -> None:
    assert concerns_hardware(message) is expected
