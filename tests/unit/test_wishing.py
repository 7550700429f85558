# SPDX-License-Identifier: MIT
"""Starting and stopping for good, and how a domain ends: what one event or one turn does."""

from dataclasses import replace

import pytest

from haagent.core import events, wishing
from haagent.core.actions import AnswerOperator, Create, Restart, Shutdown
from haagent.core.decide import decide
from haagent.core.model import NodeState, Path, Phase
from haagent.core.turn import Decision
from haagent.core.wish import End, Ended, Target, Wish
from haagent.core.wishing import MOST_CRASHES
from tests.unit.states import NOW, with_guest, with_ledger, with_peer
from tests.unit.test_moving import well, with_words

AT = NOW + 1
REFUSED = "b runs a release that does not know of guests that are stopped"


def seen(state: NodeState, ended: Ended | None) -> Decision:
    return decide(state, events.DomainSeen(AT, "g", True, ended))


def crashed(state: NodeState, domain: int = 4) -> Decision:
    return seen(state, Ended(domain, End.CRASH))


def target(state: NodeState) -> Target:
    return state.durable.ledgers["g"].wish.target


def asked(state: NodeState, wanted: Target) -> Decision:
    return decide(state, events.WishAsked(AT, "g", wanted))


def test_a_stop_is_written_down_with_the_next_number_of_this_node() -> None:
    decision = asked(with_ledger(well(), wish=Wish(3, Target.STARTED)), Target.STOPPED)
    assert decision.state.durable.ledgers["g"].wish == Wish(4, Target.STOPPED)
    assert decision.actions == (AnswerOperator("g", None),)
    turn = decide(decision.state, events.Tick(AT + 0.5))
    assert Shutdown("g") in turn.actions
    assert turn.state.guests["g"].phase is Phase.STOPPING


def test_an_older_wish_of_the_peer_is_not_taken_over() -> None:
    """It was away when the newer one was said."""
    state = with_ledger(well(), wish=Wish(4, Target.STOPPED))
    hello = state.peer.hello
    assert hello is not None
    for theirs, kept in ((Wish(3), 4), (Wish(5), 5)):
        words = replace(hello.guests["g"], wish=theirs)
        newer = replace(hello, number=hello.number + 1, guests={"g": words})
        heard = decide(state, events.HelloHeard(AT, Path.LAN, newer, 1)).state
        assert heard.durable.ledgers["g"].wish.number == kept


def test_it_is_this_machines_turn_for_a_while() -> None:
    """Nobody waits for a machine that was told to start it, and did not get to."""
    said = with_ledger(with_guest(well(), wished=NOW), wish=Wish(4))
    take = said.timing.take
    for later, is_turn in ((0.0, True), (take - 0.1, True), (take, False)):
        assert wishing.is_our_turn(replace(said, now=NOW + later), "g") is is_turn
    for other in (Wish(5), Wish(4, Target.STOPPED), Wish(4, Target.RETRIED)):
        assert not wishing.is_our_turn(with_ledger(said, wish=other), "g")


def test_of_a_peer_that_was_never_heard_nothing_is_known() -> None:
    decision = asked(with_peer(well(), hello=None, format=0), Target.STOPPED)
    assert target(decision.state) is Target.STOPPED


def test_what_is_wanted_already_is_no_new_wish() -> None:
    decision = asked(well(), Target.STARTED)
    assert decision.state.durable == well().durable
    assert decision.actions == (AnswerOperator("g", None),)


def test_a_start_gives_all_tries_back() -> None:
    state = with_ledger(with_guest(well(), crashes=(NOW,)), wish=Wish(2, Target.FAILED))
    assert asked(state, Target.STARTED).state.guests["g"].crashes == ()


@pytest.mark.parametrize("wanted", [Target.STARTED, Target.STOPPED])
def test_a_peer_of_the_release_before_would_not_understand(wanted: Target) -> None:
    decision = asked(with_peer(well(), format=0), wanted)
    assert decision.actions == (AnswerOperator("g", REFUSED),)
    assert decision.state.durable == well().durable


def test_without_a_stick_it_can_be_stopped_and_not_started() -> None:
    state = replace(well(), is_stateless=True)
    assert target(asked(state, Target.STOPPED).state) is Target.STOPPED
    off = with_ledger(state, wish=Wish(2, Target.STOPPED))
    (answer,) = asked(off, Target.STARTED).actions
    assert isinstance(answer, AnswerOperator) and answer.refusal is not None
    assert target(asked(off, Target.STARTED).state) is Target.STOPPED


def test_only_what_runs_here_is_asked_to_start_anew() -> None:
    assert decide(well(), events.RestartAsked(AT, "g")).actions == (
        Restart("g"),
        AnswerOperator("g", None),
    )
    off = with_ledger(well(), wish=Wish(2, Target.STOPPED))  # and about to be shut down
    for away in (with_guest(well(), phase=Phase.RELEASED), off):
        assert decide(away, events.RestartAsked(AT, "g")).actions == (
            AnswerOperator("g", "it does not run on a"),
        )


@pytest.mark.parametrize("how", [End.CRASH, End.REBOOT])
def test_what_ends_is_started_again_at_once(how: End) -> None:
    decision = seen(well(), Ended(4, how))
    assert decision.actions == (Create("g"),)
    mine = decision.state.guests["g"]
    assert (mine.phase, mine.buried, mine.ended) == (Phase.CREATING, 4, None)


def test_a_domain_that_was_dealt_with_is_old_news() -> None:
    """The new one runs when Xen's list of before comes."""
    state = with_guest(well(), buried=4)
    decision = crashed(state)
    assert decision.actions == ()
    assert decision.state.guests["g"].ended is None
    assert crashed(state, domain=5).actions == (Create("g"),)


def test_what_switches_itself_off_is_off() -> None:
    decision = seen(well(), Ended(4, End.POWEROFF))
    assert decision.actions == (Shutdown("g"),)
    assert target(decision.state) is Target.OFF


def test_beside_the_release_before_it_is_started_again() -> None:
    old = with_peer(with_guest(well(), crashes=(NOW,) * 9), format=0)
    for how in End:
        decision = seen(old, Ended(4, how))
        assert decision.actions == (Create("g"),)
        assert target(decision.state) is Target.STARTED


def test_crashes_of_long_ago_are_not_counted() -> None:
    long_ago = AT - well().timing.crashes
    state = with_guest(well(), crashes=(long_ago,) * MOST_CRASHES)
    decision = crashed(state)
    assert decision.actions == (Create("g"),)
    assert decision.state.guests["g"].crashes == (AT,)


def test_the_other_machine_has_a_try_if_it_can() -> None:
    state = with_guest(well(), crashes=(NOW,) * MOST_CRASHES)
    assert target(crashed(state).state) is Target.RETRIED
    for cannot in (with_words(state, stands_down=True), replace(state, left=NOW)):
        decision = crashed(cannot)
        assert target(decision.state) is Target.FAILED
        assert decision.actions == (Shutdown("g"),)


def test_without_a_stick_it_goes_to_the_other_machine_like_any_other() -> None:
    """That one has no mark of it, and all tries."""
    state = replace(with_guest(well(), crashes=(NOW,) * MOST_CRASHES), is_stateless=True)
    decision = crashed(state)
    assert decision.actions == (Shutdown("g"),)
    assert target(decision.state) is Target.STARTED


def test_where_it_was_tried_one_crash_is_enough() -> None:
    state = with_ledger(well(), wish=Wish(1, Target.RETRIED))
    assert target(crashed(state).state) is Target.FAILED


@pytest.mark.parametrize("phase", [Phase.FROZEN, Phase.STOPPING, Phase.DESTROYING, Phase.CREATING])
def test_an_end_is_kept_in_mind_until_it_can_be_acted_on(phase: Phase) -> None:
    decision = crashed(with_guest(well(), phase=phase))
    assert decision.actions == ()
    assert decision.state.guests["g"].ended == Ended(4, End.CRASH)


def test_what_has_run_well_for_long_enough_is_a_guest_like_any_other() -> None:
    state = with_ledger(well(), wish=Wish(1, Target.RETRIED))
    since = AT - state.timing.crashes
    young = with_guest(state, since=since + 0.1)
    assert target(decide(young, events.Tick(AT)).state) is Target.RETRIED
    crashed_since = with_guest(state, since=since, crashes=(since + 0.1,))
    assert target(decide(crashed_since, events.Tick(AT)).state) is Target.RETRIED
    old = with_guest(state, since=since)
    assert target(decide(old, events.Tick(AT)).state) is Target.STARTED
    assert decide(replace(old, is_stateless=True), events.Tick(AT)).reasons == ()


def test_a_persons_word_in_spite_of_all_starts_what_was_stopped() -> None:
    state = with_ledger(well(), wish=Wish(2, Target.STOPPED))
    off = with_guest(state, phase=Phase.RELEASED, is_running=False)
    confirmed = decide(off, events.OperatorConfirmed(AT, "g")).state
    assert target(confirmed) is Target.STARTED
    assert confirmed.guests["g"].is_confirmed
