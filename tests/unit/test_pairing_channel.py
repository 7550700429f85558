# SPDX-License-Identifier: MIT
"""Sealed messages: in order, unchanged and complete, or the end of the conversation."""

import random
from typing import Any

import pytest

from firstboot.pairing.ceremony import Keys
from firstboot.pairing.channel import LARGEST, LARGEST_SEALED, OVERHEAD, Channel
from firstboot.pairing.objects import pack, unpack
from haagent.errors import BugError, PeerError

SEED = 20261123
OURS = Keys(b"o" * 32, b"t" * 32, "00" * 32)
THEIRS = Keys(OURS.from_peer, OURS.to_peer, OURS.secret)


def ends() -> tuple[Channel, Channel]:
    return Channel(OURS), Channel(THEIRS)


@pytest.mark.parametrize(
    "content", [{}, {"a": 1}, {"text": "\N{SNOWMAN}\0\n", "list": [None, True, -1.5, {"x": []}]}]
)
def test_what_is_sealed_is_opened(content: dict[str, Any]) -> None:
    one, other = ends()
    assert other.open(one.seal(content)) == content
    assert one.open(other.seal(content)) == content


def test_many_messages_both_ways_and_a_proper_end() -> None:
    one, other = ends()
    for number in range(300):
        assert other.open(one.seal({"number": number})) == {"number": number}
        if number % 3 == 0:
            assert one.open(other.seal({"answer": number})) == {"answer": number}
    assert other.open(one.farewell()) is None
    assert one.open(other.seal({"last": "word"})) == {"last": "word"}
    assert one.open(other.farewell()) is None
    one.lost()
    other.lost()


def test_the_same_words_look_different_each_time() -> None:
    one, _ = ends()
    assert len({one.seal({"a": 1}) for _ in range(10)}) == 10


def is_over(channel: Channel) -> bool:
    for attempt in (lambda: channel.seal({}), lambda: channel.open(b"x" * 40), channel.farewell):
        with pytest.raises(PeerError, match="has ended"):
            attempt()
    return True


def test_a_replayed_message_is_the_end() -> None:
    one, other = ends()
    said = one.seal({"a": 1})
    other.open(said)
    with pytest.raises(PeerError, match="message 1 is not the one"):
        other.open(said)
    assert is_over(other)


def test_messages_in_the_wrong_order_are_the_end() -> None:
    one, other = ends()
    _, second = one.seal({"a": 1}), one.seal({"a": 2})
    with pytest.raises(PeerError):
        other.open(second)
    assert is_over(other)


def test_a_lost_message_is_the_end() -> None:
    one, other = ends()
    other.open(one.seal({"a": 1}))
    one.seal({"a": 2})
    with pytest.raises(PeerError):
        other.open(one.seal({"a": 3}))
    assert is_over(other)


def test_our_own_message_is_not_the_peers() -> None:
    one, _ = ends()
    with pytest.raises(PeerError):
        one.open(one.seal({"a": 1}))
    assert is_over(one)


def test_another_pairs_message_does_not_open() -> None:
    stranger = Channel(Keys(b"s" * 32, b"t" * 32, ""))
    with pytest.raises(PeerError):
        ends()[1].open(stranger.seal({"a": 1}))


def test_a_message_that_was_changed_or_cut_anywhere_is_the_end() -> None:
    rng = random.Random(SEED)
    said = ends()[0].seal({"text": "something"})
    for place in range(len(said)):
        flip = rng.randrange(1, 256)
        flipped = said[:place] + bytes([said[place] ^ flip]) + said[place + 1 :]
        for changed in (flipped, said[:place], said[place + 1 :]):
            _, other = ends()
            with pytest.raises(PeerError):
                other.open(changed)
            assert is_over(other), f"seed {SEED}"


def test_a_conversation_that_is_cut_does_not_look_finished() -> None:
    one, other = ends()
    other.open(one.seal({"a": 1}))
    with pytest.raises(PeerError, match="went away"):
        other.lost()
    assert is_over(other)


def test_nothing_comes_after_a_farewell() -> None:
    one, other = ends()
    other.open(one.farewell())
    with pytest.raises(PeerError, match="farewell"):
        one.seal({})
    with pytest.raises(PeerError, match="farewell"):
        one.farewell()
    with pytest.raises(PeerError, match="after its farewell"):
        other.open(b"x" * 40)


def test_the_largest_that_is_allowed_and_one_more() -> None:
    one, other = ends()
    most = {"t": "x" * (LARGEST - len('{"t":""}'))}
    sealed = one.seal(most)
    assert len(sealed) == LARGEST_SEALED == LARGEST + OVERHEAD
    assert other.open(sealed) == most
    with pytest.raises(BugError):
        one.seal({"t": most["t"] + "x"})
    assert other.open(one.seal({"a": 1})) == {"a": 1}, "our mistake uses up no number"
    with pytest.raises(PeerError, match=f"{LARGEST_SEALED + 1} bytes"):
        other.open(sealed + b"x")


@pytest.mark.parametrize("text", [b"\1", b"\1[]", b"\1nonsense", b"\2{}", b"\0{}", b""])
def test_a_genuine_message_that_makes_no_sense_is_the_end(text: bytes) -> None:
    one, other = ends()
    with pytest.raises(PeerError):
        other.open(one._sealed_with(text))
    assert is_over(other)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1",
        b"null",
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":"\\ud800"}',
        b'{"\\udfff":1}',
        b'{"a":"\xff"}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":' * 40_000,
        b"{}" + b" " * LARGEST,
    ],
    ids=lambda data: data[:12].decode(errors="replace"),
)
def test_an_object_is_taken_strictly(data: bytes) -> None:
    with pytest.raises(PeerError):
        unpack(data, LARGEST)


@pytest.mark.parametrize("content", [{"a": float("nan")}, {"a": b"x"}, {"a": {1, 2}}])
def test_what_is_no_json_is_a_mistake_of_ours(content: dict[str, Any]) -> None:
    with pytest.raises(BugError):
        pack(content, LARGEST)


def test_keys_do_not_show_themselves() -> None:
    one, _ = ends()
    for text in (repr(OURS), repr(one), repr(vars(one))):
        assert "ooo" not in text and "6f6f6f" not in text and "00" * 32 not in text
