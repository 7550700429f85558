# SPDX-License-Identifier: MIT
"""Cables are put where they do not belong: nothing is started for it, and both screens say where
to look.
"""

import time

import pytest

from tests.vm.chaos.faults import DRBD
from tests.vm.incidents.network import await_complaint, cables_of
from tests.vm.incidents.standing import Standing, await_time, runs_on
from tests.vm.incidents.wiring import exchange_cables, joined
from tests.vm.lab import Lab
from tests.vm.mishaps import Which
from tests.vm.pair import TIMING, status
from tests.vm.story import Story, switch_on

STORM = 3  # times the usual frames; a switch carries those for everybody to twice as many cards


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


def await_said(story: Story, means: str) -> None:
    """Both say that the crossover leads to the LAN, and what that MEANS."""
    a, b = story.pair.both
    for machine, peer in ((a, b), (b, a)):
        await_complaint(machine, f"The LAN card of {peer.name} is heard on the crossover. {means}")


@pytest.mark.row("B14")
def test_the_cables_of_the_standby_are_exchanged_while_it_is_off(story: Story) -> None:
    """It knows its cards by their addresses, and says nothing of the one cable on the other: to
    both machines the other one is silent, and nothing of the guests gets to the LAN.
    """
    a, b = story.pair.both
    cables = cables_of(story)
    with story:
        story.await_numbers(20)
        before = Standing(story)
        b.power_cut(seed=53)
        before.await_line(a, "alone in term .*gateway")
        exchange_cables(b)
        for port in ("a", "b"):
            cables.record("lan", port, Which(tcp=DRBD))
        switch_on(b)
        await_said(story, "The two cables of b are exchanged")
        assert status(a)["verdict"] == "NOT PROTECTED"
        await_time(b, 1.5 * TIMING.take)
        assert runs_on(b) == [] and runs_on(a) == ["a"]
        story.await_numbers(20)
        for port in ("a", "b"):
            assert cables.recorded("lan", port) == [], f"{port} sent guests' data over the LAN"

        b.power_cut(seed=54)
        exchange_cables(b)
        story.return_of(b)
        story.await_numbers(10)
        before.assert_guest_stayed()
        story.audit(may_freeze=True)


@pytest.mark.row("B15")
def test_the_crossover_is_plugged_into_the_switch(story: Story) -> None:
    """All goes on, as the cards do know each other; it is said, for that switch can fail."""
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        usual = frames_per_second(story)
        with joined(story.lab.folder):
            await_said(story, "The crossover leads to the LAN.")
            for machine in (a, b):
                assert status(machine)["verdict"] == "NOT PROTECTED"
            assert frames_per_second(story) < STORM * usual, "it storms"
            story.await_numbers(20)
            before.assert_nobody_was_missed()
            before.assert_unmoved()
        story.await_protected()
        story.await_numbers(20)
        before.assert_nobody_was_missed()
        before.assert_unmoved()
        story.audit()


def frames_per_second(story: Story) -> float:
    """That get to somebody, while as much time goes by as a takeover waits."""
    cables = cables_of(story)
    began, before = time.monotonic(), sum(cables.frames()["carried"].values())
    await_time(story.pair.a, TIMING.take)
    return (sum(cables.frames()["carried"].values()) - before) / (time.monotonic() - began)
