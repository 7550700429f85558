# SPDX-License-Identifier: MIT
"""A copy is under way, over a cable that is slow enough to do something to it meanwhile."""

from collections.abc import Callable

import pytest

from tests.vm.incidents.compared import BEGAN
from tests.vm.incidents.disks import await_same_copies
from tests.vm.incidents.replacing import agree, await_alone, begin_replacing, make_blank
from tests.vm.incidents.saved import READS
from tests.vm.incidents.standing import Standing, runs_on, starts
from tests.vm.incidents.sticks import plug_in_a_blank_one
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.mishaps import Limit
from tests.vm.pair import SETUP, status
from tests.vm.story import BOOT, Story, await_stopped, switch_on
from tests.vm.wait import wait_until

SLOW = Limit(bits_per_second=4e6)  # the guest's disk takes some minutes


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


def await_copied(machine: Machine, percent: float) -> None:
    """So much of the copy that is under way is done, as MACHINE's screen shows."""
    wait_until(f"{percent:.0f} % to be copied", lambda: copied(machine) >= percent, SETUP, 1)


def copied(machine: Machine) -> float:
    """Percent; 0 while none is under way, or DRBD has not told yet."""
    guests = status(machine).get("guests", [])
    resync = guests[0]["resync"] if guests else None
    return resync["percent"] if resync else 0.0


def to_copy(target: Machine) -> int:
    """KiB that the copy to TARGET had before it when it was begun, or gone on with, last."""
    return int(BEGAN.findall(target.run("dmesg"))[-1])


def expect_no_start_from_a_part(target: Machine) -> None:
    """The other machine is off. TARGET starts nothing, and no person could."""
    await_stopped(target)
    why = status(target)["guests"][0]["unstartable"]
    assert "our copy is Inconsistent: only a part of it was brought up to date" in why


def kept(machine: Machine) -> list[str]:
    """What MACHINE has of copies that are being written over."""
    return machine.run("lvs --noheadings --options lv_name --select lv_tags=resync").split()


def save_what_was_before(target: Machine) -> None:
    """A person at TARGET, who takes the other machine's data for lost."""
    assert kept(target) == ["counter_resync"]
    plug_in_a_blank_one(target)
    said = target.run("! shoestring guest backup counter 2>&1", timeout=READS)
    assert "--older` reads what the copy here was before" in " ".join(said.split()), said
    said = target.run("shoestring guest backup counter --older", timeout=READS)
    assert "was before it began to be written over" in " ".join(said.split()), said
    said = target.run("shoestring backup verify counter", timeout=READS)
    assert "every sum is right" in " ".join(said.split()), said


def expect_only_the_source_to_serve(
    story: Story, seed: int, meanwhile: Callable[[Machine], None] = lambda target: None
) -> None:
    """a dies on the way: b has a part, and waits for it to be back, with which MEANWHILE does
    something. Then the copy goes on, and nothing is kept of what it was.
    """
    a, b = story.pair.both
    assert story.lab.cables is not None
    a.power_cut(seed=seed)
    expect_no_start_from_a_part(b)
    meanwhile(b)
    story.lab.cables.mend("xo", SLOW)
    switch_on(a)
    story.await_numbers(10)
    story.await_protected()
    assert runs_on(b) == ["a"]
    assert len(starts(story)) == 2, "it was started without need"
    wait_until("nothing to be kept", lambda: not kept(b), BOOT, 2)
    assert not kept(a)
    story.audit(may_freeze=True)
    await_same_copies(story)


@pytest.mark.row("G3")
def test_the_power_goes_during_the_first_copy(story: Story) -> None:
    """To a machine that took the place of a dead one. First the new machine loses its power, and
    the guest does not notice; then the one that has all does.
    """
    a, b = story.pair.both
    assert story.lab.cables is not None
    with story:
        story.await_numbers(20)
        b.power_cut(seed=51)
        await_alone(a)
        make_blank(b)
        b.power_on()
        person = begin_replacing(a, b)
        story.lab.cables.hurt("xo", SLOW)
        agree(person)
        person.reads("is the second half of this pair now")
        before = Standing(story)
        await_copied(a, 10)
        assert not kept(b), "a blank copy was kept"
        b.power_cut(seed=52)
        story.await_numbers(10)
        switch_on(b)
        await_copied(b, 10)
        story.await_numbers(10)
        before.assert_guest_stayed()

        expect_only_the_source_to_serve(story, seed=53)


@pytest.mark.row("G4", "G5")
def test_the_cable_and_then_the_source_go_during_a_later_copy(story: Story) -> None:
    """All of the standby's copy is made anew. The crossover is pulled: the guest goes on, the copy
    waits, and goes on where it was. Then the holder loses its power: only that machine has all, and
    what the standby had before can be saved there.
    """
    a, b = story.pair.both
    assert story.lab.cables is not None
    with story:
        story.await_numbers(20)
        before = Standing(story)
        story.lab.cables.hurt("xo", SLOW)
        b.run("drbdadm invalidate counter", 120)
        await_copied(b, 10)
        assert kept(b) == ["counter_resync"], b.run("dmesg | grep shoestring:")
        whole = to_copy(b)
        story.lab.cables.unplug("xo")
        before.await_line(a, "alone in term .*: the peer's copy is outdated")
        story.await_numbers(20)
        assert b.run("drbdadm dstate counter").startswith("Inconsistent/")
        story.lab.cables.plug("xo")
        await_copied(b, 10)
        assert to_copy(b) < whole, "it began anew"
        story.await_numbers(10)
        before.assert_unmoved()

        expect_only_the_source_to_serve(story, seed=54, meanwhile=save_what_was_before)
