# SPDX-License-Identifier: MIT
"""Which formats a hello is said in: what the peer's present boot understands, and no other."""

from dataclasses import replace

import pytest

from haagent.core import actions, events
from haagent.core.decide import decide, first_state
from haagent.core.model import Hello, NodeState, Pair, Path
from haagent.core.speaking import OFFERED, formats
from tests.unit.states import HELLO

NEW, OLD = 4, 3
START = 100.0


def fresh(*spoken: int) -> NodeState:
    """Node 1, just started, and heard at once; it reads and writes SPOKEN."""
    pair = Pair(1, ("a", "b"), {"g": 0}, release="0.2", formats=spoken or (NEW, OLD))
    return replace(first_state(pair, "b1", None, START), sent=(START,))


def hear(
    state: NodeState,
    version: int,
    number: int = 7,
    boot: str = "a1",
    path: Path = Path.LAN,
    release: str = "",
) -> NodeState:
    heard = {Path.LAN: state.number}
    said = replace(HELLO, number=number, boot=boot, release=release, heard=heard)
    return decide(state, events.HelloHeard(state.now + 0.1, path, said, version)).state


def said(state: NodeState) -> tuple[NodeState, tuple[int, ...], Hello]:
    """A turn of the loop: what the peer is told then, and how."""
    decision = decide(state, events.Tick(state.now + 1.0))
    (action,) = (one for one in decision.actions if isinstance(one, actions.SendHello))
    return decision.state, action.formats, action.hello


def test_who_has_heard_nothing_speaks_both() -> None:
    state, spoken, hello = said(fresh())
    assert spoken == (NEW, OLD)
    assert hello.release == "0.2"
    assert said(state)[1] == (NEW, OLD)


def test_one_format_is_spoken_always() -> None:
    assert said(fresh(OLD))[1] == (OLD,)
    assert said(hear(fresh(OLD), OLD))[1] == (OLD,)


def test_who_heard_the_newest_speaks_that_alone() -> None:
    assert said(hear(fresh(), NEW))[1] == (NEW,)


def test_who_heard_only_the_older_speaks_that_and_offers_the_newest() -> None:
    state, spoken = hear(fresh(), OLD), []
    for number in range(8, 8 + OFFERED):
        state, now, _ = said(hear(state, OLD, number))
        spoken.append(now)
    assert sorted(set(spoken)) == [(OLD,), (NEW, OLD)]
    assert spoken.count((NEW, OLD)) == 1


def test_two_that_heard_each_others_older_words_first_find_the_newest() -> None:
    ours, theirs = hear(fresh(), OLD), hear(fresh(), OLD)
    for _ in range(2 * OFFERED):
        ours, spoken, hello = said(ours)
        theirs = hear(theirs, spoken[0], hello.number)
        theirs, spoken, hello = said(theirs)
        ours = hear(ours, spoken[0], hello.number)
    assert formats(ours) == formats(theirs) == (NEW,)


def test_another_boot_may_be_another_release() -> None:
    state = hear(hear(fresh(), NEW), OLD, 1, "a2")
    assert state.peer.format == OLD and OLD in formats(state)
    back = hear(state, NEW, 1, "a3")
    assert formats(back) == (NEW,)


def test_a_silent_peer_is_spoken_to_in_both() -> None:
    """It may be starting another release, and hear us before we hear it."""
    for version in (NEW, OLD):
        state = hear(fresh(), version)
        for _ in range(int(state.timing.dead) + 2):
            state, spoken, _ = said(state)
        assert spoken == (NEW, OLD)


def test_a_replay_of_a_boot_that_is_over_does_not_silence_us() -> None:
    """It ran the newest release and went back to the one before: that is what it understands."""
    state = hear(hear(fresh(), NEW), OLD, 1, "a2")
    for number in (8, 99):
        replayed = hear(state, NEW, number, "a1")
        assert replayed.peer == state.peer
        assert OLD in formats(replayed)


@pytest.mark.parametrize("first", [NEW, OLD])
def test_the_two_of_one_number_are_heard_once(first: int) -> None:
    second = NEW + OLD - first
    once = hear(fresh(), first, 7, release="0.1" if first == NEW else "")
    twice = hear(once, second, 7, release="0.1" if second == NEW else "")
    assert twice.peer.format == NEW
    assert twice.peer.paths == once.peer.paths and twice.peer.hello_at == once.peer.hello_at
    assert formats(twice) == (NEW,)


def test_who_speaks_the_newest_is_not_heard_in_the_older() -> None:
    """What the older one cannot say would else be taken back by every second hello."""
    state = hear(fresh(), NEW, 7, release="0.1")
    assert hear(state, OLD, 8).peer == state.peer
    later = hear(state, NEW, 8, release="0.1")
    assert later.peer.hello is not None and later.peer.hello.number == 8


def test_a_path_counts_the_same_numbers_in_both_formats() -> None:
    state = hear(fresh(), OLD, 7)
    state = hear(state, NEW, 8)
    assert state.peer.paths[Path.LAN].number == 8
    assert hear(state, NEW, 8).peer == state.peer
    assert said(state)[2].heard == {Path.LAN: 8}


def test_a_word_is_said_where_the_formats_are_not_ours() -> None:
    def reasons(state: NodeState, version: int, number: int) -> tuple[str, ...]:
        hello = replace(HELLO, number=number)
        return decide(state, events.HelloHeard(START + 1, Path.LAN, hello, version)).reasons

    assert reasons(fresh(), NEW, 7) == ()
    assert reasons(fresh(), OLD, 7) == ("b: a speaks format 3, ours is 4",)
    older = hear(fresh(), OLD)
    assert reasons(older, OLD, 8) == ()
    assert reasons(older, NEW, 8) == ("b: a speaks format 4, as we do",)
