# SPDX-License-Identifier: MIT
"""Hears the built-in guest's beacons on the LAN, from a port of its own, and remembers them."""

import json
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

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


class Beacons:
    """Listens on SEGMENT's port PORT of the relay in FOLDER until `close`."""

    def __init__(self, folder: Path, segment: str = "lan", port: str = "ear") -> None:
        self.heard: list[Beacon] = []
        self._path = folder / f"{segment}-{port}.in"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self._path))
        self._is_closed = False
        threading.Thread(target=self._listen, daemon=True, name="beacons").start()

    def _listen(self) -> None:
        while not self._is_closed:
            try:
                frame = self._socket.recv(65536)
            except OSError:
                return
            beacon = parse(frame, time.monotonic())
            if beacon is not None:
                self.heard.append(beacon)

    def close(self) -> None:
        self._is_closed = True
        self._socket.close()
        self._path.unlink(missing_ok=True)
