# SPDX-License-Identifier: MIT
"""What is said of two copies that were compared, on the screen and in the snapshot."""

import json
from dataclasses import replace

import pytest

from haagent.console.alarms import Alarm
from haagent.console.render import guest_line, render, verified
from haagent.console.snapshot import Snapshot, Verdict, VerificationView, from_dict, to_dict
from haagent.core.model import NodeState, Phase
from haagent.storage.findings import NOT_SEEN, Finding
from haagent.storage.resync import Progress
from haagent.storage.verification import Verified
from tests.unit.fake_state import AROUND, WELL, Change, both, elsewhere, guest, look

WALL = 1_790_000_000.0
FOUND = Finding(at=WALL - 3 * 86400, differs=8, since=WALL - 3 * 86400 - 300)
COPIED = replace(FOUND, copied_from="berta")
SETTLED = replace(COPIED, at=WALL - 7200, is_past=True)
OFF = guest(phase=Phase.RELEASED, is_running=False)
DAY = "2026-09-18 14:08:20 UTC, 3 d ago"


def unchanged(state: NodeState) -> NodeState:
    return state


def shows(finding: Finding, change: Change = unchanged, **known: object) -> Snapshot:
    about = replace(Verified(finding), **known)  # type: ignore[arg-type]
    around = replace(AROUND, wall=WALL, verified={"counter": about})
    return look(change(WELL), around)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (both(), "counter goes on with the one on anna. "),
        (elsewhere, "counter goes on with the one on berta. "),
        (OFF, ""),
    ],
)
def test_what_differs_is_told_and_nobody_is_called_wrong(change: Change, where: str) -> None:
    shown = shows(FOUND, change)
    assert shown.verdict is not Verdict.PROTECTED
    (complaint,) = [one for one in shown.complaints if one.code is Alarm.COPIES_DIFFER]
    assert complaint.what == "counter: 8 KiB differ between the copies on anna and berta."
    assert complaint.means == (
        f"That was found on {DAY}. Which copy is right cannot be told, and nothing was changed. "
        f"{where}The next resync copies what differs from the machine that runs "
        "counter then."
    )
    assert "Before you restart a machine, look for disk errors on both" in complaint.do
    assert "`shoestring guest verified counter` on each machine" in complaint.do


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("berta", "Since then the one on berta was copied over the other one"),
        (NOT_SEEN, "Since then one of them, that of the machine that ran it, was copied over"),
    ],
)
def test_a_resync_since_then_is_told_with_its_source(source: str, told: str) -> None:
    (complaint,) = shows(replace(COPIED, copied_from=source)).complaints
    assert complaint.code is Alarm.COPIES_DIFFER
    assert complaint.what == "counter: 8 KiB differed between its two copies."
    assert told in complaint.means
    assert "`shoestring guest verify counter` tells whether the two are the same" in complaint.do


def test_what_settled_itself_is_a_note_until_a_person_has_seen_it() -> None:
    shown = shows(SETTLED)
    assert shown.verdict is Verdict.PROTECTED and shown.complaints == ()
    (note,) = shown.notes
    assert note.code is Alarm.COPIES_DIFFERED
    assert note.what == "counter: 8 KiB differed between its two copies, and do not any more."
    assert "Since then the one on berta was copied over the other one" in note.means
    assert shows(SETTLED.taken_note_of()).notes == ()


@pytest.mark.parametrize("finding", [Finding(), Finding(at=WALL), FOUND.taken_note_of()])
def test_where_nothing_is_to_be_told_nothing_is(finding: Finding) -> None:
    shown = shows(finding)
    assert shown.verdict is Verdict.PROTECTED
    assert shown.complaints == shown.notes == ()


@pytest.mark.parametrize(
    ("finding", "line"),
    [
        (Finding(), "its two copies were never compared"),
        (Finding(differs=8, since=1.0), "its two copies were never compared; 8 KiB differed"),
        (
            Finding(at=WALL - 6 * 86400),
            "its two copies were last compared 6 d ago: they were the same",
        ),
        (FOUND, "its two copies were last compared 3 d ago: 8 KiB differed"),
        (
            COPIED,
            "its two copies were last compared 3 d ago: 8 KiB differed and were copied since",
        ),
        (SETTLED, "its two copies were last compared 2 h ago: they were the same"),
        (
            FOUND.taken_note_of(),
            "its two copies were last compared 3 d ago: they were the same, but for 8 KiB that "
            "you know of",
        ),
        (
            Finding(at=WALL + 3),
            "its two copies were last compared at a time that is to come: they were the same",
        ),
    ],
)
def test_each_guest_has_a_line_of_when(finding: Finding, line: str) -> None:
    shown = shows(finding)
    assert verified(shown.guests[0], shown.wall) == line
    assert " ".join(line.split()) in " ".join(" ".join(render(shown, 80, 99)).split())


@pytest.mark.parametrize(
    ("progress", "line"),
    [
        (None, "mirrored, being verified"),
        (Progress(300, 400, 8), "mirrored, being verified 25.0 %, 8 s left"),
        (Progress(300, 400, None), "mirrored, being verified 25.0 %, nothing moves"),
    ],
)
def test_it_is_shown_how_far_it_is(progress: Progress | None, line: str) -> None:
    shown = shows(Finding(), is_under_way=True, progress=progress)
    assert guest_line(shown, shown.guests[0], 7) == f"counter  on anna, {line}"


def test_it_goes_through_json() -> None:
    shown = shows(FOUND, is_under_way=True, progress=Progress(300, 400, 8))
    again = from_dict(json.loads(json.dumps(to_dict(shown))))
    assert again == shown
    assert again.guests[0].verification == VerificationView(
        FOUND.at, 8, FOUND.since, "", False, False, 0, True, 25.0, 8
    )


@pytest.mark.parametrize(
    ("source", "told"), [("", "as each data disk had it."), ("anna", "the same since.")]
)
def test_what_was_never_the_same_is_a_note(source: str, told: str) -> None:
    shown = shows(replace(FOUND, differs=300 << 10, is_first=True, copied_from=source))
    assert shown.verdict is Verdict.PROTECTED
    (note,) = shown.notes
    assert note.code is Alarm.COPIES_NEVER_SAME
    assert note.what == "counter: 300.0 MiB differed when its two copies were first compared."
    assert note.means.startswith(f"That was found on {DAY}. ") and note.means.endswith(told)
