# SPDX-License-Identifier: MIT
"""A machine dies for good, and a blank one takes its place; typed by a person at the survivor."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.vm import evening
from tests.vm.incidents.standing import runs_on, starts
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import SCALE, SETUP, Pair, healthy_pair, prepare, status
from tests.vm.person import Person
from tests.vm.story import Story
from tests.vm.wait import wait_until

ALONE = 300  # seconds; generous


@pytest.fixture
def pair(lab: Lab) -> Iterator[Pair]:
    yield healthy_pair(lab)


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


def make_blank(machine: Machine) -> None:
    """Another PC: a stick flashed anew, and a data disk that never held anything."""
    make_anew(machine, 1)
    flash_anew(machine)


def flash_anew(machine: Machine) -> None:
    make_anew(machine, 0)
    prepare(machine, SCALE, "3" * 32)


def make_anew(machine: Machine, index: int) -> None:
    disk = machine.disks[index]
    disk.file(machine.folder).unlink()
    disk.create(machine.folder)


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


def keep_disk(machine: Machine) -> None:
    """It is that of a pair already."""


def take_smaller_disk(machine: Machine) -> None:
    machine.disks[1] = replace(machine.disks[1], size=256 << 20)
    make_anew(machine, 1)


@pytest.mark.parametrize(
    ("put_in", "refusal"),
    [
        pytest.param(
            keep_disk,
            "holds the guests of a Shoestring pair",
            marks=pytest.mark.row("C13"),
            id="another-pairs",
        ),
        pytest.param(
            take_smaller_disk,
            r"\(256 MiB [^)]*\) is too small: 512 MiB are needed",
            marks=pytest.mark.row("C14"),
            id="smaller",
        ),
    ],
)
def test_a_new_machine_comes_with_a_wrong_disk(
    story: Story, put_in: Callable[[Machine], None], refusal: str
) -> None:
    """It is to take the place of one that died. The survivor says what is wrong with the disk,
    nothing is written to it, and the guest is not touched.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        b.power_cut(seed=37)
        await_alone(a)
        flash_anew(b)
        put_in(b)
        content = digest(b)
        b.power_on()
        person = begin_replacing(a, b)
        person.reads(refusal.replace(" ", r"\s+"))
        person.reads(r"Mend\s+that")
        b.power_cut(seed=38)
        assert digest(b) == content, "it was written to"
        story.await_numbers(20)
        assert runs_on(a) == ["a"]
        assert len(starts(story)) == 1, "the guest was started anew"
        story.audit(may_freeze=True)


def digest(machine: Machine) -> str:
    """Of all that is on the data disk of MACHINE, which is off."""
    with machine.disks[1].file(machine.folder).open("rb") as disk:
        return hashlib.file_digest(disk, "sha256").hexdigest()
