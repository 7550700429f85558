# SPDX-License-Identifier: MIT
"""The verdict on a pair: PROTECTED only if everything holds, else a complaint for what does not."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from haagent.console.alarms import Alarm
from haagent.console.snapshot import (
    VERSION,
    NodeView,
    OutlookView,
    ResyncView,
    Snapshot,
    Verdict,
    from_dict,
    is_stale,
    to_dict,
)
from haagent.console.surroundings import Surroundings
from haagent.console.survey import snapshot
from haagent.core import proofs
from haagent.core.foresight import Fate, Outlook
from haagent.core.model import (
    Choice,
    Disk,
    Durable,
    Evidence,
    Figures,
    GuestHello,
    GuestState,
    Hello,
    LanChange,
    LanStage,
    Ledger,
    Link,
    Measured,
    NodeState,
    Pair,
    Path,
    PathState,
    Peer,
    Phase,
    Referee,
    Resource,
    Role,
)
from haagent.errors import PeerError
from haagent.storage.resync import Progress

NOW = 1000.0
ARMED = Figures(is_armed=True, self_fence=8.0, watchdog=5.0, feed=1.0)
SYNCED = Resource(Role.PRIMARY, Link.CONNECTED, Disk.UP_TO_DATE, Disk.UP_TO_DATE)
WORDS = GuestHello(
    term=2,
    theirs=2,
    phase=Phase.RELEASED,
    disk=Disk.UP_TO_DATE,
    is_connected=True,
    is_alone=False,
    request=None,
    grant=None,
    promise=0,
    stands_down=False,
    evidence=0,
    returned=0,
    farewell=None,
    keeps_farewell=False,
)
HEARD = PathState(last_word=NOW - 0.4, two_way=NOW - 0.6, number=7)
WELL = NodeState(
    pair=Pair(me=0, names=("anna", "berta"), guests={"counter": 0}),
    boot="b0",
    durable=Durable({"counter": Ledger(term=2)}, ARMED),
    guests={"counter": GuestState(Phase.HOLDING, 900.0, SYNCED, is_running=True)},
    now=NOW,
    peer=Peer(
        hello=Hello(1, "b1", 7, "b0", {}, 1.0, ARMED, True, {"counter": WORDS}),
        hello_at=NOW - 0.4,
        paths={Path.CROSSOVER: HEARD, Path.LAN: HEARD},
        connected=NOW,
    ),
    referee=Referee(NOW - 0.1, 900.0),
    usable_since=900.0,
    is_armed=True,
)
AROUND = Surroundings(heartbeat={"crossover": True, "lan": True})

Change = Callable[[NodeState], NodeState]


def nothing_missing(state: NodeState, guest: str) -> Sequence[str]:
    return ()


def something_missing(state: NodeState, guest: str) -> Sequence[str]:
    return (f"{guest} is not ready", "berta is there")


def look(state: NodeState, around: Surroundings = AROUND) -> Snapshot:
    return snapshot(state, something_missing, around)


def guest(**changes: Any) -> Change:
    return lambda state: replace(
        state, guests={"counter": replace(state.guests["counter"], **changes)}
    )


def resource(**changes: Any) -> Change:
    return guest(resource=replace(SYNCED, **changes))


def ledger(**changes: Any) -> Change:
    def change(state: NodeState) -> NodeState:
        changed = replace(state.durable.ledgers["counter"], **changes)
        return replace(state, durable=replace(state.durable, ledgers={"counter": changed}))

    return change


def node(**changes: Any) -> Change:
    return lambda state: replace(state, **changes)


def hello(**changes: Any) -> Change:
    def change(state: NodeState) -> NodeState:
        assert state.peer.hello is not None
        return replace(state, peer=replace(state.peer, hello=replace(state.peer.hello, **changes)))

    return change


def lan(stage: LanStage, runs: int = 0, files: int = 0, **said: Any) -> Change:
    """A change of the LAN's addresses at STAGE here; berta SAID something about it."""
    change_ = LanChange(2, "10.0.2.11/24", "10.0.2.12/24", "10.0.2.1", stage, "b0")

    def change(state: NodeState) -> NodeState:
        assert state.peer.hello is not None
        told = replace(state.peer.hello, **{"lan": change_, **said})
        return replace(
            state,
            pair=replace(state.pair, lan=runs),
            durable=replace(state.durable, lan=change_),
            lan_files=files,
            peer=replace(state.peer, hello=told),
        )

    return change


def words(**changes: Any) -> Change:
    return hello(guests={"counter": replace(WORDS, **changes)})


def path(which: Path, **changes: Any) -> Change:
    return lambda state: replace(
        state,
        peer=replace(state.peer, paths={**state.peer.paths, which: replace(HEARD, **changes)}),
    )


def silent(state: NodeState) -> NodeState:
    return replace(state, peer=replace(state.peer, hello_at=NOW - 60))


def both(*changes: Change) -> Change:
    def change(state: NodeState) -> NodeState:
        for one in changes:
            state = one(state)
        return state

    return change


def resting(state: NodeState) -> NodeState:
    return replace(state, durable=replace(state.durable, in_maintenance=True))


elsewhere = both(guest(phase=Phase.RELEASED, is_running=False), words(phase=Phase.HOLDING))


def test_a_pair_in_which_everything_holds_is_protected() -> None:
    shown = look(WELL)
    assert (shown.verdict, shown.complaints) == (Verdict.PROTECTED, ())
    assert shown.guests[0].runs_on == ("anna",)
    assert shown.referee == "answers anna and berta"
    assert shown.nodes == (
        NodeView("anna", True, True, NOW, False, False, True, True, number=0, room=-1),
        NodeView("berta", False, True, NOW - 0.4, False, False, True, True, number=1, room=-1),
    )


def test_so_is_one_whose_guest_is_on_the_peer() -> None:
    shown = look(elsewhere(WELL))
    assert (shown.verdict, shown.complaints) == (Verdict.PROTECTED, ())
    assert shown.guests[0].runs_on == ("berta",)


CHOSEN = Choice(3, 0, "20260102-0304", is_open=True, is_agreed=True)
APART = both(resource(link=Link.STANDALONE), words(is_connected=False, is_alone=True, term=1))
CHOOSING = both(
    APART, ledger(choice=CHOSEN), words(choice=CHOSEN, is_connected=False, is_alone=True)
)
NOT_PROTECTED: list[tuple[str, Change]] = [
    ("counter: the copy on berta is being given up for the one on anna.", CHOOSING),
    ("counter: its disk is not known yet.", guest(resource=None)),
    ("counter: the copy on berta is being brought up to date.", resource(link=Link.SYNC_SOURCE)),
    ("counter: the copy on anna is being brought up to date.", resource(link=Link.SYNC_TARGET)),
    ("counter: its copy is UpToDate on anna and Diskless on", resource(peer_disk=Disk.DISKLESS)),
    ("counter: its copy is Diskless on anna and UpToDate on", resource(disk=Disk.DISKLESS)),
    ("counter is not mirrored: DRBD is Connecting.", resource(link=Link.CONNECTING)),
    ("counter: split brain.", both(APART, ledger(alone=Evidence.GATEWAY))),
    ("counter is not mirrored: DRBD is StandAlone.", resource(link=Link.STANDALONE)),
    (
        "counter is not mirrored: DRBD is StandAlone.",
        both(resource(link=Link.STANDALONE), ledger(is_parted=True)),
    ),
    ("counter is frozen on anna", guest(phase=Phase.FROZEN)),
    ("counter is being shut down on anna.", guest(phase=Phase.STOPPING)),
    ("counter runs on both machines.", words(phase=Phase.HOLDING)),
    ("Do not power up berta alone.", ledger(by_operator=True)),
    ("anna has given up.", node(is_fenced=True)),
    ("anna is shutting down.", node(left=NOW)),
    ("The watchdog of anna is not armed.", node(is_armed=False)),
    ("The watchdog of berta is not armed.", hello(figures=replace(ARMED, is_armed=False))),
    ("berta is silent.", silent),
    ("berta is silent.", node(peer=Peer())),
    ("Nothing comes from berta over the crossover", path(Path.CROSSOVER, last_word=NOW - 5.1)),
    ("Nothing comes from berta over the LAN.", path(Path.LAN, last_word=NOW - 5.1)),
    ("berta does not hear anna over the crossover", path(Path.CROSSOVER, two_way=NOW - 5.1)),
    ("berta does not hear anna over the LAN.", path(Path.LAN, two_way=NOW - 5.1)),
    ("The addresses on the LAN are being changed.", lan(LanStage.ASKED)),
    ("The addresses on the LAN are being changed.", lan(LanStage.AGREED, runs=2)),
    ("The addresses on the LAN are being changed.", lan(LanStage.PROVEN)),
    ("The addresses on the LAN are being changed.", lan(LanStage.DROPPED, runs=2)),
    ("anna has not written its new address to its stick yet.", lan(LanStage.KEPT, runs=2)),
    (
        "anna cannot write to its stick any more (Input/output error).",
        node(is_stateless=True, lost_because="Input/output error"),
    ),
    ("berta cannot write to its stick any more.", hello(is_stateless=True)),
    ("berta is shutting down.", hello(is_leaving=True)),
    ("anna is in maintenance.", resting),
    ("anna was replaced.", hello(has_replaced=True)),
    ("The machine that berta replaced is switched on.", node(replaced_at=NOW - 4.0)),
    ("berta is in maintenance.", hello(in_maintenance=True)),
    ("The time scale is 1 on anna and 6 on berta.", hello(scale=6.0)),
    ("anna stands down for counter.", ledger(stands_down=True)),
    ("berta stands down for counter.", words(stands_down=True)),
    ("No referee: the gateway answers, but not reliably yet.", node(usable_since=None)),
    (
        "No referee: the gateway does not answer anna.",
        node(usable_since=None, referee=Referee(NOW - 2.1)),
    ),
    (
        "No referee: the gateway does not answer berta.",
        both(node(usable_since=None), hello(has_referee=False)),
    ),
    (
        "No referee: the gateway does not answer anna and berta.",
        both(node(usable_since=None, referee=Referee()), hello(has_referee=False)),
    ),
]


@pytest.mark.parametrize(("what", "change"), NOT_PROTECTED)
def test_whatever_does_not_hold_has_its_complaint(what: str, change: Change) -> None:
    shown = look(change(WELL))
    assert shown.verdict is Verdict.NOT_PROTECTED
    assert any(complaint.what.startswith(what) for complaint in shown.complaints), shown.complaints


@pytest.mark.parametrize(
    ("what", "around"),
    [
        ("heartbeat does not answer.", Surroundings()),
        ("heartbeat has no link", Surroundings(heartbeat={})),
        ("heartbeat hears nothing on lan.", Surroundings({"crossover": True, "lan": False})),
        ("drbd.service has failed.", replace(AROUND, failed_units=("drbd.service",))),
    ],
)
def test_so_has_what_the_core_does_not_know(what: str, around: Surroundings) -> None:
    shown = look(WELL, around)
    assert shown.verdict is Verdict.NOT_PROTECTED
    assert [complaint.what.startswith(what) for complaint in shown.complaints] == [True]


def test_without_a_word_about_its_surroundings_a_pair_is_not_protected() -> None:
    assert snapshot(WELL, nothing_missing).verdict is Verdict.NOT_PROTECTED


STOPPED: list[tuple[str, Change]] = [
    ("counter runs nowhere.", guest(phase=Phase.RELEASED)),
    ("counter runs nowhere.", guest(phase=Phase.HOLDING, is_running=False)),
    ("counter is being started on anna.", guest(phase=Phase.PROMOTING)),
    ("counter is being started on anna.", guest(phase=Phase.CREATING)),
    ("counter is being ended on anna.", guest(phase=Phase.DESTROYING)),
    (
        "counter is creating on berta.",
        both(guest(phase=Phase.RELEASED), words(phase=Phase.CREATING)),
    ),
    ("counter is on its way to berta.", guest(phase=Phase.RELEASED, farewell=2)),
    ("counter runs nowhere.", both(guest(phase=Phase.RELEASED, farewell=2), silent)),
    ("counter was on berta, and berta is silent.", both(elsewhere, silent)),
    ("counter runs nowhere.", both(guest(phase=Phase.RELEASED), node(peer=Peer()))),
]


@pytest.mark.parametrize(("what", "change"), STOPPED)
def test_a_guest_that_runs_nowhere_is_the_first_thing_said(what: str, change: Change) -> None:
    shown = look(change(WELL))
    assert shown.verdict is Verdict.STOPPED
    assert shown.complaints[0].what == what
    assert shown.guests[0].runs_on == ()


def test_one_guest_that_runs_nowhere_is_enough() -> None:
    state = replace(
        WELL,
        guests={**WELL.guests, "mail": replace(WELL.guests["counter"], phase=Phase.RELEASED)},
        durable=Durable({**WELL.durable.ledgers, "mail": Ledger(term=0)}),
    )
    shown = look(state)
    assert shown.verdict is Verdict.STOPPED
    assert [view.runs_on for view in shown.guests] == [("anna",), ()]


def test_what_is_missing_is_said_where_the_guest_stops() -> None:
    shown = look(both(elsewhere, silent)(WELL))
    means = shown.complaints[0].means
    assert means == "It cannot start on anna: counter is not ready; berta is there."
    assert "shoestring start counter --anyway" in shown.complaints[0].do
    assert shown.guests[0].missing == ("counter is not ready", "berta is there")


def test_nobody_is_told_to_force_a_start_while_the_peer_talks() -> None:
    shown = look(guest(phase=Phase.RELEASED)(WELL))
    assert all("--anyway" not in complaint.do for complaint in shown.complaints)


@pytest.mark.parametrize("disk", [Disk.INCONSISTENT, Disk.OUTDATED, Disk.DISKLESS])
@pytest.mark.parametrize("choice", [Choice(), Choice(2, 1, "20260102-0304", True, True)])
def test_nobody_is_told_to_force_a_start_that_drbd_refuses(disk: Disk, choice: Choice) -> None:
    lone = resource(link=Link.CONNECTING, disk=disk, role=Role.SECONDARY)
    shown = look(both(guest(phase=Phase.RELEASED), lone, silent, ledger(choice=choice))(WELL))
    assert all("--anyway" not in complaint.do for complaint in shown.complaints)
    assert "cannot be started on anna, even by a person: our copy " in shown.complaints[0].do
    assert str(disk) in (shown.guests[0].unstartable or "")


def test_the_sentences_of_the_core_fit_in() -> None:
    shown = snapshot(both(elsewhere, silent)(WELL), proofs.missing, AROUND)
    assert "berta" in shown.complaints[0].means


def test_a_silent_peer_takes_the_referee_along_only_if_it_is_gone() -> None:
    alone = node(usable_since=None)(silent(WELL))
    assert [c.what for c in look(alone).complaints] == ["berta is silent."]
    cut_off = look(node(referee=Referee(NOW - 2.1))(alone))
    assert cut_off.complaints[1].what == "No referee: the gateway does not answer anna."
    assert cut_off.complaints[1].means.startswith("anna may be the one cut off")


def test_a_holder_alone_is_said_to_be() -> None:
    change = both(
        silent,
        resource(link=Link.CONNECTING, peer_disk=Disk.OUTDATED),
        ledger(alone=Evidence.GATEWAY, term=4),
    )
    shown = look(change(WELL))
    assert shown.verdict is Verdict.NOT_PROTECTED
    assert [complaint.what for complaint in shown.complaints] == [
        "counter is not mirrored: DRBD is Connecting.",
        "berta is silent.",
    ]
    assert "anna writes alone, because the gateway answers us" in shown.complaints[0].means
    assert shown.guests[0].is_alone


def test_split_brain_discards_nothing_and_says_so() -> None:
    (complaint, *_) = look(both(APART, ledger(alone=Evidence.GATEWAY))(WELL)).complaints
    assert "split brain" in complaint.what
    assert "Nothing was discarded" in complaint.means
    assert "`shoestring resolve counter`" in complaint.do


def test_a_choice_that_is_carried_out_is_no_split_brain_any_more() -> None:
    shown = look(CHOOSING(WELL))
    assert Alarm.SPLIT_BRAIN not in {complaint.code for complaint in shown.complaints}
    choice = shown.guests[0].choice
    assert choice is not None
    assert (choice.counts, choice.given_up, choice.is_open) == ("anna", "berta", True)
    assert shown.guests[0].unfit[0] is not None  # there is one already


@pytest.mark.parametrize(
    ("change", "words_"),
    [
        (hello(troubles={"counter": "no room"}), ("berta: no room", "is tried again")),
        (guest(trouble="LVM fails"), ("anna: LVM fails", "is tried again")),
        (silent, ("A person chose so", "Switch berta on.")),
        (
            both(silent, ledger(choice=replace(CHOSEN, node=1))),
            ("A person chose so", "`shoestring start counter --anyway` on anna"),
        ),
    ],
)
def test_what_is_in_the_way_of_a_choice_is_told(change: Change, words_: tuple[str, str]) -> None:
    (complaint,) = (
        c for c in look(both(CHOOSING, change)(WELL)).complaints if c.code is Alarm.CHOICE
    )
    means, do = words_
    assert means in complaint.means
    assert do in complaint.do


def test_what_a_chooser_wants_to_know_is_there() -> None:
    measured = Measured(100, {"counter": 20}, {"counter": 5})
    told = both(node(measured=measured), hello(room=50), APART)
    shown = look(told(WELL))
    assert [one.room for one in shown.nodes] == [100, 50]
    assert (shown.guests[0].copy_needs, shown.guests[0].differs) == (20, (5, -1))
    assert from_dict(json.loads(json.dumps(to_dict(shown)))) == shown


@pytest.mark.parametrize("mine", [True, False])
def test_that_a_copy_is_kept_is_told_by_who_keeps_it(mine: bool) -> None:
    here = replace(CHOSEN, node=1 if mine else 0, is_kept=True)
    there = replace(here, is_kept=False)
    change = both(APART, ledger(choice=here), words(choice=there))
    choice = look(change(WELL)).guests[0].choice
    assert choice is not None
    assert choice.is_kept is mine


def test_split_brain_is_told_on_the_side_that_still_tries_to_connect() -> None:
    tries = resource(link=Link.CONNECTING, role=Role.SECONDARY, peer_disk=Disk.OUTDATED)
    one_wrote = both(
        tries,
        guest(phase=Phase.RELEASED, is_running=False),
        ledger(alone=Evidence.TAKEOVER),
        words(phase=Phase.HOLDING, is_connected=False),
    )
    both_wrote = both(one_wrote, words(phase=Phase.HOLDING, is_connected=False, is_alone=True))
    assert "is not mirrored" in look(one_wrote(WELL)).complaints[0].what
    assert "anna wrote alone" in look(one_wrote(WELL)).complaints[0].means
    assert "split brain" in look(both_wrote(WELL)).complaints[0].what


def test_a_mirror_that_met_a_stranger_is_no_split_brain() -> None:
    """Nobody is led to a choice between copies that are not apart; it is the cable."""
    shown = look(both(resource(link=Link.STANDALONE), ledger(alone=Evidence.GATEWAY))(WELL))
    assert not shown.guests[0].is_split_brain
    (complaint,) = (c for c in shown.complaints if c.code is Alarm.NOT_MIRRORED)
    assert "its other end must be in berta" in complaint.do and "resolve" not in complaint.do
    ours = both(resource(link=Link.STANDALONE), ledger(is_parted=True))
    (complaint,) = (c for c in look(ours(WELL)).complaints if c.code is Alarm.NOT_MIRRORED)
    assert "follows by itself" in complaint.do


@pytest.mark.parametrize(
    ("changes", "is_named"),
    [({}, True), ({"is_kept": False}, False), ({"node": 0}, False), ({"is_open": False}, True)],
)
def test_a_kept_copy_is_named_where_it_is_the_only_whole_one(
    changes: dict[str, Any], is_named: bool
) -> None:
    """The machine whose copy counts died while ours was written over."""
    choice = replace(CHOSEN, node=1, is_kept=True)
    part = resource(link=Link.CONNECTING, disk=Disk.INCONSISTENT, role=Role.SECONDARY)
    lost = both(part, guest(phase=Phase.RELEASED), silent)
    shown = look(both(lost, ledger(choice=replace(choice, **changes)))(WELL))
    told = [c for c in shown.complaints if c.code in (Alarm.RUNS_NOWHERE, Alarm.CHOICE)]
    named = ["shoestring/counter-before-20260102-0304" in complaint.do for complaint in told]
    assert named == [is_named] * len(told) and told
    whole = look(both(lost, ledger(choice=choice), resource(link=Link.CONNECTING))(WELL))
    assert all("-before-" not in complaint.do for complaint in whole.complaints)


def test_who_died_after_a_split_brain_is_to_be_replaced() -> None:
    shown = look(both(APART, ledger(alone=Evidence.GATEWAY), silent)(WELL))
    (complaint,) = (c for c in shown.complaints if c.code is Alarm.SPLIT_BRAIN)
    assert "Switch berta on" in complaint.do and "`shoestring replace` on anna" in complaint.do


def test_an_agent_that_stood_still_is_noticed() -> None:
    shown = look(WELL)
    assert not is_stale(shown, NOW + 10)
    assert is_stale(shown, NOW + 10.1)
    assert not is_stale(replace(shown, scale=6.0), NOW + 60)


def test_both_histories_are_told() -> None:
    change = both(
        silent,
        resource(link=Link.CONNECTING, disk=Disk.CONSISTENT, peer_disk=Disk.UNKNOWN),
        ledger(term=2, theirs=3),
        words(term=3, is_alone=True, phase=Phase.HOLDING),
        lambda state: replace(state, peer=replace(state.peer, connected=float("-inf"))),
    )
    (view,) = look(change(WELL)).guests
    assert view.ours == (
        "its data belongs to term 2",
        "the peer has had it since, in term 3",
        "DRBD calls it Consistent, and the peer's DUnknown",
        "the two copies have not met since this machine started",
    )
    assert view.theirs == (
        "its data belongs to term 3",
        "DRBD there calls it UpToDate",
        "the guest was holding there",
        "it was written to without us",
        "all this is what the peer said last; it is silent now",
    )


def test_a_peer_that_was_never_heard_has_no_history() -> None:
    (view,) = look(node(peer=Peer())(WELL)).guests
    assert view.theirs == ("nothing was heard of it since this machine started",)


@pytest.mark.parametrize("change", [change for _, change in NOT_PROTECTED + STOPPED])
def test_it_survives_the_way_through_json(change: Change) -> None:
    shown = look(change(WELL))
    text = json.dumps(to_dict(shown), allow_nan=False)
    assert from_dict(json.loads(text)) == shown


@pytest.mark.parametrize(
    "damage",
    [
        {"version": VERSION + 1},
        {"verdict": "FINE"},
        {"guests": [{}]},
        {"guests": None},
        {"complaints": [{"what": "x"}]},
        {"complaints": [{"code": "SHOE-999", "what": "x", "means": "x", "do": "x"}]},
        {"nodes": [{"name": "anna"}]},
        {"lately": [1.0]},
        {"more": 1},
    ],
)
def test_another_shape_is_not_guessed_at(damage: dict[str, Any]) -> None:
    with pytest.raises(PeerError):
        from_dict({**to_dict(look(WELL)), **damage})
    with pytest.raises(PeerError):
        from_dict({})


@pytest.mark.parametrize("change", [change for _, change in NOT_PROTECTED + STOPPED])
def test_every_complaint_is_three_plain_sentences(change: Change) -> None:
    for complaint in look(change(WELL)).complaints:
        for text in (complaint.what, complaint.means, complaint.do):
            assert text.isascii()
            assert text.endswith((".", "`"))


def test_who_may_not_start_a_guest_says_since_when_its_copy_may_be_old() -> None:
    state = both(resource(link=Link.CONNECTING), guest(phase=Phase.RELEASED), silent)(WELL)
    around = replace(AROUND, wall=1_000_720.0, in_sync_at={"counter": 1_000_000.0})
    means = look(state, around).complaints[0].means
    assert means.endswith(
        "The two copies were last the same on 1970-01-12 13:46:40 UTC, 12 min ago."
    )
    assert look(state, around).guests[0].in_sync_at == 1_000_000.0
    set_back = replace(around, wall=5.0)
    assert look(state, set_back).complaints[0].means.endswith("13:46:40 UTC.")


def test_a_farewell_of_a_machine_that_stays_is_no_shutdown() -> None:
    """It was moved to us: the other goes on."""
    shown = look(words(farewell=2)(WELL))
    assert shown.verdict is Verdict.PROTECTED
    assert not shown.nodes[1].is_leaving
    assert look(hello(is_leaving=True)(WELL)).nodes[1].is_leaving


def test_a_lone_machine_in_maintenance_says_plainly_that_it_starts_nothing() -> None:
    state = both(elsewhere, silent, resting, resource(link=Link.CONNECTING))(WELL)
    shown = snapshot(state, proofs.missing, AROUND)
    assert shown.verdict is Verdict.STOPPED
    assert "anna is in maintenance, and starts nothing by itself" in shown.complaints[0].means
    assert shown.complaints[0].do.startswith("`shoestring maintenance off` on anna: then it")
    assert [node.in_maintenance for node in shown.nodes] == [True, False]


def test_a_guest_that_stays_in_maintenance_has_its_reason_on_the_screen() -> None:
    shown = look(both(resting, silent)(WELL))
    means = next(c.means for c in shown.complaints if c.code is Alarm.MAINTENANCE)
    assert means.endswith("counter stays on anna: berta is silent.")
    moving = look(both(resting, guest(phase=Phase.STOPPING))(WELL))
    means = next(c.means for c in moving.complaints if c.code is Alarm.MAINTENANCE)
    assert "stays" not in means


def test_what_keeps_a_guest_from_being_moved_is_told() -> None:
    assert look(WELL).guests[0].blocker is None
    assert look(silent(WELL)).guests[0].blocker == "berta is silent"


def test_the_newest_term_is_that_of_whoever_has_it() -> None:
    view = look(ledger(term=2, theirs=3)(WELL)).guests[0]
    assert (view.term, view.newest_term) == (2, 3)


def test_of_a_peer_that_was_never_heard_nothing_is_known() -> None:
    _, berta = look(node(peer=Peer())(WELL)).nodes
    assert berta == NodeView("berta", False, False, None, False, None, None, None, 1, -1)


def test_each_complaint_carries_its_code() -> None:
    shown = look(both(elsewhere, silent)(WELL))
    assert [complaint.code for complaint in shown.complaints] == [
        Alarm.LOST_WITH_PEER,
        Alarm.PEER_SILENT,
    ]
    assert to_dict(shown)["complaints"][0]["code"] == "SHOE-108"


def foreseen(**changes: Any) -> Surroundings:
    outlook = Outlook(Fate.GOES_ON, Phase.HOLDING, NOW - 3, 11.0, ())
    return replace(AROUND, outlooks={"counter": replace(outlook, **changes)})


def test_what_was_foreseen_is_told() -> None:
    (view,) = look(WELL, foreseen()).guests
    assert view.outlook == OutlookView(Fate.GOES_ON, 11.0, ())
    (view,) = look(WELL, foreseen(fate=Fate.NOT, missing=("a proof",))).guests
    assert view.outlook == OutlookView(Fate.NOT, None, ("a proof",))


def test_when_the_peer_is_silent_the_wait_has_begun() -> None:
    (view,) = look(silent(WELL), foreseen()).guests
    assert view.outlook == OutlookView(Fate.GOES_ON, 8.0, ())
    (view,) = look(silent(WELL), foreseen(seconds=1.0)).guests
    assert view.outlook == OutlookView(Fate.GOES_ON, 0.0, ())


def test_who_is_about_to_take_over_by_itself_tells_nobody_to_force_it() -> None:
    soon = foreseen(fate=Fate.STARTS, phase=Phase.RELEASED, at=NOW - 2, seconds=12.0)
    (first, *_) = look(both(elsewhere, silent)(WELL), soon).complaints
    assert first.means == "It starts on anna by itself in about 10 s, if berta stays silent."
    assert first.do == "Wait. Then see what became of berta."


@pytest.mark.parametrize(
    "changes", [{"fate": Fate.NOT}, {"phase": Phase.HOLDING}, {"at": NOW - 70.0}]
)
def test_what_was_foreseen_before_the_peer_fell_silent_promises_nothing(
    changes: dict[str, Any],
) -> None:
    known = {"fate": Fate.STARTS, "phase": Phase.RELEASED, "at": NOW - 2, **changes}
    (first, *_) = look(both(elsewhere, silent)(WELL), foreseen(**known)).complaints
    assert first.means.startswith("It cannot start on anna")


def test_one_silence_is_complained_of_once() -> None:
    deaf = Surroundings({"crossover": False, "lan": False})
    assert [c.what for c in look(silent(WELL), deaf).complaints] == ["berta is silent."]
    one_way = node(peer=replace(WELL.peer, paths={Path.LAN: HEARD}))(WELL)
    told = look(one_way, Surroundings({"crossover": False, "lan": True})).complaints
    assert [c.code for c in told] == [Alarm.PATH_SILENT]


def test_what_was_foreseen_of_another_situation_is_not_told() -> None:
    for around in (AROUND, foreseen(phase=Phase.RELEASED), foreseen(at=NOW - 21)):
        assert look(WELL, around).guests[0].outlook is None
    scaled = replace(WELL, pair=replace(WELL.pair, scale=4.0))
    assert look(scaled, foreseen(at=NOW - 79)).guests[0].outlook is not None


def test_how_far_a_resync_is_counts_only_while_there_is_one() -> None:
    around = replace(AROUND, resyncs={"counter": Progress(8972, 11664, 62)})
    (view,) = look(resource(link=Link.SYNC_SOURCE)(WELL), around).guests
    assert view.resync == ResyncView(23.0, 62)
    assert look(WELL, around).guests[0].resync is None


def test_where_a_guest_is_and_what_was_decided() -> None:
    lately = ((1_000_001.0, "anna: counter: alone in term 4"), (1_000_000.0, "anna: leaving"))
    around = replace(AROUND, addresses={"counter": "10.0.2.20"}, lately=lately, wall=1_000_002.0)
    shown = look(WELL, around)
    assert shown.guests[0].address == "10.0.2.20"
    assert shown.lately == ((1_000_001.0, "counter: alone in term 4"), (1_000_000.0, "leaving"))
    assert shown.wall == 1_000_002.0


def test_all_of_it_survives_the_way_through_json() -> None:
    around = replace(
        foreseen(fate=Fate.NOT, missing=("a proof",)),
        resyncs={"counter": Progress(1, 2, None)},
        lately=((1.5, "anna: leaving"),),
    )
    shown = look(resource(link=Link.SYNC_TARGET)(WELL), around)
    back = from_dict(json.loads(json.dumps(to_dict(shown), allow_nan=False)))
    assert back == shown
    assert type(back.complaints[0].code) is Alarm


def test_new_addresses_that_stay_are_no_complaint() -> None:
    assert look(lan(LanStage.KEPT, runs=2, files=2)(WELL)).verdict is Verdict.PROTECTED
    assert look(lan(LanStage.DROPPED)(WELL)).verdict is Verdict.PROTECTED


def test_who_changes_its_addresses_is_not_sent_to_the_router() -> None:
    deaf = both(ledger(stands_down=True), node(usable_since=None))
    promised = {Alarm.STANDS_DOWN, Alarm.NO_REFEREE}
    assert promised <= {one.code for one in look(deaf(WELL)).complaints}
    shown = look(both(lan(LanStage.AGREED, runs=2), deaf)(WELL))
    assert shown.verdict is Verdict.NOT_PROTECTED
    assert not promised & {one.code for one in shown.complaints}


def test_who_waits_for_a_verdict_says_for_whose() -> None:
    """At the old addresses, while the other machine is away."""
    shown = look(both(lan(LanStage.PROVEN), silent)(WELL))
    (found,) = (one for one in shown.complaints if one.code is Alarm.LAN_CHANGES)
    assert found.do == "Switch berta on, or bring the crossover cable back."
