# SPDX-License-Identifier: MIT
"""A guest is backed up without anybody's doing, and the screen says when it was not."""

from typing import Any

from haagent.console.alarms import Alarm
from tests.vm.incidents.programs import SET_CLOCK_RIGHT
from tests.vm.incidents.saved import READS
from tests.vm.incidents.sticks import plug_in_a_blank_one
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import status
from tests.vm.story import Story
from tests.vm.wait import wait_until

SCHEDULE = "shoestring guest schedule counter"
LOOKS = 600.0 + READS  # seconds: the timer looks every five minutes of the machine's own time


def kept(machine: Machine) -> dict[str, Any]:
    """What MACHINE knows of its only schedule."""
    [one] = machine.answer(SCHEDULE)
    assert isinstance(one, dict)
    return one


def note(machine: Machine) -> str:
    """What MACHINE's screen says of a backup that is missing; nothing if there is none."""
    told = [one for one in status(machine).get("notes", []) if one["code"] == Alarm.BACKUP_MISSING]
    return str(told[0]["means"]) if told else ""


def await_another(machine: Machine, before: float | None) -> dict[str, Any]:
    """MACHINE has made one since that of BEFORE."""
    wait_until("a backup", lambda: kept(machine)["done"] not in (None, before), LOOKS, 5)
    wait_until("the note to go", lambda: not note(machine), 120, 2)
    found = kept(machine)
    assert found["trouble"] == "", found
    return found


def test_a_guest_is_backed_up_by_itself(lab: Lab) -> None:
    """The machine is off when it is due, and has no USB disk when it is back: the screen says so,
    and nobody is less protected. It is made as soon as there is one; and the next day again, when
    that machine has taken the guest over.
    """
    story = Story(lab)
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        at = b.run("date --date='3 minutes' +%H:%M").strip()
        said = b.run(f"{SCHEDULE} --at {at} --daily 2")
        assert "Now there is none." in " ".join(said.split()), said
        assert kept(b)["done"] is None and not kept(b)["is_due"]
        b.power_cut()
        story.return_of(b)
        wait_until("b to say that it failed", lambda: note(b), LOOKS, 5)
        assert "and there is none. Nothing was done. No good one was made yet." in note(b)
        assert [status(machine)["verdict"] for machine in (a, b)] == ["PROTECTED"] * 2
        assert not note(a), "it is b's own"

        plug_in_a_blank_one(b)
        b.run("date --set='+61 minutes'")
        first = await_another(b, None)
        assert ".full." in first["file"] and not first["is_due"]
        told = b.run("shoestring backup verify counter", timeout=READS)
        assert f"every sum is right: {first['file']}" in " ".join(told.split())
        assert "passing" not in b.run("lvs --noheadings --options lv_name,lv_tags")

        a.power_cut()
        story.await_numbers(20)
        b.run("date --set='+1 day'")
        second = await_another(b, first["done"])
        assert ".incremental." in second["file"]
        story.await_numbers(20)
        b.run(f"{SCHEDULE} --off && test ! -e /run/shoestring/backups.json")
        assert "backs no guest up by itself" in " ".join(b.run("shoestring guest schedule").split())
        print(b.run("journalctl --boot --no-pager --quiet --unit=shoestring-backup"))
        b.run(SET_CLOCK_RIGHT)
        story.return_of(a)
        story.audit(may_freeze=True)
