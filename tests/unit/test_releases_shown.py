# SPDX-License-Identifier: MIT
"""What a person is told while the two machines run different releases."""

import json
from dataclasses import replace
from typing import Any

import pytest

from haagent.console.alarms import Alarm
from haagent.console.render import render
from haagent.console.snapshot import Snapshot, Verdict, from_dict, to_dict
from haagent.core.model import NodeState, Path
from tests.unit.fake_state import AROUND, NOW, WELL, both, hello, look, node, silent

OURS = replace(WELL.pair, release="0.1.0", formats=(4, 3))


def mixed(release: str, format: int, **told: Any) -> NodeState:
    state = both(node(pair=OURS), hello(release=release, **told))(WELL)
    return replace(state, peer=replace(state.peer, format=format))


def through_json(shown: Snapshot) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(to_dict(shown)))
    assert from_dict(made) == shown
    return made


def test_of_one_release_nothing_is_said() -> None:
    shown = look(mixed("0.1.0", 4))
    assert shown.notes == () and shown.verdict is Verdict.PROTECTED


@pytest.mark.parametrize(
    ("release", "format", "what"),
    [
        ("0.2.0", 4, "anna runs release 0.1.0, berta runs release 0.2.0."),
        ("", 3, "anna runs release 0.1.0, berta runs an older release."),
    ],
)
def test_two_releases_are_a_note_and_the_pair_is_protected(
    release: str, format: int, what: str
) -> None:
    shown = look(mixed(release, format))
    assert shown.verdict is Verdict.PROTECTED and shown.complaints == ()
    (note,) = shown.notes
    assert (note.code, note.what) == (Alarm.RELEASES_DIFFER, what)
    page = render(shown, 80, 24)
    assert page[0].startswith("PROTECTED  ")
    assert page[2:8] == [
        "Either machine may fail now: the guests go on.",
        f"* {what} (SHOE-331)",
        "  They understand each other. That holds for one release and the next, and no",
        "  further.",
        "  -> Finish the update: bring both machines to the same release.",
        "anna: this machine, watchdog armed, gateway answers",
    ]


def test_a_note_is_told_beside_what_is_wrong() -> None:
    shown = look(mixed("0.2.0", 4, is_leaving=True))
    assert shown.verdict is Verdict.NOT_PROTECTED
    assert [complaint.code for complaint in shown.complaints] == [Alarm.LEAVING]
    assert [note.code for note in shown.notes] == [Alarm.RELEASES_DIFFER]


def test_of_a_silent_machine_nobody_knows_what_it_runs_by_now() -> None:
    assert look(silent(mixed("0.2.0", 4))).notes == ()


def test_both_releases_and_both_formats_are_in_the_json() -> None:
    nodes = through_json(look(mixed("", 3)))["nodes"]
    assert [(one["name"], one["release"], one["format"]) for one in nodes] == [
        ("anna", "0.1.0", 4),
        ("berta", "", 3),
    ]
    assert through_json(look(mixed("0.2.0", 4)))["notes"][0]["code"] == "SHOE-331"


def test_words_that_are_not_understood_are_no_silence() -> None:
    around = replace(AROUND, misunderstood_at=NOW - 1)
    codes = [complaint.code for complaint in look(silent(WELL), around).complaints]
    assert Alarm.NOT_UNDERSTOOD in codes and Alarm.PEER_SILENT not in codes
    long_ago = replace(AROUND, misunderstood_at=NOW - 60)
    codes = [complaint.code for complaint in look(silent(WELL), long_ago).complaints]
    assert Alarm.PEER_SILENT in codes and Alarm.NOT_UNDERSTOOD not in codes


def test_a_machine_that_offers_a_format_of_tomorrow_is_understood_in_todays() -> None:
    assert WELL.peer.paths[Path.LAN].last_word > NOW - 1
    assert look(WELL, replace(AROUND, misunderstood_at=NOW - 1)).complaints == ()
