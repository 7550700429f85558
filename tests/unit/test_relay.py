# SPDX-License-Identifier: MIT
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.vm.cables import Cables, Said
from tests.vm.frames import carrying
from tests.vm.mishaps import Corrupt, Delay, Duplicate, Limit, Lose, Which
from tests.vm.wait import wait_until

TCP = bytes.fromhex(  # SYN from 192.168.77.1:45678 to 192.168.77.2:7810
    "525400000b01525400000a010800"
    "4500003c0001400040060000c0a84d01c0a84d02"
    "b26e1e820000000000000000a002fd000000000000000000"
)
UDP = TCP[:23] + bytes([17]) + TCP[24:]
LATE = 2.0  # seconds; long enough to do something else meanwhile on a busy host
PATIENCE = 60  # seconds
QUEUED = 10  # frames that wait for whoever listens; more are lost (net.unix.max_dgram_qlen)


class Plug:
    """A machine's end of a cable."""

    def __init__(self, folder: Path, segment: str, port: str) -> None:
        self._out = str(folder / f"{segment}-{port}.out")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / f"{segment}-{port}.in"))
        self.socket.settimeout(PATIENCE)

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


def test_one_way_is_cut_and_everything_else_passes(cables: Cables, tmp_path: Path) -> None:
    a, b, c = (Plug(tmp_path, "lan", port) for port in "abc")
    cables.cut_one_way("lan", "a", "b")
    a.send(b"there")
    b.send(b"back")
    assert c.hear() == b"there"
    assert a.hear() == c.hear() == b"back"
    assert cables.frames()["lost"] == {"lan/a/b": 1}
    cables.plug("lan")
    a.send(b"again")
    assert b.hear() == b"again"


def test_a_mishap_is_for_the_ways_that_were_named(cables: Cables, tmp_path: Path) -> None:
    a, b, c = (Plug(tmp_path, "lan", port) for port in "abc")
    cables.hurt("lan", Duplicate(), speaker="a")
    cables.hurt("lan", Duplicate(), hearer="c")
    a.send(b"one")
    b.send(b"two")
    assert [b.hear(), a.hear()] == [b"one", b"two"]
    assert b.hear() == b"one"
    assert [c.hear() for _ in range(4)] == [b"one", b"one", b"two", b"two"]
    counted = cables.frames()
    assert counted["hurt"] == {"lan/a/b": 1, "lan/a/c": 1, "lan/b/c": 1}
    assert counted["carried"] == {"lan/a/b": 2, "lan/a/c": 2, "lan/b/a": 1, "lan/b/c": 2}


def test_nobody_is_hurt_whose_name_nobody_has(cables: Cables) -> None:
    attempts: tuple[Callable[[], None], ...] = (
        lambda: cables.unplug("xo", "c"),
        lambda: cables.cut_one_way("xo", "a", "c"),
        lambda: cables.record("xo", "c", Which()),
        lambda: cables.say("xo", "c", []),
    )
    for hurt in attempts:
        with pytest.raises(AssertionError, match="nobody called 'c' is on xo"):
            hurt()


def test_a_late_frame_is_overtaken_by_others(cables: Cables, tmp_path: Path) -> None:
    a, b = (Plug(tmp_path, "xo", port) for port in "ab")
    cables.hurt("xo", Delay(seconds=LATE, which=Which(tcp=7810)))
    a.send(TCP)
    a.send(UDP)
    assert [b.hear(), b.hear()] == [UDP, TCP]
    assert cables.frames()["hurt"] == {"xo/a/b": 1}


def test_what_is_late_arrives_after_the_mishap_has_ended(cables: Cables, tmp_path: Path) -> None:
    a, b = (Plug(tmp_path, "xo", port) for port in "ab")
    cables.hurt("xo", Delay(seconds=LATE))
    a.send(b"before")
    await_hurt(cables, 1)
    cables.mend("xo")
    a.send(b"after")
    assert [b.hear(), b.hear()] == [b"after", b"before"]


def test_what_is_on_a_cable_that_is_cut_is_lost(cables: Cables, tmp_path: Path) -> None:
    a, b = (Plug(tmp_path, "xo", port) for port in "ab")
    cables.hurt("xo", Delay(seconds=LATE))
    a.send(b"gone")
    await_hurt(cables, 1)
    cables.unplug("xo")
    wait_until("it to be lost", lambda: cables.frames()["lost"].get("xo/a/b"), PATIENCE, 0.02)
    cables.mend("xo")
    a.send(b"after")
    assert b.hear() == b"after"


def test_frames_that_are_due_at_once_keep_their_order(cables: Cables, tmp_path: Path) -> None:
    b = Plug(tmp_path, "xo", "b")
    cables.hurt("xo", Delay(seconds=0, jitter=0.002))
    said = [bytes([number]) for number in range(QUEUED)]
    for _ in range(20):
        cables.say("xo", "a", [Said(0, frame) for frame in said])
        assert [b.hear() for _ in said] == said


def test_a_slow_line_is_slow(cables: Cables, tmp_path: Path) -> None:
    a, b = (Plug(tmp_path, "xo", port) for port in "ab")
    cables.hurt("xo", Limit(bits_per_second=80_000))
    begin = time.monotonic()
    for _ in range(3):
        a.send(bytes(1000))
    for _ in range(3):
        b.hear()
    assert time.monotonic() - begin >= 0.3


def test_mishaps_end_one_by_one(cables: Cables, tmp_path: Path) -> None:
    a, b = (Plug(tmp_path, "xo", port) for port in "ab")
    corrupt, lose = Corrupt(), Lose(which=Which(udp=7810))
    cables.hurt("xo", corrupt)
    cables.hurt("xo", lose)
    cables.unplug("xo")
    a.send(TCP)
    cables.plug("xo")
    a.send(UDP)
    a.send(b"an Ethernet header, and this")
    heard = b.hear()
    assert heard[:14] == b"an Ethernet he"
    assert heard != b"an Ethernet header, and this"
    cables.mend("xo", corrupt)
    a.send(UDP)
    a.send(TCP)
    assert b.hear() == TCP
    cables.mend("xo")
    a.send(UDP)
    assert b.hear() == UDP
    assert cables.frames()["lost"] == {"xo/a/b": 3}


def test_what_a_port_said_is_said_again(cables: Cables, tmp_path: Path) -> None:
    a, b = (Plug(tmp_path, "xo", port) for port in "ab")
    a.send(UDP)
    b.hear()
    cables.record("xo", "a", Which(udp=7810))
    for frame in (UDP, TCP, UDP + b"later"):
        a.send(frame)
    b.send(UDP)
    a.hear()
    for _ in range(3):
        b.hear()
    said = cables.recorded("xo", "a")
    assert [one.frame for one in said] == [UDP, UDP + b"later"]
    assert 0 <= said[0].seconds <= said[1].seconds < 10
    a.send(UDP)
    b.hear()
    assert cables.recorded("xo", "a") == []
    cables.say("xo", "a", said)
    assert [b.hear(), b.hear()] == [UDP, UDP + b"later"]


def test_forged_words_are_heard_as_if_a_port_had_said_them(cables: Cables, tmp_path: Path) -> None:
    a, b, c = (Plug(tmp_path, "lan", port) for port in "abc")
    cables.record("lan", "a", Which(udp=7810))
    a.send(UDP)
    assert [b.hear(), c.hear()] == [UDP, UDP]
    (said,) = cables.recorded("lan", "a")
    forged = carrying(said.frame, b"I am a, and I am off")
    cables.say("lan", "a", [Said(0, forged)])
    assert [b.hear(), c.hear()] == [forged, forged]
    assert forged.endswith(b"I am a, and I am off")


def test_what_is_said_for_somebody_is_said_in_its_time_and_hurt_on_its_way(
    cables: Cables, tmp_path: Path
) -> None:
    a, b, c = (Plug(tmp_path, "lan", port) for port in "abc")
    cables.cut_between("lan", "a", "c")
    cables.say("lan", "a", [Said(0.5, b"second"), Said(0, b"first")])
    assert [b.hear(), b.hear()] == [b"first", b"second"]
    b.send(b"third")
    assert a.hear() == c.hear() == b"third", "who spoke heard itself, or the cut was passed by"


def await_hurt(cables: Cables, count: int) -> None:
    wait_until(
        "a frame to be hurt", lambda: sum(cables.frames()["hurt"].values()) == count, PATIENCE, 0.02
    )
