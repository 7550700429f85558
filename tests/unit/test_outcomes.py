# SPDX-License-Identifier: MIT
"""What DRBD, Xen, the gateway and a person tell, and what follows from it at once."""

from dataclasses import replace
from typing import Any

import pytest

from haagent.core import actions, events
from haagent.core.actions import AnswerFence, AnswerOperator, Create, Destroy
from haagent.core.decide import decide
from haagent.core.events import Deed
from haagent.core.model import (
    HELD,
    NEVER,
    PRESENT,
    Disk,
    Evidence,
    FenceAnswer,
    Link,
    Measured,
    NodeState,
    Phase,
    Request,
    Resource,
    Role,
)
from haagent.core.turn import Decision
from tests.unit.states import (
    IN_SYNC,
    LATER,
    LOST,
    NOW,
    asked,
    holding,
    in_maintenance,
    survivor,
    with_guest,
    with_ledger,
    with_peer,
    with_resource,
    with_words,
)
from tests.unit.test_starting import promoting

AT = NOW + 1


def shows(state: NodeState, resource: Resource) -> NodeState:
    return decide(state, events.ResourceChanged(AT, "g", resource)).state


def done(state: NodeState, deed: Deed) -> Decision:
    return decide(state, events.Done(AT, "g", deed))


def failed(state: NodeState, deed: Deed) -> Decision:
    return decide(state, events.Failed(AT, "g", deed, "no"))


def answers(state: NodeState, sent: float, at: float) -> tuple[float, float]:
    referee = decide(state, events.RefereeAnswered(at, sent)).state.referee
    return referee.answered, referee.good_since


def test_since_when_the_gateway_answers_without_a_gap() -> None:
    state = replace(survivor(), referee=replace(survivor().referee, answered=100.0))
    assert answers(state, 101.5, 102.0) == (101.5, 1.0)
    assert answers(state, 101.5, 102.0 + LATER) == (101.5, 101.5)
    assert answers(state, 99.0, 101.0) == (100.0, 1.0), "a late answer takes nothing back"


def test_what_drbd_shows_is_known_and_when() -> None:
    connected = replace(IN_SYNC, role=Role.PRIMARY)
    lost = shows(with_peer(holding(), connected=1.0), LOST)
    assert (lost.guests["g"].resource, lost.guests["g"].lost) == (LOST, AT)
    assert lost.peer.connected == AT, "it was until now"
    assert lost.guests["g"].phase is Phase.FROZEN
    later = events.ResourceChanged(AT + 1, "g", LOST)
    still = decide(with_peer(lost, connected=1.0), later).state
    assert (still.peer.connected, still.guests["g"].lost) == (1.0, AT)
    back = shows(with_peer(lost, connected=1.0), connected)
    assert back.peer.connected == AT and back.guests["g"].phase is Phase.HOLDING
    assert shows(holding(lost=7.0), connected).guests["g"].lost == 7.0


def test_whoever_meets_the_other_copy_is_not_alone_any_more() -> None:
    alone = with_ledger(holding(resource=LOST), alone=Evidence.GATEWAY)
    assert shows(alone, LOST).durable.ledgers["g"].alone is Evidence.GATEWAY
    assert shows(alone, IN_SYNC).durable.ledgers["g"].alone is None


@pytest.mark.parametrize(
    ("before", "link", "waits"),
    [
        (True, Link.CONNECTING, True),
        (True, Link.CONNECTED, False),
        (False, Link.CONNECTING, False),
    ],
)
def test_what_was_dropped_waits_for_the_handshake(before: bool, link: Link, waits: bool) -> None:
    state = with_guest(survivor(), has_dropped=before)
    assert shows(state, replace(LOST, link=link)).guests["g"].has_dropped is waits


@pytest.mark.parametrize(
    ("phase", "deed"),
    [
        (Phase.PROMOTING, Deed.PROMOTE),
        (Phase.PROMOTING, Deed.CONNECT),
        (Phase.CREATING, Deed.PROMOTE),
        (Phase.CREATING, Deed.CREATE),
    ],
)
def test_a_promotion_that_fails_leaves_the_copy_of_its_term(phase: Phase, deed: Deed) -> None:
    begun = with_guest(promoting(survivor()), phase=phase)
    taking = begun.guests["g"].taking
    assert taking is not None
    is_so = (phase, deed) == (Phase.PROMOTING, Deed.PROMOTE)
    after = failed(begun, deed).state.guests["g"].failed_from
    assert after == (taking.from_term if is_so else None)


def test_a_promotion_makes_the_copy_one_of_the_new_term() -> None:
    begun = with_guest(promoting(survivor()), failed_from=1)
    assert done(begun, Deed.PROMOTE).state.guests["g"].failed_from is None


@pytest.mark.parametrize("phase", Phase)
def test_a_guest_that_ended_by_itself_starts_again_here(phase: Phase) -> None:
    decision = decide(holding(phase=phase), events.DomainSeen(AT, "g", False))
    assert decision.state.guests["g"].is_running is False
    is_again = phase is Phase.HOLDING
    assert decision.actions == ((Create("g"),) if is_again else ())
    assert decision.state.guests["g"].phase is (Phase.CREATING if is_again else phase)
    seen = decide(holding(phase=phase), events.DomainSeen(AT, "g", True))
    assert not seen.actions and seen.state.guests["g"].is_running


@pytest.mark.parametrize("phase", Phase)
def test_a_probe_that_the_guest_answers_may_be_our_own(phase: Phase) -> None:
    state = with_guest(survivor(), phase=phase)
    by_guest = decide(state, events.ProbeAnswered(AT, "g")).state
    assert by_guest.peer.probe_answered == (NEVER if phase in PRESENT else AT)
    by_peer = decide(state, events.ProbeAnswered(AT)).state
    assert (by_peer.peer.probe_answered, by_peer.guests["g"].is_unbroken) == (AT, False)
    connected = decide(with_resource(state, link=Link.CONNECTED), events.ProbeAnswered(AT)).state
    assert connected.guests["g"].is_unbroken


def test_life_is_told_where_it_keeps_us_from_a_start() -> None:
    assert decide(survivor(), events.ProbeAnswered(AT)).reasons
    assert not decide(
        with_guest(survivor(), phase=Phase.FORFEITING), events.ProbeAnswered(AT)
    ).reasons
    assert not decide(with_guest(survivor(), is_unbroken=False), events.ProbeAnswered(AT)).reasons


@pytest.mark.parametrize("phase", Phase)
def test_a_connection_that_we_took_up_is_not_ours_to_take_up_again(phase: Phase) -> None:
    state = with_ledger(with_guest(survivor(), phase=phase), is_parted=True)
    is_parted = done(state, Deed.CONNECT).state.durable.ledgers["g"].is_parted
    assert is_parted is (phase not in (Phase.RELEASED, Phase.HOLDING))


def test_a_copy_that_is_marked_is_free_again() -> None:
    marking = with_guest(survivor(), phase=Phase.FORFEITING)
    after = done(marking, Deed.OUTDATE)
    assert after.state.guests["g"].phase is Phase.RELEASED and len(after.reasons) == 1
    granted = done(with_guest(marking, grant=Request(1, 4)), Deed.OUTDATE)
    assert granted.reasons[-1] == "b: g: agreed: term 4 is the peer's"


def test_a_primary_has_its_domain_made_and_the_boot_is_on_disk() -> None:
    state = with_ledger(promoting(survivor()), held_in="")
    decision = done(state, Deed.PROMOTE)
    assert decision.state.durable.ledgers["g"].held_in == "b1"
    assert decision.state.guests["g"].phase is Phase.CREATING
    assert decision.actions == (Create("g"),)


ASKING: dict[str, Any] = {"request": Request(1, 5), "is_confirmed": True, "fence_asked": True}


def test_what_runs_has_answered_all_questions() -> None:
    taking = promoting(survivor()).guests["g"].taking
    state = holding(phase=Phase.CREATING, taking=taking, **ASKING)
    mine = done(with_resource(state, is_suspended=True), Deed.CREATE).state.guests["g"]
    assert (mine.phase, mine.request, mine.taking, mine.is_confirmed) == (
        Phase.HOLDING,
        None,
        None,
        False,
    )
    lost = done(with_guest(state, resource=LOST), Deed.CREATE).state
    assert lost.guests["g"].phase is Phase.FROZEN, "the peer was lost meanwhile"


def test_a_farewell_gives_back_all_that_a_holder_relied_on() -> None:
    state = holding(phase=Phase.STOPPING, **ASKING)
    state = with_resource(with_ledger(state, evidence=6, returned=5), is_suspended=True)
    said = with_words(state, phase=Phase.RELEASED, promise=6)
    after = done(said, Deed.SHUTDOWN).state
    mine, ledger = after.guests["g"], after.durable.ledgers["g"]
    assert (ledger.held_in, ledger.evidence, ledger.returned) == ("", 0, 6)
    assert (mine.phase, mine.farewell, mine.request, mine.fence_asked) == (
        Phase.RELEASED,
        3,
        None,
        False,
    )
    assert mine.is_running is False and mine.resource is not None
    assert (mine.resource.role, mine.resource.is_suspended) == (Role.SECONDARY, False)
    older = with_words(state, phase=Phase.RELEASED, promise=4)
    assert done(older, Deed.SHUTDOWN).state.durable.ledgers["g"].returned == 5
    nobody = done(with_peer(state, hello=None), Deed.SHUTDOWN).state
    assert nobody.durable.ledgers["g"].returned == 5


def test_what_was_destroyed_is_gone() -> None:
    taking = promoting(survivor()).guests["g"].taking
    state = holding(phase=Phase.DESTROYING, taking=taking, **ASKING)
    after = done(state, Deed.DESTROY).state
    mine = after.guests["g"]
    assert after.durable.ledgers["g"].held_in == ""
    assert (mine.phase, mine.request, mine.taking, mine.is_confirmed, mine.is_running) == (
        Phase.RELEASED,
        None,
        None,
        False,
        False,
    )
    assert mine.resource is not None and mine.resource.role is Role.SECONDARY
    assert mine.farewell is None, "it was not signed off"
    unseen = done(with_guest(state, resource=None), Deed.DESTROY).state.guests["g"]
    assert (unseen.resource, unseen.phase) == (None, Phase.RELEASED)


LATE = [
    (Phase.RELEASED, Deed.OUTDATE),
    (Phase.DESTROYING, Deed.PROMOTE),
    (Phase.HOLDING, Deed.CREATE),
    (Phase.DESTROYING, Deed.SHUTDOWN),
    (Phase.RELEASED, Deed.DESTROY),
]


@pytest.mark.parametrize(("phase", "deed"), LATE)
def test_what_comes_too_late_changes_nothing(phase: Phase, deed: Deed) -> None:
    state = holding(phase=phase)
    decision = done(state, deed)
    assert decision.state == replace(state, now=AT) and not decision.actions
    assert "too late" in decision.reasons[0]


FAILURES = [
    (Phase.PROMOTING, Deed.PROMOTE, True),
    (Phase.CREATING, Deed.CREATE, True),
    (Phase.STOPPING, Deed.SHUTDOWN, True),
    (Phase.CREATING, Deed.PROMOTE, False),
    (Phase.HOLDING, Deed.SHUTDOWN, False),
    (Phase.HOLDING, Deed.CREATE, False),
    (Phase.DESTROYING, Deed.DESTROY, False),
    (Phase.FORFEITING, Deed.OUTDATE, False),
    (Phase.RELEASED, Deed.CONNECT, False),
]


@pytest.mark.parametrize(("phase", "deed", "is_ended"), FAILURES)
def test_what_fails_ends_the_guest_or_is_tried_again(
    phase: Phase, deed: Deed, is_ended: bool
) -> None:
    decision = failed(holding(phase=phase), deed)
    mine = decision.state.guests["g"]
    assert decision.actions == ((Destroy("g"),) if is_ended else ())
    assert mine.phase is (Phase.DESTROYING if is_ended else phase)
    if not is_ended:
        assert mine.retry_at == AT + 5.0
    assert "no" in decision.reasons[0]


@pytest.mark.parametrize(("phase", "deed", "_"), FAILURES[:2])
def test_where_the_other_could_run_it_it_has_its_turn(phase: Phase, deed: Deed, _: bool) -> None:
    def pause(state: NodeState) -> float:
        return failed(state, deed).state.guests["g"].retry_at - AT

    state = holding(phase=phase)
    assert pause(state) == 16.0
    assert pause(with_resource(state, link=Link.SYNC_SOURCE)) == 5.0
    assert pause(with_peer(state, hello_at=NOW - 9)) == 5.0


@pytest.mark.parametrize("phase", Phase)
def test_drbds_handler_is_answered_or_waits(phase: Phase) -> None:
    decision = decide(holding(phase=phase), events.FenceAsked(AT, "g"))
    waits = phase in (Phase.CREATING, Phase.HOLDING, Phase.FROZEN, Phase.STOPPING)
    waits = waits or phase is Phase.RELEASED  # an agent that just started, and is yet to look
    assert decision.state.guests["g"].fence_asked is waits
    unproven = AnswerFence("g", FenceAnswer.UNPROVEN)
    assert decision.actions == (() if waits else (unproven,))


def test_the_handler_of_a_start_hears_what_became_of_the_peers_copy() -> None:
    request = Request(9, 3, NOW)
    state = with_guest(survivor(), request=request, is_unbroken=False)
    words: dict[str, Any] = {"phase": Phase.RELEASED, "grant": request, "is_connected": False}
    state = with_words(with_resource(state, disk=Disk.CONSISTENT), **words, disk=Disk.OUTDATED)
    state = promoting(with_peer(state, hello_at=NOW))
    assert state.guests["g"].phase is Phase.PROMOTING
    (action,) = decide(state, events.FenceAsked(NOW, "g")).actions
    assert action == AnswerFence("g", FenceAnswer.PEER_OUTDATED)
    # By another proof it is off, and nobody has heard of its copy.
    (action,) = decide(promoting(survivor()), events.FenceAsked(NOW, "g")).actions
    assert action == AnswerFence("g", FenceAnswer.PEER_OFF)


def test_what_a_peer_said_that_did_not_agree_is_not_told_to_drbd() -> None:
    behind = with_guest(with_resource(survivor(), peer_disk=Disk.OUTDATED), is_unbroken=False)
    state = promoting(with_words(behind, disk=Disk.OUTDATED))
    state = with_resource(state, peer_disk=Disk.UNKNOWN)  # as DRBD shows it without a connection
    (action,) = decide(state, events.FenceAsked(NOW, "g")).actions
    assert action == AnswerFence("g", FenceAnswer.PEER_OFF)
    (action,) = decide(promoting(asked()), events.FenceAsked(NOW, "g")).actions
    assert action == AnswerFence("g", FenceAnswer.PEER_OFF), "its copy is no older than ours"


@pytest.mark.parametrize("phase", Phase)
def test_whoever_holds_a_guest_and_stood_still_with_its_clocks_is_reset(phase: Phase) -> None:
    decision = decide(holding(phase=phase), events.ClockBroke(AT, 5.0))
    assert decision.actions == ((actions.Reset(),) if phase in HELD else ())
    assert decision.state.doubted == AT


def test_a_machine_is_asked_once_to_leave() -> None:
    left = decide(survivor(), events.Leave(AT))
    assert left.state.left == AT and left.reasons
    again = decide(left.state, events.Leave(AT + 1))
    assert again.state.left == AT and not again.reasons


def test_the_watchdog_is_armed_or_not() -> None:
    for is_armed in (True, False):
        state = replace(survivor(), is_armed=not is_armed)
        assert decide(state, events.WatchdogArmed(AT, is_armed)).state.is_armed is is_armed


@pytest.mark.parametrize("phase", Phase)
def test_a_person_confirms_what_is_not_here(phase: Phase) -> None:
    state = with_guest(survivor(), phase=phase)
    decision = decide(state, events.OperatorConfirmed(AT, "g"))
    assert decision.state.guests["g"].is_confirmed is (phase is Phase.RELEASED)
    assert bool(decision.reasons) is (phase is Phase.RELEASED)
    stale = with_resource(state, disk=Disk.OUTDATED)
    in_vain = decide(stale, events.OperatorConfirmed(AT, "g"))
    assert not in_vain.state.guests["g"].is_confirmed


def test_maintenance_is_said_when_it_changes() -> None:
    state = survivor()
    for is_on in (True, False):
        decision = decide(state, events.MaintenanceAsked(AT, is_on))
        assert decision.state.durable.in_maintenance is is_on
        assert bool(decision.reasons) is (is_on != state.durable.in_maintenance)
        assert decision.actions == (AnswerOperator("", None),)
    resting = in_maintenance(state)
    over = decide(resting, events.MaintenanceAsked(AT, False))
    assert not over.state.durable.in_maintenance and over.reasons


def test_what_was_measured_is_known() -> None:
    measured = Measured(100, {"g": 10}, {"g": 4})
    assert decide(survivor(), events.MeasuresTaken(AT, measured)).state.measured == measured


def test_files_that_are_written_end_an_order() -> None:
    state = replace(survivor(), lan_tried=True)
    after = decide(state, events.LanWritten(AT, 3)).state
    assert (after.lan_files, after.lan_tried) == (3, False)
