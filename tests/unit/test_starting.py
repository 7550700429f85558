# SPDX-License-Identifier: MIT
"""The step from two proofs to DRBD: what forbids it, and what is on disk before it is taken."""

from dataclasses import replace

import pytest

from haagent.core import proofs, starting
from haagent.core.actions import Promote
from haagent.core.model import (
    Choice,
    Disk,
    Evidence,
    Ledger,
    Link,
    Newest,
    NodeState,
    Path,
    PeerOff,
    Phase,
    Request,
    Role,
    Taking,
)
from haagent.core.turn import Turn
from tests.unit.states import (
    NOW,
    Change,
    asked,
    handed_over,
    in_maintenance,
    lone,
    survivor,
    with_guest,
    with_ledger,
    with_path,
    with_resource,
    with_words,
)

CHOICE = Choice(2, 0, "", True, True)


def started(state: NodeState) -> Turn:
    turn = Turn(state)
    starting.start(turn, "g")
    return turn


FORBIDDEN: dict[str, Change] = {
    "it is here": lambda s: with_guest(s, phase=Phase.HOLDING),
    "our copy is being marked": lambda s: with_guest(s, phase=Phase.FORFEITING),
    "it runs": lambda s: with_guest(s, is_running=True),
    "Xen was not asked": lambda s: with_guest(s, is_running=None),
    "DRBD was not asked": lambda s: with_guest(s, resource=None),
    "we are Primary": lambda s: with_resource(s, role=Role.PRIMARY),
    "it failed a moment ago": lambda s: with_guest(s, retry_at=NOW + 1 / 1024),
    "the machine leaves": lambda s: replace(s, left=NOW),
    "it gave up": lambda s: replace(s, is_fenced=True),
    "its disk hangs": lambda s: with_guest(s, is_disk_hanging=True),
    "its stick is gone": lambda s: replace(s, is_stateless=True),
}
UNLESS_A_PERSON_SAYS_SO: dict[str, Change] = {
    "we promised not to": lambda s: with_ledger(s, stands_down=True),
    "in maintenance": in_maintenance,
    "our copy is to be given up": lambda s: with_ledger(s, choice=CHOICE),
}


@pytest.mark.parametrize("why", FORBIDDEN | UNLESS_A_PERSON_SAYS_SO)
def test_nothing_is_started_where(why: str) -> None:
    state = (FORBIDDEN | UNLESS_A_PERSON_SAYS_SO)[why](survivor())
    assert not starting.may_start(state, "g")
    turn = started(state)
    assert turn.state == state and not turn.actions
    confirmed = with_guest(state, is_confirmed=True)
    assert starting.may_start(confirmed, "g") is (why in UNLESS_A_PERSON_SAYS_SO)


def test_a_pause_ends_to_the_moment() -> None:
    assert starting.may_start(with_guest(survivor(), retry_at=NOW), "g")


@pytest.mark.parametrize(
    "state",
    [
        with_guest(survivor(), is_unbroken=False),  # nothing says that ours is the newest
        replace(survivor(), now=NOW - 10),  # nothing says that the peer is off
    ],
)
def test_one_proof_is_none(state: NodeState) -> None:
    turn = started(state)
    assert turn.state == state and not turn.actions


def test_whoever_takes_over_writes_down_that_it_is_alone() -> None:
    before = with_guest(survivor(), farewell=2, grant=Request(1, 4))
    before = with_ledger(before, evidence=5, by_operator=True, choice=Choice(2, 0))
    turn = started(before)
    assert turn.ledger("g") == Ledger(
        term=3,
        theirs=2,
        alone=Evidence.TAKEOVER,
        is_parted=True,
        held_in="b1",
        choice=Choice(2, 0),
    )
    mine = turn.mine("g")
    assert mine.taking == Taking(PeerOff.SELF_FENCED, Newest.UNBROKEN, 2)
    assert (mine.phase, mine.farewell, mine.grant) == (Phase.PROMOTING, None, None)
    assert turn.actions == [Promote("g", disconnect=True)]


def test_whoever_is_connected_is_not_alone() -> None:
    """A holder that took itself for alone would not wait when it loses the peer."""
    turn = started(with_ledger(handed_over(), alone=Evidence.GATEWAY, is_parted=True))
    ledger = turn.ledger("g")
    assert (ledger.alone, ledger.is_parted) == (None, False)
    assert turn.mine("g").taking == Taking(PeerOff.FAREWELL, Newest.IN_SYNC, 2)
    assert turn.actions == [Promote("g", disconnect=False)]


def test_a_promise_of_the_peer_outlives_a_start_alone_and_no_other() -> None:
    assert started(with_ledger(lone(), evidence=4)).ledger("g").evidence == 4
    assert started(with_ledger(handed_over(), evidence=4)).ledger("g").evidence == 0


def test_what_was_agreed_on_is_the_term_that_was_asked_for() -> None:
    state = with_guest(asked(), request=Request(9, 7, NOW))
    state = with_words(state, phase=Phase.RELEASED, grant=Request(9, 7))
    assert started(state).ledger("g").term == 7
    # While a question is open, the peer signs the guest off: then it is a term like any other.
    other = with_guest(handed_over(), request=Request(9, 7, NOW))
    assert started(other).ledger("g").term == 3


def test_a_persons_word_is_above_all_terms_and_overrules_a_choice() -> None:
    state = with_guest(with_ledger(survivor(), theirs=4, choice=CHOICE), is_confirmed=True)
    turn = started(state)
    ledger = turn.ledger("g")
    assert (ledger.term, ledger.by_operator) == (1007, True)
    assert not ledger.choice.is_open and ledger.choice.number == CHOICE.number
    ours = Choice(3, 1, "", True, True)
    kept = started(with_ledger(state, choice=ours)).ledger("g").choice
    assert kept == ours, "it says the same"
    assert started(with_ledger(survivor(), choice=ours)).ledger("g").choice == ours


@pytest.mark.parametrize("disk", [Disk.OUTDATED, Disk.INCONSISTENT, Disk.DISKLESS])
def test_a_persons_word_that_drbd_cannot_follow_ends_with_it(disk: Disk) -> None:
    state = with_guest(with_resource(survivor(), disk=disk), is_confirmed=True)
    turn = started(state)
    assert not turn.mine("g").is_confirmed and not turn.actions
    assert turn.ledger("g") == state.durable.ledgers["g"]
    connected = with_resource(state, link=Link.SYNC_TARGET)
    starts = [] if disk is Disk.DISKLESS else [Promote("g", disconnect=False)]
    assert started(connected).actions == starts


def promoting(state: NodeState) -> NodeState:
    return started(state).state


def test_while_drbd_promotes_both_proofs_must_stand() -> None:
    state = promoting(survivor())
    assert starting.is_proven(state, "g")
    assert not starting.is_proven(with_guest(state, taking=None), "g")
    assert not starting.is_proven(replace(state, now=NOW - 10), "g"), "the peer may be there"
    assert not starting.is_proven(with_guest(state, is_unbroken=False), "g"), "ours may be old"
    other = Taking(PeerOff.ALONE, Newest.UNBROKEN, 2)
    assert not starting.is_proven(with_guest(state, taking=other), "g"), "by another proof"


def test_what_is_written_for_a_start_is_no_proof_of_it() -> None:
    """A copy that left the other behind, and says from the start on that it is alone."""
    behind = with_resource(survivor(), peer_disk=Disk.OUTDATED)
    assert proofs.peer_off(promoting(behind), "g") is PeerOff.SELF_FENCED
    assert starting.is_proven(promoting(with_guest(behind, is_unbroken=False)), "g")
    assert proofs.peer_off(replace(promoting(behind), now=NOW - 10), "g") is None
    apart = with_path(promoting(behind), Path.LAN, two_way=0.0)
    assert proofs.peer_off(apart, "g") is None
    assert starting.is_proven(promoting(lone()), "g"), "it was alone before"


def test_what_our_metadata_said_needs_no_second_look() -> None:
    """DRBD disconnects before it promotes: what it then shows of the peer's copy is no news."""
    behind = with_guest(with_resource(survivor(), peer_disk=Disk.OUTDATED), is_unbroken=False)
    state = promoting(behind)
    assert state.guests["g"].taking == Taking(PeerOff.SELF_FENCED, Newest.LEFT_BEHIND, 2)
    assert starting.is_proven(with_resource(state, peer_disk=Disk.UNKNOWN), "g")
    assert not starting.is_proven(with_guest(state, is_confirmed=True), "g"), "by another proof"
