# SPDX-License-Identifier: MIT
"""Wall clocks jump, or are of long ago; nothing that the pair decides leans on one."""

from datetime import datetime

import pytest

from tests.vm.chaos.faults import signal
from tests.vm.incidents.programs import SET_CLOCK_RIGHT
from tests.vm.incidents.standing import Standing, await_time, runs_on, starts
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import TIMING, lone_holder
from tests.vm.story import BOOT, Story, await_stopped

JUMPS = ("+1 hour", "-2 hours", "1970-01-02")  # as date(1) takes them
LONG_AGO = datetime(2001, 1, 1)  # of a clock whose battery is empty
# All that the agent knows of what it promised. One that is stopped does not write it down again.
# And the time that systemd begins with where the battery's clock is behind it (systemd(1)).
LOSE_STATE = f"""
set -e
{signal("haagent", "STOP")}
rm -r /state/haagent /state/haagent.saved
rm -f /var/lib/systemd/timesync/clock
sync
"""


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


@pytest.fixture
def lone(lab: Lab) -> Story:
    """It begins when the standby has died, and the holder has written without it."""
    return Story(lab, lone_holder(lab))


def lose_power_and_state(machine: Machine, seed: int) -> None:
    machine.run(LOSE_STATE)
    machine.power_cut(seed=seed)


def switch_on_long_ago(machine: Machine) -> None:
    machine.power_on(clock=LONG_AGO)
    machine.control.wait_for_boot(BOOT)
    assert int(machine.run("date +%s")) < int(machine.run("stat --format=%Y /state/etc/shoestring"))


@pytest.mark.row("F1")
def test_the_wall_clock_jumps_on_either_machine(story: Story) -> None:
    """Ahead, back, and to where a machine begins that has no battery."""
    with story:
        story.await_numbers(20)
        before = Standing(story)
        for machine in story.pair.both:
            for jump in JUMPS:
                machine.run(f"date --set='{jump}'")
                await_time(machine, 2 * TIMING.dead)
            machine.run(SET_CLOCK_RIGHT)
            await_time(machine, 2 * TIMING.dead)
        story.await_numbers(20)
        story.await_protected()
        before.assert_nobody_was_missed()
        before.assert_unmoved()
        story.audit()


@pytest.mark.row("F2")
def test_the_standby_has_lost_its_state_and_its_clock(story: Story) -> None:
    """While the holder lives it is heard, and brought up to date. Alone, later, it has a copy that
    DRBD does not call old, and remembers nothing that speaks against it: it waits.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        lose_power_and_state(b, seed=82)
        story.await_line(a, "alone in term")
        story.await_numbers(20)
        switch_on_long_ago(b)
        story.await_line(a, "b is heard")
        story.await_protected()
        assert runs_on(b) == ["a"]
        assert len(starts(story)) == 1, "the guest was started anew"

        lose_power_and_state(b, seed=83)
        story.await_numbers(20)
        a.power_cut(seed=84)
        switch_on_long_ago(b)
        assert "nothing proves that a has written nothing" in await_stopped(b)
        story.return_of(a)
        story.await_numbers(10)
        assert runs_on(b) == ["a"]
        assert len(starts(story)) == 2, "it was started more than once"
        story.audit(may_freeze=True)


@pytest.mark.row("F2")
def test_the_last_holder_has_lost_its_state_and_its_clock(lone: Story) -> None:
    """Its copy is the newest, and DRBD knows; but not what it promised to the other machine, nor
    how long that may serve after it fell silent. It waits for it, and is heard.
    """
    a, b = lone.pair.both
    with lone:
        lone.await_numbers(20)
        lose_power_and_state(a, seed=85)
        switch_on_long_ago(a)
        assert "b has no watchdog that is known to reset it" in await_stopped(a)
        lone.return_of(b)
        lone.await_line(b, "a is heard")
        lone.await_numbers(10)
        assert len(starts(lone)) == 2, "it was started more than once"
        lone.audit()
