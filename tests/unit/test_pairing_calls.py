# SPDX-License-Identifier: MIT
"""Conversations over a real cable: only the peer gets through, and one that is gone is missed."""

import os
import socket
from ipaddress import IPv6Address

import pytest

from firstboot.pairing.stream import PORT, Listener, call
from haagent.errors import PeerError
from tests.unit.real_cards import SECONDS, SOON, Machine, ip, machines, two, wait_for, wired

__all__ = ["machines", "two", "wired"]  # fixtures


def refused(machine: Machine, hops: int, ours: IPv6Address, peer: IPv6Address) -> bool:
    """Whether a call with packets of hop limit HOPS comes to nothing."""

    def attempt() -> bool:
        index = socket.if_nametoindex("cable")
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as caller:
            caller.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
            caller.bind((str(ours), 0, 0, index))
            caller.settimeout(SOON)
            try:
                caller.connect((str(peer), PORT, 0, index))
                return caller.recv(1) == b""
            except TimeoutError:
                return hops != 255
            except ConnectionError:
                return True

    return machine.do(attempt)


def test_only_the_peer_gets_through_and_only_once(wired: tuple[Machine, Machine]) -> None:
    a, b = wired
    ours, peer, other = a.address(), b.address(), IPv6Address("fe80::bad")
    ip("-n", b.name, "address", "add", f"{other}/64", "dev", "cable", "nodad")
    listener = a.do(Listener, "cable", ours, peer)
    assert listener.fileno() >= 0
    assert a.do(listener.accept) is None

    assert refused(b, 64, peer, ours), "a packet that a router may have forwarded"
    assert a.do(listener.accept) is None

    intruder = b.do(call, "cable", other, ours)
    assert a.do(listener.accept) is None
    with pytest.raises(PeerError):
        b.do(intruder.receive, SOON)

    first = b.do(call, "cable", peer, ours)
    accepted = a.do(wait_for, listener)
    second = b.do(call, "cable", peer, ours)
    assert a.do(listener.accept) is None
    with pytest.raises(PeerError):
        b.do(second.receive, SOON)
    b.do(first.send, b"still there")
    assert a.do(accepted.receive) == b"still there"
    a.do(accepted.close)
    with pytest.raises(PeerError, match="hung up"):
        b.do(first.receive)
    third = b.do(call, "cable", peer, ours)
    a.do(a.do(wait_for, listener).send, b"welcome back")
    assert b.do(third.receive) == b"welcome back"
    listener.close()


def test_a_large_message_over_the_cable(wired: tuple[Machine, Machine]) -> None:
    a, b = wired
    listener = a.do(Listener, "cable", a.address(), b.address())
    caller = b.do(call, "cable", b.address(), a.address())
    accepted = a.do(wait_for, listener)
    message = os.urandom(256 * 1024)
    sending = b.begin(caller.send, message)
    assert a.do(accepted.receive) == message
    sending.result(SECONDS)
    caller.close()
    accepted.close()
    listener.close()


def test_a_peer_that_is_not_there_is_told_in_time(wired: tuple[Machine, Machine]) -> None:
    a, b = wired
    nobody, ours, peer = IPv6Address("fe80::dead"), a.address(), b.address()
    for address in (nobody, peer):  # no machine, and a machine that does not listen
        with pytest.raises(PeerError, match="does not answer"):
            a.do(call, "cable", ours, address, limit=SOON)
    for attempt in (Listener, call):
        with pytest.raises(PeerError):
            a.do(attempt, "nocard", ours, peer)
        with pytest.raises(PeerError):
            a.do(attempt, "cable", nobody, peer)


def test_a_peer_whose_cable_is_pulled_is_missed(wired: tuple[Machine, Machine]) -> None:
    a, b = wired
    listener = a.do(Listener, "cable", a.address(), b.address(), limit=SOON)
    caller = b.do(call, "cable", b.address(), a.address(), limit=SOON)
    accepted = a.do(wait_for, listener)
    ip("-n", a.name, "link", "set", "cable", "down")
    with pytest.raises(PeerError, match="in time"):
        b.do(caller.receive)
    with pytest.raises(PeerError):
        a.do(accepted.receive)
    listener.close()
