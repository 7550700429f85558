# SPDX-License-Identifier: MIT
"""What a machine that was set up alone shows: that it is, why, and nothing of a machine that there
is not.
"""

import sys
from dataclasses import replace

import pytest

from haagent.command import Places
from haagent.console import entrance, prospects, readiness
from haagent.console.alarms import Alarm
from haagent.console.render import render
from haagent.console.snapshot import Snapshot, Verdict, from_dict, to_dict
from haagent.core.foresight import Fate, Outlook
from haagent.core.model import Disk, Link, Measured, Phase
from haagent.core.wish import Target, Wish
from haagent.update import hindrances
from tests.unit.fake_agent import Agent, agent, places, systemctl
from tests.unit.fake_state import (
    AROUND,
    NOW,
    WELL,
    Change,
    both,
    guest,
    hello,
    ledger,
    look,
    node,
    resource,
    vacant,
)

__all__ = ["agent", "places", "systemctl"]  # fixtures

OFF = guest(phase=Phase.RELEASED, is_running=False)
GONE = resource(link=Link.STANDALONE, disk=Disk.DISKLESS, peer_disk=Disk.UNKNOWN)
CRASHED = both(OFF, ledger(wish=Wish(2, Target.FAILED)))

TROUBLES: dict[str, tuple[Change, Alarm]] = {
    "nothing else": (lambda state: state, Alarm.NO_SECOND),
    "a guest that is off": (OFF, Alarm.RUNS_NOWHERE),
    "a guest that is given up": (CRASHED, Alarm.CRASHED),
    "a guest that starts": (guest(phase=Phase.CREATING, is_running=False), Alarm.BEING_STARTED),
    "a guest that ends": (guest(phase=Phase.DESTROYING, is_running=False), Alarm.BEING_ENDED),
    "a guest that shuts down": (guest(phase=Phase.STOPPING), Alarm.BEING_SHUT_DOWN),
    "a disk that is not known": (guest(resource=None), Alarm.DISK_NOT_KNOWN),
    "a disk that is dead": (GONE, Alarm.DISK_NOT_UP_TO_DATE),
    "a disk that hangs": (guest(is_disk_hanging=True), Alarm.DISK_HANGS),
    "a machine that goes down": (node(left=NOW - 1), Alarm.LEAVING),
    "a machine that gave up": (node(is_fenced=True), Alarm.GAVE_UP),
    "a stick that is gone": (node(is_stateless=True, lost_because="EIO"), Alarm.STICK_LOST),
    "a watchdog that is not armed": (node(is_armed=False), Alarm.WATCHDOG),
    "maintenance": (
        lambda s: replace(s, durable=replace(s.durable, in_maintenance=True)),
        Alarm.MAINTENANCE,
    ),
    "too little memory": (
        both(OFF, node(measured=Measured(memory=100, takes={"counter": 200}))),
        Alarm.RUNS_NOWHERE,
    ),
}


def page(shown: Snapshot) -> str:
    return "\n".join(render(shown, 100, sys.maxsize))


@pytest.mark.parametrize(("change", "alarm"), TROUBLES.values(), ids=TROUBLES)
def test_nothing_is_said_of_a_second_machine_but_that_there_is_none(
    change: Change, alarm: Alarm
) -> None:
    foreseen = {"counter": Outlook(Fate.STARTS, Phase.RELEASED, NOW - 1, 20.0, ())}
    around = replace(AROUND, heartbeat=None, outlooks=foreseen)
    shown = look(both(vacant, change)(WELL), around)
    told = page(shown)
    assert alarm in {complaint.code for complaint in shown.complaints}
    assert "This machine is alone: there is no second one. (SHOE-309)" in told
    said = told.replace("berta is there", "")  # what is missing is made up by the test
    assert "berta" not in said
    assert shown.verdict is not Verdict.PROTECTED


def test_it_is_not_protected_and_that_is_all() -> None:
    shown = look(vacant(WELL))
    assert shown.verdict is Verdict.NOT_PROTECTED
    assert [complaint.code for complaint in shown.complaints] == [Alarm.NO_SECOND]
    assert "shoestring replace" in shown.complaints[0].do
    assert page(shown).splitlines()[1] == "counter  on anna, one copy"


def test_another_disk_in_its_place_is_told() -> None:
    around = replace(AROUND, has_strange_disk=True)
    shown = look(both(vacant, OFF, GONE)(WELL), around)
    assert Alarm.STRANGE_DISK in {complaint.code for complaint in shown.complaints}
    assert "one copy, Diskless" in page(shown)


def test_whoever_speaks_with_its_key_is_a_second_machine() -> None:
    heard = both(vacant, node(peer=WELL.peer), hello(is_leaving=True))(WELL)
    codes = {complaint.code for complaint in look(heard).complaints}
    assert Alarm.NO_SECOND not in codes and Alarm.LEAVING in codes


def test_nobody_is_foreseen_to_die() -> None:
    foreseen = {"counter": Outlook(Fate.GOES_ON, Phase.HOLDING, NOW - 1, 0.0, ())}
    around = replace(AROUND, outlooks=foreseen)
    assert readiness.sentences(look(WELL, around))
    assert readiness.sentences(look(vacant(WELL), around)) == []


def test_what_an_act_would_do() -> None:
    shown = look(vacant(WELL))
    stays = "counter stays on anna, because there is no second machine."
    assert prospects.of_maintenance(shown, True) == [
        stays,
        "From then on nothing starts on anna by itself, also after a reboot: what is off stays off"
        " until you say `shoestring maintenance off`.",
    ]
    told = " ".join(prospects.of_going_down(shown, is_back_soon=True))
    assert told.startswith("counter would be off until anna is back, because there is no second")
    assert "berta" not in told
    assert "guest stop" in prospects.to_empty(shown)
    stop = prospects.of_stop(shown, shown.guests[0])
    assert stop[-1] == "It stays off until you say `shoestring guest start counter`."


def test_an_update_is_one_of_this_machine() -> None:
    (found,) = hindrances.of_leader(look(vacant(WELL)))
    assert "--here" in found.do


def test_the_menu_names_nobody(places: Places, agent: Agent) -> None:
    agent.says(vacant)
    view = entrance.look(places)
    assert (view.me, view.peer) == ("anna", "the other machine")
    places.file.write_text(f"{places.file.read_text()}vacant: true\n")
    nobody = replace(places, socket=places.file)
    assert entrance.look(nobody).peer == "the other machine"


def test_it_goes_through_json() -> None:
    shown = look(vacant(WELL))
    assert from_dict(to_dict(shown)) == shown and shown.is_vacant


def test_it_can_take_a_second_machine_as_soon_as_the_gateway_answers() -> None:
    state = vacant(WELL)
    answered = replace(state, referee=WELL.referee)
    assert prospects.no_replacement(look(answered)) is None
    assert prospects.no_replacement(look(state)) is not None
