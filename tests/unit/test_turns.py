# SPDX-License-Identifier: MIT
"""A turn of whoever lost its peer, leaves, or tries something again; and what every turn says."""

from dataclasses import replace
from typing import Any

import pytest

from haagent.core import actions, rules
from haagent.core.actions import Action, AnswerFence, Connect, Destroy, Outdate, Shutdown
from haagent.core.model import (
    Choice,
    Disk,
    Evidence,
    FenceAnswer,
    Link,
    NodeState,
    Phase,
    Request,
)
from haagent.core.turn import Decision, Turn
from tests.unit.states import (
    HELLO,
    LATER,
    LOST,
    NOW,
    frozen,
    handed_over,
    holding,
    survivor,
    with_guest,
    with_ledger,
    with_peer,
    with_resource,
    with_words,
)
from tests.unit.test_rules import does, no_gateway, standby, turned

# a holder that lost its peer


def noticed(state: NodeState) -> NodeState:
    turn = Turn(state)
    rules.notice_loss(turn, "g")
    return turn.state


def test_a_holder_freezes_with_its_device_and_thaws_with_it() -> None:
    lost = holding(resource=LOST)
    assert noticed(lost).guests["g"].phase is Phase.FROZEN
    assert noticed(with_ledger(lost, alone=Evidence.GATEWAY)) == with_ledger(
        lost, alone=Evidence.GATEWAY
    )
    assert noticed(holding()) == holding()
    assert noticed(holding(resource=None)) == holding(resource=None)
    waits: dict[str, Any] = {"request": Request(1, 5), "fence_asked": True}
    for phase in Phase:
        back = holding(phase=phase, **waits)
        after = noticed(back).guests["g"]
        if phase in (Phase.FROZEN, Phase.STOPPING):
            assert (after.request, after.fence_asked) == (None, False)
            assert after.phase is (Phase.HOLDING if phase is Phase.FROZEN else phase)
            for change in ({"is_suspended": True}, {"link": Link.CONNECTING}):
                not_yet = with_resource(back, **change)
                assert noticed(not_yet) == not_yet
        else:
            assert after == back.guests["g"]


def held(state: NodeState) -> Decision:
    return turned(with_peer(state, hello_at=NOW - 20, connected=NOW - 20))


def test_a_frozen_holder_goes_on_when_drbd_waits_for_its_word() -> None:
    asked = with_guest(frozen(), fence_asked=True)
    decision = held(asked)
    mine, ledger = decision.state.guests["g"], decision.state.durable.ledgers["g"]
    assert (ledger.term, ledger.alone) == (5, Evidence.GATEWAY)
    assert (mine.phase, mine.fence_asked) == (Phase.HOLDING, False)
    assert does(decision, AnswerFence) == [AnswerFence("g", FenceAnswer.PEER_OFF)]

    waiting = held(with_peer(frozen(), confirmed=NOW - 9)).state
    assert waiting.guests["g"].phase is Phase.FROZEN, "DRBD has not asked yet"
    unasked = held(with_resource(frozen(), is_suspended=False))
    assert unasked.state.guests["g"].phase is Phase.HOLDING
    assert not does(unasked, AnswerFence)


def test_a_holder_whose_peer_gave_up_its_copy_says_so_to_drbd() -> None:
    request = Request(9, 7, NOW)
    state = with_guest(frozen(), request=request, fence_asked=True)
    words: dict[str, Any] = {"phase": Phase.RELEASED, "grant": request, "is_connected": False}
    state = with_peer(with_words(state, **words, disk=Disk.OUTDATED), hello_at=NOW)
    decision = turned(state)
    assert decision.state.durable.ledgers["g"].term == 7
    assert does(decision, AnswerFence) == [AnswerFence("g", FenceAnswer.PEER_OUTDATED)]
    stood_down = with_ledger(with_words(state, phase=Phase.RELEASED), evidence=1)
    assert turned(with_peer(stood_down, hello_at=NOW)).state.durable.ledgers["g"].term == 5


def test_a_guest_goes_on_stopping_alone() -> None:
    state = with_guest(frozen(), phase=Phase.STOPPING, since=NOW - 50, lost=NOW - 9)
    decision = held(with_guest(state, fence_asked=True))
    assert decision.state.guests["g"].phase is Phase.STOPPING
    assert decision.state.durable.ledgers["g"].alone is Evidence.GATEWAY
    assert any("goes on stopping" in reason for reason in decision.reasons)


@pytest.mark.parametrize(("lost", "seen"), [(15.0, 3.0), (3.0, 15.0)])
def test_a_frozen_holder_gives_up_in_time(lost: float, seen: float) -> None:
    """Of the loss, and of what it sent last that was confirmed, the earlier one counts."""
    state = no_gateway(with_guest(frozen(), since=NOW - lost))
    decision = held(with_peer(state, confirmed=NOW - seen))
    assert decision.state.is_fenced and does(decision, Destroy)
    lost, seen = lost - LATER, seen - LATER
    state = no_gateway(with_guest(frozen(), since=NOW - lost))
    decision = held(with_peer(state, confirmed=NOW - seen))
    assert not decision.state.is_fenced and not does(decision, Destroy)


# leaving


def leaving(state: NodeState) -> NodeState:
    return replace(state, left=state.now)


@pytest.mark.parametrize(
    ("state", "action"),
    [
        (holding(), Shutdown("g")),
        (holding(phase=Phase.FROZEN, since=NOW, resource=LOST), Destroy("g")),
        (holding(phase=Phase.CREATING), None),
        (holding(phase=Phase.STOPPING), None),
    ],
)
def test_whoever_leaves_lets_go(state: NodeState, action: Action | None) -> None:
    assert does(turned(leaving(state)), Shutdown, Destroy) == ([action] if action else [])
    assert not does(turned(holding()), Shutdown, Destroy)


def test_whoever_may_go_on_alone_as_it_leaves_ends_its_guest_in_order() -> None:
    decision = held(leaving(with_guest(frozen(), fence_asked=True)))
    assert does(decision, Shutdown, Destroy) == [Shutdown("g")]


def gone(phase: Phase = Phase.HOLDING) -> NodeState:
    """Node 1 signed its guest off and leaves; node 0 has got so far with it."""
    state = with_words(handed_over(), phase=phase)
    return leaving(with_guest(with_peer(state, hello_at=NOW), farewell=2))


FINISHED: dict[str, tuple[NodeState, bool]] = {
    "the other holds it": (gone(), True),
    "the other is at it": (gone(Phase.CREATING), False),
    "the other is silent": (with_peer(gone(Phase.CREATING), hello_at=NOW - 6), True),
    "nothing was signed off": (with_guest(gone(Phase.RELEASED), farewell=None), True),
    "the other does not know the guest": (
        with_peer(gone(), hello=replace(HELLO, guests={})),
        False,
    ),
    "the other had its time": (replace(gone(Phase.CREATING), left=NOW - 16.0 - LATER), True),
    "the other has its time yet": (replace(gone(Phase.CREATING), left=NOW - 16.0), False),
    "something is still here": (with_guest(gone(), phase=Phase.DESTROYING), False),
    "nobody leaves": (replace(gone(), left=None), False),
}


@pytest.mark.parametrize("name", FINISHED)
def test_the_machine_may_go_down_when(name: str) -> None:
    state, may_go = FINISHED[name]
    assert bool(does(turned(state), actions.FinishLeaving)) is may_go


# what is tried again


def parted(**changes: Any) -> NodeState:
    """We took the connection down ourselves, and hold nothing."""
    state = with_ledger(with_resource(survivor(), disk=Disk.OUTDATED), is_parted=True)
    return with_guest(state, **changes)


def hung_up(**changes: Any) -> NodeState:
    return with_guest(with_resource(standby(), link=Link.STANDALONE), **changes)


RECONNECTED: dict[str, tuple[NodeState, bool]] = {
    "we parted": (parted(), True),
    "DRBD hung up by itself": (hung_up(), True),
    "nobody parted": (with_ledger(parted(), is_parted=False), False),
    "a split brain": (
        with_words(with_ledger(hung_up(), alone=Evidence.GATEWAY), is_alone=True),
        False,
    ),
    "we wrote alone, and it did not": (with_ledger(hung_up(), alone=Evidence.GATEWAY), True),
    "a choice is being carried out": (
        with_ledger(hung_up(), choice=Choice(1, 1, "", True, True)),
        False,
    ),
    "our copy is to be given up": (
        with_ledger(parted(), choice=Choice(2, 0, "", True, True)),
        False,
    ),
    "its copy is to be given up": (
        with_ledger(parted(), choice=Choice(2, 1, "", True, True)),
        True,
    ),
    "our copy is being marked": (parted(phase=Phase.FORFEITING), False),
    "DRBD was not asked": (parted(resource=None), False),
    "it was tried a moment ago": (parted(reconnect_at=NOW + LATER), False),
    "it was tried long ago": (parted(reconnect_at=NOW), True),
    "the pause has just ended": (parted(reconnect_at=parted().now), True),
    "our consent is bound to the mark": (
        replace(parted(grant=Request(1, 4)), is_stateless=True),
        False,
    ),
}


@pytest.mark.parametrize("name", RECONNECTED)
def test_drbds_connection_is_taken_up_again(name: str) -> None:
    state, is_tried = RECONNECTED[name]
    decision = turned(state)
    assert does(decision, Connect) == ([Connect("g")] if is_tried else [])
    if is_tried:
        assert decision.state.guests["g"].reconnect_at == state.now + 5.0


def test_a_holder_looks_for_its_peer_again_and_who_is_at_something_else_does_not() -> None:
    alone = with_ledger(holding(resource=LOST), alone=Evidence.GATEWAY, is_parted=True)
    for phase in (Phase.HOLDING, Phase.CREATING, Phase.STOPPING):
        assert bool(does(turned(with_guest(alone, phase=phase)), Connect)) is (
            phase is Phase.HOLDING
        )


@pytest.mark.parametrize(
    ("phase", "action"),
    [
        (Phase.FORFEITING, Outdate("g")),
        (Phase.DESTROYING, Destroy("g")),
        (Phase.STOPPING, None),
    ],
)
def test_what_must_not_stay_undone_is_tried_again(phase: Phase, action: Action | None) -> None:
    tried = holding(phase=phase, since=NOW - 5, retry_at=NOW)
    decision = turned(tried)
    assert does(decision, Outdate, Destroy) == ([action] if action else [])
    assert decision.state.guests["g"].retry_at == (NOW + 5.0 if action else NOW)
    for changes in ({"retry_at": NOW + LATER}, {"since": NOW, "retry_at": NOW}):
        assert not does(turned(with_guest(tried, **changes)), Outdate, Destroy)


def test_what_is_started_alone_is_not_connected_in_the_same_turn() -> None:
    decision = turned(with_ledger(survivor(), is_parted=True))
    assert does(decision, Connect, actions.Promote) == [actions.Promote("g", disconnect=True)]


def test_a_choice_that_is_over_forbids_nothing_any_more() -> None:
    """The two copies are one again: whoever held it last asks for it in the same turn."""
    state = with_peer(with_words(survivor(), phase=Phase.RELEASED), hello_at=NOW, confirmed=NOW)
    state = with_resource(state, link=Link.CONNECTED, peer_disk=Disk.UP_TO_DATE)
    state = with_ledger(state, term=3, choice=Choice(2, 0, "", True, True))
    after = turned(state).state
    assert not after.durable.ledgers["g"].choice.is_open
    assert after.guests["g"].request is not None


# what is sent


def test_every_turn_says_a_hello_and_asks_the_gateway() -> None:
    decision = turned(replace(holding(), number=7, sent=(1.0,)))
    (said,) = does(decision, actions.SendHello)
    assert isinstance(said, actions.SendHello) and said.hello.number == 8
    assert (decision.state.number, decision.state.sent) == (8, (1.0, NOW))
    assert does(decision, actions.ProbeReferee)
    many = replace(holding(), sent=tuple(float(n) for n in range(64)))
    assert turned(many).state.sent == (*(float(n) for n in range(1, 64)), NOW)


def test_a_silent_peer_is_looked_for() -> None:
    state = with_peer(with_resource(holding(), link=Link.CONNECTING), paths={}, connected=0.0)
    heard = with_peer(state, probe_answered=NOW - 1.0)
    assert not does(turned(heard), actions.ProbePeer)
    silent = with_peer(state, probe_answered=NOW - 1.0 - LATER)
    assert does(turned(silent), actions.ProbePeer)
