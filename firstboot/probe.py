# SPDX-License-Identifier: MIT
"""Reads the hardware of this machine into a `Machine`. Reads only: no device is opened, nothing is
written.

Everything comes from files below one root directory, so that a captured machine reads like a live
one: sysfs (Documentation/ABI in the kernel's tree), procfs, and udev's database under
/run/udev/data, whose lines `E:KEY=value` are what `udevadm info` prints.
"""

import os
from dataclasses import dataclass
from pathlib import Path

SECTOR = 512  # bytes; the unit of /sys/block/*/size whatever the disk's own sectors are
ESP_LABEL = "shoestring-esp"
LVM = "LVM2_member"  # blkid(8) on a physical volume
VIRTUAL_DISKS = ("dm-", "drbd", "fd", "loop", "md", "nbd", "ram", "sr", "zram")


@dataclass(frozen=True, slots=True)
class Disk:
    name: str
    model: str
    serial: str
    size: int  # bytes
    is_removable: bool
    is_boot_medium: bool
    holds: tuple[str, ...] = ()  # what is on it, as blkid(8) names it; empty if nothing was found
    physical_volume: str = ""  # the LVM identity of the physical volume that fills it


@dataclass(frozen=True, slots=True)
class Nic:
    name: str
    mac: str
    driver: str
    has_carrier: bool | None  # None: the interface is down, nobody can tell
    speed: int | None  # Mbit/s; None where the driver does not know


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


def probe(root: Path = Path("/")) -> Machine:
    """What there is now. A file that is missing reads as empty: a screen with a gap beats a dead
    screen.
    """
    cpuinfo = _text(root / "proc/cpuinfo")
    mounts = _mounts(root)
    return Machine(
        processor=_field(cpuinfo, "model name") or "unknown processor",
        cores=sum(line.startswith("processor") for line in cpuinfo.splitlines()),
        memory=int((_field(_text(root / "proc/meminfo"), "MemTotal") or "0 kB").split()[0]) * 1024,
        machine_id=_text(root / "etc/machine-id"),
        kernel=_text(root / "proc/sys/kernel/osrelease"),
        xen=_xen(root / "sys/hypervisor"),
        drbd=_text(root / "sys/module/drbd/version") or None,
        watchdogs=tuple(_text(w / "identity") for w in _entries(root / "sys/class/watchdog")),
        root_is_read_only="ro" in mounts.get("/", ("", ()))[1],
        state_size=_size_of_mount(root / "state") if "/state" in mounts else None,
        nics=tuple(_nic(n) for n in _entries(root / "sys/class/net") if (n / "device").exists()),
        disks=tuple(
            _disk(root, d, mounts)
            for d in _entries(root / "sys/block")
            if not d.name.startswith(VIRTUAL_DISKS) and _text(d / "size") not in ("", "0")
        ),
        esp=_esp(root / "sys/block", mounts),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip().strip("\0")
    except OSError:  # a driver may answer a read of carrier or speed with EINVAL
        return ""


def _entries(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


def _field(text: str, name: str) -> str | None:
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() == name:
            return value.strip()
    return None


def _xen(hypervisor: Path) -> str | None:
    if _text(hypervisor / "type") != "xen":
        return None
    version = hypervisor / "version"
    return f"{_text(version / 'major')}.{_text(version / 'minor')}{_text(version / 'extra')}"


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


def _nic(entry: Path) -> Nic:
    carrier, speed = _text(entry / "carrier"), _text(entry / "speed")
    driver = entry / "device/driver"
    return Nic(
        name=entry.name,
        mac=_text(entry / "address"),
        driver=driver.resolve().name if driver.exists() else "unknown driver",
        has_carrier=carrier == "1" if carrier else None,
        speed=int(speed) if speed.isdigit() else None,  # an unknown speed reads -1
    )


def _esp(block: Path, mounts: dict[str, tuple[str, tuple[str, ...]]]) -> str:
    """The partition called shoestring-esp on the disk that the root is on: with two sticks in one
    machine, the name alone would not do. The kernel tells a partition's name in its uevent.
    """
    for disk in _entries(block):
        if _is_boot_medium(disk, mounts):
            for uevent in disk.glob("*/uevent"):
                if f"PARTNAME={ESP_LABEL}" in _text(uevent).splitlines():
                    return uevent.parent.name
    return ""


def _is_boot_medium(disk: Path, mounts: dict[str, tuple[str, tuple[str, ...]]]) -> bool:
    numbers = {_text(path) for path in (disk / "dev", *disk.glob("*/dev"))}
    return mounts.get("/", ("", ()))[0] in numbers


def _disk(root: Path, entry: Path, mounts: dict[str, tuple[str, tuple[str, ...]]]) -> Disk:
    udev = dict(
        line.removeprefix("E:").split("=", 1)
        for line in _text(root / "run/udev/data" / f"b{_text(entry / 'dev')}").splitlines()
        if line.startswith("E:") and "=" in line
    )
    return Disk(
        name=entry.name,
        model=udev.get("ID_MODEL", "").replace("_", " ")
        or _text(entry / "device/model")
        or "unknown model",
        serial=udev.get("ID_SERIAL_SHORT") or udev.get("ID_SERIAL") or _text(entry / "serial"),
        size=int(_text(entry / "size") or 0) * SECTOR,
        is_removable=_text(entry / "removable") == "1",
        is_boot_medium=_is_boot_medium(entry, mounts),
        holds=_holds(entry, udev),
        physical_volume=udev.get("ID_FS_UUID", "") if udev.get("ID_FS_TYPE") == LVM else "",
    )


def _holds(entry: Path, udev: dict[str, str]) -> tuple[str, ...]:
    """What udev's blkid found, and partitions that the kernel found."""
    found = [udev[key] for key in ("ID_PART_TABLE_TYPE", "ID_FS_TYPE") if udev.get(key)]
    partitions = [path.parent.name for path in sorted(entry.glob("*/partition"))]
    return tuple(found + partitions)
