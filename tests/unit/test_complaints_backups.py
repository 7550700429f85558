# SPDX-License-Identifier: MIT
"""What the screens of a machine say of the backups that it was to make by itself."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from haagent.backup.news import News
from haagent.backup.schedule import DAY
from haagent.console.alarms import Alarm
from haagent.console.complaints import backups
from haagent.console.complaints.complaint import Complaint
from haagent.console.render import render
from haagent.console.snapshot import Verdict
from tests.unit.fake_state import AROUND, WELL, look

WALL = 1_790_000_000.0
FULL = "A file could not be written: No space left on device. It is not there."


def notes(news: Mapping[str, News]) -> list[Complaint]:
    shown = look(WELL, replace(AROUND, wall=WALL, backups=news))
    assert shown.verdict is Verdict.PROTECTED and shown.complaints == ()
    assert all(note.code is Alarm.BACKUP_MISSING for note in shown.notes)
    return list(shown.notes)


@pytest.mark.parametrize(
    "news",
    [
        News(),
        News(expected=WALL + DAY, done=WALL - 60),
        News(expected=WALL - 60),
        News(expected=WALL - DAY + 1),  # it is caught up still
        News(expected=WALL + 90 * DAY, done=WALL + 89 * DAY),  # the clock was set back
    ],
)
def test_nothing_is_told_of_what_is_well(news: News) -> None:
    assert notes({"counter": news}) == []


def test_a_failure_is_told_until_there_is_a_good_one() -> None:
    [note] = notes({"counter": News(WALL - 3 * DAY, WALL - 4 * DAY, FULL, WALL - 60)})
    assert note.what == "The backup of counter on anna failed."
    assert note.means == f"{FULL} The newest good one is of 2026-09-17 14:13:20 UTC, 4 d ago."
    assert "`shoestring guest backup counter` makes one at once." in note.do
    [first] = notes({"counter": News(WALL + 60, None, FULL)})
    assert first.means == f"{FULL} No good one was made yet."


def test_one_that_nobody_made_is_told_after_a_day() -> None:
    [note] = notes({"counter": News(expected=WALL - DAY)})
    assert note.what == "The backup of counter on anna was not made."
    assert (
        note.means == "It was due on 2026-09-20 14:13:20 UTC, 24 h ago. No good one was made yet."
    )


def test_a_guest_that_is_not_there() -> None:
    [note] = notes({"web": News(trouble=FULL)})
    assert note.what == "anna is to back web up by itself, and there is no such guest."
    assert note.do == "`shoestring guest schedule web --off` on anna ends this."


def test_it_stands_on_the_page() -> None:
    around = replace(AROUND, wall=WALL, backups={"counter": News(trouble=FULL)})
    page = render(look(WELL, around), 80, 24)
    assert page[0].startswith("PROTECTED ")
    assert "* The backup of counter on anna failed. (SHOE-213)" in page


def test_it_is_late_when_it_is_not_caught_up_any_more() -> None:
    assert backups.LATE == DAY
