# SPDX-License-Identifier: MIT
"""Words that are played again or forged are such that only a key tells them from true ones."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from haagent.cluster.wire import decode, encode, is_of_a_stranger
from haagent.core.model import Phase, owner
from haagent.core.saying import hello
from haagent.errors import PeerError
from tests.unit.states import holding
from tests.unit.test_frames import sums_up, udp
from tests.vm.cables import Said
from tests.vm.frames import ARP, ethertype, packet
from tests.vm.incidents.words import (
    AHEAD,
    ANOTHER_KEY,
    NO_KEY,
    STRANGER,
    again,
    claims,
    forged,
    of_another_pair,
    speaker,
)

KEY = b"k" * 32


def test_what_was_said_is_said_again_in_its_order() -> None:
    said = [Said(7.0, b"one"), Said(9.0, b"two")]
    assert again(said, 2.0) == [Said(n / 2, said[n % 2].frame) for n in range(4)]
    with pytest.raises(AssertionError, match="nothing was said"):
        again([], 2.0)


@pytest.mark.parametrize("node", [0, 1])
def test_a_forged_word_lacks_nothing_but_the_key(node: int) -> None:
    true = replace(hello(holding()), node=node)
    frame = forged(Said(1.0, udp(encode(true, KEY)))).frame
    found = packet(frame)
    assert found is not None and sums_up(frame)
    words = frame[found.payload : found.end]
    with pytest.raises(PeerError, match="not signed with this pair's key"):
        decode(words, KEY)
    lie = decode(words, NO_KEY).hello
    assert lie.number == true.number + AHEAD and lie.is_leaving
    for guest, said in lie.guests.items():
        before = true.guests[guest]
        assert said.term > max(before.term, before.theirs) and owner(said.term) == node
        assert (said.phase, said.farewell) == (Phase.RELEASED, said.term)


def test_a_word_of_another_pair_is_whole_and_its_own() -> None:
    """By all that a card and a kernel look at; and signed, with another key."""
    true = hello(holding())
    said = Said(1.0, udp(encode(true, KEY)))
    strange = of_another_pair(said)
    assert speaker(strange) == speaker(said)
    frame = strange.frame
    found = packet(frame)
    assert found is not None and sums_up(frame)
    assert frame[6:12] == STRANGER
    words = frame[found.payload : found.end]
    assert is_of_a_stranger(words, (KEY,))
    assert decode(words, ANOTHER_KEY).hello == true


def test_a_stranger_claims_an_address() -> None:
    frames = [one.frame for one in claims("10.0.2.12", 1.0)]
    assert len(frames) == 2 and frames[0] == frames[1]
    assert ethertype(frames[0]) == ARP and frames[0][:6] == b"\xff" * 6
    sender, target = frames[0][22:32], frames[0][38:42]
    assert sender == STRANGER + target
    assert target == IPv4Address("10.0.2.12").packed
