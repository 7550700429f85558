# SPDX-License-Identifier: MIT
"""A machine dies for good, and a blank one takes its place; typed by a person at the survivor."""

from collections.abc import Iterator

import pytest

from tests.vm import evening
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import SCALE, SETUP, Pair, healthy_pair, prepare, status
from tests.vm.person import Person
from tests.vm.wait import wait_until

ALONE = 300  # seconds; generous


@pytest.fixture
def pair(lab: Lab) -> Iterator[Pair]:
    yield healthy_pair(lab)


def make_blank(machine: Machine) -> None:
    """Another PC: a stick flashed anew, and a data disk that never held anything."""
    for disk in machine.disks:
        disk.file(machine.folder).unlink()
        disk.create(machine.folder)
    prepare(machine, SCALE, "3" * 32)


def is_alone(machine: Machine) -> bool:
    guests = status(machine).get("guests", [])
    return bool(guests) and all(guest["is_alone"] for guest in guests)


def await_alone(machine: Machine) -> None:
    wait_until("the survivor to be alone", lambda: is_alone(machine), ALONE, 2)


def begin_replacing(survivor: Machine, blank: Machine) -> Person:
    """A person at SURVIVOR, once both machines are sure of each other."""
    person = Person(survivor)
    person.opens_menu()
    person.commands("replace", evening.PASSWORD)
    code = evening.Seats(Person(blank), person).read_code()
    person.answers("Type it here", code)
    return person


def agree(person: Person) -> None:
    """From the page about both machines to the consent, the usual way."""
    person.reads("Press Enter to go on")
    person.types()
    for question in (r"\(1 of 4", r"\(2 of 4", r"\(3 of 4"):
        person.answers(question)
    person.answers(r"\(4 of 4", "DATA")


def test_a_blank_machine_takes_the_place_of_a_dead_one(pair: Pair) -> None:
    a, b = pair.both
    domain = a.run("xl domid counter")
    number = wait_until("a number", pair.recorder.next, 120)
    b.power_cut(seed=1)
    await_alone(a)
    make_blank(b)
    b.power_on()
    person = begin_replacing(a, b)
    agree(person)
    person.reads("is the second half of this pair now")
    pair.await_protected(SETUP)
    assert a.run("xl domid counter") == domain, "the guest was started anew"
    after = wait_until("a number", pair.recorder.next, 120)
    assert after > number
    assert "SyncSource" in a.run("journalctl -k -b")
    a.power_cut(seed=2)
    wait_until("the new machine to serve", pair.recorder.next, SETUP)
    assert status(b)["guests"][0]["runs_on"] == ["b"]
