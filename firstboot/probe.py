# SPDX-License-Identifier: MIT
"""Reads the hardware of this machine into a `Machine`. Reads only: no device is opened, nothing is
written, and no program is run; what only programs can tell, examine.py adds.

Everything comes from files below one root directory, so that a captured machine reads like a live
one: sysfs (Documentation/ABI in the kernel's tree), procfs, and udev's database under
/run/udev/data, whose lines `E:KEY=value` are what `udevadm info` prints.
"""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from firstboot.contents import LVM, Mark, holds, sole_physical_volume
from firstboot.health import Health
from firstboot.wording import printable
from haagent import __version__

__all__ = ["ESP_LABEL", "LVM", "Bus", "Disk", "Health", "Machine", "Nic", "probe"]

SECTOR = 512  # bytes; the unit of /sys/block/*/size whatever the disk's own sectors are
ESP_LABEL = "shoestring-esp"
ARPHRD_ETHER = "1"  # linux/if_arp.h
# The last one is a part of a memory card with a device of its own, for firmware.
NOT_A_DISK = re.compile(r"(dm-|drbd|fd|loop|md|nbd|ram|sr|zram).*|mmcblk\d+boot\d+")
# What firmware says of a PC whose maker filled nothing in.
PLACEHOLDER = re.compile(
    r"(to be filled by )?o\.?e\.?m\.?|default string|not (specified|applicable)|none|unknown"
    r"|system (manufacturer|product name|version)|invalid|0+|x+",
    re.IGNORECASE,
)
VENDORS = {"GenuineIntel": "Intel", "AuthenticAMD": "AMD", "CentaurHauls": "VIA"}
VIRTUALISATION = {"vmx", "svm"}  # flags of Intel and AMD; a dom0 under Xen is shown neither


class Bus(StrEnum):
    """How a disk is connected."""

    NVME = "nvme"
    SATA = "sata"  # or its parallel ancestor: libata drives both
    SCSI = "scsi"
    USB = "usb"
    VIRTIO = "virtio"
    MMC = "mmc"
    UNKNOWN = "unknown"


# Directories on a device's way through sysfs. The first one that matches counts: a USB enclosure
# has a SCSI host, too.
BUSES = (
    (Bus.USB, re.compile(r"usb\d+")),
    (Bus.MMC, re.compile(r"mmc\d+")),
    (Bus.NVME, re.compile(r"nvme|nvme-subsystem|nvme\d+")),
    (Bus.SATA, re.compile(r"ata\d+")),
    (Bus.VIRTIO, re.compile(r"virtio\d+")),
    (Bus.SCSI, re.compile(r"host\d+")),
)
# Whether these spin, they do not say; the kernel assumes it.
ASSUMED_TO_SPIN = (Bus.USB, Bus.VIRTIO, Bus.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Disk:
    name: str
    model: str
    serial: str
    size: int  # bytes
    is_removable: bool
    is_boot_medium: bool
    holds: tuple[str, ...] = ()  # what is on it, in words; empty if nothing was found
    physical_volume: str = ""  # the LVM identity of the physical volume that fills it
    group: str = ""  # LVM's volume group that it, or a part of it, belongs to
    partitions: tuple[str, ...] = ()
    bus: Bus = Bus.UNKNOWN
    logical_sector: int | None = None  # bytes; the least that it reads and writes
    physical_sector: int | None = None
    is_rotational: bool | None = None  # None: nobody can tell
    is_read_only: bool = False
    health: Health = field(default_factory=Health)


@dataclass(frozen=True, slots=True)
class Nic:
    name: str
    mac: str
    driver: str
    has_carrier: bool | None  # None: the interface is down, nobody can tell
    speed: int | None  # Mbit/s; None where the driver does not know
    bus: str = ""  # as the kernel names it: pci, usb, virtio


@dataclass(frozen=True, slots=True)
class Machine:
    processor: str
    cores: int
    memory: int  # bytes that the kernel we run in has; under Xen that is dom0's share
    machine_id: str
    kernel: str
    xen: str | None  # version, or None without a hypervisor
    drbd: str | None  # version of the loaded module
    watchdogs: tuple[str, ...]  # identities, as the drivers name themselves
    root_is_read_only: bool
    state_size: int | None  # bytes of the mounted state partition, or None
    nics: tuple[Nic, ...]
    disks: tuple[Disk, ...]
    esp: str = ""  # the ESP of the medium that we booted from, below /dev
    version: str = ""  # of the appliance
    model: str = ""  # of the PC, with its maker; empty where firmware does not say
    board: str = ""  # its main board, likewise
    vendor: str = ""  # of the processor
    has_hvm: bool | None = None  # the processor virtualises and firmware lets it; None: not known
    total_memory: int | None = None  # bytes of the whole machine; None: not known
    free_memory: int | None = None  # of it, what guests can get; None: not known
    clock: int | None = None  # seconds since 1970 by the system's clock when this was read
    rtc: int | None = None  # the same by the battery's, at the same moment


def probe(root: Path = Path("/"), now: Callable[[], float] = time.time) -> Machine:
    """What there is now. A file that is missing reads as empty: a screen with a gap beats a dead
    screen.
    """
    cpuinfo = _text(root / "proc/cpuinfo")
    mounts = _mounts(root)
    xen = _xen(root / "sys/hypervisor")
    memory = int((_field(_text(root / "proc/meminfo"), "MemTotal") or "0 kB").split()[0]) * 1024
    vendor = printable(_field(cpuinfo, "vendor_id") or "")
    return Machine(
        processor=printable(_field(cpuinfo, "model name") or "") or "unknown processor",
        cores=sum(line.startswith("processor") for line in cpuinfo.splitlines()),
        memory=memory,
        machine_id=_word(root / "etc/machine-id"),
        kernel=_word(root / "proc/sys/kernel/osrelease"),
        xen=xen,
        drbd=_word(root / "sys/module/drbd/version") or None,
        watchdogs=tuple(_word(w / "identity") for w in _entries(root / "sys/class/watchdog")),
        root_is_read_only="ro" in mounts.get("/", ("", ()))[1],
        state_size=_size_of_mount(root / "state") if "/state" in mounts else None,
        nics=tuple(_nic(n) for n in _entries(root / "sys/class/net") if _is_wired(n)),
        disks=tuple(_disk(root, d, mounts) for d in _entries(root / "sys/block") if _is_disk(d)),
        esp=_esp(root / "sys/block", mounts),
        version=__version__,
        model=_firmware(root, "sys_vendor", "product_name"),
        board=_firmware(root, "board_vendor", "board_name"),
        vendor=VENDORS.get(vendor, vendor),
        has_hvm=_has_hvm(root, xen, cpuinfo),
        total_memory=None if xen else memory,
        clock=max(0, int(now())),
        rtc=_number(root / "sys/class/rtc/rtc0/since_epoch"),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip().strip("\0")
    except OSError:  # a driver may answer a read of carrier or speed with EINVAL
        return ""


def _word(path: Path) -> str:
    return printable(_text(path))


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isascii() and text.isdecimal() else None  # an unknown speed reads -1


def _entries(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


def _field(text: str, name: str) -> str | None:
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() == name:
            return value.strip()
    return None


def _firmware(root: Path, maker: str, product: str) -> str:
    """From DMI, without what says nothing; a product often repeats its maker."""
    words = [_word(root / "sys/class/dmi/id" / name) for name in (maker, product)]
    told = ["" if PLACEHOLDER.fullmatch(word) else word for word in words]
    if told[1].lower().startswith(told[0].lower()):
        told[0] = ""
    return printable(" ".join(told))


def _has_hvm(root: Path, xen: str | None, cpuinfo: str) -> bool | None:
    """Under Xen from what it can run (sysfs-hypervisor-xen), else from the processor's flags."""
    if xen:
        capabilities = _text(root / "sys/hypervisor/properties/capabilities")
        return "hvm-" in capabilities if capabilities else None
    flags = _field(cpuinfo, "flags")
    return None if flags is None else bool(VIRTUALISATION & set(flags.split()))


def _xen(hypervisor: Path) -> str | None:
    if _text(hypervisor / "type") != "xen":
        return None
    version = hypervisor / "version"
    return f"{_word(version / 'major')}.{_word(version / 'minor')}{_word(version / 'extra')}"


def _mounts(root: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Mount point -> (major:minor, options of the mount), from proc(5) mountinfo; the last mount on
    a point wins.
    """
    found = {}
    for line in _text(root / "proc/self/mountinfo").splitlines():
        fields = line.split()
        found[fields[4]] = (fields[2], tuple(fields[5].split(",")))
    return found


def _size_of_mount(path: Path) -> int:
    status = os.statvfs(path)
    return status.f_blocks * status.f_frsize


def _is_wired(entry: Path) -> bool:
    """Whether it is a card that a cable for the pair can be in. FireWire, wireless and what talks
    to a telephone network are interfaces, too.
    """
    if not (entry / "device").exists() or (entry / "phy80211").exists():
        return False
    is_ethernet = _text(entry / "type") in (ARPHRD_ETHER, "")
    return is_ethernet and "DEVTYPE=wwan" not in _text(entry / "uevent").splitlines()


def _nic(entry: Path) -> Nic:
    carrier = _text(entry / "carrier")
    driver, bus = entry / "device/driver", entry / "device/subsystem"
    return Nic(
        name=printable(entry.name),
        mac=_word(entry / "address"),
        driver=printable(driver.resolve().name) if driver.exists() else "unknown driver",
        has_carrier=carrier == "1" if carrier else None,
        # Without a cable some drivers go on telling the speed that they had.
        speed=_number(entry / "speed") if carrier == "1" else None,
        bus=printable(bus.resolve().name) if bus.exists() else "",
    )


def _esp(block: Path, mounts: dict[str, tuple[str, tuple[str, ...]]]) -> str:
    """The partition called shoestring-esp on the disk that state is on: with two sticks in one
    machine, the name alone would not do. The kernel tells a partition's name in its uevent.
    """
    for disk in _entries(block):
        if _is_boot_medium(disk, mounts):
            for uevent in disk.glob("*/uevent"):
                if f"PARTNAME={ESP_LABEL}" in _text(uevent).splitlines():
                    return uevent.parent.name
    return ""


def _is_disk(entry: Path) -> bool:
    if NOT_A_DISK.fullmatch(entry.name) or _text(entry / "size") in ("", "0"):
        return False
    # One of several ways to an NVMe disk that has its own entry: it has no device of its own.
    return _text(entry / "hidden") != "1"


def _is_boot_medium(disk: Path, mounts: dict[str, tuple[str, tuple[str, ...]]]) -> bool:
    # The root is in memory; what is left of the medium is the state partition.
    numbers = {_text(path) for path in disk.glob("*/dev")}
    return mounts.get("/state", ("", ()))[0] in numbers


def _disk(root: Path, entry: Path, mounts: dict[str, tuple[str, tuple[str, ...]]]) -> Disk:
    udev = _udev(root, entry)
    bus = _bus(entry)
    partitions = sorted((path.parent for path in entry.glob("*/partition")), key=_by_number)
    names = tuple(partition.name for partition in partitions)
    own = _marks(entry.name, udev, ("ID_PART_TABLE_TYPE", "ID_FS_TYPE"))
    theirs = [mark for p in partitions for mark in _marks(p.name, _udev(root, p), ("ID_FS_TYPE",))]
    return Disk(
        name=printable(entry.name),
        model=printable(udev.get("ID_MODEL", "").replace("_", " "))
        or _word(entry / "device/model")
        or "unknown model",
        serial=printable(udev.get("ID_SERIAL_SHORT") or udev.get("ID_SERIAL") or "")
        or _word(entry / "serial"),
        size=(_number(entry / "size") or 0) * SECTOR,
        is_removable=_text(entry / "removable") == "1",
        is_boot_medium=_is_boot_medium(entry, mounts),
        holds=holds(entry.name, names, (*own, *theirs)),
        physical_volume=sole_physical_volume(entry.name, names, own),
        partitions=names,
        bus=bus,
        logical_sector=_number(entry / "queue/logical_block_size"),
        physical_sector=_number(entry / "queue/physical_block_size"),
        is_rotational=_is_rotational(entry, bus),
        is_read_only=_text(entry / "ro") == "1",
    )


def _by_number(partition: Path) -> tuple[int, str]:
    return (_number(partition / "partition") or 0, partition.name)


def _udev(root: Path, device: Path) -> dict[str, str]:
    return dict(
        line.removeprefix("E:").split("=", 1)
        for line in _text(root / "run/udev/data" / f"b{_text(device / 'dev')}").splitlines()
        if line.startswith("E:") and "=" in line
    )


def _marks(device: str, udev: dict[str, str], keys: tuple[str, ...]) -> list[Mark]:
    """What udev's blkid found. A file system's label and identity go with its type."""
    return [
        Mark(
            device,
            udev[key],
            udev.get("ID_FS_LABEL", "") if key == "ID_FS_TYPE" else "",
            udev.get("ID_FS_UUID", "") if key == "ID_FS_TYPE" else "",
        )
        for key in keys
        if udev.get(key)
    ]


def _bus(entry: Path) -> Bus:
    steps = entry.resolve().parts
    return next(
        (bus for bus, name in BUSES if any(name.fullmatch(step) for step in steps)), Bus.UNKNOWN
    )


def _is_rotational(entry: Path, bus: Bus) -> bool | None:
    told = _text(entry / "queue/rotational")
    if told == "0":
        return False
    return True if told == "1" and bus not in ASSUMED_TO_SPIN else None
