# SPDX-License-Identifier: MIT
"""What a guest does to itself is no reason to move it."""

import pytest

from tests.vm.incidents.domains import panic
from tests.vm.incidents.standing import Standing, await_time, boot_id, runs_on
from tests.vm.lab import Lab
from tests.vm.pair import TIMING
from tests.vm.story import Story


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


@pytest.mark.row("E1", "E2", "E3")
def test_the_guest_panics_switches_itself_off_and_hangs(story: Story) -> None:
    """Whatever ends it, it is started again where it was. While it merely hangs, for longer than a
    takeover waits, nobody touches it.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        boots = boot_id(a), boot_id(b)
        for ends in (lambda: panic(a), lambda: a.run("xl shutdown counter")):
            before = Standing(story)
            ends()
            before.await_line(a, "holding -> creating: it ended by itself")
            before.await_next_start()
            story.await_numbers(10)
            story.await_protected()
            assert runs_on(a) == runs_on(b) == ["a"]

        before = Standing(story)
        a.run("xl pause counter")
        await_time(a, 1.5 * TIMING.take)
        before.assert_unmoved()
        a.run("xl unpause counter")
        story.await_numbers(20)
        before.assert_unmoved()
        assert (boot_id(a), boot_id(b)) == boots, "a machine was reset"
        story.audit()
