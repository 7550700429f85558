# SPDX-License-Identifier: MIT
"""A machine that cannot write its stick: what it refuses, what it still does, and each rule about
it by itself.
"""

from dataclasses import replace
from typing import Any

import pytest

from haagent.core import actions, events, foresight, lacking, moving, proofs, together
from haagent.core.decide import decide
from haagent.core.foresight import Fate
from haagent.core.invariants import InvariantBroken, check
from haagent.core.model import (
    Disk,
    Evidence,
    Farewell,
    Ledger,
    Link,
    NodeState,
    Path,
    Phase,
    Request,
    Resource,
    Role,
)
from haagent.core.saying import hello
from haagent.core.stateless import binding
from haagent.core.turn import Decision
from tests.unit.states import (
    in_maintenance,
    survivor,
    with_durable,
    with_guest,
    with_hello,
    with_ledger,
    with_resource,
)
from tests.unit.test_moving import well, with_words

NOW = 120.0
OURS, THEIRS = "a cannot write to its stick any more", "b cannot write to its stick any more"


def lost(state: NodeState) -> NodeState:
    return decide(state, events.StateLost(state.now, "Input/output error")).state


def standby() -> NodeState:
    """Node 1, heard by node 0, which holds; in sync, and without its stick."""
    in_sync = {"link": Link.CONNECTED, "peer_disk": Disk.UP_TO_DATE}
    state = with_resource(survivor(), **in_sync)
    return lost(replace(state, now=101.0, ticked=101.0))


def asked(state: NodeState, **words: Any) -> Decision:
    """The peer, which does not run the guest, asks for the next term."""
    assert state.peer.hello is not None
    heard = state.peer.hello
    request = Request(99, 4)
    said = replace(heard.guests["g"], phase=Phase.RELEASED, request=request, **words)
    event = events.HelloHeard(
        state.now, Path.LAN, replace(heard, number=heard.number + 1, guests={"g": said})
    )
    decision = decide(state, event)
    check(state, decision)
    return decision


def told(state: NodeState) -> Request | None:
    return hello(state).guests["g"].grant


def test_it_is_said_once_and_told_to_the_peer() -> None:
    decision = decide(well(), events.StateLost(NOW, "Input/output error"))
    assert any("Input/output error" in reason for reason in decision.reasons)
    assert hello(decision.state).is_stateless
    again = decide(decision.state, events.StateLost(NOW, "something else"))
    assert not again.reasons and again.state.lost_because == "Input/output error"


def test_nothing_is_started_not_even_by_a_person() -> None:
    state = lost(survivor())
    decision = decide(state, events.Tick(NOW + 1))
    assert not any(isinstance(action, actions.Promote) for action in decision.actions)
    decision = decide(state, events.OperatorConfirmed(NOW + 1, "g"))
    assert not decision.state.guests["g"].is_confirmed
    assert lacking.unstartable(state, "g") == lacking.sentences(state, "g")[-1] == THEIRS


def test_a_holder_goes_on_and_may_hand_over() -> None:
    state = lost(well())
    decision = decide(state, events.Tick(NOW + 0.5))
    assert decision.state.guests["g"].phase is Phase.HOLDING
    assert any(isinstance(action, actions.Feed) for action in decision.actions)
    assert moving.blocker(state, "g") is None
    decision = decide(state, events.MoveAsked(NOW, "g"))
    assert actions.Shutdown("g") in decision.actions
    done = decide(decision.state, events.Done(NOW + 2, "g", events.Deed.SHUTDOWN))
    check(decision.state, done)
    assert done.state.guests["g"].farewell == 2


def test_a_frozen_holder_has_no_evidence() -> None:
    state = with_guest(well(), phase=Phase.FROZEN, since=NOW - 20)
    gone = Resource(Role.PRIMARY, Link.CONNECTING, Disk.UP_TO_DATE, Disk.OUTDATED)
    state = with_guest(state, resource=gone)
    assert proofs.evidence(state, "g") is Evidence.PEER_OUTDATED
    assert proofs.evidence(lost(state), "g") is None


def test_it_is_foreseen_that_a_holder_does_not_outlive_its_peer() -> None:
    outlook = foresight.foresee(lost(well()))["g"]
    assert outlook.fate is Fate.NOT
    assert outlook.missing == (OURS,)


def test_nothing_is_moved_to_it_and_nothing_agreed_on_with_it() -> None:
    state = with_hello(well(), is_stateless=True)
    assert moving.blocker(state, "g") == THEIRS
    assert together.blocker(state) == THEIRS
    assert together.blocker(lost(well())) == OURS


@pytest.mark.parametrize(
    "event",
    [
        events.MaintenanceAsked(NOW, True),
        events.ChoiceAsked(NOW, "g", 0, "20260102-0304"),
        events.ChoiceAsked(NOW, "g", 0, "", about=2),
        events.LanAsked(NOW, "10.0.2.11/24", "10.0.2.12/24", "10.0.2.1"),
    ],
)
def test_what_must_be_written_down_is_refused_in_words(event: events.Event) -> None:
    state = lost(well())
    decision = decide(state, event)
    check(state, decision)
    (answer,) = (a for a in decision.actions if isinstance(a, actions.AnswerOperator))
    assert answer.refusal == OURS
    assert decision.state.durable == state.durable


def test_consent_takes_a_copy_that_drbd_has_marked() -> None:
    decision = asked(standby())
    assert actions.Outdate("g") in decision.actions
    assert told(decision.state) is None
    done = decide(decision.state, events.Done(101.5, "g", events.Deed.OUTDATE)).state
    assert told(done) is None, "not before DRBD shows the mark"
    marked = Resource(link=Link.STANDALONE, disk=Disk.OUTDATED)
    shown = decide(done, events.ResourceChanged(101.6, "g", marked)).state
    assert told(shown) == Request(99, 4)
    assert shown.durable.ledgers["g"].theirs == 4


def test_the_marked_copy_does_not_connect_before_the_consent_was_used() -> None:
    state = asked(standby()).state
    state = decide(state, events.Done(101.5, "g", events.Deed.OUTDATE)).state
    marked = Resource(link=Link.STANDALONE, disk=Disk.OUTDATED)
    state = decide(state, events.ResourceChanged(101.6, "g", marked)).state
    assert actions.Connect("g") not in decide(state, events.Tick(102.0)).actions
    used = with_guest(state, grant=None)
    assert actions.Connect("g") in decide(used, events.Tick(102.0)).actions


def test_a_copy_without_a_disk_cannot_be_marked() -> None:
    state = with_resource(standby(), disk=Disk.DISKLESS)
    decision = asked(state)
    assert decision.state.guests["g"].grant is None
    assert actions.Outdate("g") not in decision.actions


def test_a_farewell_that_still_counts_is_consent_enough() -> None:
    state = with_guest(standby(), farewell=2)
    assert asked(state).state.guests["g"].phase is Phase.RELEASED
    assert asked(state, term=4).state.guests["g"].phase is Phase.FORFEITING


def test_no_promise_is_made_or_relied_on() -> None:
    state = with_ledger(standby(), evidence=0)
    alone = replace(state, usable_since=None, unusable_since=0.0)
    assert decide(alone, events.Tick(101.5)).state.durable == alone.durable
    holder = lost(with_ledger(well(), evidence=3))
    assert holder.durable.ledgers["g"].evidence == 0
    said = with_words(holder, stands_down=True, promise=5).peer.hello
    assert said is not None
    event = events.HelloHeard(NOW, Path.LAN, replace(said, number=said.number + 1))
    decision = decide(holder, event)
    assert decision.state.durable.ledgers["g"].evidence == 0
    assert not decision.reasons, "it says that it relies on what it does not"


def test_its_peer_takes_back_what_it_promised_and_promises_no_more() -> None:
    state = with_resource(survivor(), link=Link.CONNECTED, peer_disk=Disk.UP_TO_DATE)
    state = with_ledger(state, stands_down=True, promise=7)
    state = replace(state, now=101.0, ticked=101.0)
    state = replace(state, usable_since=None, unusable_since=0.0)
    assert decide(state, events.Tick(101.5)).state.durable.ledgers["g"].stands_down
    state = with_hello(state, is_stateless=True)
    after = decide(state, events.Tick(101.5)).state
    assert not after.durable.ledgers["g"].stands_down
    again = decide(after, events.Tick(102.0)).state
    assert not again.durable.ledgers["g"].stands_down
    silent = replace(state, now=NOW, ticked=NOW)
    assert decide(silent, events.Tick(NOW)).state.durable.ledgers["g"].stands_down


LEDGER = Ledger(4, 3, alone=Evidence.GATEWAY, evidence=2, returned=1, held_in="b1")
FAREWELL = Farewell("a1", 3, True)


@pytest.mark.parametrize(
    ("change", "is_kept"),
    [
        ({"theirs": 5}, True),
        ({"theirs": 3}, False),
        ({"alone": None}, True),
        ({"alone": Evidence.TAKEOVER}, False),
        ({"evidence": 0}, True),
        ({"evidence": 9}, False),
        ({"farewell": None}, True),
        ({"farewell": FAREWELL}, False),
        ({"held_in": ""}, True),
        ({"held_in": "b2"}, False),
        ({"is_parted": True}, True),
        ({"term": 6}, False),
        ({"returned": 9}, False),
        ({"promise": 9}, False),
        ({"stands_down": True}, False),
        ({"by_operator": True}, False),
    ],
)
def test_only_what_binds_it_more_is_kept_in_memory(change: dict[str, Any], is_kept: bool) -> None:
    assert (binding(LEDGER, change) == change) is is_kept
    (name, value), before = next(iter(change.items())), lost(well())
    before = with_durable(before, ledgers={"g": LEDGER})
    before = with_guest(before, phase=Phase.RELEASED)
    changed = replace(LEDGER, **{name: value})
    after = with_durable(before, ledgers={"g": changed})
    if is_kept or changed == LEDGER:
        check(before, Decision(after, (), ()))
    else:
        with pytest.raises(InvariantBroken):
            check(before, Decision(after, (), ()))


def test_the_invariants_know_what_must_never_follow() -> None:
    before = lost(well())
    back = replace(before, is_stateless=False)
    with pytest.raises(InvariantBroken, match="stays lost"):
        check(before, Decision(back, (), ()))
    resting = in_maintenance(before)
    with pytest.raises(InvariantBroken, match="cannot be written down"):
        check(before, Decision(resting, (), ()))
    words = replace(hello(before).guests["g"], grant=Request(1, 3))
    said = replace(hello(before), guests={"g": words})
    with pytest.raises(InvariantBroken, match="marked on the data disk"):
        check(before, Decision(before, (actions.SendHello(said, (4,)),), ()))
    with pytest.raises(InvariantBroken, match="without a stick"):
        check(before, Decision(before, (actions.TakeUpLan(actions.LanOrder.BACK),), ()))
