# SPDX-License-Identifier: MIT
"""Tells who keeps a DRBD device open, and when somebody may have let go of one.

It only looks: it must not close, kill or unmount anything.
"""

import select
import socket
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
    files of processes, below ROOT as the kernel's sysfs and procfs show them.
    """
    return (
        *_guests(minor, root / "sys/bus/xen-backend/devices"),
        *_mounts(minor, root / "proc/self/mountinfo"),
        *(f"the device {name} on top of it" for name in _stacked(minor, root / "sys/block")),
        *_processes(minor, root / "proc"),
    )


def _guests(minor: int, devices: Path) -> tuple[str, ...]:
    # vbd-DOMID-DEVICE/physical_device is MAJOR:MINOR in hexadecimal, xen-blkback/xenbus.c.
    return tuple(
        f"the guest with Xen's number {vbd.name.split('-')[1]}"
        for vbd in sorted(devices.glob("vbd-*-*"))
        if _text(vbd / "physical_device") == f"{MAJOR:x}:{minor:x}"
    )


def _mounts(minor: int, mountinfo: Path) -> tuple[str, ...]:
    fields = (line.split() for line in _text(mountinfo).splitlines())
    return tuple(
        f"the mount on {field[4]}" for field in fields if field[2:3] == [f"{MAJOR}:{minor}"]
    )


def _stacked(minor: int, block: Path) -> tuple[str, ...]:
    above = block / f"drbd{minor}" / "holders"
    return tuple(sorted(entry.name for entry in above.iterdir())) if above.is_dir() else ()


def _processes(minor: int, proc: Path) -> tuple[str, ...]:
    found = []
    for process in sorted(proc.glob("[0-9]*")):
        try:
            files = [str(file.readlink()) for file in (process / "fd").iterdir()]
        except OSError:  # it ended while we looked, or a kernel thread
            continue
        if f"/dev/drbd{minor}" in files:
            found.append(f"process {process.name} ({_text(process / 'comm') or 'gone'})")
    return tuple(found)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
