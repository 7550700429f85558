# SPDX-License-Identifier: MIT
"""A machine dies for good, and a blank one takes its place; typed by a person at the survivor."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests.vm.incidents.replacing import (
    agree,
    await_alone,
    begin_replacing,
    flash_anew,
    make_anew,
    make_blank,
)
from tests.vm.incidents.standing import runs_on, starts
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import SETUP, Pair, healthy_pair, lone_holder, status
from tests.vm.person import Person
from tests.vm.story import Story, switch_on
from tests.vm.wait import wait_until

DECIDED = "The replacement is agreed on, and goes on by itself"
WHAT_WAS_AGREED = "/state/setup/agreement.json"
# The agent's, heartbeat's and DRBD's, of which nothing else is printed.
KEYS = """
set -e -o pipefail
cd /state/etc
{ cat shoestring/pair.key ha.d/authkeys; grep --no-filename shared-secret drbd.d/*; } | sha256sum
"""
HOW_IT_GOES_ON = "journalctl --boot --unit=shoestring-replace --no-pager --quiet"


@pytest.fixture
def pair(lab: Lab) -> Iterator[Pair]:
    yield healthy_pair(lab)


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


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


# Where the power goes while the keys of the pair change; how often the guest was started then.


def survivor_dies_before_it_decides_and_after(story: Story, person: Person) -> int:
    """Before, the old pair is whole, and a person begins again; after, nobody has to."""
    a, b = story.pair.both
    person.reads("Writing down on both machines what was agreed")
    switch_off_and_on(a, seed=101)
    a.run(f"test ! -e {WHAT_WAS_AGREED}")
    await_alone(a)
    story.await_numbers(10)
    Person(a).reads("NOT PROTECTED")
    person = begin_replacing(a, b)
    agree(person)
    person.reads(DECIDED)
    switch_off_and_on(a, seed=102)
    return 3


def survivor_dies_as_it_takes_the_keys_up(story: Story, person: Person) -> int:
    """DRBD, heartbeat and the agent get them one after the other."""
    a, _ = story.pair.both
    person.reads(DECIDED)
    wait_until(
        "a to take the new keys up",
        lambda: "Making room for the new machine" in a.run(HOW_IT_GOES_ON),
        SETUP,
    )
    switch_off_and_on(a, seed=103)
    return 2


def new_machine_dies_twice(story: Story, person: Person) -> int:
    """When it waits for the survivor's word, and as it makes its disk ready."""
    _, b = story.pair.both
    person.reads(DECIDED)
    b.power_cut(seed=104)
    b.power_on()
    Person(b).reads(r"\d+/\d+ Making the data disk ours")
    switch_off_and_on(b, seed=105)
    return 1


def switch_off_and_on(machine: Machine, seed: int) -> None:
    machine.power_cut(seed=seed)
    switch_on(machine)


def await_end(machine: Machine) -> None:
    """Of the replacement: what was agreed is put away."""
    wait_until(
        f"the replacement to be over on {machine.name}",
        lambda: machine.control.try_run(f"test -e {WHAT_WAS_AGREED}").rc == 1,
        SETUP,
        2,
    )


@pytest.mark.row("F9")
@pytest.mark.parametrize(
    "happens",
    [
        survivor_dies_before_it_decides_and_after,
        survivor_dies_as_it_takes_the_keys_up,
        new_machine_dies_twice,
    ],
)
def test_the_power_goes_while_the_keys_change(
    lab: Lab, happens: Callable[[Story, Person], int]
) -> None:
    """A new machine takes the dead one's place, and so everything that signs gets another key. In
    the end both have the same ones, and are a pair.
    """
    story = Story(lab, lone_holder(lab))
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        old = a.run(KEYS)
        make_blank(b)
        b.power_on()
        person = begin_replacing(a, b)
        agree(person)
        times = happens(story, person)
        story.await_protected(2 * SETUP)  # a boot, the rest of a set-up, and a copy
        story.await_numbers(20)
        for machine in story.pair.both:
            assert runs_on(machine) == ["a"]
            await_end(machine)
        keys = {machine.run(KEYS) for machine in story.pair.both}
        assert len(keys) == 1 and keys != {old}, "they do not have the same new keys"
        assert len(starts(story)) == times, "it was started more or less often"
        story.audit(may_freeze=True)
