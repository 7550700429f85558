# SPDX-License-Identifier: MIT
"""Tells who keeps a DRBD device open, and when somebody may have let go of one.

It only looks: it must not close, kill or unmount anything.
"""

import select
import socket
from collections.abc import Set
from pathlib import Path
from typing import Self

MAJOR = 147  # of DRBD's block devices, Documentation/admin-guide/devices.txt
NETLINK_KOBJECT_UEVENT = 15  # linux/netlink.h; the socket module has no name for it
# Both multicast groups of it: the kernel says that a guest's disk went away, udevd that it has
# finished with a device, so that its own probe is closed (systemd, libudev-monitor).
FROM_KERNEL, FROM_UDEVD = 1, 2


class DeviceNews:
    """The system's messages about devices, from the moment this is made until it is closed."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT
        )
        self._socket.bind((0, FROM_KERNEL | FROM_UDEVD))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def wait(self, seconds: float) -> None:
        """Until there was one since the last call, or for SECONDS. What it says does not matter:
        whoever waits looks for himself.
        """
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.poll(seconds * 1000)
        try:
            while self._socket.recv(1 << 16):
                pass
        except BlockingIOError:
            return
        except OSError:  # ENOBUFS: there were more than the socket could keep, which is news too
            return


def holders(minor: int, root: Path = Path("/")) -> tuple[str, ...]:
    """Who keeps /dev/drbdMINOR open, in words for a person; empty if it cannot be found out.

    Looks at the disks that Xen gave to guests, at mounts, at devices stacked on top and at the open
    files of processes, below ROOT as the kernel's sysfs and procfs show them. Who has one that is
    stacked on top is told as well.
    """
    block = root / "sys/block"
    above = stacked(minor, block)
    numbers = {f"{MAJOR}:{minor}", *(_text(block / name / "dev") for name in above)}
    names = {f"/dev/drbd{minor}", *(f"/dev/{name}" for name in above)}
    return (
        *_guests(numbers, root / "sys/bus/xen-backend/devices"),
        *_mounts(numbers, root / "proc/self/mountinfo"),
        *(f"the device {name} on top of it" for name in above),
        *_processes(names, root / "proc"),
    )


def stacked(minor: int, block: Path) -> tuple[str, ...]:
    """The kernel's names of the devices that lie on /dev/drbdMINOR; BLOCK is its list of all."""
    above = block / f"drbd{minor}" / "holders"
    return tuple(sorted(entry.name for entry in above.iterdir())) if above.is_dir() else ()


def mapped(minor: int, block: Path) -> dict[str, str]:
    """What device-mapper calls those of them that are its own, and the kernel's names of these."""
    names = {_text(block / name / "dm/name"): name for name in stacked(minor, block)}
    return {called: name for called, name in names.items() if called}


def _guests(numbers: Set[str], devices: Path) -> tuple[str, ...]:
    # vbd-DOMID-DEVICE/physical_device is MAJOR:MINOR in hexadecimal, xen-blkback/xenbus.c.
    sought = {":".join(f"{int(n):x}" for n in one.split(":")) for one in numbers if one}
    found = (
        f"the guest with Xen's number {vbd.name.split('-')[1]}"
        for vbd in sorted(devices.glob("vbd-*-*"))
        if _text(vbd / "physical_device") in sought
    )
    return tuple(dict.fromkeys(found))


def _mounts(numbers: Set[str], mountinfo: Path) -> tuple[str, ...]:
    fields = (line.split() for line in _text(mountinfo).splitlines())
    return tuple(f"the mount on {field[4]}" for field in fields if numbers & {*field[2:3]})


def _processes(names: Set[str], proc: Path) -> tuple[str, ...]:
    found = []
    for process in sorted(proc.glob("[0-9]*")):
        try:
            files = [str(file.readlink()) for file in (process / "fd").iterdir()]
        except OSError:  # it ended while we looked, or a kernel thread
            continue
        if not names.isdisjoint(files):
            found.append(f"process {process.name} ({_text(process / 'comm') or 'gone'})")
    return tuple(found)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
