# SPDX-License-Identifier: MIT
"""One turn of the loop: who feeds, who yields, who gives up, and each condition of it by itself."""

from dataclasses import replace
from typing import Any

import pytest

from haagent.core import actions, events, rules
from haagent.core.actions import Action, AnswerFence, Destroy, Outdate
from haagent.core.decide import decide
from haagent.core.invariants import check
from haagent.core.model import (
    PRESENT,
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
    IN_SYNC,
    LATER,
    LOST,
    NOW,
    Change,
    confirmed,
    holding,
    survivor,
    with_guest,
    with_ledger,
    with_peer,
    with_resource,
    with_words,
)


def turned(state: NodeState) -> Decision:
    """What one turn makes of STATE, at its own moment."""
    decision = decide(replace(state, ticked=state.now), events.Tick(state.now))
    check(state, decision)
    return decision


def does(decision: Decision, *kinds: type[Action]) -> list[Action]:
    return [action for action in decision.actions if isinstance(action, kinds)]


# feeding


def test_a_turn_feeds_or_does_not() -> None:
    assert does(turned(holding()), actions.Feed)
    assert not does(turned(replace(holding(), is_fenced=True)), actions.Feed)
    fed = turned(replace(holding(), fed=1.0)).state
    assert (fed.fed, turned(replace(fed, now=NOW + 1, is_fenced=True)).state.fed) == (NOW, NOW)


def test_a_machine_that_its_watchdog_did_not_reset_resets_itself() -> None:
    state = replace(holding(), is_fenced=True, is_armed=True, fed=NOW - 6.0)
    assert does(turned(state), actions.Reset) == [actions.Reset(is_overdue=True)]
    assert not does(turned(replace(state, is_fenced=False)), actions.Reset)


def test_the_watchdog_is_fed_before_anything_is_sent() -> None:
    kinds = [type(action) for action in turned(holding()).actions]
    assert kinds.index(actions.Feed) < kinds.index(actions.SendHello)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda s: confirmed(s, 8.0, 8.0), "g is here, and nobody confirms this machine"),
        (lambda s: replace(s, is_fenced=True), "this machine has given up"),
        (
            lambda s: with_guest(s, phase=Phase.DESTROYING, since=NOW - 5.0),
            "g does not end",
        ),
    ],
)
def test_why_feeding_ends_is_said_once_and_so_is_that_it_goes_on(change: Change, why: str) -> None:
    fed = confirmed(holding(), 0, 0)
    ended = turned(change(fed))
    me = fed.pair.names[fed.me]
    assert f"{me}: the watchdog is not fed: {why}" in ended.reasons
    assert not any("the watchdog" in said for said in turned(ended.state).reasons)
    again = turned(replace(fed, is_fed=False))
    assert f"{me}: the watchdog is fed again" in again.reasons
    assert not any("the watchdog" in said for said in turned(again.state).reasons)


# yielding


@pytest.mark.parametrize("phase", Phase)
def test_a_higher_term_ends_what_is_here(phase: Phase) -> None:
    state = holding(phase=phase)
    for theirs, is_higher in ((4, True), (3, False), (2, False)):
        turn = Turn(with_ledger(state, theirs=theirs))
        rules.yield_to_higher_term(turn, "g")
        may_be_here = phase is Phase.PROMOTING or phase in PRESENT
        is_ended = is_higher and may_be_here and phase is not Phase.DESTROYING
        assert turn.actions == ([Destroy("g")] if is_ended else [])


def test_what_is_destroyed_has_no_open_questions() -> None:
    turn = Turn(holding(request=Request(1, 5), is_confirmed=True, fence_asked=True))
    rules.destroy(turn, "g", "because")
    mine = turn.mine("g")
    assert (mine.request, mine.taking, mine.is_confirmed, mine.fence_asked) == (
        None,
        None,
        False,
        False,
    )
    assert mine.phase is Phase.DESTROYING and turn.actions == [Destroy("g")]


# a loop that stood still, and a gateway that is gone


def test_a_loop_that_stood_still_doubts_what_it_believes() -> None:
    at = NOW + 0.5
    for ago, is_doubting in ((2.0, False), (2.0 + LATER, True)):
        after = decide(replace(survivor(), ticked=at - ago), events.Tick(at)).state
        assert (after.doubted == at) is is_doubting
        assert after.ticked == at


def test_drbds_word_is_renewed_in_each_turn_while_it_is_connected() -> None:
    assert turned(holding()).state.peer.connected == NOW
    gone = with_peer(with_resource(holding(), link=Link.CONNECTING), connected=NOW - 9)
    assert turned(gone).state.peer.connected == NOW - 9


def standby(**changes: Any) -> NodeState:
    """Node 1 lost node 0, which holds the guest, just now; nothing escaped it."""
    state = with_peer(survivor(), connected=NOW)
    return with_guest(replace(state, now=101.0, ticked=101.0), **changes)


def no_gateway(state: NodeState, ago: float = 2.0 + LATER) -> NodeState:
    return replace(state, referee=replace(state.referee, answered=state.now - ago))


FORFEITS: dict[str, tuple[NodeState, bool]] = {
    "no gateway": (no_gateway(standby()), True),
    "a gateway": (no_gateway(standby(), 2.0), False),
    "a copy that is connected": (
        no_gateway(with_resource(standby(), link=Link.CONNECTED)),
        False,
    ),
    "a chain that was broken before": (no_gateway(standby(is_unbroken=False)), False),
    "a term of our own": (no_gateway(with_ledger(standby(), term=3)), False),
    "a guest that is here": (
        no_gateway(with_ledger(standby(phase=Phase.DESTROYING), term=2)),
        False,
    ),
}


@pytest.mark.parametrize("name", FORFEITS)
def test_a_copy_that_may_be_old_is_given_up(name: str) -> None:
    state, is_given_up = FORFEITS[name]
    decision = turned(state)
    assert does(decision, Outdate) == ([Outdate("g")] if is_given_up else [])
    after = decision.state
    assert (after.guests["g"].phase is Phase.FORFEITING) is is_given_up
    assert after.durable.ledgers["g"].is_parted is is_given_up
    if is_given_up:
        assert not after.guests["g"].is_unbroken


def test_a_chain_that_broke_is_broken_whoever_had_the_last_term() -> None:
    after = turned(no_gateway(with_ledger(standby(), term=3))).state
    assert not after.guests["g"].is_unbroken


def test_whoever_stood_still_believes_no_connection() -> None:
    connected = with_resource(standby(), link=Link.CONNECTED, peer_disk=Disk.UP_TO_DATE)
    after = decide(connected, events.ClockBroke(101.0, 5.0))
    assert not after.state.guests["g"].is_unbroken
    assert after.state.doubted == 101.0 and not does(after, actions.Reset)


def test_since_when_a_referee_is_usable_or_not() -> None:
    well = replace(holding(), unusable_since=1.0)
    lan = {path: replace(one, two_way=NOW) for path, one in well.peer.paths.items()}
    well = with_peer(well, paths=lan)
    usable = turned(well).state
    assert (usable.usable_since, usable.unusable_since) == (NOW, 1.0)
    later = turned(replace(usable, now=NOW + 0.5)).state
    assert later.usable_since == NOW
    gone = turned(no_gateway(replace(later, now=NOW + 1))).state
    assert (gone.usable_since, gone.unusable_since) == (None, NOW + 1)
    longer = turned(no_gateway(replace(gone, now=NOW + 2))).state
    assert (longer.usable_since, longer.unusable_since) == (None, NOW + 1)


# an agent that comes back


def found(**changes: Any) -> NodeState:
    """A new agent in the boot in which node 1 held the guest, and what is there."""
    return holding(**{"phase": Phase.RELEASED, **changes})


SETTLED: dict[str, tuple[NodeState, Phase]] = {
    "it runs, on our Primary": (found(), Phase.HOLDING),
    "it runs, and is frozen": (found(resource=LOST), Phase.FROZEN),
    "it runs, and was held in another boot": (with_ledger(found(), held_in="b0"), Phase.DESTROYING),
    "it runs, and is the peer's": (with_ledger(found(), theirs=4), Phase.DESTROYING),
    "it runs on no Primary": (found(resource=IN_SYNC), Phase.DESTROYING),
    "it does not run, on a Primary": (found(is_running=False), Phase.DESTROYING),
    "nothing is there": (found(is_running=False, resource=IN_SYNC), Phase.RELEASED),
    "Xen was not asked": (found(is_running=None), Phase.RELEASED),
    "DRBD was not asked": (found(resource=None), Phase.RELEASED),
}


@pytest.mark.parametrize("name", SETTLED)
def test_a_new_agent_takes_up_what_it_may_hold_and_ends_the_rest(name: str) -> None:
    state, phase = SETTLED[name]
    decision = turned(replace(state, started=NOW, blind_since=NOW))
    assert decision.state.guests["g"].phase is phase
    assert bool(does(decision, Destroy)) is (phase is Phase.DESTROYING)
    assert not decision.state.is_fenced


@pytest.mark.parametrize("name", SETTLED)
def test_whoever_asks_a_new_agent_is_answered_when_it_is_known_what_is_here(name: str) -> None:
    state, phase = SETTLED[name]
    state = replace(state, started=NOW, blind_since=NOW)
    asked = decide(state, events.FenceAsked(NOW, "g"))
    no = AnswerFence("g", FenceAnswer.UNPROVEN)
    is_held = state.durable.ledgers["g"].held_in == state.boot
    is_open = is_held and name != "nothing is there"
    assert does(asked, AnswerFence) == ([] if is_open else [no])
    decision = turned(asked.state)
    waits = phase is Phase.FROZEN or name.endswith("was not asked")
    assert does(decision, AnswerFence) == ([no] if is_open and not waits else [])
    assert decision.state.guests["g"].fence_asked is (is_open and waits)


def test_drbd_that_waits_is_not_told_what_an_agent_before_us_knew() -> None:
    """It ended before it said so, or the two have met meanwhile: only what is fresh counts."""
    alone = with_ledger(found(resource=LOST), alone=Evidence.GATEWAY)
    after = turned(replace(alone, started=NOW)).state
    assert after.guests["g"].phase is Phase.FROZEN
    assert after.durable.ledgers["g"].alone is None
    writes = replace(LOST, is_suspended=False, peer_disk=Disk.OUTDATED)
    after = turned(with_guest(alone, resource=writes)).state
    assert after.guests["g"].phase is Phase.HOLDING
    assert after.durable.ledgers["g"].alone is Evidence.GATEWAY


@pytest.mark.parametrize(
    ("unseen", "who"), [({"is_running": None}, "Xen"), ({"resource": None}, "DRBD")]
)
def test_an_agent_that_is_not_told_what_it_holds_gives_up(unseen: dict[str, Any], who: str) -> None:
    blind = replace(found(**unseen), started=NOW, blind_since=NOW - 16.0)
    decision = turned(blind)
    assert decision.state.is_fenced
    assert f"b: g: {who} does not tell what is here of it: giving up" in decision.reasons
    assert not turned(decision.state).reasons, "it is said once"
    for not_yet in (
        replace(blind, blind_since=NOW - 16.0 + LATER),
        with_ledger(blind, held_in="b0"),
        with_guest(blind, is_running=True, resource=LOST),
    ):
        assert not turned(not_yet).state.is_fenced


def test_a_machine_does_not_leave_before_it_knows_what_it_holds() -> None:
    state = replace(found(is_running=None), left=NOW, started=NOW, blind_since=NOW)
    assert not does(turned(state), actions.FinishLeaving)
    assert does(turned(with_ledger(state, held_in="")), actions.FinishLeaving)


# one copy, one term


def in_sync(**words: Any) -> NodeState:
    """Node 1 beside node 0, which has risen to term 4 with the guest."""
    state = with_guest(survivor(), resource=IN_SYNC, is_unbroken=False)
    state = with_words(state, **{"term": 4, **words})
    return with_ledger(with_peer(state, hello_at=NOW, confirmed=NOW), by_operator=True)


ADOPTION_NEEDS: dict[str, Change] = {
    "copies that are one": lambda s: with_resource(s, peer_disk=Disk.INCONSISTENT),
    "a connection": lambda s: with_resource(s, link=Link.SYNC_TARGET),
    "a peer": lambda s: with_peer(s, hello=None),
    "a peer that says Connected": lambda s: with_words(s, term=4, is_connected=False),
    "a peer that says UpToDate": lambda s: with_words(s, term=4, disk=Disk.INCONSISTENT),
    "a peer that is heard": lambda s: with_peer(s, hello_at=NOW - 6),
    "clocks to trust": lambda s: replace(s, doubted=NOW + 1),
}


@pytest.mark.parametrize("without", ADOPTION_NEEDS)
def test_a_copy_is_of_the_highest_term_only_with(without: str) -> None:
    after = turned(in_sync()).state
    ledger = after.durable.ledgers["g"]
    assert (ledger.term, ledger.by_operator) == (4, False)
    assert after.guests["g"].is_unbroken
    state = ADOPTION_NEEDS[without](in_sync())
    after = turned(state).state
    assert after.durable.ledgers["g"].term == state.durable.ledgers["g"].term
    assert not after.guests["g"].is_unbroken


@pytest.mark.parametrize(("told", "failed_from"), [(5, None), (2, 2)])
def test_a_start_that_failed_is_over_when_the_peer_took_note(
    told: int, failed_from: int | None
) -> None:
    state = with_guest(with_ledger(in_sync(term=told), term=5), failed_from=2)
    assert turned(state).state.guests["g"].failed_from == failed_from


def test_what_may_run_here_unseen_is_of_the_term_that_it_was_started_in() -> None:
    unseen = with_guest(with_ledger(in_sync(), held_in="b1"), is_running=None)
    assert turned(unseen).state.durable.ledgers["g"].term == 2
    assert turned(with_guest(unseen, is_running=False)).state.durable.ledgers["g"].term == 4


def test_a_holder_adopts_its_own_terms_alone() -> None:
    assert turned(with_ledger(holding(), theirs=3)).state.durable.ledgers["g"].term == 3
    risen = with_words(holding(), phase=Phase.RELEASED, term=5)
    assert turned(with_peer(risen, hello_at=NOW)).state.durable.ledgers["g"].term == 5
    stopping = with_guest(with_peer(risen, hello_at=NOW), phase=Phase.STOPPING)
    assert turned(stopping).state.durable.ledgers["g"].term == 3


def test_a_holder_adopts_no_term_of_the_peer() -> None:
    """It ends, for it yields to that; with its copy as it was."""
    taken = with_ledger(holding(), theirs=4)
    assert decide(taken, events.Tick(NOW)).state.durable.ledgers["g"].term == 3


def test_what_is_heard_from_others_of_a_term_counts_too() -> None:
    state = with_ledger(in_sync(term=2), theirs=4)
    assert turned(state).state.durable.ledgers["g"].term == 4


def test_without_a_stick_the_chain_is_watched_and_no_term_adopted() -> None:
    after = turned(replace(in_sync(), is_stateless=True)).state
    assert after.guests["g"].is_unbroken
    assert after.durable.ledgers["g"].term == 2


# a guest that ended while nothing could be done about it


def test_a_guest_that_ended_meanwhile_starts_again() -> None:
    decision = turned(holding(is_running=False))
    assert decision.state.guests["g"].phase is Phase.CREATING
    assert does(decision, actions.Create) == [actions.Create("g")]


def test_a_guest_whose_start_was_just_told_is_not_started_again() -> None:
    """Xen's own word of it may still be on its way."""
    for since, phase in ((NOW - 4.9, Phase.HOLDING), (NOW - 5.0, Phase.CREATING)):
        assert turned(holding(is_running=False, since=since)).state.guests["g"].phase is phase
    assert turned(holding(is_running=None)).state.guests["g"].phase is Phase.HOLDING


def test_a_guest_that_ended_is_not_started_on_a_machine_that_leaves() -> None:
    decision = turned(replace(holding(is_running=False), left=NOW))
    assert decision.state.guests["g"].phase is Phase.STOPPING
    assert not does(decision, actions.Create)
