# SPDX-License-Identifier: MIT
"""Owns the console until the machine belongs to a pair: greets, shows the hardware, waits.

The page is drawn again when Enter is pressed and when a disk or network card comes or goes.
"""

import select
import socket
import sys

from firstboot.faces import line
from firstboot.probe import probe

NETLINK_KOBJECT_UEVENT = (
    15  # include/uapi/linux/netlink.h; group 1 is the kernel, group 2 is udev, after its rules
)
UDEV_GROUP = 2
QUIET = 0.5  # seconds without an event before the page is drawn: devices come in bursts


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


def wait_for_reason(events: socket.socket) -> bool:
    """Waits until the page should be drawn again; False when the console is gone."""
    changed = False
    while True:
        ready, _, _ = select.select([sys.stdin, events], [], [], QUIET if changed else None)
        if not ready:
            return True
        if events in ready:
            changed = concerns_hardware(events.recv(65536)) or changed
        if sys.stdin in ready:
            return bool(sys.stdin.readline())


def main() -> None:
    events = hardware_changes()
    while True:
        print("\n" + line.greeting(probe()), flush=True)
        if not wait_for_reason(events):
            return


if __name__ == "__main__":
    main()
