# SPDX-License-Identifier: MIT
"""Disks of a pair fail, are slow, hang, are full, damaged, or another pair's."""

import pytest

from haagent.console.alarms import Alarm
from haagent.keeping import LOOK
from tests.vm.disk import copy
from tests.vm.disk_faults import READ_ONLY, slower
from tests.vm.incidents.disks import (
    ANOTHER_PAIRS,
    BLOCK,
    GENERATION,
    HANG,
    NEW_METADATA,
    await_failed,
    await_same_copies,
    complaint,
    fail,
    record_of_lvm,
    restart,
    superblock,
)
from tests.vm.incidents.domains import give_memory_back, take_memory
from tests.vm.incidents.network import await_complaint
from tests.vm.incidents.programs import move
from tests.vm.incidents.standing import (
    SELF_FENCED,
    Standing,
    await_time,
    boot_id,
    expect_takeover,
    runs_on,
    starts,
)
from tests.vm.incidents.sticks import FULL, NOTICED, says_so
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import TIMING, status
from tests.vm.story import BOOT, Story, await_stopped, switch_on
from tests.vm.wait import wait_until


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


def fail_with_no_room_elsewhere(story: Story) -> None:
    """The disk of a fails, and its guest stays, for b has no memory for it, as both know."""
    a, b = story.pair.both
    take_memory(b)
    for machine in (a, b):
        await_complaint(machine, "b has no memory for counter.")
    fail(story, a)


@pytest.mark.row("C1", "C3")
def test_the_holders_disk_fails(story: Story) -> None:
    """The guest goes on with the other copy. For a moment the crossover is out, and with it every
    copy: it waits, and is told nothing, for it would end of an error. As soon as the other machine
    has memory for it, it goes there by itself. A person restarts the machine, whose disk works
    again and gets what it missed.
    """
    a, b = story.pair.both
    assert story.lab.cables is not None
    with story:
        story.await_numbers(20)
        before = Standing(story)
        fail_with_no_room_elsewhere(story)
        story.await_numbers(20)
        before.assert_unmoved()

        story.lab.cables.unplug("xo")
        before.await_line(a, "holding -> frozen: DRBD lost the peer")
        written = len(story.recorder.acknowledged)
        await_time(a, TIMING.dead / 4)
        assert len(story.recorder.acknowledged) == written, "nobody has what was written"
        story.lab.cables.plug("xo")
        before.await_line(a, "frozen -> holding: DRBD is connected again")
        story.await_numbers(20)
        before.assert_unmoved()

        give_memory_back(b)
        story.await_line(a, "holding -> stopping: its disk on a has failed, and the one on b has")
        story.await_line(b, "promoting: peer off: farewell; our copy: only-copy")
        story.await_numbers(10)
        a.heal("data")
        restart(a)
        story.await_protected()
        assert runs_on(b) == ["b"], "it moved back"
        assert len(starts(story)) == 2, "it was started more than once"
        story.audit(may_freeze=True)
        await_same_copies(story)


@pytest.mark.row("C3")
def test_the_holders_disk_fails_and_the_crossover_stays_out(story: Story) -> None:
    """The holder has nothing to go on with, and gives up in time; its disk is still dead when it
    is back. The other one has all that there is, and may use it as soon as both have agreed.
    """
    a, b = story.pair.both
    assert story.lab.cables is not None
    with story:
        story.await_numbers(20)
        fail_with_no_room_elsewhere(story)
        story.await_numbers(10)
        before, boot = Standing(story), boot_id(a)
        story.lab.cables.unplug("xo")
        before.await_line(a, "holding -> frozen: DRBD lost the peer")
        give_memory_back(b)
        written = len(story.recorder.acknowledged)
        a.control.wait_for_boot(BOOT)
        assert boot_id(a) != boot
        assert len(story.recorder.acknowledged) == written, "nobody has what was written"
        story.await_line(b, "promoting: peer off: agreed; our copy: only-copy")
        story.await_numbers(10)
        assert len(starts(story)) == 2, "an error ended it before"
        story.audit(may_freeze=True)


@pytest.mark.row("C2", "C6")
def test_the_standbys_disk_is_slow_and_then_fails(story: Story) -> None:
    """The guest is slower as long as both write, and does not notice that one of the two ends.
    Nothing could take it over then; a restart brings the disk back, and what it missed.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        b.hurt("data", slower(100))
        story.await_numbers(20)
        assert b.met("data"), "it was never slow"
        story.await_protected()
        before.assert_nobody_was_missed()
        before.assert_unmoved()
        b.heal("data")

        fail(story, b)
        story.await_numbers(20)
        before.assert_unmoved()
        assert status(a)["guests"][0]["blocker"] == "its copy on b is Diskless"
        b.heal("data")
        restart(b)
        story.await_protected()
        before.assert_guest_stayed()
        story.audit(may_freeze=True)
        await_same_copies(story)


@pytest.mark.row("C4")
def test_the_holder_restarts_after_its_disk_failed(story: Story) -> None:
    """Its disk can be read again, and knows nothing of what was written since. On a host that is
    idle it is back before the other one may take its watchdog for granted, and agrees.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        fail_with_no_room_elsewhere(story)
        story.await_numbers(20)
        before = boot_id(a)
        a.heal("data")
        give_memory_back(b)
        a.reset()
        expect_takeover(story, before, f"{SELF_FENCED}|promoting: peer off: agreed; our copy: ")
        await_same_copies(story)


@pytest.mark.row("C4")
def test_the_holder_is_back_with_its_stale_disk_and_the_crossover_is_dead(story: Story) -> None:
    """So DRBD cannot compare the two, and the one that has all lost the gateway meanwhile, which
    else makes a copy count for nothing. They agree over the LAN, on the right one.
    """
    a, b = story.pair.both
    assert story.lab.cables is not None
    with story:
        story.await_numbers(20)
        fail_with_no_room_elsewhere(story)
        story.await_numbers(20)
        give_memory_back(b)
        a.power_cut(seed=31)
        story.await_line(b, "a is silent on every path")
        story.lab.cables.unplug("lan", "gw")
        story.await_line(b, "it is not started here: nothing proves that a has written nothing")
        story.lab.cables.unplug("xo")
        story.lab.cables.plug("lan")
        await_stopped(b)
        a.heal("data")
        switch_on(a)
        story.await_line(a, "forfeiting -> released: our copy is Outdated")
        story.await_line(b, "promoting: peer off: agreed; our copy: peer-outdated")
        story.await_numbers(10)
        story.lab.cables.plug("xo")
        story.await_protected()
        assert runs_on(b) == ["b"], "it failed back"
        assert len(starts(story)) == 2, "it was started more than once"
        story.audit(may_freeze=True)
        await_same_copies(story)


@pytest.mark.row("C5")
def test_the_holders_disk_hangs(story: Story) -> None:
    """No error, no answer: nothing but the machine itself could tell."""
    a, _ = story.pair.both
    with story:
        story.await_numbers(20)
        before = boot_id(a)
        a.run(HANG)
        expect_takeover(story, before)


@pytest.mark.row("C9")
def test_the_holders_state_partition_is_read_only(story: Story) -> None:
    """Its stick takes no writes any more, as flash at its end. The guest goes on, and can still be
    given away; but not back, and when the other machine dies it is started by nobody.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        a.hurt("stick", READ_ONLY)
        await_both_say_so(story, a)
        story.await_numbers(20)
        before.assert_unmoved()
        assert status(a)["guests"][0]["is_in_sync"], "it is not mirrored any more"

        move(a)
        story.await_line(b, "promoting: peer off: farewell")
        story.await_numbers(10)
        assert status(b)["guests"][0]["blocker"] == "a cannot write to its stick any more"
        b.power_cut(seed=32)
        assert "a cannot write to its stick any more" in await_stopped(a)
        switch_on(b)
        story.await_numbers(10)
        a.power_cut(seed=33)  # its kernel has told of its stick, and rightly so
        story.await_numbers(10)
        assert len(starts(story)) == 3, "it was started without need"
        story.audit(may_freeze=True)


@pytest.mark.row("C9")
def test_the_standbys_state_partition_is_full(story: Story) -> None:
    """On a day like any other: what the agent wrote before, to see whether it can, is there. Room
    that is made helps at the next start.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        wait_until(
            "b's agent to have looked at its stick",
            lambda: b.control.try_run("test -e /state/haagent/looked-at").rc == 0,
            5 * LOOK,
            2,
        )
        before = Standing(story)
        b.run(FULL, 300)
        await_both_say_so(story, b)
        story.await_numbers(20)
        before.assert_unmoved()
        assert status(a)["guests"][0]["blocker"] == "b cannot write to its stick any more"
        b.run("rm -r /state/full")
        restart(b)
        story.await_protected()
        before.assert_guest_stayed()
        story.audit(may_freeze=True)


def await_both_say_so(story: Story, machine: Machine) -> None:
    """That MACHINE cannot write to its stick, and so that nothing is protected."""
    wait_until(
        f"both to say that {machine.name} cannot write to its stick",
        lambda: all(says_so(one, machine.name) for one in story.pair.both),
        NOTICED,
        2,
    )
    for one in story.pair.both:
        assert status(one)["verdict"] == "NOT PROTECTED"


@pytest.mark.row("C13")
def test_the_standby_is_started_with_a_disk_of_another_pair(story: Story) -> None:
    """Of one that served alone last, so that it claims to be whole and the newest. It is neither
    copied nor written over, and nothing is started from it when the holder dies.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        b.run(ANOTHER_PAIRS, 300)
        b.power_cut()
        story.await_numbers(10)
        switch_on(b)
        wait_until(
            "DRBD to refuse it", lambda: "Unrelated data, aborting" in b.run("dmesg"), BOOT, 2
        )
        story.await_numbers(20)
        before.assert_guest_stayed()
        for machine in (a, b):
            assert status(machine)["verdict"] == "NOT PROTECTED"
            assert complaint(machine, Alarm.NOT_MIRRORED)
        # The lowest bit tells who is Primary.
        assert b.run("drbdadm get-gi counter").strip().upper().startswith(GENERATION[:15])

        a.power_cut(seed=34)
        assert "a has a newer copy than this one" in await_stopped(b)
        switch_on(a)
        story.await_numbers(10)
        assert runs_on(a) == ["a"]
        assert len(starts(story)) == 2, "it was started without need"
        story.audit(may_freeze=True)


@pytest.mark.row("C13")
def test_both_are_started_and_one_has_a_disk_of_another_pair(story: Story) -> None:
    """Both were off, and nothing that they wrote down speaks against that disk. Who has it asks for
    the guest, for the disk says that the other copy is older: it does not get it, and the good copy
    is not given up for it. With its own disk the two go on.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        for machine in (a, b):
            machine.power_cut(seed=40)
        disk, own = b.disks[1].file(b.folder), b.folder / "own.raw"
        copy(disk, own)
        switch_on(b)
        b.run(ANOTHER_PAIRS, 300)
        b.power_cut()

        switch_on(a, b)
        story.await_line(b, "a is heard")
        await_time(b, 2 * TIMING.take)  # by then it has asked
        assert runs_on(b) != ["b"], "it was started from another pair's disk"
        assert not a.run("drbdadm dstate counter").startswith("Outdated"), "a gave its copy up"

        b.power_cut()
        copy(own, disk)
        switch_on(b)
        story.await_numbers(10)
        story.await_protected()
        story.audit()


@pytest.mark.row("C15")
def test_drbds_own_data_on_the_standbys_disk_are_damaged(story: Story) -> None:
    """Without them nobody knows what is on the disk, so it counts for nothing, also when the holder
    dies. A person gives up what is on it, and it gets a whole copy.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        place = superblock(b.run("dmsetup table shoestring-counter"))
        b.power_cut(seed=35)
        b.rot("data", place, BLOCK)
        switch_on(b)
        await_failed(story, b)
        story.await_numbers(20)
        before.assert_guest_stayed()

        a.power_cut(seed=36)
        await_stopped(b)
        assert "our copy has no working disk" in status(b)["guests"][0]["unstartable"]
        b.run(NEW_METADATA, 300)
        switch_on(a)
        story.await_numbers(10)
        story.await_protected()
        assert len(starts(story)) == 2, "it was started without need"
        story.audit(may_freeze=True)
        await_same_copies(story)


def test_lvms_record_on_the_standbys_disk_is_torn(story: Story) -> None:
    """As by a power cut in a moment in which LVM wrote it. The machine has a copy on its stick."""
    b = story.pair.b
    with story:
        story.await_numbers(20)
        before = Standing(story)
        place = record_of_lvm(b.run("pvck --dump headers $(pvs --noheadings --options pv_name)"))
        b.power_cut(seed=37)
        b.rot("data", place, BLOCK // 8)
        story.return_of(b)
        assert "is torn, as by a power cut" in b.run("journalctl --boot --unit=drbd-up --no-pager")
        story.await_numbers(10)
        before.assert_guest_stayed()
        story.audit()
