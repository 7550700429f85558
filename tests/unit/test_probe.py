# SPDX-License-Identifier: MIT
"""Machines made of files, laid out as the kernel and udev do it."""

from pathlib import Path

import pytest

from firstboot.probe import Bus, Disk, Machine, probe
from firstboot.wording import LONGEST

# Where the kernel puts a disk and a card, by what they are plugged into.
PATHS = {
    "nvme0n1": "pci0000:00/0000:00:1d.0/0000:01:00.0/nvme/nvme0/nvme0n1",
    "nvme1n1": "virtual/nvme-subsystem/nvme-subsys1/nvme1n1",
    "sda": "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda",
    "sdb": "pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb",
    "sdc": "pci0000:00/0000:00:05.0/virtio2/host7/target7:0:0/7:0:0:0/block/sdc",
    "sdd": "pci0000:00/0000:03:00.0/host8/port-8:0/end_device-8:0/target8:0:0/8:0:0:0/block/sdd",
    "vda": "pci0000:00/0000:00:04.0/virtio1/block/vda",
    "mmcblk0": "pci0000:00/0000:00:1a.0/mmc_host/mmc0/mmc0:0001/block/mmcblk0",
    "xvda": "vbd-51712/block/xvda",
}
BUSES = {
    "nvme0n1": Bus.NVME,
    "nvme1n1": Bus.NVME,
    "sda": Bus.SATA,
    "sdb": Bus.USB,
    "sdc": Bus.VIRTIO,
    "sdd": Bus.SCSI,
    "vda": Bus.VIRTIO,
    "mmcblk0": Bus.MMC,
    "xvda": Bus.UNKNOWN,
}


class Root:
    """A machine below PATH."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, **files: str) -> None:
        """Keys are paths, with __ for each slash."""
        for name, text in files.items():
            self.put(name.replace("__", "/"), text)

    def put(self, name: str, text: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def link(self, name: str, target: str) -> None:
        place = self.path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        (self.path / target).mkdir(parents=True, exist_ok=True)
        place.symlink_to(self.path / target)

    def add_disk(self, name: str, **files: str) -> None:
        folder = f"sys/devices/{PATHS[name]}"
        self.link(f"sys/block/{name}", folder)
        self.put(f"{folder}/size", "8388608\n")
        for file, text in files.items():
            self.put(f"{folder}/{file.replace('__', '/')}", text)

    def disk(self) -> Disk:
        (disk,) = self.machine().disks
        return disk

    def machine(self) -> Machine:
        return probe(self.path, now=lambda: 1795416884.9)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


@pytest.mark.parametrize("name", PATHS)
def test_a_disk_is_where_the_kernel_puts_it(root: Root, name: str) -> None:
    root.add_disk(name)
    assert root.disk().bus is BUSES[name]


def test_what_is_no_disk_of_its_own_is_left_out(root: Root) -> None:
    root.add_disk("mmcblk0")
    root.put("sys/block/mmcblk0boot0/size", "8192\n")
    root.put("sys/block/nvme0c0n1/size", "8388608\n")
    root.put("sys/block/nvme0c0n1/hidden", "1\n")
    for name in ("loop0", "dm-0", "sr0", "zram0", "drbd0", "md127"):
        root.put(f"sys/block/{name}/size", "8388608\n")
    assert root.disk().name == "mmcblk0"


@pytest.mark.parametrize(
    ("name", "told", "expected"),
    [
        ("sda", "1", True),
        ("sda", "0", False),
        ("nvme0n1", "0", False),
        ("sdb", "1", None),  # the kernel assumes it of whatever is at a USB port
        ("sdb", "0", False),
        ("vda", "1", None),
        ("sda", "", None),
    ],
)
def test_spins_only_what_is_known_to_spin(
    root: Root, name: str, told: str, expected: bool | None
) -> None:
    root.add_disk(name, queue__rotational=told)
    assert root.disk().is_rotational is expected


def test_sectors_and_a_locked_card(root: Root) -> None:
    root.add_disk("mmcblk0", ro="1\n", queue__logical_block_size="512\n")
    disk = root.disk()
    assert (disk.is_read_only, disk.logical_sector, disk.physical_sector) == (True, 512, None)


def test_names_what_is_in_each_partition_in_their_order(root: Root) -> None:
    root.add_disk("sda", dev="8:0\n")
    root.put("run/udev/data/b8:0", "E:ID_PART_TABLE_TYPE=gpt\n")
    for number, text in ((1, "vfat\nE:ID_FS_LABEL=SYSTEM"), (2, ""), (10, "ntfs")):
        folder = f"sys/devices/{PATHS['sda']}/sda{number}"
        root.put(f"{folder}/partition", f"{number}\n")
        root.put(f"{folder}/dev", f"8:{number}\n")
        # A partition's entry repeats what its disk's says.
        table = "E:ID_PART_TABLE_TYPE=gpt\n"
        root.put(f"run/udev/data/b8:{number}", table + (f"E:ID_FS_TYPE={text}\n" if text else ""))
    disk = root.disk()
    assert disk.partitions == ("sda1", "sda2", "sda10")
    assert disk.holds == (
        "a GPT partition table",
        'a FAT file system called "SYSTEM" in sda1',
        "the partition sda2",
        "a Windows file system (NTFS) in sda10",
    )


def test_no_name_reaches_a_terminal_as_it_was_found(root: Root) -> None:
    root.add_disk("sda", dev="8:0\n", device__model="\x1b[2J\x07Evil\r\nDisk\xe9 " + "x" * 500)
    root.put("run/udev/data/b8:0", "E:ID_SERIAL=\x1b]0;x\nE:ID_FS_TYPE=\x9b2J\n")
    root.put("sys/class/dmi/id/product_name", "\x1bc\n")
    root.put("sys/class/net/eth0/device/vendor", "1")
    root.put("sys/class/net/eth0/address", "\x1b[A\n")
    machine = root.machine()
    (disk,), (nic,) = machine.disks, machine.nics
    assert disk.model.startswith("?[2J?Evil Disk? xxx") and len(disk.model) == LONGEST
    for text in (disk.serial, *disk.holds, machine.model, nic.mac):
        assert text and text.isascii() and text.isprintable()


@pytest.mark.parametrize(
    ("maker", "product", "expected"),
    [
        ("Dell Inc.", "OptiPlex 7010", "Dell Inc. OptiPlex 7010"),
        ("HP", "HP EliteDesk 800 G2 SFF", "HP EliteDesk 800 G2 SFF"),
        ("To Be Filled By O.E.M.", "To Be Filled By O.E.M.", ""),
        ("System manufacturer", "System Product Name", ""),
        ("ASUSTeK COMPUTER INC.", "System Product Name", "ASUSTeK COMPUTER INC."),
        ("QEMU", "Standard PC (Q35 + ICH9, 2009)", "QEMU Standard PC (Q35 + ICH9, 2009)"),
        ("", "", ""),
    ],
)
def test_names_the_pc_unless_its_maker_did_not(
    root: Root, maker: str, product: str, expected: str
) -> None:
    root.write(sys__class__dmi__id__sys_vendor=maker, sys__class__dmi__id__product_name=product)
    root.write(sys__class__dmi__id__board_vendor=maker, sys__class__dmi__id__board_name=product)
    assert (root.machine().model, root.machine().board) == (expected, expected)


INTEL = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu vme vmx\n"
FILTERED = "processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu vme hypervisor\n"


def test_virtualisation_without_xen_is_a_flag(root: Root) -> None:
    root.write(proc__cpuinfo=INTEL, proc__meminfo="MemTotal:  1024 kB\n")
    machine = root.machine()
    assert (machine.vendor, machine.has_hvm, machine.total_memory) == ("Intel", True, 1 << 20)
    root.write(proc__cpuinfo=FILTERED)
    assert (root.machine().vendor, root.machine().has_hvm) == ("AMD", False)
    root.write(proc__cpuinfo="")
    assert (root.machine().vendor, root.machine().has_hvm) == ("", None)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ("xen-3.0-x86_64 hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 \n", True),
        ("xen-3.0-x86_64 \n", False),
        ("", None),
    ],
)
def test_virtualisation_under_xen_is_what_xen_can_run(
    root: Root, capabilities: str, expected: bool | None
) -> None:
    root.write(proc__cpuinfo=FILTERED, sys__hypervisor__type="xen\n")
    root.write(sys__hypervisor__properties__capabilities=capabilities)
    assert root.machine().has_hvm is expected
    assert root.machine().total_memory is None, "what files tell is dom0's share"


def test_a_card_tells_its_speed_only_with_a_cable(root: Root) -> None:
    root.link("sys/class/net/eth0/device/subsystem", "sys/bus/pci")
    root.link("sys/class/net/eth0/device/driver", "sys/bus/pci/drivers/r8169")
    for carrier, speed, expected in (
        ("1\n", "1000\n", (True, 1000)),
        ("1\n", "-1\n", (True, None)),  # virtio
        ("0\n", "10\n", (False, None)),
        ("", "", (None, None)),  # not up: a read of either fails
    ):
        root.put("sys/class/net/eth0/carrier", carrier)
        root.put("sys/class/net/eth0/speed", speed)
        (nic,) = root.machine().nics
        assert (nic.has_carrier, nic.speed) == expected
    assert (nic.driver, nic.bus) == ("r8169", "pci")


def test_only_what_an_ethernet_cable_fits_is_a_card(root: Root) -> None:
    for name, files in (
        ("eth0", {"type": "1\n"}),
        ("firewire0", {"type": "24\n"}),
        ("wlan0", {"type": "1\n", "phy80211/name": "phy0\n"}),
        ("wwan0", {"type": "1\n", "uevent": "DEVTYPE=wwan\nINTERFACE=wwan0\n"}),
    ):
        root.put(f"sys/class/net/{name}/device/vendor", "1")
        for file, text in files.items():
            root.put(f"sys/class/net/{name}/{file}", text)
    assert [nic.name for nic in root.machine().nics] == ["eth0"]


def test_both_clocks(root: Root) -> None:
    assert (root.machine().clock, root.machine().rtc) == (1795416884, None)
    root.write(sys__class__rtc__rtc0__since_epoch="1795416880\n")
    assert root.machine().rtc == 1795416880
