# SPDX-License-Identifier: MIT
"""The menu behind the Enter key, at a serial line: what takes the password, what comes of it."""

import time

import pytest

from tests.vm import stick
from tests.vm.evening import PASSWORD
from tests.vm.incidents.sticks import plug_in
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import status
from tests.vm.person import MENU, Person
from tests.vm.story import TAKEOVER, Story


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


def completes(machine: Machine, typed: str, rest: str) -> None:
    """In a shell: TYPED, and a Tab that puts REST behind it."""
    console = machine.console
    for key in typed:
        console.send(key)
        console.expect_exact(key, timeout=60)
    began = time.monotonic()
    console.send("\t")
    console.expect_exact(rest, timeout=60)
    print(f"{rest!r} after {time.monotonic() - began:.1f} s")


def test_a_guest_is_moved_after_a_wrong_password(story: Story) -> None:
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        person = Person(a)
        person.opens_menu()
        person.commands("move", "wrong horse")
        person.reads("That is not the password")
        person.reads(r"Password \(unseen")
        person.types(PASSWORD, is_hidden=True)
        person.reads("Type yes to do it")
        person.types("yes")
        person.reads("counter runs on b, term", within=TAKEOVER)
        assert status(b)["guests"][0]["runs_on"] == ["b"]
        person.reads(MENU)
        person.commands("shell", PASSWORD, is_admitted=True)
        person.reads("#")
        person.types("id -un")
        person.reads("root")
        completes(a, "shoestring guest sh", "ow ")
        completes(a, "", "counter ")
        person.types()
        person.reads("MAC address")
        person.types("exit")
        person.reads("PROTECTED")
        story.await_numbers(20)
        story.audit()


def test_maintenance_empties_a_machine_and_ends(story: Story) -> None:
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        person = Person(a)
        person.opens_menu()
        person.commands("maintenance on", PASSWORD)
        person.reads("Type yes to do it")
        person.types("yes")
        person.reads("a is in maintenance", within=TAKEOVER)
        assert status(b)["guests"][0]["runs_on"] == ["b"]
        assert status(b)["verdict"] == "NOT PROTECTED"
        person.reads(MENU)
        person.commands("maintenance off", PASSWORD, is_admitted=True)
        person.reads("Type yes to do it")
        person.types("yes")
        person.reads("a is not in maintenance", within=TAKEOVER)
        story.await_protected()
        story.audit()


def test_the_report_goes_onto_a_stick_that_is_plugged_in(story: Story) -> None:
    a, _ = story.pair.both
    image = a.folder / "plugged.img"
    stick.make_blank(image)
    person = Person(a)
    person.opens_menu()
    person.commands("save-report", PASSWORD)
    person.reads("There is no USB stick")
    plug_in(a, image)
    person.reads(MENU)
    person.commands("save-report", PASSWORD, is_admitted=True)
    name = person.reads(r"(shoestring-a-[0-9-]+\.txt) is on the stick")[1]
    saved = stick.read(image, name)
    assert saved.startswith("haagent report, ")
    assert "PROTECTED" in saved and "a haagent[" in saved
