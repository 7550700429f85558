# SPDX-License-Identifier: MIT
"""What the agent works with does not do what it is told: xl, a domain, DRBD's handler, a disk."""

import pytest

from tests.vm.incidents.domains import keep
from tests.vm.incidents.programs import (
    HANDLER_WAS_CALLED,
    HANG_XL,
    HOLD_THE_DISK,
    LET_THE_DISK_GO,
    XL_HANGS,
    give_handler,
    give_handler_back,
    move,
)
from tests.vm.incidents.standing import (
    Standing,
    await_time,
    boot_id,
    is_gone,
    runs_on,
    starts,
)
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import TIMING
from tests.vm.story import BOOT, TAKEOVER, Story
from tests.vm.wait import wait_until


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


def expect_handover_by_force(story: Story, gone: Machine, taker: Machine, before: str) -> None:
    """GONE, which was in the boot BEFORE, could not give the guest away, and gave itself up."""
    story.await_line(taker, "promoting.*self-fenced.*unbroken")
    story.await_numbers(10)
    gone.control.wait_for_boot(BOOT)
    assert boot_id(gone) != before
    story.await_protected()
    assert runs_on(taker) == [taker.name], "it failed back"


@pytest.mark.row("D7")
def test_xl_hangs_on_the_holder(story: Story) -> None:
    """A pulled crossover is met in time all the same. A move, which needs xl, is waited for until
    its limit; after that the machine gives up what it cannot end.
    """
    a, b = story.pair.both
    assert story.lab.cables is not None
    with story:
        story.await_numbers(20)
        before, boot = Standing(story), boot_id(a)
        a.run(HANG_XL)
        assert a.control.try_run(XL_HANGS).rc == 124
        story.lab.cables.unplug("xo")
        before.await_line(a, "alone in term .*outdated")
        story.await_numbers(20)
        story.lab.cables.plug("xo")
        story.await_protected()
        before.assert_unmoved()
        move(a)
        before.await_line(a, "holding -> stopping: a person moves it to b")
        story.await_numbers(20)
        before.await_line(a, "shut down failed: xl .* did not end in time")
        expect_handover_by_force(story, a, b, boot)
        story.audit(may_freeze=True)


@pytest.mark.row("D8")
def test_the_guests_domain_does_not_go_away(story: Story) -> None:
    """A page of it is in use in dom0, so that it stays, dying, after it was shut down in order."""
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before, boot = Standing(story), boot_id(a)
        keep(a)
        move(a)
        before.await_line(a, "counter is still there")
        expect_handover_by_force(story, a, b, boot)
        story.audit()


HANDLERS = {
    "it crashes": "kill -SEGV $$",
    "it talks nonsense": "echo 7; exit 42",
}


@pytest.mark.row("D9")
def test_drbds_handler_crashes_talks_nonsense_and_hangs(story: Story) -> None:
    """Each time the crossover is pulled, the other machine gives its copy up, and the holder could
    go on: without a word from the handler DRBD lets it not. The cable comes back, and nothing was
    lost; or it does not, and the holder gives up in time.
    """
    a = story.pair.a
    assert story.lab.cables is not None
    with story:
        story.await_numbers(20)
        for handler in HANDLERS.values():
            before = Standing(story)
            pull_the_crossover(story, before, handler)
            story.lab.cables.plug("xo")
            story.await_numbers(10)
            story.await_protected()
            before.assert_unmoved()

        before, boot = Standing(story), boot_id(a)
        pull_the_crossover(story, before, "exec sleep 600")
        written = len(story.recorder.acknowledged)
        before.await_line(a, "nothing proves that the peer is off: giving up")
        assert len(story.recorder.acknowledged) == written, "it wrote on by itself"
        give_handler_back(a)
        story.lab.cables.plug("xo")
        before.await_next_start()
        story.await_numbers(10)
        a.control.wait_for_boot(BOOT)
        assert boot_id(a) != boot
        story.await_protected()
        assert len(starts(story)) == 2, "it was started more than once"
        story.audit(may_freeze=True)


def pull_the_crossover(story: Story, before: Standing, handler: str) -> None:
    """HANDLER is called on a, and the guest's writes wait."""
    a, b = story.pair.both
    assert story.lab.cables is not None
    give_handler(a, handler)
    story.lab.cables.unplug("xo")
    before.await_line(a, "holding -> frozen")
    wait_until(
        "DRBD to call the handler",
        lambda: a.control.try_run(HANDLER_WAS_CALLED).rc == 0,
        TIMING.dead,
    )
    written = len(story.recorder.acknowledged)
    before.await_line(b, "our copy is Outdated")
    await_time(a, TIMING.dead / 4)  # by then it has heard of that
    assert len(story.recorder.acknowledged) == written, "it wrote on by itself"


@pytest.mark.row("D10")
def test_the_disk_is_held_open_as_it_is_released(story: Story) -> None:
    """A program reads the guest's disk while the guest is moved. Once it lets go in time, and the
    move goes on; once it does not, its name is told, and the machine gives up.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        a.run(HOLD_THE_DISK)
        move(a)
        wait_until("the guest to be gone from a", lambda: is_gone(a), TAKEOVER)
        assert a.run("drbdadm role counter").startswith("Primary/"), "nothing held the disk"
        a.run(LET_THE_DISK_GO)
        story.await_line(b, "promoting.*farewell")
        story.await_numbers(10)
        story.await_protected()
        assert runs_on(b) == ["b"]

        boot = boot_id(b)
        b.run(HOLD_THE_DISK)
        move(b)
        story.await_line(b, r"kept open by process \d+ \(sleep\)")
        expect_handover_by_force(story, b, a, boot)
        story.audit()
