# SPDX-License-Identifier: MIT
"""Tells when a disk or a network card came or went. Reads nothing of the device itself."""

import select
import socket
import time

NETLINK_KOBJECT_UEVENT = (
    15  # include/uapi/linux/netlink.h; group 1 is the kernel, group 2 is udev, after its rules
)
UDEV_GROUP = 2
QUIET = 0.5  # seconds without an event before anybody looks again: devices come in bursts
LARGEST = 65536  # bytes of a message


def hardware_changes() -> socket.socket:
    """A socket that becomes readable when udev has dealt with a device."""
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_KOBJECT_UEVENT)
    events.bind((0, UDEV_GROUP))
    return events


def concerns_hardware(message: bytes) -> bool:
    """Whether a udev message is about a disk or a network card. Its properties are NUL-separated
    KEY=value.
    """
    return any(f"SUBSYSTEM={name}\0".encode() in message for name in ("block", "net"))


class Changes:
    """Of the hardware, from the time it is made."""

    def __init__(self) -> None:
        self._events = hardware_changes()

    def fileno(self) -> int:
        """Can be read when something happened to some device."""
        return self._events.fileno()

    def is_any(self) -> bool:
        """Whether a disk or a card came or went; waits until it is quiet."""
        changed = False
        while select.select([self._events], [], [], QUIET if changed else 0)[0]:
            changed = _is_change(self._events) or changed
        return changed


def await_change(events: socket.socket, limit: float | None = None) -> bool:
    """Blocks until hardware changed, and then until it was quiet for a moment; False if nothing
    changed for LIMIT seconds.
    """
    changed = False
    deadline = None if limit is None else time.monotonic() + limit
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select([events], [], [], QUIET if changed else left)
        if not ready:
            return changed
        changed = _is_change(events) or changed


def _is_change(events: socket.socket) -> bool:
    try:
        return concerns_hardware(events.recv(LARGEST))
    except OSError:
        # ENOBUFS, netlink(7): more came than was kept, so something may have changed.
        return True
