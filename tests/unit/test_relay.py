# SPDX-License-Identifier: MIT
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm.cables import Cables


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
