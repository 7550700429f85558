# SPDX-License-Identifier: MIT
"""Complaints about the data: split brain, the choice that ends it, copies that are kept."""

import json
from dataclasses import replace
from typing import Any

import pytest

from haagent.console.alarms import Alarm
from haagent.console.snapshot import (
    from_dict,
    to_dict,
)
from haagent.core.model import (
    Disk,
    Evidence,
    Link,
    Measured,
    Peer,
    Phase,
    Role,
)
from tests.unit.fake_state import (
    APART,
    AROUND,
    CHOOSING,
    CHOSEN,
    WELL,
    Change,
    both,
    elsewhere,
    guest,
    hello,
    ledger,
    look,
    node,
    resource,
    silent,
    words,
)


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


def test_a_resync_whose_end_is_missed_is_told_on_both_screens() -> None:
    missed = resource(link=Link.SYNC_SOURCE, peer_disk=Disk.INCONSISTENT)(WELL)
    around = replace(AROUND, hanging_resyncs=frozenset({"counter"}))
    (here,) = look(missed, around).complaints
    (there,) = look(words(is_connected=False)(WELL)).complaints
    assert here.code is there.code is Alarm.RESYNC
    assert "the copy on berta is up to date, and DRBD on anna does not see it" in here.what
    assert "the copy on anna is up to date, and DRBD on berta does not see it" in there.what
    assert "connected anew by itself" in here.do
    (copying,) = look(missed).complaints
    assert "is being brought up to date" in copying.what


def test_what_the_peer_sees_is_not_said_of_one_that_is_silent_or_has_just_started() -> None:
    starts = words(is_connected=False, disk=Disk.UNKNOWN)
    for change in (both(words(is_connected=False), silent), node(peer=Peer()), starts):
        assert Alarm.RESYNC not in {c.code for c in look(change(WELL)).complaints}


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


@pytest.mark.parametrize(
    ("change", "bad", "means"),
    [
        (resource(disk=Disk.DISKLESS), "anna", "counter has the disk on berta alone"),
        (resource(disk=Disk.FAILED), "anna", "counter has the disk on berta alone"),
        (resource(peer_disk=Disk.DISKLESS), "berta", "counter has the disk on anna alone"),
        (
            resource(disk=Disk.DISKLESS, link=Link.CONNECTING),
            "anna",
            "can neither read nor write on anna",
        ),
        (
            resource(disk=Disk.DISKLESS, peer_disk=Disk.DISKLESS),
            "anna",
            "can neither read nor write on anna",
        ),
        (
            both(resource(link=Link.CONNECTING), words(disk=Disk.DISKLESS, is_connected=False)),
            "berta",
            "counter has the disk on anna alone",
        ),
    ],
)
def test_whose_disk_failed_and_what_is_left(change: Change, bad: str, means: str) -> None:
    shown = look(change(WELL))
    (complaint,) = (c for c in shown.complaints if c.code is Alarm.DISK_NOT_UP_TO_DATE)
    assert f"the disk on {bad} does not work" in complaint.what
    assert means in complaint.means
    assert f"`journalctl -k` on {bad}. `shoestring reboot` there" in complaint.do
    assert Alarm.NOT_MIRRORED not in {c.code for c in shown.complaints}


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (hello(memory=1000), "It goes to berta by itself."),
        (hello(memory=9), "not yet: berta is not known to have the memory for it."),
        (both(), "not yet: berta is not known to have the memory for it."),
        (hello(memory=1000, in_maintenance=True), "not yet: berta is in maintenance."),
        (elsewhere, "wherever it runs."),
    ],
)
def test_where_a_guest_goes_whose_disk_failed(change: Change, where: str) -> None:
    takes = node(measured=Measured(takes={"counter": 500}))
    shown = look(both(resource(disk=Disk.DISKLESS), takes, change)(WELL))
    (complaint,) = (c for c in shown.complaints if c.code is Alarm.DISK_NOT_UP_TO_DATE)
    assert complaint.means.endswith(where)


def test_a_disk_that_hangs_is_told_with_what_comes_of_it() -> None:
    hangs = guest(is_disk_hanging=True)
    waits = {complaint.code: complaint for complaint in look(hangs(WELL)).complaints}
    assert "anna is not restarted" in waits[Alarm.DISK_HANGS].means
    restarts = look(both(hangs, node(is_fenced=True))(WELL)).complaints
    (gave_up,) = (complaint for complaint in restarts if complaint.code is Alarm.GAVE_UP)
    assert gave_up.means.startswith("The disk below counter does not answer")
    assert Alarm.DISK_HANGS not in {complaint.code for complaint in restarts}


def test_a_disk_of_another_pair_is_told_on_both_screens() -> None:
    around = replace(AROUND, has_strange_disk=True)
    gone = resource(disk=Disk.DISKLESS, link=Link.STANDALONE)
    shown = look(gone(WELL), around)
    (complaint,) = (c for c in shown.complaints if c.code is Alarm.STRANGE_DISK)
    assert complaint.what == "counter: the data disk in anna is not the one of anna."
    assert "`shoestring replace` on berta" in complaint.do
    assert Alarm.STRANGE_DISK not in {c.code for c in look(WELL, around).complaints}, "it was left"
    there = both(resource(link=Link.CONNECTING), words(disk=Disk.DISKLESS, is_connected=False))
    (complaint,) = (c for c in look(there(WELL)).complaints if c.code is Alarm.DISK_NOT_UP_TO_DATE)
    assert complaint.do.endswith("If that disk is not the one of berta, its screen says so.")


def test_what_a_silent_machine_said_last_of_its_disk_is_not_told_as_if_it_were_so() -> None:
    gone = both(resource(link=Link.CONNECTING), words(disk=Disk.DISKLESS), silent)
    assert Alarm.NOT_MIRRORED in {c.code for c in look(gone(WELL)).complaints}


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
