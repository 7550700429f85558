# SPDX-License-Identifier: MIT
"""Wall clocks jump; nothing that the pair decides leans on one."""

import pytest

from tests.vm.incidents.standing import Standing, await_time
from tests.vm.lab import Lab
from tests.vm.pair import TIMING
from tests.vm.story import Story

JUMPS = ("+1 hour", "-2 hours", "1970-01-02")  # as date(1) takes them
RIGHT = "date --set=@$(cat /sys/class/rtc/rtc0/since_epoch)"  # the battery's clock went on


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


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
            machine.run(RIGHT)
            await_time(machine, 2 * TIMING.dead)
        story.await_numbers(20)
        story.await_protected()
        before.assert_nobody_was_missed()
        before.assert_unmoved()
        story.audit()
