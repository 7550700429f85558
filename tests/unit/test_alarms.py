# SPDX-License-Identifier: MIT
"""The codes of the alarms: each is one, each is used, each is in the document."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest

from haagent.backup.news import News as Backup
from haagent.cluster.speech import Stranger
from haagent.console import alarms, complaints
from haagent.console.alarms import BY_CODE, GROUPS, Alarm, document, group
from haagent.console.surroundings import Surroundings
from haagent.core.model import Disk, Link
from haagent.core.model import Path as Way
from haagent.core.wish import Target, Wish
from haagent.storage.findings import Finding
from haagent.storage.verification import Verified
from haagent.update.news import News
from tests.unit.fake_state import (
    AROUND,
    NOT_PROTECTED,
    NOW,
    STOPPED,
    WELL,
    Change,
    both,
    hello,
    ledger,
    look,
    node,
    resource,
    silent,
    vacant,
)

ROOT = Path(__file__).parents[2]
AROUNDS = (
    Surroundings(),
    Surroundings(heartbeat={}),
    Surroundings({"crossover": True, "lan": False}, failed_units=("drbd.service",)),
    Surroundings(update=News("0.1.0", waits="0.2.0", fallen="0.1.9")),
    Surroundings(crossed_at=NOW),
    replace(AROUND, is_heartbeat_deaf=True),
    replace(AROUND, verified={"counter": Verified(Finding(1.0, 8, 1.0))}),
)
FIRST = replace(AROUND, verified={"counter": Verified(Finding(2.0, 8, 1.0, is_first=True))})
SETTLED = replace(AROUND, verified={"counter": Verified(Finding(2.0, 8, 1.0, "anna", True))})
UNSAVED = replace(AROUND, backups={"counter": Backup(trouble="It is full.")})
STRANGE = replace(AROUND, strangers={Way.LAN: Stranger("192.0.2.7", NOW - 1)})
MISUNDERSTOOD = Surroundings({"crossover": True, "lan": True}, misunderstood_at=NOW - 1)

# A code stays what it is for ever: a line is added here, and none is changed.
FOR_EVER = {
    "SHOE-101": "RUNS_TWICE",
    "SHOE-102": "FROZEN",
    "SHOE-103": "BEING_SHUT_DOWN",
    "SHOE-104": "BEING_STARTED",
    "SHOE-105": "BEING_ENDED",
    "SHOE-106": "CHANGES_ELSEWHERE",
    "SHOE-107": "RUNS_NOWHERE",
    "SHOE-108": "LOST_WITH_PEER",
    "SHOE-109": "CRASHED",
    "SHOE-110": "TRIED_ELSEWHERE",
    "SHOE-201": "SPLIT_BRAIN",
    "SHOE-202": "CHOSEN_COPY",
    "SHOE-203": "DISK_NOT_KNOWN",
    "SHOE-204": "RESYNC",
    "SHOE-205": "DISK_NOT_UP_TO_DATE",
    "SHOE-206": "NOT_MIRRORED",
    "SHOE-207": "CHOICE",
    "SHOE-208": "DISK_HANGS",
    "SHOE-209": "STRANGE_DISK",
    "SHOE-210": "COPIES_DIFFER",
    "SHOE-211": "COPIES_DIFFERED",
    "SHOE-212": "COPIES_NEVER_SAME",
    "SHOE-213": "BACKUP_MISSING",
    "SHOE-301": "PEER_SILENT",
    "SHOE-302": "GAVE_UP",
    "SHOE-303": "LEAVING",
    "SHOE-304": "WATCHDOG",
    "SHOE-305": "TIME_SCALE",
    "SHOE-306": "MAINTENANCE",
    "SHOE-307": "STICK_LOST",
    "SHOE-308": "NO_MEMORY",
    "SHOE-309": "NO_SECOND",
    "SHOE-321": "REPLACED",
    "SHOE-322": "REPLACED_IS_ON",
    "SHOE-331": "RELEASES_DIFFER",
    "SHOE-332": "NOT_UNDERSTOOD",
    "SHOE-401": "PATH_SILENT",
    "SHOE-402": "PATH_ONE_WAY",
    "SHOE-403": "HEARTBEAT_NO_LINK",
    "SHOE-404": "HEARTBEAT_LINK_DOWN",
    "SHOE-405": "LAN_CHANGES",
    "SHOE-406": "CROSSOVER_TO_LAN",
    "SHOE-407": "STRANGER",
    "SHOE-408": "HEARTBEAT_DEAF",
    "SHOE-501": "NO_REFEREE",
    "SHOE-502": "STANDS_DOWN",
    "SHOE-601": "UNIT_FAILED",
    "SHOE-602": "HEARTBEAT_SILENT",
    "SHOE-701": "UPDATE_FELL_BACK",
    "SHOE-702": "UPDATE_WAITS",
}


def test_a_code_is_never_given_to_anything_else() -> None:
    assert {str(alarm): alarm.name for alarm in Alarm} == FOR_EVER


def test_each_code_is_one_and_in_its_group() -> None:
    assert len(BY_CODE) == len(Alarm.__members__)  # two of one code would be one with two names
    assert all(re.fullmatch(r"SHOE-[1-7]\d\d", alarm) for alarm in Alarm)
    assert list(Alarm) == sorted(Alarm)
    assert {group(alarm) for alarm in Alarm} == set(GROUPS)


def test_no_two_alarms_say_the_same() -> None:
    assert len({alarm.headline for alarm in Alarm}) == len(Alarm)
    for alarm in Alarm:
        assert not alarm.headline.endswith(".")
        for text in (alarm.headline, alarm.means, alarm.do):
            assert text.isascii()
        for text in (alarm.means, alarm.do):
            assert text.endswith((".", "`"))


def test_every_alarm_is_made_by_some_state() -> None:
    states = [change(WELL) for _, change in NOT_PROTECTED + STOPPED]
    made = {c.code for state in states for c in look(state).complaints}
    strange = replace(AROUND, has_strange_disk=True)
    gone = resource(disk=Disk.DISKLESS, link=Link.STANDALONE)(WELL)
    made |= {c.code for c in look(gone, strange).complaints}
    made |= {c.code for around in AROUNDS for c in look(WELL, around).complaints}
    made |= {c.code for c in look(silent(WELL), MISUNDERSTOOD).complaints}
    made |= {c.code for c in look(vacant(WELL)).complaints}
    made |= {note.code for note in look(hello(release="0.2")(WELL), STRANGE).notes}
    made |= {note.code for around in (SETTLED, FIRST, UNSAVED) for note in look(WELL, around).notes}
    made |= {note.code for note in look(ledger(wish=Wish(3, Target.RETRIED))(WELL)).notes}
    assert made == set(Alarm)


def test_every_complaint_that_is_written_has_a_code_of_the_table() -> None:
    """Also those that no state of these tests leads to."""
    folder = Path(complaints.__file__).parent
    calls = [
        node
        for file in sorted(folder.glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Complaint"
    ]
    used: set[str] = set()
    for call in calls:
        names = {
            node.attr
            for node in ast.walk(call.args[0])
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "Alarm"
        }
        assert names, f"line {call.lineno}: a complaint without a code"
        used |= names
    assert used == set(Alarm.__members__)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        (Alarm.PEER_SILENT, silent),
        (Alarm.GAVE_UP, node(is_fenced=True)),
        (Alarm.LEAVING, node(left=NOW)),
        (Alarm.NO_REFEREE, node(usable_since=None)),
        (Alarm.WATCHDOG, both(node(is_armed=False))),
    ],
)
def test_a_complaint_has_the_code_that_is_meant(code: Alarm, change: Change) -> None:
    assert code in [complaint.code for complaint in look(change(WELL), AROUND).complaints]


def test_an_update_that_fell_back_is_told_in_a_sentence() -> None:
    around = replace(AROUND, update=News("0.1", fallen="0.2"))
    (complaint,) = look(WELL, around).complaints
    assert complaint.what == "The update to 0.2 did not start on anna; 0.1 runs again."
    assert look(WELL, replace(AROUND, update=News("0.1"))).complaints == ()


def test_the_document_is_made_from_the_table() -> None:
    made = (ROOT / "docs/alarms.md").read_text()
    assert made == document(), "python -m haagent.console.alarms > docs/alarms.md"
    for alarm in Alarm:
        assert made.count(f"### {alarm}: {alarm.headline}\n") == 1


def test_codes_stand_nowhere_but_in_the_table() -> None:
    for file in (ROOT / "haagent").rglob("*.py"):
        assert file == Path(alarms.__file__) or "SHOE-" not in file.read_text(), file
