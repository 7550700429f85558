# SPDX-License-Identifier: MIT
"""What becomes of a difference that was found, and that it is known after a power cut."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from haagent.storage.findings import NOT_SEEN, NOTHING, Book, Finding

ONCE = Finding(at=500.0)  # they were compared before
FOUND = ONCE.ended(8, 1000.0)
COPIED = FOUND.copied("anna")


def test_what_is_found_stays_until_a_person_has_taken_note() -> None:
    assert Finding(at=1000.0, differs=8, since=1000.0) == FOUND
    again = FOUND.ended(8, 2000.0)
    assert (again.differs, again.since, again.at, again.is_open) == (8, 1000.0, 2000.0, True)
    noted = again.taken_note_of()
    assert noted == Finding(at=2000.0, noted=8) and not noted.is_open
    assert noted.ended(8, 3000.0) == Finding(at=3000.0, noted=8), "DRBD never forgets a mark"


def test_nothing_is_found() -> None:
    assert NOTHING.ended(0, 5.0) == Finding(at=5.0)
    assert not Finding(at=5.0).is_open


def test_what_is_found_on_the_way_counts_also_if_it_is_cut_short() -> None:
    half = ONCE.counted(4, 510.0).counted(12, 520.0)
    assert half == Finding(at=500.0, differs=12, since=510.0) and half.is_open


def test_what_was_not_there_when_a_person_took_note_is_new() -> None:
    more = FOUND.taken_note_of().ended(20, 5000.0)
    assert more == Finding(at=5000.0, differs=12, since=5000.0, noted=8)
    assert more.taken_note_of() == Finding(at=5000.0, noted=20)


def test_a_resync_settles_it_and_that_is_told() -> None:
    assert replace(FOUND, copied_from="anna") == COPIED and COPIED.is_open
    assert COPIED.copied("berta") == COPIED, "the first one has made them the same"
    same = COPIED.ended(0, 2000.0)
    assert same == replace(COPIED, at=2000.0, is_past=True) and not same.is_open
    assert same.differs == 8, "nobody has seen it yet"
    assert same.ended(0, 3000.0) == replace(same, at=3000.0)
    assert same.taken_note_of() == Finding(at=2000.0)


def test_a_resync_without_a_finding_is_nothing() -> None:
    assert NOTHING.copied("anna") == NOTHING.seen(0) == NOTHING


def test_a_resync_that_nobody_watched_is_seen_afterwards() -> None:
    assert FOUND.seen(8) == FOUND
    unseen = FOUND.seen(0)
    assert unseen.copied_from == NOT_SEEN
    assert unseen.seen(0) == unseen
    assert unseen.copied("berta").copied_from == "berta"
    assert COPIED.seen(0) == COPIED


def test_marks_that_were_noted_go_with_a_resync() -> None:
    noted = FOUND.taken_note_of().ended(0, 2000.0)
    assert noted == Finding(at=2000.0)
    assert noted.ended(4, 3000.0).differs == 4


@pytest.mark.parametrize("before", [COPIED, COPIED.ended(0, 2000.0)])
def test_what_is_found_after_a_resync_is_another_finding(before: Finding) -> None:
    assert before.ended(4, 9000.0) == Finding(at=9000.0, differs=4, since=9000.0)


def test_what_was_never_the_same_is_no_alarm_and_hides_none() -> None:
    first = NOTHING.counted(4, 10.0).ended(300, 20.0)
    assert first == Finding(at=20.0, differs=300, since=10.0, is_first=True)
    assert not first.is_open
    assert first.ended(300, 30.0) == replace(first, at=30.0)
    more = first.ended(304, 30.0)
    assert more == Finding(at=30.0, differs=4, since=30.0, noted=300) and more.is_open
    assert first.taken_note_of() == Finding(at=20.0, noted=300)
    assert first.taken_note_of().ended(304, 30.0) == more


def test_what_was_never_the_same_is_so_after_a_resync() -> None:
    first = NOTHING.ended(300, 20.0).copied("anna")
    assert not first.is_open
    same = first.ended(0, 30.0)
    assert same.is_past and not same.is_open
    assert same.ended(4, 40.0) == Finding(at=40.0, differs=4, since=40.0)


def test_one_that_was_cut_short_is_no_first_one() -> None:
    assert NOTHING.counted(4, 10.0).counted(8, 20.0) == Finding(
        differs=8, since=10.0, is_first=True
    )


@pytest.mark.parametrize(
    "finding", [NOTHING, NOTHING.ended(8, 1.0), FOUND, COPIED, FOUND.taken_note_of()]
)
def test_it_is_known_to_the_next_agent(tmp_path: Path, finding: Finding) -> None:
    book = Book(tmp_path, ["counter", "mail"])
    assert book.kept("counter") == NOTHING
    book.keep("counter", finding)
    again = Book(tmp_path, ["counter", "mail"])
    assert (again.kept("counter"), again.kept("mail")) == (finding, NOTHING)


def test_what_did_not_change_is_not_written_again(tmp_path: Path) -> None:
    book = Book(tmp_path, ["counter"])
    book.keep("counter", FOUND)
    (file,) = tmp_path.iterdir()
    file.unlink()
    book.keep("counter", FOUND)
    assert list(tmp_path.iterdir()) == []


def test_before_the_agent_has_saved_anything_nothing_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "haagent"
    book = Book(folder, ["counter"])
    book.keep("counter", FOUND)
    assert not folder.exists()
    folder.mkdir()
    book.keep("counter", FOUND)
    assert Book(folder, ["counter"]).kept("counter") == FOUND


WRITTEN = {
    "version": 1,
    "at": 1.0,
    "differs": 8,
    "since": 1.0,
    "copied_from": "",
    "is_past": False,
    "is_first": False,
}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        json.dumps(WRITTEN).encode(),  # a word is missing
        json.dumps({**WRITTEN, "noted": 0, "more": 1}).encode(),
        json.dumps({**WRITTEN, "noted": 0, "version": 2}).encode(),
        json.dumps({**WRITTEN, "noted": "0"}).encode(),
        json.dumps({**WRITTEN, "noted": True}).encode(),
        json.dumps({**WRITTEN, "noted": -1}).encode(),
        json.dumps({**WRITTEN, "noted": 0, "at": float("nan")}).encode(),
        json.dumps({**WRITTEN, "noted": 0, "since": None}).encode(),
        json.dumps({**WRITTEN, "noted": 0, "differs": 0}).encode(),
    ],
)
def test_what_cannot_be_understood_was_never_found(
    tmp_path: Path, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "verified-counter").write_bytes(data)
    assert Book(tmp_path, ["counter"]).kept("counter") == NOTHING
    (line,) = caplog.messages
    assert line.startswith("counter: what was found of its copies is not known:")


def test_as_it_is_written_it_is_understood(tmp_path: Path) -> None:
    """A file of this release: the next one reads it."""
    (tmp_path / "verified-counter").write_text(json.dumps({**WRITTEN, "noted": 0}))
    assert Book(tmp_path, ["counter"]).kept("counter") == Finding(1.0, 8, 1.0)
