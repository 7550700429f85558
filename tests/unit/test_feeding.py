# SPDX-License-Identifier: MIT
"""Whether the watchdog is fed, by an agent that knows what is here and by one that just started."""

from dataclasses import replace
from typing import Any

import pytest

from haagent.core import feeding
from haagent.core.decide import first_state
from haagent.core.model import (
    NEVER,
    PRESENT,
    Evidence,
    GuestState,
    NodeState,
    Phase,
    Predecessor,
)
from tests.unit.states import (
    IN_SYNC,
    LATER,
    NOW,
    confirmed,
    holding,
    with_durable,
    with_guest,
    with_ledger,
)


def blind(seconds: float = 1.0, **changes: Any) -> NodeState:
    """An agent that started in the boot in which node 1 held the guest, and has seen nothing."""
    unseen = {"phase": Phase.RELEASED, "is_running": None, "resource": None, **changes}
    return replace(holding(**unseen), blind_since=NOW - seconds)


@pytest.mark.parametrize("phase", Phase)
def test_whoever_has_a_guest_is_fed_while_somebody_confirms_that_it_is_seen(phase: Phase) -> None:
    state = with_ledger(holding(phase=phase, since=NOW), held_in="")
    unseen = confirmed(state, 8.0, 8.0)
    assert feeding.may_feed(unseen) is (phase not in PRESENT)
    assert feeding.may_feed(confirmed(state, 8.0 - LATER, 99.0))
    assert feeding.may_feed(confirmed(state, 99.0, 8.0 - LATER))
    assert feeding.may_feed(with_ledger(unseen, alone=Evidence.GATEWAY)), "it writes alone"
    assert not feeding.may_feed(replace(state, is_fenced=True))


@pytest.mark.parametrize("alone", [None, Evidence.TAKEOVER])
def test_whoever_cannot_end_a_guest_is_reset(alone: Evidence | None) -> None:
    ending = with_guest(confirmed(holding(), 0, 0), phase=Phase.DESTROYING)
    ending = with_ledger(ending, alone=alone)
    assert not feeding.may_feed(with_guest(ending, since=NOW - 5.0))
    assert feeding.may_feed(with_guest(ending, since=NOW - 5.0 + LATER))
    assert feeding.may_feed(with_guest(ending, phase=Phase.STOPPING, since=NOW - 50.0))


@pytest.mark.parametrize("first", [GuestState(), GuestState(phase=Phase.HOLDING)])
def test_every_guest_is_judged(first: GuestState) -> None:
    state = confirmed(holding(), 9.0, 9.0)
    alone = replace(state.durable.ledgers["g"], alone=Evidence.GATEWAY, held_in="")
    ledgers = {"f": alone, "g": state.durable.ledgers["g"]}
    state = replace(state, guests={"f": first, "g": state.guests["g"]})
    assert not feeding.may_feed(with_durable(state, ledgers=ledgers))


@pytest.mark.parametrize("seen", [{}, {"is_running": True}, {"resource": IN_SYNC}])
def test_what_may_be_here_counts_like_what_is(seen: dict[str, Any]) -> None:
    state = blind(**seen)
    assert feeding.may_feed(confirmed(state, 8.0 - LATER, 99.0))
    assert not feeding.may_feed(confirmed(state, 8.0, 8.0))
    alone = with_ledger(confirmed(state, 8.0, 8.0), alone=Evidence.GATEWAY)
    assert feeding.may_feed(alone)
    for one in (state, alone):
        assert feeding.may_feed(replace(one, blind_since=NOW - 16.0 + LATER))
        assert not feeding.may_feed(replace(one, blind_since=NOW - 16.0)), "it never sees"
        assert not feeding.may_feed(with_ledger(one, theirs=4)), "it may be the peer's by now"


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (replace(holding(), is_fenced=True), "this machine has given up"),
        (with_guest(holding(), phase=Phase.DESTROYING, since=NOW - 5.0), "g does not end"),
        (with_ledger(blind(), theirs=4), "g may be here, and is the other machine's by now"),
        (blind(16.0), "g may be here, and nothing tells"),
        (confirmed(holding(), 8.0, 8.0), "g is here, and nobody confirms this machine"),
        (confirmed(holding(), 0.0, 8.0), ""),
        (with_ledger(confirmed(holding(phase=Phase.DESTROYING, since=NOW), 0, 0), theirs=4), ""),
    ],
)
def test_what_is_lacking_is_said(state: NodeState, why: str) -> None:
    assert feeding.starves_because(state) == why


def test_what_was_not_held_in_this_boot_is_not_here() -> None:
    state = confirmed(blind(99.0), 99.0, 99.0)
    assert feeding.may_feed(with_ledger(state, held_in="b0"))
    assert feeding.may_feed(with_guest(state, is_running=False, resource=IN_SYNC)), "it was seen"


def test_what_the_watchdog_should_have_ended_is_overdue() -> None:
    state = replace(holding(), is_armed=True, fed=NOW - 6.0)
    assert feeding.is_overdue(state)
    assert not feeding.is_overdue(replace(state, fed=NOW - 6.0 + LATER))
    assert not feeding.is_overdue(replace(state, is_armed=False)), "there is none"
    gone = with_guest(state, phase=Phase.RELEASED, is_running=False, resource=IN_SYNC)
    assert not feeding.is_overdue(gone), "nothing is here"
    assert feeding.is_overdue(replace(blind(), is_armed=True, fed=NOW - 6.0))


def started(before: Predecessor | None, **ledger: Any) -> NodeState:
    """The next agent, in the same boot."""
    state = with_ledger(holding(), **ledger)
    return first_state(state.pair, state.boot, state.durable, NOW, before=before)


def test_an_agent_knows_when_the_one_before_it_was_confirmed() -> None:
    agent = replace(confirmed(holding(), 7.0, 3.0), is_armed=True, fed=NOW - 2.0)
    left = feeding.left_by(agent)
    assert left == Predecessor(NOW - 7.0, NOW - 3.0, NOW - 2.0, None)
    state = started(left)
    assert state.is_armed and state.fed == NOW - 2.0 and state.blind_since == NOW
    assert (state.peer.confirmed, state.referee.answered) == (NOW - 7.0, NOW - 3.0)
    assert state.referee.good_since == NOW, "it goes on from here, or begins anew"


def test_blindness_is_the_machines_too() -> None:
    agent = replace(blind(9.0), is_armed=True)
    left = feeding.left_by(agent)
    assert left is not None and left.blind_since == NOW - 9.0
    assert started(left).blind_since == NOW - 9.0
    seeing = feeding.left_by(with_guest(agent, is_running=False, resource=IN_SYNC))
    assert seeing is not None and seeing.blind_since is None


def test_who_armed_nothing_leaves_nothing() -> None:
    assert feeding.left_by(holding()) is None
    state = started(None)
    assert not state.is_armed and state.fed == state.blind_since == NOW
    assert state.peer.confirmed == state.referee.answered == NEVER


def test_an_agent_opens_the_watchdog_at_once_unless_it_may_not_be_fed() -> None:
    """Opening feeds."""
    late = Predecessor(NOW - 8.0, NOW - 9.0, NOW - 4.0)
    assert not feeding.may_open(started(late))
    assert feeding.may_open(started(replace(late, confirmed=NOW - 8.0 + LATER)))
    assert feeding.may_open(started(replace(late, answered=NOW - 8.0 + LATER)))
    assert feeding.may_open(started(late, held_in="")), "nothing is here"
    assert feeding.may_open(started(late, alone=Evidence.GATEWAY)), "it writes alone"
    assert feeding.may_open(started(None)), "nothing is known of one that was not armed"
