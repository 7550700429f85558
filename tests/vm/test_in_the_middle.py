# SPDX-License-Identifier: MIT
"""A machine dies, or a cable goes, in the middle of a move or of a takeover."""

from collections.abc import Callable, Mapping

import pytest

from tests.vm.incidents.programs import move
from tests.vm.incidents.standing import Standing, runs_on, starts
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.story import BOOT, Story, await_stopped, switch_on
from tests.vm.wait import wait_until

STOPS = "holding -> stopping: a person moves it to b"
HAS_STOPPED = "stopping -> released: farewell"
STARTS = "promoting -> creating"  # it is Primary there, by a risen term, and no guest runs yet


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


# What happens while the guest is moved from a to b; and who serves afterwards.


def target_dies_as_it_stops(story: Story) -> Machine:
    a, b = story.pair.both
    move(a)
    story.await_line(a, STOPS)
    b.power_cut(seed=61)
    return a


def target_dies_as_it_starts(story: Story) -> Machine:
    a, b = story.pair.both
    move(a)
    story.await_line(b, STARTS)
    b.power_cut(seed=62)
    return a


def source_dies_as_it_stops(story: Story) -> Machine:
    a, b = story.pair.both
    move(a)
    story.await_line(a, STOPS)
    a.power_cut(seed=63)
    return b


def source_dies_when_it_has_stopped(story: Story) -> Machine:
    a, b = story.pair.both
    move(a)
    story.await_line(a, HAS_STOPPED)
    a.power_cut(seed=64)
    return b


def source_dies_as_it_starts(story: Story) -> Machine:
    a, b = story.pair.both
    move(a)
    story.await_line(b, STARTS)
    a.power_cut(seed=69)
    return b


def crossover_goes_as_it_stops(story: Story) -> Machine:
    """The guest hears nothing until the mirror is lost: it must come to its end without it."""
    a, _ = story.pair.both
    assert story.lab.cables is not None
    a.run("xl pause counter")
    move(a)
    story.await_line(a, STOPS)
    story.lab.cables.unplug("xo")
    wait_until(
        "DRBD to lose b", lambda: a.run("drbdadm cstate counter").strip() != "Connected", BOOT, 1
    )
    a.run("xl unpause counter")
    return a


def crossover_goes_as_it_starts(story: Story) -> Machine:
    a, b = story.pair.both
    assert story.lab.cables is not None
    move(a)
    story.await_line(b, STARTS)
    story.lab.cables.unplug("xo")
    return b


MISHAPS: Mapping[str, Callable[[Story], Machine]] = {
    mishap.__name__.replace("_", " "): mishap
    for mishap in (
        target_dies_as_it_stops,
        target_dies_as_it_starts,
        source_dies_as_it_stops,
        source_dies_when_it_has_stopped,
        source_dies_as_it_starts,
        crossover_goes_as_it_stops,
        crossover_goes_as_it_starts,
    )
}


@pytest.mark.row("G6")
@pytest.mark.parametrize("happens", MISHAPS.values(), ids=MISHAPS)
def test_a_guest_is_moved_and(story: Story, happens: Callable[[Story], Machine]) -> None:
    """It runs once afterwards, where it can; both machines that live are one pair again."""
    assert story.lab.cables is not None
    with story:
        story.await_numbers(20)
        before = Standing(story)
        serves = happens(story)
        before.await_next_start()
        story.await_numbers(10)
        story.lab.cables.plug("xo")
        if all(machine.is_on for machine in story.pair.both):
            story.await_protected()
        assert runs_on(serves) == [serves.name]
        assert len(starts(story)) == 2, "it was started more than once"
        story.audit(may_freeze=True)


@pytest.mark.row("G7")
def test_the_taker_dies_before_its_guest_starts_and_is_back_first(story: Story) -> None:
    """Its copy was made its own when it died, and that is on its disk: it serves, alone."""
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        a.power_cut(seed=65)
        story.await_line(b, STARTS)
        b.power_cut(seed=66)
        switch_on(b)
        story.await_line(b, "promoting: peer off: alone; our copy: left-behind")
        story.await_numbers(10)
        assert runs_on(b) == ["b"]
        assert len(starts(story)) == 2, "it was started more than once"
        story.audit()


@pytest.mark.row("G7")
def test_the_taker_dies_when_its_guest_has_started_and_the_other_is_back_first(
    story: Story,
) -> None:
    """That one cannot prove that its copy is the newest, and it is not: it waits."""
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        a.power_cut(seed=67)
        story.await_line(b, "creating -> holding")
        story.await_numbers(10)
        b.power_cut(seed=68)
        switch_on(a)
        assert "nothing proves that b has written nothing" in await_stopped(a)
        switch_on(b)
        story.await_numbers(10)
        story.await_protected()
        assert runs_on(a) == ["b"]
        assert len(starts(story)) == 3, "it was started for nothing"
        story.audit()


@pytest.mark.row("G8")
def test_the_old_holder_is_back_in_the_middle_of_the_takeover(story: Story) -> None:
    """It stood still with its guest and all its clocks, and cannot tell. The other one has promoted
    its copy by then, and does not run the guest yet.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        a.stand_still()
        story.await_line(b, STARTS)
        a.go_on()
        story.await_line(a, "-> destroying: the peer took it in term")
        story.await_numbers(10)
        story.await_protected()  # its watchdog ended that boot, if the disk was not to be released
        assert runs_on(a) == ["b"]
        assert len(starts(story)) == 2, "it was started more than once"
        story.audit(may_freeze=True, may_wake=True)
