# SPDX-License-Identifier: MIT
"""Moving a guest, and maintenance: what is refused and why, and what one event or turn does."""

from dataclasses import replace
from typing import Any

import pytest

from haagent.core import actions, events, feeding, moving
from haagent.core.decide import decide
from haagent.core.model import (
    Disk,
    Evidence,
    GuestState,
    Ledger,
    Link,
    Measured,
    NodeState,
    Path,
    Phase,
    Referee,
    Resource,
    Role,
)
from haagent.core.turn import Decision
from tests.unit.states import (
    IN_SYNC,
    NOW,
    Change,
    in_maintenance,
    with_guest,
    with_hello,
    with_ledger,
    with_path,
    with_peer,
    with_resource,
)
from tests.unit.test_foresight import holder


def well() -> NodeState:
    """Node 0 of a healthy pair holds the guest, and node 1 says that all is well."""
    state = holder()
    return with_words(state, theirs=2)


def with_words(state: NodeState, **changes: Any) -> NodeState:
    assert state.peer.hello is not None
    words = replace(state.peer.hello.guests["g"], **changes)
    return with_hello(state, guests={"g": words})


def test_a_healthy_guest_can_be_moved() -> None:
    assert moving.blocker(well(), "g") is None


NOT_MOVED: dict[str, tuple[Change, str]] = {
    "it is frozen": (
        lambda s: with_guest(s, phase=Phase.FROZEN),
        "it is frozen: what it writes waits until it is known what became of b",
    ),
    "it is going": (
        lambda s: with_guest(s, phase=Phase.STOPPING),
        "it is being shut down on a already",
    ),
    "it is about to come": (
        lambda s: with_guest(s, phase=Phase.PROMOTING),
        "it is being started on a",
    ),
    "it is ending": (
        lambda s: with_guest(s, phase=Phase.DESTROYING),
        "it is being ended on a",
    ),
    "it was there, as far as was heard": (
        lambda s: with_peer(
            with_words(with_guest(s, phase=Phase.RELEASED), phase=Phase.HOLDING), hello_at=NOW - 6
        ),
        "it does not run on a",
    ),
    "it is coming": (
        lambda s: with_guest(s, phase=Phase.CREATING),
        "it is being started on a",
    ),
    "it is not here": (
        lambda s: with_guest(s, phase=Phase.RELEASED),
        "it does not run on a",
    ),
    "it is there": (
        lambda s: with_words(with_guest(s, phase=Phase.RELEASED), phase=Phase.HOLDING),
        "it runs on b, which is where to ask for it",
    ),
    "we leave": (lambda s: replace(s, left=NOW), "a is shutting down"),
    "we gave up": (lambda s: replace(s, is_fenced=True), "a has given up"),
    "we stood still": (lambda s: replace(s, doubted=NOW), "a stood still a moment ago"),
    "nobody was ever heard": (lambda s: with_peer(s, hello=None), "b is silent"),
    "the peer is silent": (lambda s: with_peer(s, hello_at=NOW - 6), "b is silent"),
    "the peer does not know it": (lambda s: with_hello(s, guests={}), "b is silent"),
    "the peer leaves": (lambda s: with_hello(s, is_leaving=True), "b is shutting down"),
    "the peer rests": (lambda s: with_hello(s, in_maintenance=True), "b is in maintenance"),
    "no watchdog there": (
        lambda s: with_hello(s, figures=replace(s.peer.hello.figures, is_armed=False)),  # type: ignore[union-attr]
        "the watchdog of b is not armed",
    ),
    "one cable is silent": (
        lambda s: with_path(s, Path.CROSSOVER, last_word=NOW - 6),
        "a and b do not hear each other over the crossover",
    ),
    "one cable is deaf": (
        lambda s: with_path(s, Path.LAN, two_way=NOW - 6),
        "a and b do not hear each other over the LAN",
    ),
    "the mirror is broken": (
        lambda s: with_resource(s, link=Link.CONNECTING),
        "its copy on b is not connected",
    ),
    "a resync": (
        lambda s: with_resource(s, link=Link.SYNC_SOURCE, peer_disk=Disk.INCONSISTENT),
        "its copy on b is Inconsistent",
    ),
    "no disk there": (
        lambda s: with_resource(s, peer_disk=Disk.DISKLESS),
        "its copy on b is Diskless",
    ),
    "no disk known": (lambda s: with_guest(s, resource=None), "its copy on b is not connected"),
    "the peer sees it otherwise": (
        lambda s: with_words(s, disk=Disk.INCONSISTENT),
        "b has not said yet that its copy is UpToDate",
    ),
    "the peer is not connected": (
        lambda s: with_words(s, is_connected=False),
        "b has not said yet that its copy is UpToDate",
    ),
    "the peer stands down": (
        lambda s: with_words(s, stands_down=True),
        "b promised not to start it while no gateway answers both machines",
    ),
    "we rely on its promise": (
        lambda s: with_ledger(s, evidence=1),
        "b promised not to start it while no gateway answers both machines",
    ),
    "the peer is at it": (
        lambda s: with_words(s, phase=Phase.DESTROYING),
        "it is destroying on b",
    ),
    "another term": (
        lambda s: with_ledger(s, term=4),
        "b has not taken note yet of the guest's term 4",
    ),
}


@pytest.mark.parametrize("name", NOT_MOVED)
def test_why_it_is_not_moved(name: str) -> None:
    change, why = NOT_MOVED[name]
    assert moving.blocker(change(well()), "g") == why


@pytest.mark.parametrize("name", NOT_MOVED)
def test_what_cannot_be_moved_is_refused_and_left_alone(name: str) -> None:
    change, why = NOT_MOVED[name]
    before = change(well())
    decision = decide(before, events.MoveAsked(NOW, "g"))
    assert decision.state == before
    assert decision.actions == (actions.AnswerOperator("g", why),)
    assert decision.reasons == (f"a: g: it is not moved: {why}",)


def test_a_move_begins_with_the_guests_shutdown() -> None:
    decision = decide(well(), events.MoveAsked(NOW, "g"))
    assert decision.state.guests["g"].phase is Phase.STOPPING
    assert decision.actions == (actions.Shutdown("g"), actions.AnswerOperator("g", None))
    assert decision.reasons == ("a: g: holding -> stopping: a person moves it to b",)
    again = decide(decision.state, events.MoveAsked(NOW, "g"))
    assert again.actions[0] == actions.AnswerOperator("g", "it is being shut down on a already")


def signed_off() -> NodeState:
    """The guest was moved away, and the peer has not begun to start it."""
    stopping = decide(well(), events.MoveAsked(NOW, "g")).state
    return decide(stopping, events.Done(NOW, "g", events.Deed.SHUTDOWN)).state


def hear(state: NodeState, at: float) -> NodeState:
    """The peer and the gateway were heard at AT."""
    paths = {
        path: replace(heard, last_word=at, two_way=at) for path, heard in state.peer.paths.items()
    }
    state = with_peer(state, hello_at=at, confirmed=at, paths=paths)
    return replace(state, referee=Referee(at, 1.0), ticked=at)


def tick(state: NodeState, at: float) -> Decision:
    return decide(hear(state, at), events.Tick(at))


def test_whoever_gave_it_away_waits_for_the_other() -> None:
    state = signed_off()
    assert state.guests["g"].farewell == 2
    assert state.guests["g"].resource == replace(well().guests["g"].resource, role=Role.SECONDARY)  # type: ignore[type-var]
    take = state.timing.take
    assert tick(state, NOW + take - 0.1).state.guests["g"].request is None
    assert tick(state, NOW + take).state.guests["g"].request is not None


def test_where_the_other_cannot_have_it_nobody_waits() -> None:
    """The peer's copy was left behind while the guest came to its end."""
    alone = with_ledger(signed_off(), alone=Evidence.PEER_OUTDATED, term=4)
    lost = with_resource(alone, link=Link.CONNECTING, peer_disk=Disk.OUTDATED)
    assert tick(lost, NOW + 1).state.guests["g"].request is not None


def test_a_hello_tells_of_leaving_and_of_maintenance() -> None:
    def said(state: NodeState) -> tuple[bool, bool]:
        (hello,) = (a.hello for a in tick(state, NOW).actions if isinstance(a, actions.SendHello))
        return hello.is_leaving, hello.in_maintenance

    assert said(well()) == (False, False)
    assert said(with_guest(replace(well(), left=NOW), phase=Phase.RELEASED)) == (True, False)
    assert said(in_maintenance(well())) == (False, True)


def test_maintenance_is_written_down_and_told() -> None:
    decision = decide(well(), events.MaintenanceAsked(NOW, True))
    assert decision.state.durable.in_maintenance
    assert decision.actions == (actions.AnswerOperator("", None),)
    assert decision.reasons == (
        "a: in maintenance: guests go to the peer, and nothing starts here by itself",
    )
    again = decide(decision.state, events.MaintenanceAsked(NOW, True))
    assert (again.state, again.reasons) == (decision.state, ())
    off = decide(decision.state, events.MaintenanceAsked(NOW, False))
    assert not off.state.durable.in_maintenance
    assert off.reasons == ("a: the maintenance is over",)


def test_a_guest_that_stays_is_named_with_its_reason() -> None:
    decision = decide(with_peer(well(), hello_at=NOW - 6), events.MaintenanceAsked(NOW, True))
    assert decision.reasons[1:] == ("a: g: it stays here: b is silent",)


def test_in_maintenance_a_guest_goes_with_the_next_turn() -> None:
    decision = tick(in_maintenance(well()), NOW)
    assert decision.state.guests["g"].phase is Phase.STOPPING
    assert decision.reasons == ("a: g: holding -> stopping: a is in maintenance",)
    stays = tick(in_maintenance(with_hello(well(), in_maintenance=True)), NOW)
    assert stays.state.guests["g"].phase is Phase.HOLDING


FITS = Measured(memory=1000, takes={"g": 500})


def on_a_failed_disk(measured: Measured = FITS, **words: Any) -> NodeState:
    """Node 0 holds the guest, whose disk is node 1's alone."""
    state = with_hello(with_resource(well(), disk=Disk.DISKLESS), memory=1000, **words)
    return replace(state, measured=measured)


def test_a_guest_goes_where_its_disk_works() -> None:
    decision = tick(on_a_failed_disk(), NOW)
    assert decision.state.guests["g"].phase is Phase.STOPPING
    why = "its disk on a has failed, and the one on b has all"
    assert decision.reasons == (f"a: g: holding -> stopping: {why}",)


@pytest.mark.parametrize(
    "state",
    [
        on_a_failed_disk(Measured(memory=1000, takes={"g": 1001})),
        on_a_failed_disk(Measured(memory=1000)),
        on_a_failed_disk(in_maintenance=True),
        on_a_failed_disk(is_leaving=True),
        with_resource(on_a_failed_disk(), peer_disk=Disk.INCONSISTENT),
        with_resource(on_a_failed_disk(), link=Link.CONNECTING),
        with_resource(on_a_failed_disk(), disk=Disk.ATTACHING),
    ],
)
def test_it_stays_where_it_is_not_known_to_start_there(state: NodeState) -> None:
    assert tick(state, NOW).state.guests["g"].phase is Phase.HOLDING


def test_nothing_goes_for_the_disk_of_the_other() -> None:
    state = replace(with_hello(well(), memory=1000), measured=FITS)
    state = with_resource(state, peer_disk=Disk.DISKLESS)
    assert tick(state, NOW).state.guests["g"].phase is Phase.HOLDING


def two(second: GuestState, words: Phase) -> NodeState:
    """In maintenance with g here, and h somewhere on its way."""
    state = in_maintenance(well())
    assert state.peer.hello is not None
    there = replace(state.peer.hello.guests["g"], phase=words)
    state = with_hello(state, guests={**state.peer.hello.guests, "h": there})
    durable = replace(state.durable, ledgers={**state.durable.ledgers, "h": Ledger(2, 2)})
    return replace(state, guests={**state.guests, "h": second}, durable=durable)


@pytest.mark.parametrize(
    ("second", "words", "may_go"),
    [
        (GuestState(Phase.STOPPING, resource=IN_SYNC), Phase.RELEASED, False),
        (GuestState(resource=IN_SYNC, farewell=2), Phase.RELEASED, False),
        (GuestState(resource=IN_SYNC, farewell=2), Phase.CREATING, False),
        (GuestState(resource=IN_SYNC, farewell=2), Phase.HOLDING, True),
        (GuestState(resource=IN_SYNC), Phase.RELEASED, True),
    ],
)
def test_one_goes_when_the_one_before_runs(second: GuestState, words: Phase, may_go: bool) -> None:
    after = tick(two(second, words), NOW).state.guests["g"].phase
    assert after is (Phase.STOPPING if may_go else Phase.HOLDING)


def test_nobody_waits_to_see_it_run_there_where_it_is_not_known() -> None:
    state = two(GuestState(resource=IN_SYNC, farewell=2), Phase.RELEASED)
    assert state.peer.hello is not None
    state = with_hello(state, guests={"g": state.peer.hello.guests["g"]})
    assert tick(state, NOW).state.guests["g"].phase is Phase.HOLDING


def test_what_does_not_run_here_does_not_stay_here() -> None:
    state = with_guest(well(), phase=Phase.RELEASED)
    decision = decide(state, events.MaintenanceAsked(NOW, True))
    assert not any("stays here" in reason for reason in decision.reasons)


def test_what_the_peer_has_taken_is_not_handed_over_any_more() -> None:
    assert moving.is_handed_over(signed_off(), "g")
    assert not moving.is_handed_over(with_ledger(signed_off(), theirs=5), "g")
    assert not moving.is_handed_over(with_ledger(signed_off(), alone=Evidence.GATEWAY), "g")
    assert not moving.is_handed_over(with_guest(signed_off(), farewell=None), "g")


def test_in_maintenance_a_guest_that_ended_meanwhile_goes_and_is_not_started_here() -> None:
    ended = with_guest(well(), is_running=False, since=NOW - 60)
    assert tick(ended, NOW).state.guests["g"].phase is Phase.CREATING
    decision = tick(in_maintenance(ended), NOW)
    assert decision.state.guests["g"].phase is Phase.STOPPING
    assert actions.Create("g") not in decision.actions


def test_in_maintenance_nothing_starts_but_by_a_person() -> None:
    later = NOW + 60
    state = tick(in_maintenance(signed_off()), later).state
    assert state.guests["g"].request is None
    confirmed = decide(state, events.OperatorConfirmed(later, "g")).state
    assert actions.Promote("g", disconnect=False) in tick(confirmed, later).actions


def test_whoever_could_not_start_it_lets_the_other_try() -> None:
    creating = with_guest(well(), phase=Phase.CREATING)
    failed = events.Failed(NOW, "g", events.Deed.CREATE, "no memory")
    timing = creating.timing
    assert decide(creating, failed).state.guests["g"].retry_at == NOW + timing.take
    lone = with_peer(creating, hello_at=NOW - 6)
    assert decide(lone, failed).state.guests["g"].retry_at == NOW + timing.dead


def test_a_guest_that_is_shut_down_alone_gives_up_in_time() -> None:
    """Without evidence its writes wait for ever, and its machine must not."""
    state = with_guest(well(), phase=Phase.STOPPING, since=NOW - 30, lost=NOW - 1)
    lost = Resource(Role.PRIMARY, Link.CONNECTING, Disk.UP_TO_DATE, Disk.UNKNOWN, True)
    state = with_guest(state, resource=lost)
    state = with_peer(state, hello_at=NOW - 9, confirmed=NOW - 9, connected=NOW - 1)
    blind = replace(state, referee=Referee(), ticked=NOW + 5)
    waiting = decide(blind, events.Tick(NOW + 5)).state
    assert (waiting.guests["g"].phase, waiting.is_fenced) == (Phase.STOPPING, False)
    limit = NOW - 9 + state.timing.self_fence + state.timing.resume
    after = decide(replace(blind, ticked=limit), events.Tick(limit)).state
    assert (after.guests["g"].phase, after.is_fenced) == (Phase.DESTROYING, True)
    assert not feeding.may_feed(after)


def test_a_mirror_that_comes_back_takes_the_question_back() -> None:
    state = with_guest(well(), phase=Phase.STOPPING, fence_asked=True)
    lost = Resource(Role.PRIMARY, Link.CONNECTING, Disk.UP_TO_DATE, Disk.UNKNOWN, True)
    gone = decide(state, events.ResourceChanged(NOW, "g", lost)).state
    assert gone.guests["g"].lost == NOW
    assert gone.guests["g"].fence_asked
    back = decide(gone, events.ResourceChanged(NOW + 1, "g", replace(IN_SYNC, role=Role.PRIMARY)))
    assert not back.state.guests["g"].fence_asked
    assert back.state.guests["g"].phase is Phase.STOPPING
