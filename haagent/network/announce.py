# SPDX-License-Identifier: MIT
"""Tells the switches where a guest is, after it started here. No policy, and no waiting."""

import socket

from haagent.network.frames import ETHERTYPE_RARP, mac_bytes, rarp_announcement
from haagent.network.probes import open_ethernet

FRAMES = 3  # a switch learns from the first that arrives


def announce(interface: str, mac: str) -> None:
    """Broadcasts through INTERFACE, three times, that MAC (`00:16:3e:00:00:01`) is here.

    Raises ValueError for what is not a MAC address, and OSError if INTERFACE cannot send.
    """
    frame = rarp_announcement(mac_bytes(mac))
    with open_ethernet(interface, ETHERTYPE_RARP) as sock:
        for _ in range(FRAMES):
            sock.send(frame, socket.MSG_DONTWAIT)
