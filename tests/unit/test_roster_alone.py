# SPDX-License-Identifier: MIT
"""A machine that is alone changes its list of guests: all of it or nothing, wherever the power
fails, and nobody is waited for or told.
"""

import argparse
import contextlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from firstboot.roster import coming, editing, going, machine, resizing
from firstboot.roster import pair as pairs
from firstboot.roster.change import Change, Kind
from firstboot.roster.coming import volume_size
from firstboot.roster.leading import lead, settle, settle_alone
from firstboot.roster.nobody import Nobody
from firstboot.roster.part import Part
from haagent import running, shoestring
from haagent.backup import act as copies
from haagent.command import Exit, Places
from haagent.core.model import Disk
from haagent.errors import OperatorError, ToolError
from tests.unit.fake_agent import Agent, Captured, agent, places, systemctl, types
from tests.unit.fake_pair import STOPPED, FakePair, brings, image, shown_disk
from tests.unit.fake_roster import AFTER, BEFORE, FakeHost, PowerCutError, is_open
from tests.unit.fake_state import WELL, both, look, resource, vacant
from tests.unit.test_roster import ADD, EDIT, REMOVE, RESIZE
from tests.unit.test_roster_acts import counter

__all__ = ["agent", "image", "places", "systemctl"]  # fixtures

OFF = both(STOPPED, vacant)


def assert_one(host: FakeHost, change: Change) -> bool:
    """The machine is as before, or as it was to be; which of the two."""
    names = set(host.guests)
    assert host.volumes == names and host.known == names and not is_open(host)
    assert host.mirrors == dict.fromkeys(names, "lasting")
    now = host.guests.get(change.guest.name)
    is_made = now == (None if change.kind is Kind.REMOVED else change.guest)
    assert host.number == (AFTER if is_made else BEFORE)
    return is_made


@pytest.mark.parametrize("change", [ADD, REMOVE, EDIT, RESIZE], ids=str)
def test_the_power_fails_after_every_single_effect(change: Change) -> None:
    whole, outcomes = FakeHost("a", is_only=True), []
    lead(change, Part(whole, print), Nobody(), lambda: None)
    assert assert_one(whole, change)
    for cut in range(1, whole.effects + 1):
        host = FakeHost("a", is_only=True, cut=cut)
        with contextlib.suppress(PowerCutError):
            lead(change, Part(host, print), Nobody(), lambda: None)
        assert host.is_off
        host.boot()
        settle(Part(host, print), Nobody())
        outcomes.append(assert_one(host, change))
    assert outcomes == sorted(outcomes), "what was once decided is carried out"
    assert set(outcomes) == {False, True}


def test_what_is_open_when_a_second_machine_comes_is_taken_back() -> None:
    """The new one is told of the list as it is."""
    host = FakeHost("a")
    part = Part(host, print)

    def fill() -> None:
        settle_alone(part)
        raise OperatorError("the disk is gone", "")

    with pytest.raises(OperatorError):
        lead(ADD, part, Nobody(), fill)
    assert not assert_one(host, ADD)


class Alone(FakePair):
    def meet(self, places: Places) -> pairs.Pair:
        part = Part(self.a, print)
        return pairs.Pair("berta", part, Nobody(), self, self.carry_on, where="on anna")


@pytest.fixture
def alone(agent: Agent, places: Places, monkeypatch: pytest.MonkeyPatch) -> Alone:
    found = Alone()
    agent.says(vacant)
    places.file.write_text(f"{places.file.read_text()}vacant: true\n")
    monkeypatch.setattr(running, "await_start", lambda name, places: Exit.PROTECTED)
    for verb in ("bring", "restore"):
        act = getattr(coming, verb)
        monkeypatch.setattr(coming, verb, lambda a, p, act=act: act(a, p, found.meet))
    return found


def test_a_guest_comes_to_it(
    alone: Alone, places: Places, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = types(monkeypatch, "yes\n")
    assert shoestring.main(brings(image), places) == Exit.PROTECTED
    page = screen.getvalue()
    assert "web-server comes to anna, from" in page and "berta" not in page
    assert page.endswith("web-server is on anna.\n")
    assert alone.a.volumes == {"old", "web-server"} and alone.b.effects == 0


def test_nothing_starts_on_a_machine_that_there_is_not(
    alone: Alone, places: Places, image: str, capsys: Captured
) -> None:
    assert shoestring.main(brings(image, "--on", "berta", "--yes"), places) == Exit.FAILED
    said = capsys.readouterr().err
    assert "No machine of this pair is called berta" in said and "There is anna." in said


def test_a_guest_is_edited_and_goes(
    alone: Alone, agent: Agent, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit, remove = editing.edit, going.remove
    monkeypatch.setattr(editing, "edit", lambda a, p: edit(a, p, alone.meet))
    monkeypatch.setattr(going, "remove", lambda a, p: remove(a, p, alone.meet))
    counter(alone.a)
    agent.says(OFF)
    screen = types(monkeypatch, "yes\n")
    options = ["guest", "edit", "counter", "--memory", "300"]
    assert shoestring.main(options, places) == Exit.PROTECTED
    assert "That is set for counter, on anna." in screen.getvalue()
    screen = types(monkeypatch, "counter\n")
    assert shoestring.main(["guest", "remove", "counter"], places) == Exit.PROTECTED
    assert "on anna. All that is on it" in " ".join(screen.getvalue().split())
    assert "berta" not in screen.getvalue() and alone.a.volumes == set()


def test_a_disk_becomes_larger(
    alone: Alone, places: Places, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    grow, sysfs = resizing.resize, shown_disk(tmp_path / "sys")
    monkeypatch.setattr(resizing, "resize", lambda a, p: grow(a, p, alone.meet, sysfs))
    counter(alone.a)
    alone.a.is_only = True
    screen = types(monkeypatch, "yes\n")
    assert shoestring.main(["guest", "resize", "counter", "--disk", "2G"], places) == Exit.PROTECTED
    said = " ".join(screen.getvalue().split())
    assert "grows from 1.0 GiB to 2.0 GiB, on anna, and never shrinks again. First anna" in said
    assert said.endswith("counter has 2.0 GiB of disk, on anna.") and "berta" not in said
    assert alone.a.disks == {"counter": volume_size(2 << 30)}


@pytest.mark.parametrize(
    ("is_alone", "word"), [(False, "--assume-clean"), (True, "--assume-peer-has-space")]
)
def test_drbd_is_told_of_room_elsewhere_only_where_nobody_else_is(
    is_alone: bool, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Sequence[str]] = []

    def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        asked.append(tuple(argv))
        raise ToolError(argv, 10, "it is seen")

    monkeypatch.setattr(machine, "_is_alone", lambda: is_alone)
    with pytest.raises(ToolError):
        machine.Changing(run).take_disk(RESIZE, waits=True)
    assert asked == [("drbdsetup", "resize", str(RESIZE.guest.number), word)]


def test_its_settings_say_that_nobody_is_to_be_asked(places: Places, agent: Agent) -> None:
    of_two = pairs.meet(places)
    assert not isinstance(of_two.there, Nobody) and of_two.turn is pairs.my_turn
    places.file.write_text(f"{places.file.read_text()}vacant: true\n")
    met = pairs.meet(places)
    assert isinstance(met.there, Nobody) and met.where == "on anna"
    assert met.turn is pairs.my_turn


def test_a_backup_is_read_from_the_only_copy_also_while_it_is_off() -> None:
    for change in (vacant, OFF):
        shown = look(change(WELL))
        copies.refuse(shown, shown.guests[0], is_here_meant=False)
    stale = look(both(OFF, resource(disk=Disk.INCONSISTENT))(WELL))
    with pytest.raises(OperatorError):
        copies.refuse(stale, stale.guests[0], is_here_meant=True)


def test_however_often_the_list_changes_the_agent_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """systemctl(1): reset-failed begins the count of a unit's starts anew."""
    ran: list[Sequence[str]] = []

    def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        ran.append(argv)
        return ""

    monkeypatch.setattr("haagent.config.load", lambda: argparse.Namespace(guests=()))
    monkeypatch.setattr(machine, "_views", dict)
    monkeypatch.setattr(machine.Changing, "time_scale", lambda self: 1.0)
    machine.Changing(run).restart_agent()
    assert [argv[1] for argv in ran] == ["reset-failed", "restart"]
    assert {argv[2] for argv in ran} == {"haagent.service"}
