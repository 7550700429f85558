# SPDX-License-Identifier: MIT
"""The brain's form: every event in every phase is handled; time, numbers and reasons are kept."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from haagent.core import actions, events
from haagent.core.decide import HANDLERS, decide
from haagent.core.invariants import InvariantBroken, check
from haagent.core.model import (
    NEVER,
    Choice,
    Disk,
    FenceAnswer,
    Link,
    Measured,
    Newest,
    NodeState,
    Path,
    PeerOff,
    Phase,
    Resource,
    Role,
    Taking,
    next_term,
    owner,
)
from haagent.core.phases import EDGES
from haagent.core.turn import Decision, Turn, UnknownMove
from haagent.core.wish import End, Ended, Target
from tests.unit.states import (
    HELLO,
    NOW,
    in_maintenance,
    survivor,
    with_guest,
    with_ledger,
    with_resource,
)

AT = NOW + 1
EVENTS: tuple[events.Event, ...] = (
    events.Tick(AT),
    events.HelloHeard(AT, Path.LAN, replace(HELLO, number=8)),
    events.ReplacedHeard(AT),
    events.RefereeAnswered(AT, AT),
    events.ProbeAnswered(AT),
    events.ResourceChanged(AT, "g", Resource()),
    events.DomainSeen(AT, "g", True),
    events.DomainSeen(AT, "g", False),
    *(events.DomainSeen(AT, "g", True, Ended(4, how)) for how in End),
    events.DiskHangs(AT, "g", True),
    events.DiskHangs(AT, "g", False),
    *(events.Done(AT, "g", deed) for deed in events.Deed),
    *(events.Failed(AT, "g", deed, "no") for deed in events.Deed),
    events.FenceAsked(AT, "g"),
    events.ClockBroke(AT, 5.0),
    events.WatchdogArmed(AT, True),
    events.Leave(AT),
    events.OperatorConfirmed(AT, "g"),
    events.MoveAsked(AT, "g"),
    *(events.WishAsked(AT, "g", target) for target in Target),
    events.RestartAsked(AT, "g"),
    events.MaintenanceAsked(AT, True),
    events.MaintenanceAsked(AT, False),
    events.ChoiceAsked(AT, "g", 0, "20260102-0304"),
    events.MeasuresTaken(AT, Measured(100, {"g": 10}, {"g": 4})),
    events.LanAsked(AT, "10.0.2.11/24", "10.0.2.12/24", "10.0.2.1"),
    events.LanWritten(AT, 0),
    events.StateLost(AT, "Input/output error"),
)


def in_phase(phase: Phase) -> NodeState:
    """A state as it may be in PHASE, as far as one state can be."""
    state = with_ledger(survivor(), term=3)
    role = Role.SECONDARY if phase in (Phase.RELEASED, Phase.FORFEITING) else Role.PRIMARY
    taking = Taking(PeerOff.SELF_FENCED, Newest.UNBROKEN, 2)
    state = with_resource(state, role=role)
    return with_guest(state, phase=phase, since=NOW - 1, taking=taking)


def pairs() -> Iterator[tuple[Phase, events.Event]]:
    for phase in Phase:
        for event in EVENTS:
            yield phase, event


@pytest.mark.parametrize(("phase", "event"), list(pairs()))
def test_every_event_in_every_phase_is_handled(phase: Phase, event: events.Event) -> None:
    before = in_phase(phase)
    decision = decide(before, event)
    check(before, decision)
    after = decision.state.guests["g"].phase
    assert after is phase or decision.reasons, "a change without a word about it"


@pytest.mark.parametrize(("phase", "event"), list(pairs()))
def test_so_it_is_without_a_stick(phase: Phase, event: events.Event) -> None:
    before = decide(in_phase(phase), events.StateLost(NOW, "Input/output error")).state
    decision = decide(before, event)
    check(before, decision)
    after = decision.state.guests["g"].phase
    assert after is phase or decision.reasons, "a change without a word about it"


def test_the_walk_misses_no_event() -> None:
    assert {type(event) for event in EVENTS} == set(HANDLERS)


def test_a_decision_changes_nothing_of_what_it_was_given() -> None:
    state = survivor()
    copy = replace(state)
    decide(state, events.Tick(AT))
    assert state == copy


def test_time_never_runs_backwards() -> None:
    assert decide(survivor(), events.ProbeAnswered(NOW - 50)).state.now == NOW


def test_a_move_that_is_not_in_the_table_is_a_bug() -> None:
    with pytest.raises(UnknownMove):
        Turn(survivor()).move("g", Phase.FROZEN, "because")


def test_every_phase_can_be_reached_and_left() -> None:
    assert {before for before, _ in EDGES} == set(Phase)
    assert {after for _, after in EDGES} == set(Phase)


@pytest.mark.parametrize("node", [0, 1])
@pytest.mark.parametrize("above", range(5))
def test_terms_of_two_nodes_never_tie(node: int, above: int) -> None:
    term = next_term(node, above)
    assert above < term <= above + 2
    assert owner(term) == node


def test_a_survivor_takes_the_guest_and_says_why() -> None:
    decision = decide(survivor(), events.Tick(AT))
    assert actions.Promote("g", disconnect=True) in decision.actions
    assert decision.state.durable.ledgers["g"].term == 3
    (reason,) = (one for one in decision.reasons if "promoting" in one)
    assert "self-fenced" in reason and "unbroken" in reason


def test_our_own_guest_that_answers_a_probe_is_no_sign_of_the_peer() -> None:
    answered = events.ProbeAnswered(AT, "g")
    assert decide(in_phase(Phase.FROZEN), answered).state.peer.probe_answered == NEVER
    assert decide(survivor(), answered).state.peer.probe_answered == AT


def test_the_handler_is_told_the_truth() -> None:
    promoting = decide(survivor(), events.Tick(AT)).state
    asked = decide(promoting, events.FenceAsked(AT, "g"))
    assert asked.actions == (actions.AnswerFence("g", FenceAnswer.PEER_OFF),)
    alive = decide(promoting, events.ProbeAnswered(AT)).state
    asked = decide(alive, events.FenceAsked(AT, "g"))
    assert asked.actions == (actions.AnswerFence("g", FenceAnswer.UNPROVEN),)
    stranger = decide(survivor(), events.FenceAsked(AT, "g"))
    assert stranger.actions == (actions.AnswerFence("g", FenceAnswer.UNPROVEN),)


def planted() -> Iterator[tuple[str, NodeState, Decision]]:
    """Decisions that must never be carried out, each with the words of the invariant."""

    def made(state: NodeState, *what: actions.Action) -> Decision:
        return Decision(state, what, ())

    idle, holding = survivor(), in_phase(Phase.HOLDING)
    frozen = with_guest(in_phase(Phase.FROZEN), since=NOW - 60)
    off = actions.AnswerFence("g", FenceAnswer.PEER_OFF)
    yield "terms never fall", idle, made(with_ledger(idle, term=0))
    yield "stays given back", with_ledger(idle, returned=2), made(with_ledger(idle, returned=1))
    yield "is no evidence", idle, made(with_ledger(idle, evidence=1, returned=1))
    yield "owns its term", idle, made(with_guest(idle, phase=Phase.HOLDING))
    yield "below a term of the peer", holding, made(with_ledger(holding, theirs=4))
    yield "only on proof", idle, made(idle, off)
    yield "only on proof", frozen, made(frozen, off)
    yield "before DRBD is asked", idle, made(idle, actions.Promote("g", True))
    yield "on a Primary that we hold", idle, made(idle, actions.Create("g"))
    yield "never fed again", idle, made(replace(idle, is_fenced=True), actions.Feed())
    yield "not fed for ever", frozen, made(frozen, actions.Feed())
    promised = with_ledger(in_phase(Phase.PROMOTING), stands_down=True)
    yield "is kept", promised, made(promised)
    resting = in_maintenance(idle)
    started = with_guest(with_ledger(resting, term=3), phase=Phase.PROMOTING)
    started = with_guest(started, taking=Taking(PeerOff.SELF_FENCED, Newest.UNBROKEN, 2))
    yield "only a person starts it", resting, made(started, actions.Promote("g", True))
    for disk in (Disk.INCONSISTENT, Disk.OUTDATED, Disk.DISKLESS):
        part = with_resource(idle, disk=disk, link=Link.CONNECTING)
        risen = with_guest(with_ledger(part, term=3), phase=Phase.PROMOTING)
        risen = with_guest(risen, taking=Taking(PeerOff.OPERATOR, Newest.OPERATOR, 2))
        yield "that DRBD will not start", part, made(risen, actions.Promote("g", True))
    stopping = with_guest(in_phase(Phase.STOPPING), since=NOW - 60, lost=NOW - 60)
    yield "not fed for ever", stopping, made(stopping, actions.Feed())
    yield "asked once", stopping, made(stopping, actions.Shutdown("g"))
    yield "asked once", holding, made(holding, actions.Shutdown("g"))
    chosen = with_ledger(idle, choice=Choice(1, 0, "", True, True))
    give_up = actions.Discard("g")
    yield "on both disks", idle, made(idle, give_up)
    proposed = with_ledger(idle, choice=Choice(1, 0, "", True, False))
    yield "on both disks", proposed, made(proposed, give_up)
    ours_counts = with_ledger(idle, choice=Choice(1, 1, "", True, True))
    yield "on both disks", ours_counts, made(ours_counts, give_up)
    yield "on both disks", idle, made(chosen, give_up)
    unkept = with_ledger(idle, choice=Choice(1, 0, "20260102-0304", True, True))
    yield "is kept first", unkept, made(unkept, give_up)
    running = with_guest(chosen, is_running=True)
    yield "does not run", running, made(running, give_up)
    primary = with_resource(chosen, role=Role.PRIMARY)
    yield "does not run", primary, made(primary, give_up)
    yield "numbered upwards", chosen, made(with_ledger(chosen, choice=Choice()))
    unproven = with_guest(in_phase(Phase.PROMOTING), taking=None)
    yield "names both its proofs", unproven, made(unproven)


@pytest.mark.parametrize(("sentence", "before", "decision"), list(planted()))
def test_invariants_catch(sentence: str, before: NodeState, decision: Decision) -> None:
    with pytest.raises(InvariantBroken, match=sentence):
        check(before, decision)
