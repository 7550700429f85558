# SPDX-License-Identifier: MIT
"""Which choices are taken, and what each message of the two machines brings about."""

from dataclasses import replace
from typing import Any

import pytest

from haagent.core import events, lacking, resolving
from haagent.core.actions import AnswerOperator, Connect, Discard, KeepCopy, Shutdown
from haagent.core.decide import decide
from haagent.core.events import Deed
from haagent.core.model import (
    Choice,
    Disk,
    Evidence,
    GuestState,
    Link,
    NodeState,
    Path,
    PathState,
    Phase,
    Request,
    Resource,
    Role,
)
from haagent.core.turn import Decision
from tests.unit.states import HELLO, NOW, WORDS, survivor, with_guest, with_ledger

STAMP = "20260102-0304"
HEARD = PathState(NOW - 0.2, NOW - 0.4, 7)
THEIRS = replace(WORDS, is_connected=False, is_alone=True, is_refused=True, term=4)
OURS = Resource(Role.SECONDARY, Link.STANDALONE, Disk.UP_TO_DATE, Disk.OUTDATED)


def says(state: NodeState, **changes: Any) -> NodeState:
    """STATE, with a peer that said just now CHANGES about the guest."""
    hello = replace(HELLO, guests={"g": replace(THEIRS, **changes)}, heard_boot="b1")
    paths = {Path.LAN: HEARD, Path.CROSSOVER: HEARD}
    peer = replace(state.peer, hello=hello, hello_at=NOW - 0.2, paths=paths, confirmed=NOW - 0.4)
    return replace(state, peer=peer)


def apart() -> NodeState:
    """Node 1, which had the guest and has it no more; node 0 has it. Both wrote alone."""
    state = replace(survivor(), guests={"g": GuestState(resource=OURS, is_running=False)})
    return says(with_ledger(state, term=3, theirs=4, alone=Evidence.TAKEOVER))


def leaving(state: NodeState) -> NodeState:
    assert state.peer.hello is not None
    hello = replace(state.peer.hello, is_leaving=True)
    return replace(state, peer=replace(state.peer, hello=hello))


def hears(state: NodeState, **changes: Any) -> Decision:
    """The next hello of the peer, with CHANGES about the guest."""
    assert state.peer.hello is not None
    words = replace(state.peer.hello.guests["g"], **changes)
    number = state.peer.hello.number + 1
    hello = replace(state.peer.hello, number=number, guests={"g": words})
    return decide(state, events.HelloHeard(NOW, Path.LAN, hello))


def tick(state: NodeState) -> Decision:
    return decide(state, events.Tick(NOW + 0.1))


def choice(state: NodeState) -> Choice:
    return state.durable.ledgers["g"].choice


def agreed(node: int, **changes: Any) -> NodeState:
    word = Choice(2, node, STAMP, is_open=True, is_agreed=True, **changes)
    return with_ledger(says(apart(), choice=word), choice=word)


def resource(state: NodeState, **changes: Any) -> NodeState:
    return with_guest(state, resource=replace(OURS, **changes))


def test_a_copy_that_went_apart_can_be_chosen_either_way() -> None:
    assert [resolving.blocker(apart(), "g", node) for node in (0, 1)] == [None, None]


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (replace(apart(), peer=replace(apart().peer, hello_at=NOW - 60)), "a is silent"),
        (replace(apart(), left=NOW), "b is shutting down"),
        (leaving(apart()), "a is shutting down"),
        (replace(apart(), is_fenced=True), "b has given up"),
        (replace(apart(), doubted=NOW), "b stood still a moment ago"),
        (agreed(0), "already that the copy on a counts"),
        (resource(apart(), link=Link.CONNECTED), "they are connected|are connected"),
        (says(apart(), is_connected=True), "are connected"),
        (says(resource(apart(), link=Link.CONNECTING), is_refused=False), "has not refused"),
        (with_ledger(apart(), alone=None), "nothing shows that both"),
        (says(apart(), is_alone=False), "nothing shows that both"),
        (says(apart(), phase=Phase.STOPPING), "it is stopping on a"),
        (with_guest(apart(), phase=Phase.DESTROYING), "it is destroying on b"),
        (with_guest(apart(), phase=Phase.HOLDING), "it runs on both machines"),
        (with_guest(apart(), resource=None), "DRBD has not told yet"),
        (resource(apart(), disk=Disk.FAILED), "its disk on b does not work"),
        (says(apart(), disk=Disk.DISKLESS), "its disk on a does not work"),
        (says(apart(), disk=Disk.INCONSISTENT), "the copy on a is Inconsistent"),
    ],
)
def test_what_cannot_be_chosen_is_told(state: NodeState, why: str) -> None:
    asked = decide(state, events.ChoiceAsked(NOW, "g", 0, STAMP))
    (action,) = asked.actions
    assert isinstance(action, AnswerOperator) and action.refusal is not None
    assert any(part in action.refusal for part in why.split("|"))
    assert asked.state.guests["g"].proposal is None


def test_a_cable_that_carries_one_way_carries_no_choice() -> None:
    state = apart()
    paths = {Path.LAN: HEARD, Path.CROSSOVER: replace(HEARD, two_way=NOW - 60)}
    deaf = replace(state, peer=replace(state.peer, paths=paths))
    assert "over the crossover" in (resolving.blocker(deaf, "g", 0) or "")


def test_a_word_is_proposed_and_nothing_is_written_yet() -> None:
    asked = decide(apart(), events.ChoiceAsked(NOW, "g", 0, STAMP))
    assert asked.actions == (AnswerOperator("g", None),)
    assert asked.state.durable == apart().durable
    proposal = asked.state.guests["g"].proposal
    assert proposal is not None
    assert (proposal.number, proposal.node, proposal.stamp) == (1, 0, STAMP)


def test_a_second_word_waits_for_the_first_one() -> None:
    """Both would have the same number, and each machine could take the other one for it."""
    first = decide(apart(), events.ChoiceAsked(NOW, "g", 0, STAMP)).state
    second = decide(first, events.ChoiceAsked(NOW, "g", 1, STAMP))
    assert second.actions == (AnswerOperator("g", "another choice is on its way to a"),)
    assert second.state.guests == first.guests


def test_the_other_writes_it_down_before_it_says_so() -> None:
    proposal = Choice(2, 0, STAMP, is_open=True)
    heard = hears(apart(), proposal=proposal).state
    assert choice(heard) == proposal
    refused = hears(with_guest(apart(), phase=Phase.DESTROYING), proposal=proposal).state
    assert not choice(refused).is_open
    assert refused.guests["g"].trouble == "it is destroying on b"


def test_what_is_being_marked_is_not_chosen_between() -> None:
    """In one hello the peer asks for the next term, and a person's word is proposed."""
    proposal = Choice(2, 0, STAMP, is_open=True)
    request = Request(99, 6)
    heard = hears(apart(), proposal=proposal, request=request, phase=Phase.RELEASED).state
    assert heard.guests["g"].phase is Phase.FORFEITING
    assert not choice(heard).is_open
    assert heard.guests["g"].trouble == "it is forfeiting on b"


def test_it_is_agreed_when_both_have_it_on_disk() -> None:
    word = Choice(1, 0, STAMP, is_open=True)
    proposing = with_guest(apart(), proposal=word, proposed=NOW)
    by_us = hears(proposing, choice=word).state
    assert choice(by_us) == replace(word, is_agreed=True)
    assert by_us.guests["g"].proposal is None
    dropped = hears(proposing, choice=replace(word, is_open=False)).state
    busy = hears(with_guest(proposing, phase=Phase.DESTROYING), choice=word).state
    for refused in (dropped, busy):
        assert refused.guests["g"].proposal is None
        assert choice(refused) == Choice()
    other_way = replace(word, node=1)
    assert not choice(hears(with_ledger(apart(), choice=word), choice=other_way).state).is_agreed
    by_them = hears(with_ledger(apart(), choice=word), choice=word).state
    assert choice(by_them).is_agreed


def test_what_was_not_agreed_to_in_time_is_dropped() -> None:
    word = Choice(1, 0, STAMP, is_open=True)
    assert not choice(tick(with_ledger(apart(), choice=word)).state).is_open
    known = says(with_ledger(apart(), choice=word), proposal=word)
    assert choice(tick(known).state).is_open
    silent = replace(known, peer=replace(known.peer, hello_at=NOW - 60))
    assert not choice(tick(silent).state).is_open
    proposing = with_guest(apart(), proposal=word, proposed=NOW - 60)
    told = tick(proposing).state
    assert told.guests["g"].proposal is None
    assert told.guests["g"].trouble == "the other machine did not answer"


@pytest.mark.parametrize(
    "state",
    [
        says(agreed(0), choice=Choice(2, 0, STAMP, is_open=True, is_agreed=False)),
        says(agreed(0), choice=Choice(2, 1, STAMP, is_open=True, is_agreed=True)),
        says(agreed(0), choice=Choice(2, 0, STAMP, is_open=False, is_agreed=True)),
        says(agreed(0), choice=Choice(2, 0, STAMP, True, True), phase=Phase.DESTROYING),
        replace(agreed(0), peer=replace(agreed(0).peer, hello_at=NOW - 60)),
        replace(agreed(0), doubted=NOW),
        replace(agreed(0), is_fenced=True),
        with_guest(agreed(0), is_running=True),
        with_guest(agreed(0), is_running=None),
        with_guest(agreed(0), is_confirmed=True),
        with_guest(agreed(0), is_stepping=True),
        with_guest(agreed(0), has_dropped=True),
        with_guest(agreed(0), reconnect_at=NOW + 60),
        replace(agreed(0), left=NOW),
        resource(agreed(0), link=Link.SYNC_TARGET, disk=Disk.INCONSISTENT),
        agreed(1),
    ],
)
def test_nothing_is_given_up_before_its_time(state: NodeState) -> None:
    assert [a for a in tick(state).actions if isinstance(a, KeepCopy | Discard)] == []


def test_a_copy_is_kept_before_ours_is_given_up() -> None:
    kept = tick(agreed(0))
    assert KeepCopy("g", STAMP, 2) in kept.actions
    done = decide(
        with_guest(kept.state, trouble="no room"), events.Done(NOW + 1, "g", Deed.KEEP)
    ).state
    assert choice(done).is_kept
    assert done.guests["g"].trouble == ""
    assert Discard("g") in tick(done).actions
    bare = Choice(2, 0, "", is_open=True, is_agreed=True)
    assert Discard("g") in tick(with_ledger(agreed(0), choice=bare)).actions


def test_a_step_that_fails_is_told_and_tried_again_later() -> None:
    failed = decide(tick(agreed(0)).state, events.Failed(NOW, "g", Deed.KEEP, "no\nroom " * 99))
    mine = failed.state.guests["g"]
    assert mine.trouble.startswith("no room no room")
    assert len(mine.trouble) <= resolving.LONGEST_TROUBLE
    assert KeepCopy("g", STAMP, 2) not in tick(failed.state).actions
    heard = replace(failed.state.peer, hello_at=NOW + 5.9, confirmed=NOW + 5.9)
    later = replace(failed.state, ticked=NOW + 5.9, peer=heard)
    assert KeepCopy("g", STAMP, 2) in decide(later, events.Tick(NOW + 6)).actions


def test_a_person_may_do_without_the_copy() -> None:
    asked = decide(agreed(0), events.ChoiceAsked(NOW, "g", 0, "", 2))
    assert choice(asked.state).stamp == ""
    word = Choice(2, 0, "", is_open=True, is_agreed=True)
    assert choice(hears(agreed(0), choice=word).state).stamp == ""
    assert asked.actions == (AnswerOperator("g", None),)


@pytest.mark.parametrize(
    ("state", "node", "about"),
    [
        (agreed(0), 1, 2),  # not what is being carried out
        (agreed(0), 0, 4),  # of another choice
        (with_ledger(apart(), choice=Choice(2, 0, STAMP, False, True)), 0, 2),  # taken back
    ],
)
def test_a_word_about_a_choice_that_is_over_makes_no_new_one(
    state: NodeState, node: int, about: int
) -> None:
    asked = decide(state, events.ChoiceAsked(NOW, "g", node, "", about))
    (action,) = asked.actions
    assert isinstance(action, AnswerOperator) and "is over" in (action.refusal or "")
    assert asked.state.guests["g"].proposal is None
    assert choice(asked.state) == choice(state)


def test_a_new_choice_does_not_change_the_open_one() -> None:
    asked = decide(agreed(0), events.ChoiceAsked(NOW, "g", 0, ""))
    (action,) = asked.actions
    assert isinstance(action, AnswerOperator) and "already" in (action.refusal or "")
    assert choice(asked.state).stamp == STAMP


def test_ours_counts_as_soon_as_drbd_copies_it() -> None:
    """Before that the other may still have the guest; from then on nothing is newer than ours."""
    syncing = resource(agreed(1), link=Link.SYNC_SOURCE, peer_disk=Disk.INCONSISTENT)
    assert tick(agreed(1)).state.durable.ledgers["g"].term == 3
    assert tick(syncing).state.durable.ledgers["g"].term == 5
    highest = with_ledger(syncing, term=7)
    assert tick(highest).state.durable.ledgers["g"].term == 7


def test_we_connect_when_the_other_has_dropped_its_data() -> None:
    assert Connect("g") not in tick(agreed(1)).actions
    word = choice(agreed(1))
    wanted = says(agreed(1), choice=word, has_dropped=True)
    assert Connect("g") in tick(wanted).actions
    for state in (
        with_guest(wanted, phase=Phase.CREATING),
        with_guest(wanted, reconnect_at=NOW + 60),
        replace(wanted, peer=replace(wanted.peer, hello_at=NOW - 60)),
    ):
        assert Connect("g") not in tick(state).actions


def test_what_drbd_was_told_lasts_until_it_hangs_up() -> None:
    dropped = with_guest(agreed(0), has_dropped=True)
    for link, lasts in ((Link.CONNECTING, True), (Link.STANDALONE, False)):
        seen = events.ResourceChanged(NOW, "g", replace(OURS, link=link))
        assert decide(dropped, seen).state.guests["g"].has_dropped is lasts


def test_what_was_given_up_is_not_connected_by_hand_too() -> None:
    """The word stands in DRBD's new connection; another one would take it back."""
    done = decide(with_ledger(agreed(0), is_parted=True), events.Done(NOW, "g", Deed.DISCARD)).state
    assert done.guests["g"].has_dropped
    assert done.guests["g"].reconnect_at > NOW
    assert not done.durable.ledgers["g"].is_parted


def test_a_copy_that_comes_too_late_is_not_counted_as_kept() -> None:
    over = with_ledger(apart(), choice=Choice(2, 0, STAMP, is_open=False, is_agreed=True))
    assert not choice(decide(over, events.Done(NOW, "g", Deed.KEEP)).state).is_kept


def test_a_start_in_spite_of_all_takes_the_choice_back() -> None:
    confirmed = decide(agreed(0), events.OperatorConfirmed(NOW, "g")).state
    assert not choice(tick(confirmed).state).is_open
    ours = decide(agreed(1), events.OperatorConfirmed(NOW, "g")).state
    assert choice(tick(ours).state).is_open


def test_a_choice_that_the_other_knows_nothing_of_is_dropped() -> None:
    """It was set up anew, as after a broken boot medium."""
    assert not choice(hears(agreed(0), choice=Choice()).state).is_open
    assert choice(hears(agreed(0)).state).is_open


def test_a_choice_of_no_machine_is_not_even_considered() -> None:
    for proposal in (Choice(2, 7, STAMP, is_open=True), Choice(2, 0, STAMP, is_open=False)):
        assert choice(hears(apart(), proposal=proposal).state) == Choice()


def test_an_older_proposal_says_nothing() -> None:
    """One that was carried out or dropped is not taken up again."""
    over = Choice(4, 0, STAMP, is_open=False, is_agreed=True)
    heard = hears(with_ledger(apart(), choice=over), proposal=Choice(4, 0, STAMP, is_open=True))
    assert choice(heard.state) == over


def test_what_is_to_be_given_up_is_not_connected_in_the_ordinary_way() -> None:
    """DRBD would only find the split brain again."""
    for node, connects in ((0, False), (1, True)):
        parted = with_ledger(agreed(node), is_parted=True)
        assert (Connect("g") in tick(parted).actions) is connects


def test_it_is_over_when_both_are_the_same() -> None:
    synced = resource(agreed(0), link=Link.CONNECTED, peer_disk=Disk.UP_TO_DATE)
    ended = tick(with_ledger(synced, by_operator=True)).state.durable.ledgers["g"]
    assert not ended.choice.is_open
    assert not ended.by_operator
    assert choice(tick(resource(agreed(0), link=Link.SYNC_TARGET)).state).is_open


def test_what_keeps_the_guest_from_starting_is_told() -> None:
    assert any("a person chose the copy on a" in why for why in lacking.sentences(agreed(0), "g"))
    assert not any("a person chose" in why for why in lacking.sentences(apart(), "g"))


def test_a_guest_that_runs_on_what_is_given_up_is_shut_down_first() -> None:
    running = resource(agreed(0), role=Role.PRIMARY)
    running = with_ledger(with_guest(running, phase=Phase.HOLDING, is_running=True), term=5)
    stopped = tick(running)
    assert Shutdown("g") in stopped.actions
    assert stopped.state.guests["g"].phase is Phase.STOPPING
