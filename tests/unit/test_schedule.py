# SPDX-License-Identifier: MIT
"""When a backup is due: by the clock of the machine, which may be wrong, and is set at times."""

import stat
from dataclasses import replace
from datetime import UTC, datetime, time, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from haagent.backup import news, schedule
from haagent.backup.news import News
from haagent.backup.retention import Policy
from haagent.backup.schedule import DAYS, Schedule, Schedules, days_of, time_of
from haagent.errors import OperatorError

GOLDEN = Path(__file__).parents[1] / "data/schedule"
BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: tzinfo = UTC) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


SAID = at("2026-11-30 10:00")  # a Monday
WEB = Schedule("web", time(2, 30), DAYS, Policy(daily=7, weekly=4), None, SAID)


@pytest.mark.parametrize(
    ("now", "done", "is_due"),
    [
        ("2026-11-30 10:01", None, False),  # not before the first night
        ("2026-12-01 02:29", None, False),
        ("2026-12-01 02:30", None, True),
        ("2026-12-01 23:00", None, True),  # the machine was off at night
        ("2026-12-02 02:29", None, True),
        ("2026-12-01 02:36", "2026-12-01 02:30:05", False),
        ("2026-12-01 23:00", "2026-12-01 14:00", False),  # a person made one
        ("2026-12-02 02:29", "2026-12-01 02:31", False),
        ("2026-12-02 02:30", "2026-12-01 02:31", True),
        ("2026-12-02 02:31", "2026-12-01 22:00", True),
        ("2026-12-02 02:40", "2026-12-02 02:29", True),  # begun before it was due
        ("2027-06-01 07:00", "2026-12-01 02:31", True),  # off for half a year: once
    ],
)
def test_each_night(now: str, done: str | None, is_due: bool) -> None:
    one = replace(WEB, done=None if done is None else at(done))
    assert schedule.is_due(one, at(now), UTC) is is_due


@pytest.mark.parametrize(
    ("now", "is_due"),
    [
        ("2026-12-03 02:29", False),
        ("2026-12-03 02:31", True),  # a Thursday
        ("2026-12-04 02:29", True),
        ("2026-12-04 02:30", False),  # a day later it is given up
        ("2026-12-06 12:00", False),
        ("2026-12-07 02:30", True),
    ],
)
def test_on_some_days(now: str, is_due: bool) -> None:
    assert schedule.is_due(replace(WEB, days=("mon", "thu")), at(now), UTC) is is_due


@pytest.mark.parametrize("zone", [UTC, BERLIN, ZoneInfo("Pacific/Auckland")])
def test_once_a_week_there_is_always_a_last_and_a_next_one(zone: tzinfo) -> None:
    """Also over a night in which the clocks change."""
    week = replace(WEB, days=("sun",))
    now = at("2026-10-11 00:00", zone)
    for _ in range(4 * 7 * 24):
        before, after = schedule.last(week, now, zone), schedule.following(week, now, zone)
        assert before <= now < after and abs(after - before - 7 * schedule.DAY) <= 3600
        now += 3600


def test_what_failed_is_tried_again_after_an_hour() -> None:
    now = at("2026-12-01 04:00")
    for minutes, is_due in ((0, False), (59, False), (60, True), (-5, True)):
        assert schedule.is_due(WEB, now, UTC, now - minutes * 60) is is_due


@pytest.mark.parametrize("year", [1970, 2001, 2025])
def test_by_a_clock_of_long_ago_nothing_is_due(year: int) -> None:
    now = datetime(year, 6, 1, 3, tzinfo=UTC).timestamp()
    assert not schedule.is_due(WEB, now, UTC)
    assert not schedule.is_due(replace(WEB, since=0.0, done=5.0), now, UTC)
    assert f"wrong, it says {year}-06-01" in schedule.news(WEB, now, UTC).trouble


def test_what_is_of_a_clock_that_was_ahead_keeps_nothing_back() -> None:
    """Years ahead for a night, say: until then nothing would be backed up."""
    now, then = at("2026-12-01 09:00"), at("2040-01-01 02:31")
    assert schedule.is_due(replace(WEB, done=then), now, UTC)
    lost = replace(WEB, since=then - 9, done=then)
    assert schedule.is_due(lost, now, UTC)
    assert schedule.expected(lost, now, UTC) is None
    # Some hours are no more than a clock that was put right.
    assert not schedule.is_due(replace(WEB, done=now + 2 * 3600), now, UTC)


def test_a_clock_that_leaps_ahead_makes_one_due_and_not_many() -> None:
    now = at("2027-02-01 12:00")
    assert schedule.is_due(replace(WEB, done=at("2026-12-01 02:31")), now, UTC)
    assert not schedule.is_due(replace(WEB, done=now), now + 60, UTC)


@pytest.mark.parametrize(
    ("day", "moment"),
    [
        ("2026-07-01", "2026-07-01 00:30"),
        ("2026-12-01", "2026-12-01 01:30"),
        ("2027-03-28", "2027-03-28 01:30"),  # there is no half past two: it is half past three
        ("2026-10-25", "2026-10-25 00:30"),  # there are two
    ],
)
def test_the_time_is_that_of_the_machine(day: str, moment: str) -> None:
    one = replace(WEB, since=0.0, done=None)
    noon = at(f"{day} 12:00", BERLIN)
    assert schedule.last(one, noon, BERLIN) == at(moment)
    assert schedule.following(one, at(moment) - 1, BERLIN) == at(moment)
    assert not schedule.is_due(replace(one, done=at(moment)), at(moment) + 2 * 3600, BERLIN)


def test_the_day_is_that_of_the_machine() -> None:
    """In Auckland it is Monday while it is Sunday in Greenwich."""
    one = replace(WEB, days=("mon",), since=0.0)
    assert schedule.last(one, at("2026-11-30 00:00"), ZoneInfo("Pacific/Auckland")) == at(
        "2026-11-29 13:30"
    )


def test_the_screens_know_when_the_next_one_is_to_be_there() -> None:
    night = at("2026-12-01 02:30")
    assert schedule.news(WEB, SAID, UTC) == News(expected=night)
    missed = schedule.news(WEB, at("2026-12-09 12:00"), UTC)
    assert missed.expected == night, "since the first one that was missed"
    done = replace(WEB, done=night + 5, trouble="It is full.")
    assert schedule.news(done, night + 9, UTC, night + 8) == News(
        night + 86400, night + 5, "It is full.", night + 8
    )


@pytest.mark.parametrize("text", ["2:30", "02:30", "00:00", "23:59"])
def test_a_time(text: str) -> None:
    assert f"{time_of(text):%H:%M}" == text.zfill(5)


@pytest.mark.parametrize(
    "text", ["24:00", "2:60", "2.30", "02:30:00", "night", "", "\u06602:30", "2:3"]
)
def test_no_time(text: str) -> None:
    with pytest.raises(OperatorError, match="Nothing was changed"):
        time_of(text)


def test_days() -> None:
    assert days_of(None) == DAYS
    assert days_of("thu,Mon, thu") == ("mon", "thu")
    for text in ("", "monday", "mon;thu", "mon,"):
        with pytest.raises(OperatorError, match="is no day"):
            days_of(text)


FULL = Schedule(
    guest="web",
    at=time(2, 30),
    days=("mon", "thu"),
    policy=Policy(last=3, daily=7, weekly=4, monthly=0),
    to="/mnt/backups",
    since=1796032800.0,
    done=1796092200.5,
    file="web-2026-11-30T0230Z.incremental.shoestring",
    trouble="A backup goes onto the one USB disk that is plugged in, and there is none.",
)


@pytest.mark.parametrize(("name", "one"), [("version-1", FULL), ("version-1-new", WEB)])
def test_a_file_is_as_the_first_release_wrote_it(name: str, one: Schedule) -> None:
    text = (GOLDEN / f"{name}.json").read_text()
    assert schedule.from_text(text) == one
    assert schedule.to_text(one) == text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"version": 1', '"version": 2'),
        ('"at": "02:30"', '"at": "2:30"'),
        ('"mon",', '"sun",'),
        ('"last": 3', '"last": -3'),
        ('"guest": "web"', '"guest": "../web"'),
        ("1796032800.0", "1e300"),
        ("1796092200.5", "true"),
        ("1796092200.5", "-1"),
        ('"trouble"', '"troubles"'),
        ("{", "["),
    ],
)
def test_what_is_no_schedule_is_not_guessed_at(tmp_path: Path, old: str, new: str) -> None:
    text = (GOLDEN / "version-1.json").read_text()
    assert old in text
    schedule.path("web", tmp_path).write_text(text.replace(old, new, 1))
    with pytest.raises(OperatorError, match="When web is to be backed up cannot be read"):
        Schedules(tmp_path).read("web")


def test_it_is_kept_for_nobody_else_to_read(tmp_path: Path) -> None:
    schedules = Schedules(tmp_path)
    assert schedules.guests() == [] and schedules.read("web") is None
    schedules.write(WEB)
    schedules.write(replace(WEB, guest="mail"))
    (tmp_path / "pair.yaml").touch()
    (tmp_path / "schedule-torn.json.new").touch()
    assert schedules.guests() == ["mail", "web"] and schedules.read("web") == WEB
    assert stat.S_IMODE((tmp_path / "schedule-web.json").stat().st_mode) == 0o600
    schedules.remove("web")
    assert schedules.guests() == ["mail"]
    with pytest.raises(OperatorError, match="cannot be written to the stick"):
        schedules.remove("web")
    with pytest.raises(OperatorError, match="cannot be written to the stick"):
        Schedules(tmp_path / "gone").write(WEB)


def test_what_a_person_said_meanwhile_counts(tmp_path: Path) -> None:
    schedules = Schedules(tmp_path)
    done = WEB.succeeded(SAID + 9, "web-2026-11-30T1000Z.full.shoestring")
    schedules.change(done)
    assert schedules.guests() == [], "it was ended while the backup was made"
    schedules.write(WEB)
    schedules.change(done)
    assert schedules.read("web") == done
    other = replace(WEB, at=time(5), since=SAID + 100)
    schedules.write(other)
    schedules.change(done)
    assert schedules.read("web") == other


def test_the_same_trouble_is_written_once(tmp_path: Path) -> None:
    schedules = Schedules(tmp_path)
    schedules.write(FULL)
    before = schedule.path("web", tmp_path).stat()
    schedules.change(FULL)
    after = schedule.path("web", tmp_path).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_the_note_for_the_screens(tmp_path: Path) -> None:
    file = tmp_path / "run" / news.NAME
    assert news.read(file) == {}
    told = {"mail": News(), "web": News(5.0, None, "It is full.", 4.0)}
    news.write(told, file)
    assert news.read(file) == told
    news.write({}, file)
    assert not file.exists()
    news.write({}, file)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"web": 1}',
        '{"web": {"expected": 1}}',
        '{"web": {"expected": NaN, "done": null, "trouble": "", "tried": null}}',
        '{"web": {"expected": 1e300, "done": null, "trouble": "", "tried": null}}',
        '{"web": {"expected": "1", "done": null, "trouble": "", "tried": null}}',
    ],
)
def test_a_torn_note_is_none(tmp_path: Path, text: str) -> None:
    """The agent draws its pages from it, and must not end over one."""
    (tmp_path / news.NAME).write_text(text)
    assert news.read(tmp_path / news.NAME) == {}


def test_a_machine_without_a_time_zone_is_in_greenwich(tmp_path: Path) -> None:
    assert schedule.local_zone(tmp_path / "localtime") is UTC
    (tmp_path / "localtime").write_text("no zone")
    assert schedule.local_zone(tmp_path / "localtime") is UTC
    berlin = schedule.local_zone(Path("/usr/share/zoneinfo/Europe/Berlin"))
    assert datetime(2026, 7, 1, tzinfo=berlin).strftime("%Z") == "CEST"
