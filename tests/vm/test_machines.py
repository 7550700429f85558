# SPDX-License-Identifier: MIT
"""A whole machine panics, hangs, stands still, is reset, or goes down badly."""

import pytest

from haagent.hands import GRACE
from tests.vm.incidents.gdb import hang_xen
from tests.vm.incidents.programs import MAY_TAKE_ALL, SHUT_DOWN, TAKE_ALL, begin
from tests.vm.incidents.standing import Standing, boot_id, expect_takeover, runs_on, starts
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import SCALE
from tests.vm.story import BOOT, Story

# It takes no notice of being asked to end, systemd.kill(5).
STUBBORN = "systemd-run --quiet --unit=stubborn sh -c 'trap \"\" TERM; while :; do sleep 1; done'"


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


@pytest.mark.row("A3")
def test_the_holders_kernel_panics(story: Story) -> None:
    """Linux gives up, Xen starts the machine anew, and the standby takes over meanwhile."""
    a, _ = story.pair.both
    with story:
        story.await_numbers(20)
        before = boot_id(a)
        begin(a, "echo c > /proc/sysrq-trigger")
        expect_takeover(story, before)


@pytest.mark.row("A4")
def test_nothing_is_scheduled_on_the_holder_any_more(story: Story) -> None:
    """A program takes dom0's processor and never gives it back: its kernel answers, and no other
    program runs. Xen's watchdog is not fed, and resets the machine. As long as that kernel answers
    after DRBD has lost it, the other one cannot know that nothing decides there any more; so who
    runs the guest next depends on a moment, and it is one of the two.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = boot_id(a)
        a.run(MAY_TAKE_ALL)
        begin(a, TAKE_ALL)
        story.await_line(b, "a is silent on every path")
        a.control.wait_for_boot(BOOT)
        assert boot_id(a) != before
        story.await_numbers(10)
        story.await_protected()
        assert runs_on(a) == runs_on(b) and len(runs_on(a)) == 1
        assert len(starts(story)) == 2, "it was started more than once"
        story.audit()


@pytest.mark.row("A5")
def test_xen_hangs_on_the_holder(story: Story) -> None:
    """Below dom0 nothing goes on, interrupts are off, and the hypervisor's own watchdog hangs with
    it. That of the board (q35 has an iTCO) resets the machine.
    """
    a, _ = story.pair.both
    with story:
        story.await_numbers(20)
        before = boot_id(a)
        hang_xen(a)
        expect_takeover(story, before)


@pytest.mark.row("A7")
def test_the_holder_stands_still_for_a_moment(story: Story) -> None:
    """With all its clocks. It is missed, but wakes before anybody may take over, and goes on."""
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        a.qmp("stop")
        before.await_line(b, "a is silent on every path")
        a.qmp("cont")
        story.await_numbers(20)
        story.await_protected()
        before.assert_unmoved()
        story.audit(may_freeze=True)


@pytest.mark.row("A8", "A12")
def test_the_holder_is_reset_and_then_crashes_after_each_boot(story: Story) -> None:
    """The reset costs one start of the guest. Whoever does not hold it after that may crash as
    often as it likes, each time when it has just been heard again.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        a.qmp("system_reset")
        before.await_next_start()
        story.await_numbers(10)
        a.control.wait_for_boot(BOOT)
        story.await_protected()
        assert len(starts(story)) == 2, "it was started more than once"
        holder, other = (b, a) if runs_on(b) == ["b"] else (a, b)
        before = Standing(story)
        for _ in range(3):
            other.qmp("system_reset")
            other.control.wait_for_boot(BOOT)
            story.await_line(other, f"{holder.name} is heard")
        story.await_protected()
        story.await_numbers(10)
        before.assert_guest_stayed()
        story.audit(may_freeze=True)


@pytest.mark.row("A10")
def test_a_guest_and_a_service_do_not_end_as_the_holder_goes_down(story: Story) -> None:
    """The guest, paused, hears nothing; the service will not. Both are ended after a while."""
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = boot_id(a)
        a.run(STUBBORN)
        a.run("xl pause counter")
        begin(a, "systemctl --no-block reboot")
        story.await_line(b, "promoting.*farewell")
        story.await_numbers(10)
        a.control.wait_for_boot(BOOT)
        assert boot_id(a) != before
        told = a.run("journalctl --boot=-1 --unit=haagent --output=cat --no-pager")
        assert f"counter: did not shut down in {GRACE * SCALE:.0f} s, destroyed" in told
        story.await_protected()
        assert runs_on(b) == ["b"], "it failed back"
        story.audit()


@pytest.mark.row("A11")
def test_the_power_goes_while_the_holder_shuts_down(story: Story) -> None:
    """Once while the guest is being shut down, and once when it was just signed off."""
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        a.run(SHUT_DOWN)
        story.await_line(a, "holding -> stopping: this machine leaves")
        a.power_cut(seed=21)
        expect_one_move(story, a, b)
        b.run(SHUT_DOWN)
        story.await_line(a, "promoting.*farewell")
        b.power_cut(seed=22)
        expect_one_move(story, b, a)
        story.audit(may_freeze=True)


def expect_one_move(story: Story, gone: Machine, taker: Machine) -> None:
    """GONE lost its power; TAKER serves, and goes on doing so when the other is back."""
    story.await_line(taker, "creating -> holding")
    story.await_numbers(10)
    before = len(starts(story))
    story.return_of(gone)
    assert runs_on(taker) == [taker.name], "it failed back"
    assert len(starts(story)) == before, "the guest was started anew"


@pytest.mark.row("A13")
def test_both_are_reset_in_the_same_moment(story: Story) -> None:
    """They meet again, agree, and one of them starts the guest, once."""
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        for machine in (a, b):
            machine.qmp("system_reset")
        for machine in (a, b):
            machine.control.wait_for_boot(BOOT)
        story.await_numbers(10)
        story.await_protected()
        assert len(starts(story)) == 2, "it was started more than once"
        assert len(runs_on(a)) == 1 and runs_on(a) == runs_on(b)
        story.audit()
