# SPDX-License-Identifier: MIT
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm.cables import Cables
from tests.vm.relay import tcp_ports

TCP = bytes.fromhex(  # SYN from 192.168.77.1:45678 to 192.168.77.2:7810
    "525400000b01525400000a010800"
    "4500003c0001400040060000c0a84d01c0a84d02"
    "b26e1e820000000000000000a002fd000000000000000000"
)
UDP = TCP[:23] + bytes([17]) + TCP[24:]


class Plug:
    """A machine's end of a cable."""

    def __init__(self, folder: Path, segment: str, port: str) -> None:
        self._out = str(folder / f"{segment}-{port}.out")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / f"{segment}-{port}.in"))
        self.socket.settimeout(10)

    def send(self, frame: bytes) -> None:
        self.socket.sendto(frame, self._out)

    def hear(self) -> bytes:
        return self.socket.recv(65536)


@pytest.fixture
def cables(tmp_path: Path) -> Iterator[Cables]:
    made = Cables(tmp_path, {"xo": ["a", "b"], "lan": ["a", "b", "c"]})
    yield made
    made.close()


def test_everybody_on_the_segment_hears_a_frame_and_nobody_else(
    cables: Cables, tmp_path: Path
) -> None:
    a, b, c = (Plug(tmp_path, "lan", port) for port in "abc")
    other = Plug(tmp_path, "xo", "b")
    a.send(b"hello")
    assert b.hear() == c.hear() == b"hello"
    assert cables.frames()["carried"] == {"lan/a/b": 1, "lan/a/c": 1}
    other.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        other.hear()


def test_an_unplugged_port_hears_nothing_until_it_is_plugged_again(
    cables: Cables, tmp_path: Path
) -> None:
    a, b, c = (Plug(tmp_path, "lan", port) for port in "abc")
    cables.unplug("lan", "b")
    a.send(b"one")
    assert c.hear() == b"one"
    b.send(b"lost")
    assert cables.frames()["lost"] == {"lan/a/b": 1, "lan/b/a": 1, "lan/b/c": 1}
    cables.plug("lan")
    a.send(b"two")
    assert b.hear() == c.hear() == b"two"


def test_a_tcp_port_is_lost_one_way_and_nothing_else(cables: Cables, tmp_path: Path) -> None:
    a, b = (Plug(tmp_path, "xo", port) for port in "ab")
    cables.lose_tcp("xo", 7810, "a")
    for frame in (TCP, UDP, b"short"):
        a.send(frame)
    assert [b.hear(), b.hear()] == [UDP, b"short"]
    b.send(TCP)
    assert a.hear() == TCP
    assert cables.frames()["lost"] == {"xo/a/b": 1}
    cables.carry_tcp("xo", 7810)
    a.send(TCP)
    assert b.hear() == TCP


def test_the_ports_of_a_frame() -> None:
    assert tcp_ports(TCP) == (45678, 7810)
    assert tcp_ports(TCP[:36]) == tcp_ports(UDP) == tcp_ports(b"") == ()
    with_options = TCP[:14] + b"\x46" + TCP[15:34] + bytes(4) + TCP[34:]
    assert tcp_ports(with_options) == (45678, 7810)
