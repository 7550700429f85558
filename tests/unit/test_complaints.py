# SPDX-License-Identifier: MIT
"""What does not hold has its complaint, of which a person knows what to do."""

from dataclasses import replace
from typing import Any

import pytest

from haagent.console.alarms import Alarm
from haagent.console.snapshot import (
    Verdict,
    to_dict,
)
from haagent.console.surroundings import Surroundings
from haagent.console.survey import snapshot
from haagent.core import lacking
from haagent.core.foresight import Fate
from haagent.core.model import (
    Choice,
    Disk,
    Durable,
    Evidence,
    LanStage,
    Ledger,
    Link,
    Path,
    Phase,
    Referee,
    Role,
)
from tests.unit.fake_state import (
    AROUND,
    HEARD,
    MEASURED,
    NOT_PROTECTED,
    NOW,
    STOPPED,
    WELL,
    Change,
    both,
    elsewhere,
    foreseen,
    guest,
    hello,
    lan,
    ledger,
    look,
    node,
    resource,
    resting,
    silent,
)

LAN_DEAD = Surroundings({"crossover": True, "lan": False})


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
        ("heartbeat hears nothing on lan.", LAN_DEAD),
        ("Nothing of berta comes by heartbeat,", replace(AROUND, is_heartbeat_deaf=True)),
        ("heartbeat hears nothing on lan.", replace(LAN_DEAD, is_heartbeat_deaf=True)),
        ("drbd.service has failed.", replace(AROUND, failed_units=("drbd.service",))),
        ("The LAN card of berta is heard on", replace(AROUND, crossed_at=NOW - 1)),
    ],
)
def test_so_has_what_the_core_does_not_know(what: str, around: Surroundings) -> None:
    shown = look(WELL, around)
    assert shown.verdict is Verdict.NOT_PROTECTED
    assert [complaint.what.startswith(what) for complaint in shown.complaints] == [True]


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
    # Only what is whole, if older, is worth saving; or what was so before it was written over.
    saves = {
        Disk.OUTDATED: "saves it, to be restored",
        Disk.INCONSISTENT: "saves what it was before",
    }
    is_kept = disk is Disk.INCONSISTENT and choice.is_kept
    saved = f"guest backup counter --older` {saves.get(disk, '')}" in shown.complaints[0].do
    assert saved is (disk in saves and not is_kept)


def test_the_sentences_of_the_core_fit_in() -> None:
    shown = snapshot(both(elsewhere, silent)(WELL), lacking.sentences, AROUND)
    assert "berta" in shown.complaints[0].means


def test_a_silent_peer_takes_the_referee_along_only_if_it_is_gone() -> None:
    alone = node(usable_since=None)(silent(WELL))
    assert [c.what for c in look(alone).complaints] == ["berta is silent."]
    cut_off = look(node(referee=Referee(NOW - 2.1))(alone))
    assert cut_off.complaints[1].what == "No referee: the gateway does not answer anna."
    assert cut_off.complaints[1].means.startswith("anna may be the one cut off")


def test_a_crossover_that_leads_to_the_lan_is_told_as_long_as_it_does() -> None:
    crossed = replace(AROUND, crossed_at=NOW - 1)
    (complaint,) = look(WELL, crossed).complaints
    assert complaint.means.startswith("The crossover leads to the LAN.")
    assert look(WELL, replace(AROUND, crossed_at=NOW - 5.1)).complaints == ()


@pytest.mark.parametrize(("answered", "which"), [(NOW - 0.1, "berta"), (NOW - 2.1, "anna")])
def test_cables_are_exchanged_where_the_gateway_does_not_answer(
    answered: float, which: str
) -> None:
    cut_off = node(usable_since=None, referee=Referee(answered))(silent(WELL))
    first, second, *_ = look(cut_off, replace(AROUND, crossed_at=NOW - 1)).complaints
    assert first.what == "The LAN card of berta is heard on the crossover."
    assert first.means.startswith(f"The two cables of {which} are exchanged")
    assert first.do.startswith(f"Exchange the two cables of {which}.")
    assert second.what == "berta is silent."


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


def test_a_lone_machine_in_maintenance_says_plainly_that_it_starts_nothing() -> None:
    state = both(elsewhere, silent, resting, resource(link=Link.CONNECTING))(WELL)
    shown = snapshot(state, lacking.sentences, AROUND)
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


def test_each_complaint_carries_its_code() -> None:
    shown = look(both(elsewhere, silent)(WELL))
    assert [complaint.code for complaint in shown.complaints] == [
        Alarm.LOST_WITH_PEER,
        Alarm.PEER_SILENT,
    ]
    assert to_dict(shown)["complaints"][0]["code"] == "SHOE-108"


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


def test_who_tries_again_says_that_it_failed() -> None:
    soon = foreseen(fate=Fate.STARTS, phase=Phase.RELEASED, at=NOW - 2, seconds=6.0)
    failed = both(elsewhere, silent, guest(phase=Phase.RELEASED, retry_at=NOW + 4))
    (first, *_) = look(failed(WELL), soon).complaints
    assert first.means == (
        "It starts on anna by itself in about 4 s, if berta stays silent: what was tried here "
        "failed, and anna waits a moment before a start."
    )


def test_a_machine_without_memory_is_told_with_its_figures() -> None:
    (one,) = look(both(MEASURED, hello(memory=100))(WELL)).complaints
    assert (
        one.means == "berta has 100 MiB for guests, and counter needs 196. Without anna it is off."
    )
    (one,) = look(both(elsewhere, MEASURED, hello(memory=900))(WELL)).complaints
    assert (
        one.means == "anna has 100 MiB for guests, and counter needs 196. Without berta it is off."
    )
    assert not look(both(MEASURED, hello(memory=196))(WELL)).complaints


def test_of_a_silent_machine_nobody_knows_what_memory_it_will_have() -> None:
    gone = both(MEASURED, hello(memory=100), silent)
    assert Alarm.NO_MEMORY not in {one.code for one in look(gone(WELL)).complaints}
    (first, *others) = look(both(elsewhere, gone)(WELL)).complaints
    assert first.means.endswith("; anna has 100 MiB for guests, and counter needs 196.")
    assert Alarm.NO_MEMORY in {one.code for one in others}


def test_one_silence_is_complained_of_once() -> None:
    deaf = Surroundings({"crossover": False, "lan": False})
    assert [c.what for c in look(silent(WELL), deaf).complaints] == ["berta is silent."]
    one_way = node(peer=replace(WELL.peer, paths={Path.LAN: HEARD}))(WELL)
    told = look(one_way, Surroundings({"crossover": False, "lan": True})).complaints
    assert [c.code for c in told] == [Alarm.PATH_SILENT]


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
