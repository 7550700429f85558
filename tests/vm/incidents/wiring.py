# SPDX-License-Identifier: MIT
"""Cables in places where they do not belong: in the other card, or in a switch that joins them."""

import contextlib
import socket
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from tests.vm.ear import Ear
from tests.vm.machine import Machine

GROUP = 1  # of the first byte: many are meant (IEEE 802)


def exchange_cables(machine: Machine) -> None:
    """Each of the two cables goes into the other card of MACHINE, which is off."""
    assert not machine.is_on, f"{machine.name} is on"
    one, other = machine.nics
    machine.nics = [replace(one, segment=other.segment), replace(other, segment=one.segment)]


class Switch:
    """What a switch knows: which cable each card is on, learned of what they say (IEEE 802.1D)."""

    def __init__(self) -> None:
        self._cables: dict[bytes, str] = {}

    def lets_pass(self, cable: str, frame: bytes) -> bool:
        """Whether FRAME, which was heard on CABLE, is for somebody on another one."""
        to, source = frame[:6], frame[6:12]
        self._cables[source] = cable
        return bool(to[0] & GROUP) or self._cables.get(to) != cable


@contextlib.contextmanager
def joined(folder: Path) -> Iterator[None]:
    """The crossover and the LAN of the relay in FOLDER are one network, by a switch at the port
    `ear` of both. Whoever listens at that of the LAN goes on hearing.
    """
    switch, out = Switch(), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener, aside = folder / "lan-ear.in", folder / "lan-ear.aside"

    def say(frame: bytes, where: Path) -> None:
        with contextlib.suppress(OSError):  # nobody is there: Ethernet loses the frame
            out.sendto(frame, str(where))

    def carry(cable: str, other: str, frame: bytes) -> None:
        if switch.lets_pass(cable, frame):
            say(frame, folder / f"{other}-ear.out")

    def carry_from_lan(frame: bytes) -> None:
        say(frame, aside)
        carry("lan", "xo", frame)

    listener.rename(aside)
    try:
        with Ear(folder, "xo", partial(carry, "xo", "lan")), Ear(folder, "lan", carry_from_lan):
            yield
    finally:
        aside.rename(listener)
        out.close()
