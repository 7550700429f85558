# SPDX-License-Identifier: MIT
"""A change of the list of guests: on both machines or on neither, wherever the power fails, and
nothing is left behind.
"""

import contextlib
import json
from dataclasses import replace
from datetime import time

import pytest

from firstboot.rendering import SECRET, File
from firstboot.roster import change as changes
from firstboot.roster.change import Change, Kind, Stage
from firstboot.roster.leading import lead, settle, settle_alone, settle_here
from firstboot.roster.part import Busy, Part
from haagent.backup import schedule
from haagent.errors import BugError, OperatorError, PeerError
from haagent.storage.growth import Progress
from tests.unit.fake_roster import (
    AFTER,
    BEFORE,
    OLD,
    WEB,
    Behind,
    FakeHost,
    PowerCutError,
    is_open,
)

ADD = Change(AFTER, Kind.ADDED, WEB)
REMOVE = Change(AFTER, Kind.REMOVED, OLD)
RENAME = Change(AFTER, Kind.RENAMED, replace(OLD, name="new"), was="old")
EDIT = Change(AFTER, Kind.EDITED, replace(OLD, memory=1024))
RESIZE = Change(AFTER, Kind.RESIZED, replace(OLD, size=2 << 30))
ADD_SEVERAL = replace(ADD, guest=replace(WEB, slices=(8, 16)))  # disks
EACH = pytest.mark.parametrize("change", [ADD, ADD_SEVERAL, REMOVE, EDIT, RENAME, RESIZE], ids=str)


class Both:
    """A pair; `a` leads."""

    def __init__(self) -> None:
        self.a, self.b = FakeHost("a"), FakeHost("b")
        self.a.peer, self.b.peer = self.b, self.a
        self.here, self.there = Part(self.a, print), Behind(self.b)
        self.back = Behind(self.a)
        self.filled = 0

    def lead(self, change: Change) -> None:
        lead(change, self.here, self.there, self.fill)

    def fill(self) -> None:
        """What is written reaches both disks, and no power fails in it that is not simulated."""
        for host in (self.a, self.b):
            host._effect(lambda: None)
        self.filled += 1

    def settle(self) -> None:
        """Both machines are on, and what each does by itself comes to its end."""
        for host in (self.a, self.b):
            if host.is_off:
                host.boot()
        for _ in range(2):
            settle(Part(self.b, print), self.back)
            settle(self.here, self.there)

    def assert_one(self, change: Change) -> bool:
        """Both have the same list, and nothing else; whether the change was made."""
        assert self.a.guests == self.b.guests and self.a.number == self.b.number
        for host in (self.a, self.b):
            names = set(host.guests)
            assert host.volumes == names, "something is left on the data disk, or gone from it"
            assert host.mirrors == dict.fromkeys(names, "lasting")
            assert host.known == names
            assert not is_open(host)
        now = self.a.guests.get(change.guest.name)
        is_made = now == (None if change.kind is Kind.REMOVED else change.guest)
        if change.kind is Kind.RENAMED:
            assert (change.was in self.a.guests) is not is_made
        assert self.a.number == (AFTER if is_made else BEFORE)
        if change.kind is Kind.RESIZED:
            wanted = {change.guest.name: change.guest.size} if is_made else {}
            for host in (self.a, self.b):
                assert host.grown == host.disks == wanted
        return is_made


@EACH
def test_both_machines_have_it(change: Change) -> None:
    both = Both()
    both.lead(change)
    assert both.filled == 1
    assert both.assert_one(change)


def test_what_was_to_be_backed_up_by_itself_goes_with_its_guest() -> None:
    both = Both()
    for host in (both.a, both.b):
        for name in ("old", "web"):
            path = str(schedule.path(name))
            host.files[path] = File(path, "{}")
    both.lead(REMOVE)
    for host in (both.a, both.b):
        assert set(host.files) == {str(schedule.path("web"))}


def test_what_is_backed_up_by_itself_is_so_by_its_new_name() -> None:
    both, at = Both(), time(2, 30)
    kept = schedule.Schedule("old", at, schedule.DAYS, policy=None, to=None, since=1e9)
    path, new = str(schedule.path("old")), str(schedule.path("new"))
    both.a.files[path] = File(path, schedule.to_text(kept), SECRET)
    both.b.files[path] = File(path, "{}", SECRET)
    both.lead(RENAME)
    assert schedule.from_text(both.a.files[new].text) == replace(kept, guest="new")
    assert path not in both.a.files and path not in both.b.files and new not in both.b.files


@EACH
@pytest.mark.parametrize("name", ["a", "b"])
def test_the_power_fails_after_every_single_effect(change: Change, name: str) -> None:
    outcomes = []
    whole = Both()
    whole.lead(change)
    for cut in range(1, getattr(whole, name).effects + 1):
        both = Both()
        getattr(both, name).cut = cut
        with contextlib.suppress(PowerCutError, PeerError):
            both.lead(change)
        assert getattr(both, name).is_off
        both.settle()
        outcomes.append(both.assert_one(change))
    assert outcomes == sorted(outcomes), "what was once decided is carried out"
    assert set(outcomes) == {False, True}


@EACH
def test_the_power_fails_again_while_that_is_put_right(change: Change) -> None:
    for first in range(1, 12):
        for second in range(1, 8):
            for name in "ab":
                both = Both()
                both.a.cut = first
                with contextlib.suppress(PowerCutError, PeerError):
                    both.lead(change)
                both.a.boot()
                getattr(both, name).cut = second
                with contextlib.suppress(PowerCutError, PeerError):
                    settle(both.here, both.there)
                both.settle()
                both.assert_one(change)


@pytest.mark.parametrize("error", [KeyboardInterrupt, PeerError, BugError])
def test_what_fails_before_the_decision_is_taken_back(error: type[BaseException]) -> None:
    both = Both()

    def fill() -> None:
        raise error

    with pytest.raises(error):
        lead(ADD, both.here, both.there, fill)
    assert not both.assert_one(ADD)


def test_who_is_away_meanwhile_is_told_later() -> None:
    both = Both()

    def fill() -> None:
        both.there.is_away = True
        raise PeerError("the cable is out")

    with pytest.raises(PeerError):
        lead(ADD, both.here, both.there, fill)
    assert both.a.volumes == {"old"} and both.b.volumes == {"old", "web"}
    found = both.here.standing().change
    assert found is not None and found.stage is Stage.DROPPED
    with pytest.raises(Busy, match="the guest web is being added"):
        both.lead(replace(ADD, guest=replace(WEB, name="mail")))
    with pytest.raises(PeerError):
        settle(both.here, both.there)
    both.there.is_away = False
    both.settle()
    assert not both.assert_one(ADD)


def test_a_decision_waits_for_who_is_away_and_is_not_taken_back() -> None:
    both = Both()

    def fill() -> None:
        both.there.is_away = True

    with pytest.raises(PeerError):
        lead(ADD, both.here, both.there, fill)
    assert "web" not in both.a.guests, "it lists what the other one has not heard of"
    with pytest.raises(BugError):
        both.here.drop(AFTER)
    both.there.is_away = False
    both.settle()
    assert both.assert_one(ADD)


def test_only_one_change_at_a_time() -> None:
    both = Both()
    Part(both.b, print).begin(replace(REMOVE, leads=True))
    with pytest.raises(Busy, match="the guest old is being removed"):
        both.lead(ADD)
    assert not is_open(both.a)
    both.settle()
    assert not both.assert_one(ADD)


def test_what_is_in_the_way_of_either_is_said_and_nothing_begun() -> None:
    for name in "ab":
        both = Both()
        getattr(both, name).in_the_way = "there is no room."
        with pytest.raises(OperatorError, match="Nothing was begun: there is no room"):
            both.lead(ADD)
        assert not both.assert_one(ADD)


def test_a_list_that_changed_meanwhile_is_looked_at_anew() -> None:
    both = Both()
    both.lead(ADD)
    with pytest.raises(OperatorError, match="has changed meanwhile"):
        both.lead(REMOVE)
    assert both.assert_one(ADD)


def test_what_a_lost_leader_left_gives_way_to_its_next_change() -> None:
    """It lost its stick, and with it that it had begun something."""
    both = Both()
    both.there.begin(ADD)
    both.there.prepare(AFTER)
    mail = replace(ADD, guest=replace(WEB, name="mail", number=2))
    both.lead(mail)
    assert both.assert_one(mail)


@pytest.mark.parametrize("leads", [True, False])
@pytest.mark.parametrize("is_decided", [True, False])
def test_without_the_other_machine_what_is_decided_counts(leads: bool, is_decided: bool) -> None:
    both = Both()
    part = Part(both.a, print)
    settle_alone(part)
    part.begin(replace(ADD, leads=leads))
    part.prepare(AFTER)
    if is_decided:
        part.decide(ADD)
    settle_here(part)
    assert ("web" in both.a.guests) is is_decided
    assert is_open(both.a) is (leads or not is_decided), "the other one may come back"
    settle_alone(part)
    assert not is_open(both.a)
    assert ("web" in both.a.guests) is is_decided and ("web" in both.a.volumes) is is_decided


def test_who_comes_back_all_the_same_is_told() -> None:
    """Its place was about to be given away."""
    both = Both()

    def fill() -> None:
        both.there.is_away = True

    with pytest.raises(PeerError):
        lead(ADD, both.here, both.there, fill)
    settle_here(both.here)
    assert "web" in both.a.known
    both.there.is_away = False
    both.settle()
    assert both.assert_one(ADD)


@pytest.mark.parametrize("leads", [True, False])
def test_a_machine_that_is_left_alone_has_its_part_of_a_larger_disk(leads: bool) -> None:
    """DRBD takes it with the machine that comes in the other one's place."""
    both = Both()
    part = Part(both.a, print)
    part.begin(replace(RESIZE, leads=leads))
    part.decide(RESIZE)
    both.a.peer, both.a.in_the_way = None, "the copies of old are not both whole and connected."
    with pytest.raises(OperatorError, match="It waits: the copies"):
        part.carry_out()
    assert both.a.grown == {}
    settle_here(part)
    assert both.a.grown == {"old": RESIZE.guest.size} and both.a.disks == {}
    settle_alone(part)
    assert not is_open(both.a) and both.a.number == AFTER


def test_a_larger_disk_waits_for_a_guest_that_was_stopped_meanwhile() -> None:
    """DRBD takes it only of what runs. What was prepared stays."""
    both = Both()
    grow = both.a.grow_disk

    def stopped(change: Change, show: Progress) -> None:
        grow(change, show)
        both.a.in_the_way = "old is off."

    both.a.grow_disk = stopped  # type: ignore[method-assign]
    with pytest.raises(OperatorError, match="It waits: old is off"):
        both.lead(RESIZE)
    assert both.a.grown == both.b.grown == {"old": RESIZE.guest.size}
    assert both.a.disks == both.b.disks == {}
    both.a.grow_disk, both.a.in_the_way = grow, None  # type: ignore[method-assign]
    both.settle()
    assert both.assert_one(RESIZE)


def test_what_was_never_begun_is_not_decided() -> None:
    both = Both()
    with pytest.raises(BugError):
        both.here.decide(ADD)
    both.here.begin(ADD)
    with pytest.raises(BugError):
        both.here.decide(replace(ADD, guest=replace(WEB, memory=1024)))
    with pytest.raises(BugError):
        both.here.carry_out()
    with pytest.raises(BugError):
        both.here.prepare(AFTER + 1)


def test_a_change_reads_as_it_was_written() -> None:
    for change in (ADD, RENAME, REMOVE.at(Stage.DECIDED), replace(ADD, leads=True)):
        assert changes.from_file(changes.to_file(change)) == change
    assert changes.from_file(None) is None
    assert changes.to_file(ADD).mode == 0o600
    said = json.loads(changes.to_file(ADD_SEVERAL).text)
    assert changes.from_plain(said) == ADD_SEVERAL
    assert "slices" not in changes.to_file(ADD).text, "a release that knows none reads it"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"version": 2', '"version": 1'),
        ('"kind": "added"', '"kind": "copied"'),
        ('"number": 4', '"number": "4"'),
        ('"memory": 512', '"memory": true'),
        ('"vcpus": 1', '"cpus": 1'),
        ('"vcpus": 1', '"vcpus": 1, "slices": [8, true]'),
        ('"vcpus": 1', '"vcpus": 1, "slices": [0]'),
        ('"vcpus": 1', '"vcpus": 1, "slices": 8'),
        ('"leads": false', '"leads": 0'),
        ('"leads": false', '"leads": false, "more": 1'),
        ('"was": ""', '"was": "all"'),
        ('"was": ""', '"was": 0'),
        ('"kind": "added"', '"kind": "renamed"'),
        ('"name": "web"', '"name": "all"'),
        ("{", "["),
    ],
)
def test_what_is_no_change_is_told_and_not_guessed_at(old: str, new: str) -> None:
    file = changes.to_file(ADD)
    assert old in file.text
    with pytest.raises(OperatorError, match="cannot be understood"):
        changes.from_file(replace(file, text=file.text.replace(old, new, 1)))
