# SPDX-License-Identifier: MIT
"""For what a guest is kept back that comes later, and for what it is not."""

from dataclasses import replace
from typing import Any

import pytest

from haagent.core import ordering
from haagent.core.model import GuestState, Ledger, NodeState, Pair, Phase, Request
from tests.unit.states import NOW, SILENT, survivor, with_peer

ASKED = Request(1, 3)
LONG_AGO = NOW - 1000


def both(mine: GuestState, **theirs: Any) -> NodeState:
    """`g` waits, or not, for `first`, which is MINE here and THEIRS there. The peer talks."""
    state = with_peer(survivor(), hello_at=NOW)
    hello = state.peer.hello
    assert hello is not None
    words = replace(hello.guests["g"], **{"phase": Phase.RELEASED, "request": None, **theirs})
    state = with_peer(state, hello=replace(hello, guests={**hello.guests, "first": words}))
    ledgers = {**state.durable.ledgers, "first": Ledger(term=1)}
    return replace(
        state,
        pair=replace(state.pair, places={"first": 1}, pauses={"first": 2.0}),
        guests={"first": mine, **state.guests},
        durable=replace(state.durable, ledgers=ledgers),
    )


def waits(mine: GuestState, **theirs: Any) -> bool:
    return ordering.waits_for(both(mine, **theirs), "g") == "first"


@pytest.mark.parametrize(
    ("phase", "is_waited_for"),
    [
        (Phase.RELEASED, False),
        (Phase.FORFEITING, False),
        (Phase.PROMOTING, True),
        (Phase.CREATING, True),
        (Phase.HOLDING, False),
        (Phase.FROZEN, False),
        (Phase.STOPPING, False),
        (Phase.DESTROYING, False),
    ],
)
def test_what_is_on_its_way_is_waited_for(phase: Phase, is_waited_for: bool) -> None:
    assert waits(GuestState(phase=phase, since=LONG_AGO)) is is_waited_for
    assert waits(GuestState(), phase=phase) is is_waited_for


def test_what_is_asked_for_is_about_to_be() -> None:
    assert waits(GuestState(request=ASKED))
    assert waits(GuestState(), request=ASKED)


def test_who_asks_to_go_on_alone_runs_already() -> None:
    assert not waits(GuestState(phase=Phase.FROZEN, request=ASKED))
    assert not waits(GuestState(), phase=Phase.FROZEN, request=ASKED)


def test_a_silent_machine_has_nothing_on_its_way() -> None:
    state = with_peer(both(GuestState(), phase=Phase.CREATING), hello_at=SILENT)
    assert ordering.waits_for(state, "g") is None
    assert ordering.waits_for(with_peer(state, hello=None), "g") is None


def test_the_pause_is_from_a_start_on() -> None:
    for since, is_waited_for in ((0.0, True), (1.9, True), (2.0, False)):
        up = GuestState(phase=Phase.HOLDING, since=LONG_AGO, created=NOW - since)
        assert waits(up) is is_waited_for
    assert not waits(GuestState(phase=Phase.RELEASED, created=NOW - 1)), "it has ended since"


def test_it_is_not_waited_for_by_those_before_it_or_beside_it() -> None:
    state = both(GuestState(phase=Phase.CREATING))
    assert ordering.waits_for(state, "first") is None
    beside = replace(state, pair=replace(state.pair, places={"first": ordering.USUAL}))
    assert ordering.waits_for(beside, "g") is None


def test_guests_are_looked_at_in_their_order() -> None:
    pair = Pair(0, ("a", "b"), {}, places={"z": 1, "y": 99})
    assert ordering.sorted_by_place(pair, ["y", "b", "a", "z"]) == ["z", "a", "b", "y"]
