# SPDX-License-Identifier: MIT
"""What goes out on which way, in which order and format; and what is made of what comes in."""

from dataclasses import replace
from typing import Any

import pytest

from haagent.cluster.datagrams import Address
from haagent.cluster.speech import Speech
from haagent.cluster.wire import FORMATS, VERSION, decode, encode
from haagent.core import events
from haagent.core.model import NEVER, Pair, Path
from tests.unit.test_wire import KEY, PLAIN, content, resigned

OLD_KEY = b"o" * 32
BEFORE = VERSION - 1
WHERE = ("192.0.2.7", 6940)
PAIR = Pair(0, ("a", "b"), {"g": 0})


class Ways:
    """The datagrams and heartbeat at once: notes what is sent, and what is posted."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes]] = []
        self.posted: list[Any] = []

    def send(self, data: bytes) -> None:
        self.sent.append(("datagrams", data))

    def answer(self, path: Path, sender: Address, data: bytes) -> None:
        self.sent.append((f"{sender[0]} on the {path}", data))


class Slow:
    """heartbeat alone."""

    def __init__(self, ways: Ways) -> None:
        self._ways = ways

    def send(self, data: bytes) -> None:
        self._ways.sent.append(("heartbeat", data))


def speech(ways: Ways) -> Speech:
    return Speech(PAIR, KEY, (OLD_KEY,), ways, Slow(ways))


def test_each_format_takes_every_way() -> None:
    ways = Ways()
    speech(ways).say(PLAIN, FORMATS)
    assert [(way, decode(data, KEY).version) for way, data in ways.sent] == [
        ("datagrams", VERSION),
        ("heartbeat", VERSION),
        ("datagrams", BEFORE),
        ("heartbeat", BEFORE),
    ]
    assert {decode(data, KEY).hello.number for _, data in ways.sent} == {PLAIN.number}
    ways.sent.clear()
    speech(ways).say(PLAIN, (BEFORE,))
    assert [data for _, data in ways.sent] == [encode(PLAIN, KEY, BEFORE)] * 2


@pytest.mark.parametrize("version", FORMATS)
@pytest.mark.parametrize("way", [Path.HEARTBEAT, Path.LAN])
def test_the_peer_is_heard_in_both_formats_on_every_way(version: int, way: Path) -> None:
    ways, data = Ways(), encode(PLAIN, KEY, version)
    ears = speech(ways)
    if way is Path.HEARTBEAT:
        ears.hear(ways.posted.append, way, data)
    else:
        ears.hear_datagram(ways.posted.append, way, data, WHERE)
    (event,) = ways.posted
    assert isinstance(event, events.HelloHeard)
    assert (event.path, event.hello, event.format) == (way, PLAIN, version)
    assert ears.misunderstood_at == NEVER


@pytest.mark.parametrize("version", FORMATS)
def test_a_replaced_machine_is_answered_in_every_format(version: int) -> None:
    ways = Ways()
    mouth = speech(ways)
    mouth.tell_replaced(PLAIN)
    assert ways.sent == []  # none has spoken
    data = encode(PLAIN, OLD_KEY, version)
    assert mouth.hear_stranger(ways.posted.append, Path.LAN, data, WHERE)
    mouth.hear_datagram(ways.posted.append, Path.LAN, data, WHERE)
    assert [type(event) for event in ways.posted] == [events.ReplacedHeard] * 2
    mouth.tell_replaced(PLAIN)
    assert {way for way, _ in ways.sent} == {"192.0.2.7 on the LAN"}
    assert tuple(decode(data, OLD_KEY).version for _, data in ways.sent) == FORMATS


def test_a_format_that_is_not_ours_is_noted_if_the_peer_signed_it() -> None:
    ways = Ways()
    ears = speech(ways)
    strange = {**content(), "version": VERSION + 1}
    ears.hear(ways.posted.append, Path.LAN, b"x" * 40)
    assert ears.misunderstood_at == NEVER
    ears.hear(ways.posted.append, Path.LAN, resigned(strange))
    assert ears.misunderstood_at > NEVER
    assert ways.posted == []


def test_other_timers_are_refused_in_both_formats(caplog: pytest.LogCaptureFixture) -> None:
    ways = Ways()
    ears = speech(ways)
    for version in FORMATS:
        ears.hear(ways.posted.append, Path.LAN, encode(replace(PLAIN, scale=4.0), KEY, version))
    assert ways.posted == []
    assert [record.message for record in caplog.records] == [
        "the peer's time scale is 4, ours is 1"
    ], "and it is not said with every hello"
