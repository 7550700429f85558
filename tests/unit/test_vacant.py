# SPDX-License-Identifier: MIT
"""A machine that was set up alone: what it needs nobody for, and what ends that."""

from dataclasses import replace

import pytest

from haagent.core import actions, feeding, lacking, moving, proofs, together
from haagent.core.decide import decide, first_state
from haagent.core.events import HelloHeard, Tick
from haagent.core.invariants import InvariantBroken, check
from haagent.core.model import (
    NEVER,
    Disk,
    Durable,
    Evidence,
    GuestState,
    Ledger,
    Link,
    Newest,
    NodeState,
    Pair,
    Path,
    PeerOff,
    Phase,
    Policy,
    Resource,
    Role,
    Taking,
)
from haagent.core.turn import Decision
from tests.unit.states import HELLO, NOW, Change, with_guest, with_ledger, with_peer

BEHIND = Resource(Role.SECONDARY, Link.CONNECTING, Disk.UP_TO_DATE, Disk.OUTDATED)


def vacant(durable: Durable | None = None, is_vacant: bool = True) -> NodeState:
    """Node 1, which started a moment ago, hears nobody, and is answered by no gateway."""
    pair = Pair(1, ("a", "b"), {"g": 1}, policy=Policy.WAIT, is_vacant=is_vacant)
    state = first_state(pair, "b1", durable, NOW)
    return replace(state, guests={"g": GuestState(resource=BEHIND, is_running=False)})


def joined() -> NodeState:
    """The same, when a place beside it was given away, and nothing came of that yet."""
    ledger = Ledger(3, alone=Evidence.TAKEOVER)
    return vacant(Durable({"g": ledger}), is_vacant=False)


def test_it_has_both_proofs_at_once() -> None:
    assert proofs.peer_off(vacant(), "g") is PeerOff.VACANT
    assert proofs.newest(vacant(), "g") is Newest.LEFT_BEHIND
    assert lacking.blockers(vacant(), "g") == ()


def test_a_person_counts_more() -> None:
    assert proofs.peer_off(with_guest(vacant(), is_confirmed=True), "g") is PeerOff.OPERATOR


ENDS: dict[str, Change] = {
    "the settings": lambda s: replace(s, pair=replace(s.pair, is_vacant=False)),
    "a word with our key": lambda s: with_peer(s, hello=HELLO, hello_at=NEVER),
    "a copy that met ours": lambda s: with_peer(s, connected=NOW - 1000),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_what_ends_it(end: Change) -> None:
    state = end(vacant())
    assert proofs.peer_off(state, "g") is None
    assert moving._not_to_peer(state, "g") != together.NO_SECOND
    assert together.blocker(state) != together.NO_SECOND


def test_a_hello_ends_it() -> None:
    heard = decide(vacant(), HelloHeard(NOW, Path.CROSSOVER, HELLO, 1)).state
    assert not proofs.is_vacant(heard)


@pytest.mark.parametrize("disk", [Disk.CONSISTENT, Disk.OUTDATED, Disk.INCONSISTENT, Disk.DISKLESS])
def test_the_other_question_is_answered_by_the_metadata_alone(disk: Disk) -> None:
    state = with_guest(vacant(), resource=replace(BEHIND, disk=disk))
    assert proofs.newest(state, "g") is None


def test_a_start_writes_down_that_it_is_one_without_a_peer() -> None:
    started = decide(vacant(), Tick(NOW)).state
    assert started.guests["g"].taking == Taking(PeerOff.VACANT, Newest.LEFT_BEHIND, 1)
    ledger = started.durable.ledgers["g"]
    assert ledger.alone is Evidence.TAKEOVER and not ledger.by_operator
    assert started.durable.peer_figures is None


def test_nobody_is_spoken_to_and_looked_for() -> None:
    did = {type(action) for action in decide(vacant(), Tick(NOW)).actions}
    assert actions.ProbeReferee in did
    assert not did & {actions.SendHello, actions.ProbePeer}


def test_the_gateway_is_not_needed_for_the_watchdog_either() -> None:
    held = with_guest(vacant(), phase=Phase.HOLDING, since=NOW - 1000)
    assert feeding.may_feed(with_ledger(held, alone=Evidence.TAKEOVER))


def test_what_takes_two_machines_says_so() -> None:
    assert together.blocker(vacant()) == "there is no second machine"
    held = with_guest(vacant(), phase=Phase.HOLDING)
    assert moving.blocker(held, "g") == "there is no second machine"


def test_who_gave_the_place_away_starts_as_long_as_nothing_came_of_it() -> None:
    assert proofs.peer_off(joined(), "g") is PeerOff.ALONE
    again = decide(joined(), Tick(NOW)).state
    assert again.durable.ledgers["g"].alone is Evidence.TAKEOVER


BY_ORDINARY_RULES: dict[str, Change] = {
    "a machine that was heard once": lambda s: replace(
        s, durable=replace(s.durable, peer_figures=HELLO.figures)
    ),
    "a copy that a person chose": lambda s: with_ledger(s, by_operator=True),
    "a copy that was never written": lambda s: with_ledger(s, alone=None),
    "a term of the other one": lambda s: with_ledger(s, term=4),
    "a copy that has met another": lambda s: with_guest(
        s, resource=replace(BEHIND, peer_disk=Disk.UNKNOWN)
    ),
}


@pytest.mark.parametrize("end", BY_ORDINARY_RULES.values(), ids=BY_ORDINARY_RULES)
def test_otherwise_the_ordinary_rules_hold(end: Change) -> None:
    assert proofs.peer_off(end(joined()), "g") is None


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_start_by_it_is_checked_apart(end: Change) -> None:
    begun = decide(vacant(), Tick(NOW))
    check(vacant(), begun)
    with pytest.raises(InvariantBroken):
        check(end(vacant()), Decision(begun.state, begun.actions, ()))


def test_a_promotion_that_is_no_start_is_none_by_vacancy_either() -> None:
    begun = decide(vacant(), Tick(NOW))
    idle = with_guest(begun.state, phase=Phase.RELEASED, taking=None)
    with pytest.raises(InvariantBroken, match="for a start alone"):
        check(vacant(), Decision(idle, begun.actions, ()))
