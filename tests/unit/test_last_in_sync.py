# SPDX-License-Identifier: MIT
"""When the copies were last the same: at most a minute old after a power cut."""

from pathlib import Path

from haagent.last_in_sync import LOOK, LastInSync


def test_what_was_kept_is_known_to_the_next_agent(tmp_path: Path) -> None:
    now = [1000.0]
    first = LastInSync(tmp_path, ["counter", "mail"], lambda: now[0])
    assert first.moments == {}
    first.seen("counter")
    first.keep()
    now[0] = 1030.0
    first.seen("counter")
    first.keep()
    assert first.moments == {"counter": 1030.0}
    assert LastInSync(tmp_path, ["counter", "mail"]).moments == {"counter": 1000.0}, "too often"
    now[0] = 1060.0
    first.seen("counter")
    first.keep()
    assert LastInSync(tmp_path, ["counter", "mail"]).moments == {"counter": 1060.0}


def test_before_the_agent_has_saved_anything_nothing_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "haagent"
    marks = LastInSync(folder, ["counter"], lambda: 1000.0)
    marks.seen("counter")
    marks.keep()
    assert not folder.exists()
    folder.mkdir()
    marks.keep()
    assert LastInSync(folder, ["counter"]).moments == {"counter": 1000.0}


def test_the_last_moment_is_kept_soon_after_it(tmp_path: Path) -> None:
    now = [1000.0]
    marks = LastInSync(tmp_path, ["counter"], lambda: now[0])
    marks.seen("counter")
    marks.keep()
    now[0] = 1025.0
    marks.seen("counter")
    now[0] += 2 * LOOK
    marks.keep()
    assert LastInSync(tmp_path, ["counter"]).moments == {"counter": 1025.0}


def test_a_clock_that_is_set_back_stops_nothing(tmp_path: Path) -> None:
    now = [1000.0]
    marks = LastInSync(tmp_path, ["counter"], lambda: now[0])
    marks.seen("counter")
    marks.keep()
    now[0] = 500.0
    marks.seen("counter")
    marks.keep()
    assert LastInSync(tmp_path, ["counter"]).moments == {"counter": 500.0}


def test_what_did_not_change_is_not_written_again(tmp_path: Path) -> None:
    marks = LastInSync(tmp_path, ["counter"], lambda: 1000.0)
    marks.seen("counter")
    marks.keep()
    (tmp_path / "in-sync-counter").unlink()
    marks.keep()
    assert not (tmp_path / "in-sync-counter").exists()
