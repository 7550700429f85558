# SPDX-License-Identifier: MIT
"""`shoestring guest schedule`, and the backups that are made by themselves."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from haagent import cli, shoestring, usb
from haagent.backup import act, news, schedule
from haagent.backup.nightly import Nightly
from haagent.backup.retention import Policy
from haagent.backup.schedule import Schedule, Schedules
from haagent.command import Exit, Places
from haagent.core.model import Disk, Link, Phase
from haagent.elsewhere.share import Reach
from tests.unit.fake_agent import Agent, Captured, Systemctl, agent, places, systemctl
from tests.unit.fake_state import both, elsewhere, guest, resource, silent
from tests.unit.test_backup_act import BEGIN, Machine, machine

__all__ = ["agent", "machine", "places", "systemctl"]  # fixtures

HOUR = 3600.0


class Night:
    """What happens by itself on MACHINE, whose clock and screens are at hand."""

    def __init__(self, machine: Machine, places: Places) -> None:
        self.machine = machine
        self._places = places
        self.schedules = Schedules(places.file.parent)
        self.now = BEGIN.timestamp()

    def looks(self) -> Exit:
        self.machine.now = datetime.fromtimestamp(self.now, UTC) - timedelta(minutes=1)
        return Nightly(self._places, lambda: self.now, UTC, self.machine.sysfs).run()

    def said(self, name: str = "counter", **changes: Any) -> Schedule:
        """A person has, an hour ago, that it is to be at two."""
        made = Schedule(
            name,
            schedule.time_of("2:00"),
            schedule.DAYS,
            None,
            str(self.machine.folder),
            self.now - HOUR,
        )
        made = replace(made, **changes)
        self.schedules.write(made)
        return made

    @property
    def kept(self) -> Schedule:
        one = self.schedules.read("counter")
        assert one is not None
        return one

    @property
    def told(self) -> news.News:
        return news.read(self._places.socket.with_name(news.NAME))["counter"]


@pytest.fixture
def night(machine: Machine, places: Places) -> Night:
    return Night(machine, places)


def test_each_night_there_is_one(night: Night, capsys: Captured) -> None:
    night.said()
    assert night.looks() == Exit.PROTECTED
    full = "counter-2026-11-30T0200Z.full.shoestring"
    assert night.machine.names() == [full]
    assert full in capsys.readouterr().out
    assert (night.kept.done, night.kept.file) == (night.now, full)
    assert night.told == news.News(expected=night.now + schedule.DAY, done=night.now)
    for _ in range(5):
        night.now += 300
        night.looks()
    assert len(night.machine.names()) == 1 and capsys.readouterr().out == ""
    night.now = BEGIN.timestamp() + schedule.DAY + 60
    night.looks()
    assert [name.split(".")[1] for name in night.machine.names()] == ["full", "incremental"]


def test_nothing_is_to_be_made(night: Night, places: Places, capsys: Captured) -> None:
    assert night.looks() == Exit.PROTECTED
    assert capsys.readouterr().out == ""
    assert not places.socket.with_name(news.NAME).exists()
    night.said(since=night.now + 60)
    night.looks()
    assert night.machine.read == 0
    assert night.told == news.News(expected=night.now + schedule.DAY)


def test_old_ones_go(night: Night) -> None:
    night.said(policy=Policy(last=2))
    for nights in range(1, 11):
        night.looks()
        # Seven build on a full one, and it stays as long as one of them does.
        assert len(night.machine.names()) == (nights if nights < 10 else 2)
        night.now += schedule.DAY


@pytest.mark.parametrize(
    "state",
    [
        both(),
        both(silent, resource(link=Link.CONNECTING), guest(phase=Phase.HOLDING, is_running=True)),
    ],
    ids=["runs-here", "runs-here-alone"],
)
def test_it_is_made_wherever_the_guest_runs(night: Night, agent: Agent, state: Any) -> None:
    agent.says(state)
    night.said()
    night.looks()
    assert len(night.machine.names()) == 1


def test_a_copy_that_is_not_the_newest_is_told_and_waited_for(
    night: Night, agent: Agent, capsys: Captured
) -> None:
    night.said()
    agent.says(both(elsewhere, resource(disk=Disk.INCONSISTENT, link=Link.SYNC_TARGET)))
    assert night.looks() == Exit.PROTECTED
    assert "counter is not backed up: The copy of counter on anna is not" in capsys.readouterr().out
    assert night.kept.trouble == night.told.trouble
    assert "it is Inconsistent" in night.told.trouble and night.told.tried == night.now
    agent.says(elsewhere)
    night.now += 300
    night.looks()
    assert night.machine.names() == [], "it is too soon"
    assert "it is Inconsistent" in night.told.trouble
    night.now += HOUR
    night.looks()
    assert len(night.machine.names()) == 1
    assert night.kept.trouble == night.told.trouble == ""


def test_what_fails_is_given_up_after_a_day(night: Night, agent: Agent) -> None:
    night.said(days=("mon",))
    agent.says(both(elsewhere, resource(disk=Disk.OUTDATED)))
    tries = []
    for _ in range(2 * 24 * 12):
        before = night.now
        night.looks()
        if night.told.tried == before:
            tries.append(before)
        night.now += 300
    assert len(tries) == 24 and tries[-1] - tries[0] == 23 * HOUR
    assert "Outdated" in night.told.trouble, "it stays on the screen"


def test_an_agent_that_is_not_there_yet_is_no_trouble(
    machine: Machine, places: Places, capsys: Captured
) -> None:
    """After a start. What was missed meanwhile is due for the rest of the day."""
    early = Night(machine, replace(places, socket=places.socket.with_name("not-there-yet")))
    early.said()
    early.now += 7 * HOUR
    assert early.looks() == Exit.PROTECTED, "no part of the system has failed"
    assert "The agent does not answer" in capsys.readouterr().out
    assert (early.told.trouble, early.told.tried, early.kept.trouble) == ("", None, "")
    early.now += 300
    soon = Night(machine, places)
    soon.now = early.now
    for _ in range(3):
        soon.looks()
        soon.now += 300
    assert machine.names() == ["counter-2026-11-30T0905Z.full.shoestring"]


def test_one_that_fails_keeps_no_other_one_back(night: Night) -> None:
    night.said("aaa")  # there is no such guest
    night.said()
    night.looks()
    assert len(night.machine.names()) == 1
    known = news.read(night._places.socket.with_name(news.NAME))
    assert "There is no guest" in known["aaa"].trouble and known["counter"].trouble == ""


def test_what_a_person_ends_meanwhile_is_not_made(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.said("aaa", done=1.0)
    night.said(done=2.0)
    made = act.make

    def meanwhile(job: act.Job, places: Places, reach: Reach, sysfs: Path) -> dict[str, object]:
        if "counter" in night.schedules.guests():
            night.schedules.remove("counter")
        return made(job, places, reach, sysfs)

    monkeypatch.setattr(act, "make", meanwhile)
    night.looks()
    assert night.machine.names() == [] and night.schedules.guests() == ["aaa"]


def test_a_stick_that_takes_nothing_does_not_have_it_made_again(
    night: Night, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    night.said()

    def fails(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("haagent.folder.Folder.write", fails)
    for _ in range(30):
        night.looks()
        night.now += 300
    assert len(night.machine.names()) == 1
    assert "cannot be written to the stick: Read-only file system" in capsys.readouterr().out
    night.now = BEGIN.timestamp() + schedule.DAY
    night.looks()
    assert len(night.machine.names()) == 2


def test_a_schedule_that_cannot_be_read_is_told(night: Night, places: Places) -> None:
    schedule.path("counter", places.file.parent).write_text("{}")
    assert night.looks() == Exit.PROTECTED
    assert "Say it anew: `shoestring guest schedule counter" in night.told.trouble
    assert night.machine.read == 0


def test_a_stick_that_cannot_be_read_is_no_failure(
    night: Night, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> list[str]:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Schedules, "guests", fails)
    assert night.looks() == Exit.PROTECTED


def test_a_shutdown_ends_it(night: Night, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ctrl-C does: what was begun is gone, and it is due at the next start."""
    before = night.said(since=5.0)
    made = act.make

    def make(job: act.Job, places: Places, reach: Reach, sysfs: Path) -> dict[str, object]:
        return made(job, places, reach, night.machine.sysfs)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(act, "make", make)
    with monkeypatch.context() as ended:
        ended.setattr("haagent.backup.disks.Source.read", interrupt)
        assert cli.main(["backups"], places) == Exit.INTERRUPTED
    assert night.machine.names() == [] and night.kept == before
    assert night.told.trouble == ""
    night.looks()
    assert len(night.machine.names()) == 1


def test_one_that_a_person_makes_counts(night: Night, places: Places) -> None:
    night.said(trouble="It is full.")
    argv = ["guest", "backup", "counter", "--to", str(night.machine.folder)]
    assert shoestring.main(argv, places) == Exit.PROTECTED
    [name] = night.machine.names()
    assert (night.kept.file, night.kept.trouble) == (name, "")
    assert night.kept.done is not None
    night.now = night.kept.done + 300
    night.looks()
    assert night.machine.names() == [name]


def test_one_of_an_older_copy_does_not_count(night: Night, places: Places, agent: Agent) -> None:
    before = night.said(trouble="It is full.")
    agent.says(both(elsewhere, silent, resource(link=Link.CONNECTING, disk=Disk.OUTDATED)))
    argv = ["guest", "backup", "counter", "--older", "--to", str(night.machine.folder)]
    assert shoestring.main(argv, places) == Exit.PROTECTED
    assert len(night.machine.names()) == 1 and night.kept == before


# What a person says.


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> list[usb.Stick]:
    """The USB disks of the machine; there is one."""
    found = [usb.Stick("sdb1", "exfat", "a disk")]
    monkeypatch.setattr(usb, "sticks", lambda argv, text: found)
    monkeypatch.setattr(schedule, "local_zone", lambda: UTC)
    return found


Says = Callable[..., str]


@pytest.fixture
def says(places: Places, plugged: Sequence[usb.Stick], agent: Agent, capsys: Captured) -> Says:
    def says(*words: str, code: Exit = Exit.PROTECTED) -> str:
        assert shoestring.main(["guest", "schedule", *words], places) == code
        told = capsys.readouterr()
        return " ".join((told.err if code else told.out).split())

    agent.says(elsewhere)
    return says


SAY = ("counter", "--at", "02:30", "--daily", "7", "--weekly", "4")


def test_it_is_said_once_and_shown(says: Says, places: Places) -> None:
    assert "backs no guest up by itself" in says()
    told = says(*SAY)
    assert "anna backs counter up by itself, each day at 02:30, onto the one USB disk" in told
    assert "keeps the newest of each of the last 7 days and 4 weeks." in told
    assert "feels it" not in told and "Now there is" not in told
    kept = Schedules(places.file.parent).read("counter")
    assert kept is not None and kept.policy == Policy(daily=7, weekly=4)
    assert set(news.read(places.socket.with_name(news.NAME))) == {"counter"}
    shown = says("counter")
    assert "None was made yet." in shown and "The next one is due on " in shown
    assert says() == shown and "backs no guest 'web' up" in says("web")


def test_what_was_made_is_shown(says: Says, places: Places) -> None:
    says(*SAY)
    schedules = Schedules(places.file.parent)
    kept = schedules.read("counter")
    assert kept is not None
    yesterday = schedule.last(kept, time.time(), UTC)
    done = replace(kept, since=5.0).succeeded(yesterday - 9, "counter-x.full.shoestring")
    schedules.write(replace(done, trouble="The disk is full."))
    told = says()
    assert ": counter-x.full.shoestring." in told
    assert "The last try failed: The disk is full. It is due since " in told
    [one] = json.loads(says("--json"))
    assert (one["at"], one["done"], one["is_due"]) == ("02:30", yesterday - 9, True)
    assert one["next"] > time.time() and one["policy"]["daily"] == 7
    says("counter", "--at", "5:00", "--days", "mon,thu")
    now = schedules.read("counter")
    assert now is not None and now.done == done.done, "it is still the newest"
    assert (now.trouble, now.policy, now.days) == ("", None, ("mon", "thu"))
    assert "on mon, thu at 05:00" in says()


def test_where_the_guest_runs_it_says_what_that_costs(
    says: Says, agent: Agent, plugged: list[usb.Stick]
) -> None:
    agent.says(both())
    plugged.clear()
    told = says("counter", "--at", "02:30")
    assert "counter runs on anna now, and feels it while it is read there." in told
    assert "if the disk were in berta" in told
    assert "There must be one USB disk in anna then. Now there is none." in told
    assert "It keeps all of them, until the disk is full" in told


def test_onto_a_folder(says: Says, tmp_path: Path, plugged: list[usb.Stick]) -> None:
    plugged.clear()
    told = says("counter", "--at", "02:30", "--to", str(tmp_path), "--keep", "3")
    assert f"onto {tmp_path}" in told and "Now there is" not in told
    assert "It keeps the last 3." in told
    told = says("counter", "--at", "02:30", "--to", "/nowhere", code=Exit.FAILED)
    assert "There is no folder nowhere. Nothing was changed." in told
    told = says("counter", "--at", "02:30", "--to", "ssh://me@nas/vm", code=Exit.FAILED)
    assert "ssh://me@nas/vm asks for a password" in told
    assert "onto nfs://nas/vm" in says("counter", "--at", "02:30", "--to", "nfs://nas/vm")


def test_it_is_ended(says: Says, places: Places) -> None:
    says(*SAY)
    assert "not backed up by itself any more. The backups that there are stay" in says(
        "counter", "--off"
    )
    assert Schedules(places.file.parent).guests() == []
    assert news.read(places.socket.with_name(news.NAME)) == {}
    assert "does not back 'counter' up" in says("counter", "--off", code=Exit.FAILED)
    assert json.loads(says("--json")) == []


def test_for_programs(says: Says) -> None:
    [one] = json.loads(says(*SAY, "--json"))
    assert (one["guest"], one["to"], one["done"], one["is_due"]) == ("counter", None, None, False)
    assert json.loads(says("counter", "--off", "--json")) == []


def test_one_that_cannot_be_read_is_told_and_can_be_said_anew(says: Says, places: Places) -> None:
    schedule.path("counter", places.file.parent).write_text("{}")
    assert "cannot be read: it is of another release, or no schedule" in says()
    assert "cannot be read" in says("--json", code=Exit.FAILED)
    says(*SAY)
    assert "02:30" in says()
    schedule.path("counter", places.file.parent).write_text("{}")
    says("counter", "--off")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--at", "02:30"), "No guest was named."),
        (("--off",), "No guest was named."),
        (("counter", "--daily", "7"), "It was not said at what time."),
        (("counter", "--days", "mon"), "It was not said at what time."),
        (("counter", "--at", "25:00"), "'25:00' is no time of the day."),
        (("counter", "--at", "02:30", "--days", "funday"), "'funday' is no day."),
        (("counter", "--at", "02:30", "--daily", "0"), "No backup would be kept."),
        (("web", "--at", "02:30"), "There is no guest"),
    ],
)
def test_what_cannot_be_is_refused(
    says: Says, places: Places, words: Sequence[str], why: str
) -> None:
    assert why in says(*words, code=Exit.FAILED)
    assert Schedules(places.file.parent).guests() == []


def test_disks_that_cannot_be_listed_change_nothing(
    says: Says, places: Places, systemctl: Systemctl
) -> None:
    systemctl.fails = True
    assert "lsblk" in says(*SAY, code=Exit.FAILED)
    assert Schedules(places.file.parent).guests() == []
