# SPDX-License-Identifier: MIT
"""Asks the referee and the peer for a sign of life. Owns the sockets and which answer counts.

What an answer means is decided elsewhere. Needs CAP_NET_RAW.
"""

import itertools
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

from haagent.network.frames import (
    ETHERTYPE_ARP,
    EchoReply,
    arp_request,
    echo_request,
    mac_bytes,
    parse_arp_reply,
    parse_echo_reply,
)
from haagent.network.sockets import Port, Sockets, bind_to, send_to

REMEMBERED = 64  # rounds of probes; an answer that is later than that says nothing about now
MOST_REFEREES = 3
_COOKIE = 16  # bytes
NEIGHBOURS = Path("/proc/net/arp")
COMPLETE = 2  # ATF_COM of linux/if_arp.h: that there is an answer

log = logging.getLogger(__name__)


class Echoes:
    """Which echo requests are out, and when each round left. Pure, but for its random identity.

    Every instance marks its requests with a random cookie: an answer to an earlier run of the
    agent, which used the same sequence numbers, is not one to ours.
    """

    def __init__(self, addresses: Sequence[IPv4Address]) -> None:
        self._addresses = frozenset(addresses)
        self._identifier = int.from_bytes(os.urandom(2))
        self._cookie = secrets.token_bytes(_COOKIE)
        self._numbers = itertools.count()
        self._left: dict[int, float] = {}  # the oldest first

    def request(self, now: float) -> bytes:
        """The request of a new round, which leaves at NOW or later."""
        sequence = next(self._numbers) % 0x10000
        self._left[sequence] = now
        if len(self._left) > REMEMBERED:
            del self._left[next(iter(self._left))]
        return echo_request(self._identifier, sequence, self._cookie)

    def sent_at(self, reply: EchoReply | None) -> float | None:
        """When the request left that REPLY answers; None if it answers none of ours."""
        if reply is None or reply.source not in self._addresses:
            return None
        if (reply.identifier, reply.payload) != (self._identifier, self._cookie):
            return None
        return self._left.get(reply.sequence)


def neighbour(address: IPv4Address, table: Path = NEIGHBOURS) -> str | None:
    """The MAC that the kernel sends what is for ADDRESS to, as in proc_net(5); None: not known."""
    for line in table.read_text().splitlines()[1:]:
        asked, _, flags, mac, *_ = line.split()
        if asked == str(address) and int(flags, 16) & COMPLETE:
            return mac
    return None


class RefereeProbe:
    """ICMP echo to each of up to three ADDRESSES through INTERFACE.

    safety: GUESTS are the MACs of our own, whose answers say nothing of the LAN: one that has the
    referee's address, by mistake or as its router, answers over a bridge that no cable leaves.
    """

    def __init__(
        self,
        addresses: Sequence[IPv4Address],
        interface: str | None,
        guests: Collection[str] = (),
        neighbour: Callable[[IPv4Address], str | None] = neighbour,
    ) -> None:
        if len(addresses) > MOST_REFEREES:
            raise ValueError(f"{len(addresses)} referees; there may be {MOST_REFEREES}")
        self._guests, self._neighbour = {mac.lower() for mac in guests}, neighbour
        self._denied: set[IPv4Address] = set()
        self._echoes = Echoes(addresses)
        self._lock = threading.Lock()  # around _echoes: one thread sends, another one receives
        # A socket for each, so that each address has its own troubles. All of them hear everything.
        port = Port(interface, partial(_open_icmp, interface))
        self._sockets = Sockets[IPv4Address](dict.fromkeys(addresses, port))
        self._addresses = tuple(addresses)

    def send(self) -> None:
        """Sends one round of probes. Never blocks; what cannot be sent is counted and logged."""
        with self._lock:
            # safety: the time is taken before, not after: the proof must not be younger than it is.
            request = self._echoes.request(time.monotonic())
        for address in self._addresses:
            self._sockets.use(address, partial(send_to, (str(address), 0), request))

    def receive(self, post: Callable[[float], None]) -> None:
        """Calls POST for each answer with the monotonic time its probe left at, until `close`.

        Blocks; for a thread of its own.
        """

        def hear(ear: IPv4Address, packet: bytes, _: object) -> None:
            reply = parse_echo_reply(packet)
            if reply is None or reply.source != ear:
                return
            with self._lock:
                sent = self._echoes.sent_at(reply)
            if sent is not None and not self._is_guest(ear):
                post(sent)

        self._sockets.receive(hear)

    def _is_guest(self, address: IPv4Address) -> bool:
        """Or may be one."""
        if not self._guests:
            return False
        why = ""
        try:
            if (mac := self._neighbour(address)) in self._guests:
                why = f"it is one of our own guests, the one with the MAC address {mac}"
        except (OSError, ValueError) as error:
            why = f"nobody knows who gives them: {error}"
        if why and address not in self._denied:
            log.warning("the answers of the referee %s count for nothing: %s", address, why)
        (self._denied.add if why else self._denied.discard)(address)
        return bool(why)

    def close(self) -> None:
        self._sockets.close()


class PeerProbe:
    """ARP requests through INTERFACE, in the name of our own ADDRESS on it.

    EXPECTED are the addresses to ask for, each with the MAC that must answer.
    """

    def __init__(
        self, interface: str, address: IPv4Address, expected: Mapping[IPv4Address, str]
    ) -> None:
        self._address = address
        self._expected = {asked: mac_bytes(mac) for asked, mac in expected.items()}
        port = Port(interface, partial(open_ethernet, interface, ETHERTYPE_ARP))
        self._sockets = Sockets[str]({"ARP": port})

    def send(self) -> None:
        """Asks for each address once. Never blocks; what cannot be sent is counted and logged."""
        self._sockets.use("ARP", self._ask)

    def receive(self, post: Callable[[IPv4Address], None]) -> None:
        """Calls POST with the address, for each answer of the right MAC, until `close`.

        Blocks; for a thread of its own.
        """

        def hear(_: str, frame: bytes, __: object) -> None:
            reply = parse_arp_reply(frame)
            # safety: a router with proxy ARP answers for a dead machine, with its own MAC. A guest
            # may name any in its answer, but the frame it sends has its own (vif-shoestring).
            if reply and self._expected.get(reply.address) == reply.mac == reply.source:
                post(reply.address)

        self._sockets.receive(hear)

    def close(self) -> None:
        self._sockets.close()

    def _ask(self, sock: socket.socket) -> None:
        # packet(7): the interface's own address. Asked each time: a bridge's MAC can change.
        our_mac: bytes = sock.getsockname()[4]
        for asked in self._expected:
            sock.send(arp_request(our_mac, self._address, asked), socket.MSG_DONTWAIT)


def open_ethernet(interface: str, ethertype: int) -> socket.socket:
    """A packet socket for whole frames of ETHERTYPE on INTERFACE (packet(7)). Raises OSError.

    It is opened deaf (protocol 0), so that no frame of another interface gets in before the bind.
    """
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    try:
        sock.bind((interface, ethertype))
    except OSError:
        sock.close()
        raise
    return sock


def _open_icmp(interface: str | None) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_ICMP)
    try:
        bind_to(sock, interface)
    except OSError:
        sock.close()
        raise
    return sock
