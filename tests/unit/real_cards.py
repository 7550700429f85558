# SPDX-License-Identifier: MIT
"""Machines as network namespaces, with real cards and real cables between them; they need root."""

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from ipaddress import IPv6Address
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from firstboot.agreement import Stage, Word
from firstboot.pairing.announcement import party
from firstboot.pairing.cards import Card, link_local_addresses
from firstboot.pairing.discovery import (
    Discovery,
    Finding,
)
from firstboot.pairing.radio import Radio
from firstboot.pairing.stream import Listener, Stream, call
from haagent.errors import PeerError
from haagent.network.probes import open_ethernet
from tests.vm.wait import wait_until

P = ParamSpec("P")

T = TypeVar("T")

SECONDS = 30  # a deadline; nothing here takes so long

SOON = 0.5  # until a call is given up that must not be answered

FASTER = 10  # seconds of discovery in one of ours

CLONE_NEWNET = 0x40000000  # setns(2)

SILENT = Word(Stage.BLANK)

ROUTER = "52:54:00:00:0d:01"


def ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True, capture_output=True, timeout=SECONDS)


class Machine:
    """A namespace, and a thread that lives in it. Sockets stay where they were opened."""

    def __init__(self, letter: str) -> None:
        self.letter = letter
        self.name = f"shoestring-{os.getpid()}-{letter}"
        self.party = party(letter * 32, "boot", "0.1.0")
        ip("netns", "add", self.name)
        # Without, an address is tentative for a second or two.
        write = "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad"
        ip("netns", "exec", self.name, "sh", "-c", write)
        self._thread = ThreadPoolExecutor(1, initializer=self._enter)

    def _enter(self) -> None:
        with Path("/run/netns", self.name).open() as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def do(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What ACT returns, done in here."""
        return self.begin(act, *args, **kwargs).result(SECONDS)

    def begin(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        return self._thread.submit(act, *args, **kwargs)

    def mac(self, card: str) -> str:
        return f"52:54:00:00:0{self.letter}:{'01' if card == 'cable' else '02'}"

    def cards(self) -> tuple[Card, ...]:
        """As cards.py would find them, were they not virtual. Only to be called in here."""
        addresses = link_local_addresses(Path("/proc/thread-self/net/if_inet6").read_text())
        return tuple(
            Card(name, index, self.mac(name), is_on, is_on, 1000, addresses.get(name))
            for index, name in socket.if_nameindex()
            if name in ("cable", "lan")
            for is_on in [name in addresses]
        )

    def address(self) -> IPv6Address:
        """Its own at the crossover, once it has one."""

        def find() -> IPv6Address | None:
            return next((one.address for one in self.do(self.cards) if one.name == "cable"), None)

        return wait_until(f"an address of {self.name}", find, SECONDS, every=0.02)

    def unplug(self) -> None:
        for card in ("cable", "lan"):
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("-n", self.name, "link", "delete", card)

    def close(self) -> None:
        self._thread.shutdown()
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("netns", "delete", self.name)


def plug(one: Machine, other: Machine, card: str, other_card: str, *, up: bool = True) -> None:
    """A cable between two machines."""
    ends = ((one, card), (other, other_card))
    ip(
        *("-n", one.name, "link", "add", card, "address", one.mac(card), "type", "veth"),
        *("peer", "name", other_card, "address", other.mac(other_card), "netns", other.name),
    )
    for machine, name in ends if up else ():
        ip("-n", machine.name, "link", "set", "dev", name, "up")


def why_not() -> str:
    """Why namespaces cannot be used here; empty if they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "there is no ip(8)"
    if not Path("/proc/sys/net/ipv6").exists():
        return "the kernel has no IPv6"
    name = f"shoestring-{os.getpid()}-try"
    try:
        ip("netns", "add", name)
        ip("-n", name, "link", "add", "try", "type", "veth")
        ip("netns", "delete", name)
    except subprocess.CalledProcessError as error:
        return f"`ip netns` does not work here: {error.stderr.decode().strip()}"
    return ""


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Machine, Machine, Machine]]:
    """Two machines and a switch, which are slow to make."""
    if reason := why_not():
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        made = []
        for letter in "abd":
            made.append(Machine(letter))
            stack.callback(made[-1].close)
        yield made[0], made[1], made[2]


@pytest.fixture
def two(machines: tuple[Machine, Machine, Machine]) -> Iterator[tuple[Machine, Machine]]:
    """Two machines that nobody connected yet."""
    yield machines[:2]
    for machine in machines[:2]:
        machine.unplug()


@pytest.fixture
def wired(two: tuple[Machine, Machine]) -> tuple[Machine, Machine]:
    """The same with a crossover cable."""
    plug(*two, "cable", "cable")
    return two


class Finder:
    """A machine that looks for its peer. Lives in its machine's thread."""

    def __init__(self, machine: Machine) -> None:
        self.radio = Radio(machine.cards)
        self.discovery = Discovery(machine.party)
        self.party = machine.party

    def tick(self) -> Finding:
        now = time.monotonic() * FASTER
        self.discovery.observe(*self.radio.look(now), *self.radio.hear(now))
        self.radio.announce(self.party, SILENT, self.discovery.quiet_in(now))
        return self.discovery.finding(now)


def stranger(machine: Machine, card: str) -> socket.socket:
    """Something that is no appliance, on the cable of CARD."""
    return machine.do(open_ethernet, card, 0)


def a_frame(source: str) -> bytes:
    return bytes.fromhex("ffffffffffff" + source.replace(":", "") + "0806") + bytes(46)


def wait_for(listener: Listener) -> Stream:
    return wait_until("somebody to call", listener.accept, SECONDS, every=0.01)


def connect(card: str, ours: IPv6Address, peer: IPv6Address) -> Stream:
    """The other machine may not listen yet."""

    def attempt() -> Stream | None:
        with contextlib.suppress(PeerError):
            return call(card, ours, peer)
        return None

    return wait_until("the other machine to listen", attempt, SECONDS, every=0.01)
