# SPDX-License-Identifier: MIT
"""A split brain, and a person who ends it at one of the two consoles."""

import pytest

from tests.vm.evening import PASSWORD
from tests.vm.incidents.hole import cut_both_cables, mend_both_cables, says_split
from tests.vm.incidents.standing import runs_on
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import status
from tests.vm.person import Person
from tests.vm.story import TAKEOVER, Story
from tests.vm.wait import wait_until

KEPT = "lvs --noheadings --options lv_name --select 'lv_name=~counter-before-' shoestring"


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


def split(story: Story) -> None:
    """Both machines wrote alone, see each other again, and say so."""
    a, b = story.pair.both
    story.await_numbers(20)
    cut_both_cables(story)
    story.await_line(b, "creating -> holding")
    story.await_line(a, "alone in term")
    mend_both_cables(story)
    wait_until("both to say split brain", lambda: all(map(says_split, (a, b))), TAKEOVER, 2)
    wait_until("one of them to run it", lambda: len(runs_on(a)) == 1, TAKEOVER, 2)
    wait_until("the choice to be possible", lambda: may_choose(a) and may_choose(b), TAKEOVER, 2)


def may_choose(machine: Machine) -> bool:
    guests = status(machine).get("guests", [])
    return bool(guests) and guests[0]["unfit"] == [None, None] and guests[0]["copy_needs"] > 0


def resolve(machine: Machine, counts: str) -> None:
    """A person at MACHINE chooses the copy on COUNTS."""
    person = Person(machine)
    person.opens_menu()
    person.commands("resolve counter", PASSWORD)
    person.reads("Whose copy shall count")
    person.types(counts)
    person.reads("the guest's name")
    person.types("counter")
    person.reads("both copies are one again", within=TAKEOVER)


def expect_one(story: Story, given_up: Machine) -> None:
    assert given_up.run(KEPT).strip().startswith("counter-before-"), "nothing was kept"
    story.await_protected()
    for machine in story.pair.both:
        assert machine.run("drbdadm dstate counter").strip() == "UpToDate/UpToDate"
    story.await_numbers(10)
    # What is kept can be read, and goes when nobody wants it any more.
    name = given_up.run(KEPT).strip()
    given_up.run(f"dd if=/dev/shoestring/{name} of=/dev/null bs=1M count=8")
    given_up.run(f"lvremove --yes shoestring/{name}")


@pytest.mark.row("B6", "H5")
def test_the_copy_that_runs_counts(story: Story) -> None:
    """Typed where nothing runs; the guest goes on all the time."""
    a, b = story.pair.both
    with story:
        split(story)
        (counts,) = runs_on(a)
        given_up = b if counts == "a" else a
        start = story.beacons.heard[-1].epoch
        resolve(given_up, counts)
        expect_one(story, given_up)
        assert story.beacons.heard[-1].epoch == start, "the guest was started anew"


@pytest.mark.row("B6", "H5")
def test_the_copy_that_does_not_run_counts(story: Story) -> None:
    """The guest is shut down where it runs, and starts on the copy that counts."""
    a, b = story.pair.both
    with story:
        split(story)
        (holder,) = runs_on(a)
        counts, given_up = ("b", a) if holder == "a" else ("a", b)
        resolve(given_up, counts)
        expect_one(story, given_up)
        assert runs_on(given_up) == [counts]
