# SPDX-License-Identifier: MIT
"""Hears guests' beacons on the LAN, from a port of its own, and remembers them."""

import json
import time
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from tests.vm.ear import Ear

ETHERNET = 14  # bytes of header, without a VLAN tag
UDP = 17  # RFC 790
HEADER = 8  # bytes of UDP header, RFC 768


@dataclass(frozen=True, slots=True)
class Beacon:
    """One beacon. AT is this host's monotonic time; an epoch is one start of the guest."""

    at: float
    epoch: str  # later starts compare greater
    number: int  # counts from 1 in each epoch
    last: int  # the last number on the disk


def parse(frame: bytes, at: float) -> Beacon | None:
    """The beacon in FRAME, an Ethernet frame; None if there is none (RFC 791, RFC 768)."""
    packet = frame[ETHERNET:]
    if frame[12:14] != b"\x08\x00" or len(packet) < 20 or packet[9] != UDP:
        return None
    payload = packet[(packet[0] & 15) * 4 + HEADER :]
    try:
        said = json.loads(payload)
        return Beacon(at, said["epoch"], said["seq"], said["last"])
    except (ValueError, KeyError, TypeError):
        return None


def source(frame: bytes) -> str:
    """Where FRAME, an Ethernet frame with IPv4, comes from (RFC 791)."""
    return str(IPv4Address(frame[ETHERNET + 12 : ETHERNET + 16]))


class Beacons:
    """Listens on the LAN of the relay in FOLDER until `close`."""

    def __init__(self, folder: Path) -> None:
        self.heard: list[Beacon] = []  # of the pair's first guest
        self.apart: dict[str, list[Beacon]] = {}  # of others, by their addresses
        self._ear = Ear(folder, "lan", self._frame)

    def set_apart(self, *addresses: str) -> None:
        """There are guests with these ADDRESSES now, each with its own starts."""
        for address in addresses:
            self.apart[address] = []

    def _frame(self, frame: bytes) -> None:
        beacon = parse(frame, time.monotonic())
        if beacon is not None:
            self.apart.get(source(frame), self.heard).append(beacon)

    def close(self) -> None:
        self._ear.close()
