# SPDX-License-Identifier: MIT
"""What a person is told about a guest that does not start: each reason, and no other beside it."""

from dataclasses import replace
from itertools import combinations

import pytest

from haagent.core import lacking, starting
from haagent.core.actions import Promote
from haagent.core.blockers import Blocker
from haagent.core.decide import decide
from haagent.core.events import Tick
from haagent.core.model import (
    GONE,
    Blocked,
    Choice,
    Disk,
    Farewell,
    GuestState,
    Ledger,
    Link,
    NodeState,
    Path,
    PathState,
    Phase,
    Policy,
    Referee,
)
from haagent.core.turn import Turn
from haagent.core.wish import Target, Wish
from tests.unit.states import (
    NOW,
    SILENT,
    Change,
    lone,
    survivor,
    with_guest,
    with_ledger,
    with_peer,
    with_resource,
    with_words,
)
from tests.unit.test_proofs import SELF_FENCED_NEEDS, UNBROKEN_NEEDS


def talking(state: NodeState) -> NodeState:
    return with_peer(state, hello_at=NOW, probe_answered=NOW)


def one_after_the_other(state: NodeState) -> NodeState:
    lan = PathState(SILENT - 3, SILENT - 0.5, 7)
    return with_peer(state, paths={**state.peer.paths, Path.LAN: lan})


def waiting(state: NodeState) -> NodeState:
    """Its watchdog may not have reset the peer yet."""
    answered = replace(state.referee, answered=SILENT + 15)
    return replace(state, now=SILENT + 15, referee=answered)


def cut_off(state: NodeState) -> NodeState:
    """The peer's copy was left behind, so that ours needs no gateway; but the peer may live."""
    behind = with_resource(state, peer_disk=Disk.OUTDATED)
    return replace(behind, referee=replace(state.referee, answered=NOW - 3))


def syncing(state: NodeState) -> NodeState:
    """The peer signed it off and leaves, and has not sent all of its blocks."""
    left = with_ledger(state, farewell=Farewell("a1", 2, is_leaving=True))
    return with_resource(left, link=Link.SYNC_TARGET, disk=Disk.INCONSISTENT)


def comes_after_another(state: NodeState) -> NodeState:
    """Which was created a second ago, and has a pause of two."""
    up = GuestState(phase=Phase.HOLDING, since=NOW - 1, created=NOW - 1, is_running=True)
    pair = replace(state.pair, places={"first": 1}, pauses={"first": 2.0})
    ledgers = {**state.durable.ledgers, "first": Ledger(term=1)}
    return replace(
        state,
        pair=pair,
        guests={"first": up, **state.guests},
        durable=replace(state.durable, ledgers=ledgers),
    )


def wanted(state: NodeState, disk: Disk) -> NodeState:
    """A person wants it here, whatever the peer has."""
    return with_guest(with_resource(state, disk=disk), is_confirmed=True)


# What it takes beside a survivor that could start the guest, and what it is called.
WHY: dict[Blocker, tuple[Change, str]] = {
    Blocker.LEAVING: (lambda s: replace(s, left=NOW), "b is shutting down"),
    Blocker.GIVEN_UP: (lambda s: replace(s, is_fenced=True), "b has given up"),
    Blocker.MAINTENANCE: (
        lambda s: replace(s, durable=replace(s.durable, in_maintenance=True)),
        "b is in maintenance, and starts nothing by itself",
    ),
    Blocker.DISK_UNSEEN: (
        lambda s: with_guest(s, resource=None),
        "DRBD has not told yet what our copy is",
    ),
    Blocker.UNSETTLED: (
        lambda s: with_guest(s, is_running=None),
        "it is not settled what is here of it",
    ),
    Blocker.ORDER: (
        comes_after_another,
        "a guest that comes before it is not up for long enough",
    ),
    Blocker.PAUSED: (
        lambda s: with_guest(s, retry_at=NOW + 1 / 1024),
        "what was tried here failed, and b waits a moment before a start",
    ),
    Blocker.CHOICE: (
        lambda s: with_ledger(s, choice=Choice(2, 0, "", True, True)),
        "a person chose the copy on a, and that is being carried out",
    ),
    Blocker.STOPPED: (
        lambda s: with_ledger(s, wish=Wish(2, Target.STOPPED)),
        "a person stopped it",
    ),
    Blocker.OFF: (
        lambda s: with_ledger(s, wish=Wish(2, Target.OFF)),
        "it switched itself off",
    ),
    Blocker.CRASHED: (
        lambda s: with_ledger(s, wish=Wish(2, Target.FAILED)),
        "it crashed again and again, and was given up",
    ),
    Blocker.STANDS_DOWN: (
        lambda s: with_ledger(s, stands_down=True),
        "we promised a not to start it while no gateway answers both of us",
    ),
    Blocker.HIGHER_TERM: (
        lambda s: with_ledger(s, theirs=4),
        "a has a newer copy than this one",
    ),
    Blocker.STALE: (
        lambda s: with_resource(s, disk=Disk.OUTDATED),
        "our copy is Outdated: a may have written since",
    ),
    Blocker.SYNCING: (syncing, "our copy is still being brought up to date by a"),
    Blocker.UNPROVEN: (
        lambda s: with_guest(s, is_unbroken=False),
        "nothing proves that a has written nothing since we last saw it",
    ),
    Blocker.NOT_AGREED: (talking, "a is there, and has not agreed to a start here"),
    Blocker.NO_WATCHDOG: (
        SELF_FENCED_NEEDS["an armed watchdog"],
        "a has no watchdog that is known to reset it when it is cut off",
    ),
    Blocker.WAIT_FOR_ME: (
        lambda s: replace(s, pair=replace(s.pair, policy=Policy.WAIT)),
        "a is silent, and you chose to decide by yourself",
    ),
    Blocker.NO_REFEREE: (
        cut_off,
        "a is silent, and the gateway does not answer us: we may be the one cut off",
    ),
    Blocker.NOT_TOGETHER: (
        one_after_the_other,
        "a did not fall silent on both cables at once: it may be alive",
    ),
    Blocker.STOOD_STILL: (
        lambda s: replace(s, doubted=SILENT + 1),
        "b stood still, and a has confirmed nothing since: it may be alive",
    ),
    Blocker.NOT_RESET_YET: (waiting, "a is silent; waiting until its watchdog has reset it"),
    Blocker.STATELESS: (
        lambda s: replace(s, is_stateless=True),
        "b cannot write to its stick any more",
    ),
    Blocker.PART_ONLY: (
        lambda s: wanted(s, Disk.INCONSISTENT),
        "our copy is Inconsistent: only a part of it was brought up to date by a",
    ),
    Blocker.OUTDATED: (
        lambda s: wanted(s, Disk.OUTDATED),
        "our copy is Outdated, and DRBD starts nothing on it: a may have written since",
    ),
    Blocker.DISK_HANGS: (
        lambda s: with_guest(s, is_disk_hanging=True),
        "the disk of our copy does not answer",
    ),
    Blocker.NO_DISK: (
        lambda s: wanted(s, Disk.DISKLESS),
        "our copy has no working disk: DRBD calls it Diskless",
    ),
}


@pytest.mark.parametrize("blocker", Blocker)
def test_the_one_thing_that_is_missing(blocker: Blocker) -> None:
    change, why = WHY[blocker]
    state = change(survivor())
    assert lacking.blockers(state, "g") == (blocker,)
    assert lacking.sentences(state, "g") == [why]


def test_no_persons_word_gets_past_a_disk_that_hangs() -> None:
    state = with_guest(survivor(), is_disk_hanging=True, is_confirmed=True)
    assert lacking.blockers(state, "g") == (Blocker.DISK_HANGS,)
    assert lacking.unstartable(state, "g") == "the disk of our copy does not answer"


def test_nothing_is_missing() -> None:
    assert lacking.blockers(survivor(), "g") == ()
    assert lacking.sentences(survivor(), "g") == []


def test_a_pause_ends_to_the_moment() -> None:
    assert lacking.blockers(with_guest(survivor(), retry_at=NOW), "g") == ()


def test_no_two_are_told_in_the_same_words() -> None:
    assert len({why for _, why in WHY.values()}) == len(Blocker)


def starts(state: NodeState) -> bool:
    turn = Turn(state)
    starting.start(turn, "g")
    return any(isinstance(action, Promote) for action in turn.actions)


CHANGES: list[Change] = [change for change, _ in WHY.values()]
CHANGES += [lambda s: with_guest(s, is_confirmed=True)]
NEEDS = [*SELF_FENCED_NEEDS.values(), *UNBROKEN_NEEDS.values()]


def test_it_is_started_if_and_only_if_nothing_is_missing() -> None:
    states = [one(other(survivor())) for one, other in combinations(CHANGES, 2)]
    states += [change(survivor()) for change in (*CHANGES, *NEEDS)]
    for state in (survivor(), *states):
        found = lacking.blockers(state, "g")
        assert starts(state) is not bool(found), found


def waiting_lone(**changes: object) -> NodeState:
    """It wrote alone before it was restarted, and the peer's watchdog may not have reset it yet."""
    return with_ledger(replace(lone(), started=NOW - 15), **changes)


def test_a_lone_survivor_waits_for_the_watchdog_alone() -> None:
    """Neither its owner nor how the peer fell silent matters, unless it was a person's choice."""
    state = waiting_lone()
    state = replace(state, pair=replace(state.pair, policy=Policy.WAIT))
    assert lacking.blockers(state, "g") == (Blocker.NOT_RESET_YET,)
    assert lacking.blockers(replace(state, started=NOW - 16), "g") == ()
    chosen = with_ledger(state, by_operator=True)
    assert lacking.blockers(chosen, "g") == (Blocker.WAIT_FOR_ME,)
    automatic = replace(chosen, pair=survivor().pair)
    assert lacking.blockers(automatic, "g") == (Blocker.NOT_TOGETHER,)


def test_a_lone_survivor_needs_a_gateway_unless_it_has_a_promise() -> None:
    cut = replace(waiting_lone(), referee=Referee(NOW - 3))
    assert lacking.blockers(cut, "g") == (Blocker.NO_REFEREE,)
    promised = with_ledger(cut, evidence=1)
    assert lacking.blockers(promised, "g") == (Blocker.NOT_RESET_YET,)
    assert lacking.blockers(replace(promised, started=NOW - 16), "g") == ()
    behind = with_ledger(cut_off(survivor()), evidence=1)
    assert lacking.blockers(behind, "g") == (Blocker.NO_REFEREE,), "it did not write alone"
    still = replace(waiting_lone(), doubted=NOW)
    assert lacking.blockers(still, "g") == (Blocker.STOOD_STILL,)


def test_our_own_copy_was_chosen() -> None:
    state = with_ledger(survivor(), choice=Choice(2, 1, "", True, True))
    assert lacking.blockers(state, "g") == ()
    assert starts(state)


def test_without_a_gateway_two_things_are_missing() -> None:
    blind = replace(survivor(), referee=replace(survivor().referee, answered=NOW - 3))
    assert lacking.blockers(blind, "g") == (Blocker.UNPROVEN, Blocker.NO_REFEREE)


def test_whose_fault_it_is_comes_first() -> None:
    """What this machine is, then its promises, then our copy, then the peer."""
    state = with_guest(waiting(survivor()), is_unbroken=False)
    state = with_ledger(replace(state, left=NOW), stands_down=True)
    state = replace(state, durable=replace(state.durable, in_maintenance=True))
    assert lacking.blockers(state, "g") == (
        Blocker.LEAVING,
        Blocker.MAINTENANCE,
        Blocker.STANDS_DOWN,
        Blocker.UNPROVEN,
        Blocker.NOT_RESET_YET,
    )
    unseen = with_guest(state, resource=None)
    assert lacking.blockers(unseen, "g")[1:] == (Blocker.MAINTENANCE, Blocker.DISK_UNSEEN)


UNSTARTABLE = {Disk.INCONSISTENT: Blocker.PART_ONLY, Disk.OUTDATED: Blocker.OUTDATED}


@pytest.mark.parametrize("disk", Disk)
def test_why_nobody_can_start_it(disk: Disk) -> None:
    state = with_resource(survivor(), disk=disk)
    why = lacking.unstartable(state, "g")
    if disk in (Disk.UP_TO_DATE, Disk.CONSISTENT):
        assert why is None
    else:
        blocker = UNSTARTABLE.get(disk, Blocker.NO_DISK)
        assert why == lacking.in_words(state, "g", blocker)
        assert lacking.blockers(with_guest(state, is_confirmed=True), "g") == (blocker,)
    connected = with_resource(state, link=Link.SYNC_TARGET)
    assert lacking.unstartable(connected, "g") == (why if disk in GONE else None)


def test_a_stick_that_is_gone_is_what_a_person_is_told_first() -> None:
    lost = replace(with_resource(survivor(), disk=Disk.OUTDATED), is_stateless=True)
    assert lacking.unstartable(lost, "g") == "b cannot write to its stick any more"


def said(state: NodeState, *later: float) -> tuple[NodeState, list[str]]:
    """What the log has of a guest that is looked at now and LATER, in seconds from now."""
    found: list[str] = []
    for seconds in (0, *later):
        now = NOW + seconds
        turn = Turn(replace(state, now=now, referee=replace(state.referee, answered=now)))
        lacking.tell(turn, "g")
        state = turn.state
        found += turn.reasons
    return state, found


WAITING = "b: g: it is not started here: a is silent, and you chose to decide by yourself"


def waits_for_me(state: NodeState) -> NodeState:
    return WHY[Blocker.WAIT_FOR_ME][0](state)


def test_the_log_has_it_once() -> None:
    assert said(waits_for_me(survivor()), 4.9)[1] == []
    assert said(waits_for_me(survivor()), 2, 5)[1] == [WAITING]
    assert said(waits_for_me(survivor()), 5, 6, 20)[1] == [WAITING]


def test_the_log_has_all_of_it_and_what_changes() -> None:
    state, _ = said(waits_for_me(survivor()), 5)
    old = with_guest(state, is_unbroken=False)
    _, more = said(old, 7, 12, 30)
    unproven = "nothing proves that a has written nothing since we last saw it"
    assert more == [WAITING.replace("here: ", f"here: {unproven}; ")]
    assert said(old, 3)[1] == [], "not before it has stood"
    back, _ = said(old, 2)
    assert said(with_guest(back, is_unbroken=True), 9)[1] == [], "as the log has it"


def test_a_guest_that_was_started_meanwhile_is_told_of_anew() -> None:
    state, _ = said(waits_for_me(survivor()), 5)
    state, found = said(with_guest(state, phase=Phase.HOLDING), 6)
    assert found == [] and state.guests["g"].blocked.by == ()
    assert said(with_guest(state, phase=Phase.RELEASED), 6)[1] == [WAITING]


@pytest.mark.parametrize("phase", Phase)
def test_a_guest_that_is_here_lacks_nothing(phase: Phase) -> None:
    _, found = said(with_guest(waits_for_me(survivor()), phase=phase), 5)
    assert bool(found) is (phase in (Phase.RELEASED, Phase.FORFEITING))


@pytest.mark.parametrize("phase", Phase)
def test_a_guest_that_the_peer_has_lacks_nothing(phase: Phase) -> None:
    """As long as it is heard; what it said last is no news then."""
    state = with_words(waits_for_me(survivor()), phase=phase)
    heard = with_peer(state, hello_at=NOW + 5)
    assert said(state, 5)[1] == [WAITING]
    assert bool(said(heard, 5)[1]) is (phase in (Phase.RELEASED, Phase.FORFEITING))
    silent = with_peer(state, hello=None, hello_at=NOW + 5)
    assert said(silent, 5)[1], "it has not told of it"


def test_a_guest_that_lacks_nothing_is_not_told_of() -> None:
    assert said(survivor(), 5, 10)[1] == []


def test_no_rule_depends_on_what_the_log_has() -> None:
    blocked = Blocked((Blocker.PAUSED,), NOW - 60, (Blocker.CHOICE,))
    plain = decide(survivor(), Tick(NOW + 0.5))
    told = decide(with_guest(survivor(), blocked=blocked), Tick(NOW + 0.5))
    assert (plain.actions, plain.reasons) == (told.actions, told.reasons)
    assert with_guest(told.state, blocked=Blocked()) == plain.state
