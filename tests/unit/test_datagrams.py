# SPDX-License-Identifier: MIT
import queue
import socket
import threading
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest

from haagent.cluster.datagrams import Address, Datagrams, Way
from haagent.core.model import Path

SECONDS = 10  # a deadline; nothing here takes so long
CROSSOVER = (IPv4Address("127.0.77.1"), IPv4Address("127.0.77.2"))
LAN = (IPv4Address("127.0.10.1"), IPv4Address("127.0.10.2"))
ELSEWHERE = (IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"))  # RFC 5737: nobody has these


class Node:
    """One end: both paths, and a thread that listens."""

    def __init__(self, me: int, port: int, crossover: tuple[IPv4Address, IPv4Address]) -> None:
        ways = {
            path: Way(None, addresses[me], addresses[1 - me])
            for path, addresses in ((Path.CROSSOVER, crossover), (Path.LAN, LAN))
        }
        self.datagrams = Datagrams(ways, port)
        self.heard: queue.Queue[tuple[Path, bytes]] = queue.Queue()
        self.thread = threading.Thread(target=self.datagrams.receive, args=(self._hear,))
        self.thread.start()

    def _hear(self, path: Path, data: bytes, sender: object) -> None:
        self.heard.put((path, data))

    def hear(self, count: int) -> set[tuple[Path, bytes]]:
        return {self.heard.get(timeout=SECONDS) for _ in range(count)}

    def end(self) -> None:
        self.datagrams.close()
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()


@pytest.fixture
def port() -> int:
    """One that was free a moment ago, on every address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0", 0))
        number: int = sock.getsockname()[1]
        return number


@pytest.fixture
def pair(port: int) -> Iterator[tuple[Node, Node]]:
    made = Node(0, port, CROSSOVER), Node(1, port, CROSSOVER)
    yield made
    for node in made:
        node.end()


def test_each_word_goes_over_both_paths(pair: tuple[Node, Node]) -> None:
    a, b = pair
    large = b"x" * 16384
    a.datagrams.send(large)
    assert b.hear(2) == {(Path.CROSSOVER, large), (Path.LAN, large)}
    b.datagrams.send(b"heard")
    assert a.hear(2) == {(Path.CROSSOVER, b"heard"), (Path.LAN, b"heard")}


def test_only_the_peer_is_heard(pair: tuple[Node, Node], port: int) -> None:
    """Neither a stranger, nor the peer's other address, nor another program at the peer's."""
    a, b = pair
    for source in (("127.0.77.3", port), (str(LAN[1]), port + 1), (str(CROSSOVER[1]), port + 1)):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(source)
            stranger.sendto(b"believe me", (str(CROSSOVER[0]), port))
    b.datagrams.send(b"it is me")
    assert a.hear(2) == {(Path.CROSSOVER, b"it is me"), (Path.LAN, b"it is me")}
    assert a.datagrams.ignored == {Path.CROSSOVER: 3}
    assert a.heard.empty()


def test_a_lost_path_does_not_stop_the_other(port: int) -> None:
    """Our address on the crossover is not there: its socket cannot even be opened."""
    a, b = Node(0, port, ELSEWHERE), Node(1, port, CROSSOVER)
    a.datagrams.send(b"still here")
    assert b.hear(1) == {(Path.LAN, b"still here")}
    assert a.datagrams.failures == {Path.CROSSOVER: 2}  # the first opening, and the sending
    a.end()
    b.end()


def test_an_interface_that_is_not_there_is_no_error(port: int) -> None:
    way = Way("no-such-card", *CROSSOVER)
    datagrams = Datagrams({Path.CROSSOVER: way}, port)
    datagrams.send(b"hello?")
    assert datagrams.failures == {Path.CROSSOVER: 2}
    datagrams.close()


def test_a_real_interface(port: int) -> None:
    datagrams = Datagrams({Path.LAN: Way("lo", LAN[0], LAN[1])}, port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind((str(LAN[1]), port))
        peer.settimeout(SECONDS)
        datagrams.send(b"hello")
        assert peer.recvfrom(10) == (b"hello", (str(LAN[0]), port))
    datagrams.close()


OTHER_CARDS = [name for _, name in socket.if_nameindex() if name != "lo"]


@pytest.mark.skipif(not OTHER_CARDS, reason="this host has only a loopback")
def test_what_comes_in_elsewhere_is_not_heard(port: int) -> None:
    """Our crossover is another card here; what the peer sends arrives on the loopback."""
    ways = {Path.CROSSOVER: Way(OTHER_CARDS[0], *CROSSOVER), Path.LAN: Way(None, *LAN)}
    ears, peer = Datagrams(ways, port), Node(1, port, CROSSOVER)
    heard: list[Path] = []

    def hear(path: Path, _: bytes, sender: object) -> None:
        heard.append(path)
        if heard.count(Path.LAN) == 2:
            ears.close()

    peer.datagrams.send(b"one")
    peer.datagrams.send(b"two")
    ears.receive(hear)
    assert heard == [Path.LAN, Path.LAN]
    peer.end()


def test_nothing_is_sent_after_the_end(port: int) -> None:
    a, b = Node(0, port, CROSSOVER), Node(1, port, CROSSOVER)
    a.end()
    a.datagrams.send(b"from beyond")
    b.end()
    assert b.heard.empty()


def test_a_stranger_is_told_of_apart_and_can_be_answered(port: int) -> None:
    """A machine that was replaced may have any address."""
    datagrams = Datagrams({Path.LAN: Way(None, *LAN)}, port)
    came: list[tuple[bytes, Address]] = []

    def stranger(path: Path, data: bytes, sender: Address) -> None:
        came.append((data, sender))
        datagrams.answer(path, sender, b"you were replaced")
        datagrams.close()

    def peer(path: Path, data: bytes, sender: Address) -> None:
        raise AssertionError("it is not the peer")

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.77.9", port))
        other.settimeout(SECONDS)
        other.sendto(b"hello", (str(LAN[0]), port))
        datagrams.receive(peer, stranger)
        assert came == [(b"hello", ("127.0.77.9", port))]
        assert other.recvfrom(64) == (b"you were replaced", (str(LAN[0]), port))
