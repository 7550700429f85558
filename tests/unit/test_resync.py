# SPDX-License-Identifier: MIT
"""What /proc/drbd says of a resync: the text is in tests/data/drbd/proc-resync.txt."""

from pathlib import Path

import pytest

from haagent.storage.resync import (
    VERIFICATION,
    Progress,
    State,
    apart,
    by_guest,
    copied,
    out_of_sync,
    parse,
    states,
    together,
)

DATA = Path(__file__).parents[1] / "data/drbd"
TEXT = (DATA / "proc-resync.txt").read_text()


def test_only_what_is_being_copied_has_a_progress() -> None:
    assert parse(TEXT) == {
        0: Progress(7352 * 1024, 10236 * 1024, 222),
        2: Progress(8972, 11664, None),  # stalled: its estimate means nothing
    }


def test_every_device_that_is_there_has_a_state() -> None:
    assert states(TEXT) == {
        0: State("SyncSource", "UpToDate"),
        1: State("Connected", "UpToDate"),
        2: State("SyncTarget", "Inconsistent"),
        4: State("VerifyS", "UpToDate"),
    }


@pytest.mark.parametrize(
    ("left", "total", "percent"),
    [(7352, 10236, 28.1), (0, 100, 100.0), (1, 10_000_000, 99.9), (100, 100, 0.0), (0, 0, 100.0)],
)
def test_a_hundred_percent_is_said_only_of_what_is_done(
    left: int, total: int, percent: float
) -> None:
    assert Progress(left, total, None).percent == percent


def test_devices_that_belong_together_are_one() -> None:
    one, two = Progress(100, 400, 20), Progress(50, 100, 60)
    assert together([one, two]) == Progress(150, 500, 60)
    assert together([one, Progress(1, 1, None)]) == Progress(101, 401, None)
    assert together([]) is None


def test_a_guest_has_the_devices_that_are_its_own() -> None:
    found = by_guest(TEXT, {"counter": (0, 1), "mail": (1,), "web": (2, 7)})
    assert sorted(found) == ["counter", "web"]
    assert found["counter"].seconds == 222


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version: 8.4.11\n",
        " 0: cs:SyncSource ro:Primary/Secondary\n\t[>...] resynced: 1 of 3\n",
        " 0: cs:SyncSource ro:Primary/Secondary\n\t[>...] sync'ed: 28.3% (7352/10236)G\n",
        "sync'ed: 28.3% (7352/10236)M\n",
    ],
)
def test_what_is_not_understood_is_no_progress(text: str) -> None:
    assert parse(text) == {}


def test_what_is_marked_as_different_is_told_of_every_device() -> None:
    assert out_of_sync(TEXT) == {0: 7530908, 1: 0, 2: 8972, 4: 0}
    assert out_of_sync(" 0: cs:Unconfigured\n 1: cs:StandAlone\n    oos:12\n") == {1: 12}


def test_an_estimate_that_is_missing_is_none() -> None:
    text = " 0: cs:SyncSource\n\t[=>..] sync'ed:  3.6% (459876/476792)K\n"
    assert parse(text) == {0: Progress(459876, 476792, None)}


def test_one_that_runs_and_has_something_to_copy_is_not_at_its_end() -> None:
    assert copied(
        TEXT, {"counter": (0,), "mail": (1,), "web": (2,), "files": (4,), "x": (12,)}
    ) == (frozenset())
    hangs = (DATA / "proc-resync-hangs.txt").read_text()
    assert parse(hangs)[0] == Progress(0, 524288, None)
    assert copied(hangs, {"counter": (0,), "mail": (1,), "web": ()}) == {"counter"}


@pytest.mark.parametrize(
    "text", ["", " 0: cs:", " 0: cs:SyncSource\n", " 0: cs:SyncSource\n    oos:many\n"]
)
def test_what_is_not_understood_has_not_ended(text: str) -> None:
    assert copied(text, {"counter": (0,)}) == frozenset()


VERIFIED = (DATA / "proc-verified.txt").read_text()


def test_a_verification_is_no_resync_and_the_reverse() -> None:
    assert parse(VERIFIED, VERIFICATION) == {
        0: Progress(392048, 524236, 8),
        1: Progress(4728 * 1024, 10240 * 1024, None),
    }
    assert parse(VERIFIED) == {5: Progress(64, 128, 1)}
    assert by_guest(VERIFIED, {"counter": (0,), "mail": (5,)}, VERIFICATION).keys() == {"counter"}


@pytest.mark.parametrize(
    ("devices", "kib"),
    [
        ((0,), 8),  # while it is compared, on either side
        ((1,), 0),
        ((2,), 16),
        ((6,), 0),
        ((0, 2), 24),
        ((3,), None),  # without a disk there, these are what it missed
        ((4,), None),
        ((5,), None),
        ((2, 4), None),  # of all volumes, or none
        ((7,), None),  # not there
        ((), None),
    ],
)
def test_what_is_marked_between_two_that_are_one_was_found(
    devices: tuple[int, ...], kib: int | None
) -> None:
    assert apart(VERIFIED, {"counter": devices}).get("counter") == kib
