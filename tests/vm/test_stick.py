# SPDX-License-Identifier: MIT
"""The stick of a running machine is pulled, or parts of it are dead: what runs, runs on."""

from dataclasses import replace

import pytest

from tests.vm.chaos.faults import signal
from tests.vm.disk_faults import READS, Effect, Fault
from tests.vm.incidents.programs import await_anew, main_pid, move, signal_all
from tests.vm.incidents.standing import Standing, boot_id, runs_on
from tests.vm.incidents.sticks import NOTICED, says_so
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import Pair, blank_pair, set_up, status
from tests.vm.story import BOOT, TAKEOVER, Story, await_stopped, switch_on
from tests.vm.wait import wait_until

SECTOR = 512  # bytes; what sysfs counts in
BEGIN_OF_STATE = 'cat /sys/class/block/"$(basename "$(readlink -f /dev/medium/state)")"/start'
# Past all that the machine remembers; it ends badly where the stick does not answer well.
READ_ONE_BLOCK = "dd if=/dev/medium/{} of=/dev/null bs=4096 count=1 iflag=direct status=none"
# What is not in use is forgotten, and then all is read anew that might be started.
READ_PROGRAMS = """
echo 3 > /proc/sys/vm/drop_caches
nice --adjustment=19 find /usr/bin /usr/sbin /usr/lib/python3* /usr/lib/xen* /usr/lib/grub-xen \
    -type f -exec cat {} + > /dev/null
"""


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab, pair_on_usb_sticks(lab))


def pair_on_usb_sticks(lab: Lab) -> Pair:
    pair = blank_pair(lab)
    for machine in pair.both:
        machine.disks[0] = replace(machine.disks[0], device="usb-storage")
    checkpoint = lab.checkpoint_key("usb-sticks")
    if checkpoint.exists():
        lab.load(checkpoint)
    else:
        set_up(pair, is_typed=True)
        lab.save(checkpoint)
    wait_until("a number from the guest", pair.recorder.next, 120)
    return pair


def pull(story: Story, machine: Machine) -> None:
    machine.unplug_stick()
    wait_until(
        f"both to say that {machine.name} has lost its stick",
        lambda: all(says_so(one, machine.name) for one in story.pair.both),
        NOTICED,
        2,
    )


@pytest.mark.row("C11")
def test_the_holders_stick_is_pulled_and_a_person_switches_it_off(story: Story) -> None:
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        start, boot = story.beacons.heard[-1].epoch, boot_id(a)
        pull(story, a)
        story.await_numbers(100)
        assert boot_id(a) == boot, "it was reset"
        assert {one.epoch for one in story.beacons.heard} == {start}, "the guest was started anew"
        for machine in (a, b):
            said = status(machine)
            assert said["verdict"] == "NOT PROTECTED"
            assert said["guests"][0]["is_in_sync"], f"{machine.name}: it is not mirrored any more"
        password = a.run("stat --format=%a /run/shoestring/password").strip()
        assert password == "600", "nobody gets in any more"
        # It takes a while, and the machine goes down with it: nobody waits for its last word.
        a.control.try_run("systemd-run --quiet shoestring shutdown --yes", 60)
        line = story.await_line(b, "promoting")
        assert "farewell" in line.text
        wait_until("a to be off", lambda: not a.is_on, BOOT)
        story.await_numbers(20)
        story.audit()
        story.return_of(a)  # with its stick, which does not know what was decided since
        assert status(b)["guests"][0]["runs_on"] == ["b"], "it failed back"
        story.audit()


@pytest.mark.row("C11")
def test_the_holder_loses_its_stick_and_then_its_power(story: Story) -> None:
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        pull(story, a)
        a.power_cut(seed=11)
        line = story.await_line(b, "promoting")
        assert "self-fenced" in line.text and "unbroken" in line.text
        story.await_numbers(10)
        story.return_of(a)
        story.audit()


@pytest.mark.row("C11")
def test_the_standbys_stick_is_pulled_and_the_holder_dies(story: Story) -> None:
    """It takes nothing over, for it could not write its claim down, and says so."""
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        pull(story, b)
        a.power_cut(seed=12)
        told = await_stopped(b)
        assert "b cannot write to its stick any more" in told
        switch_on(a)
        story.await_numbers(10)
        b.power_cut(seed=13)
        story.return_of(b)
        story.audit()


@pytest.mark.row("C11", "B2")
def test_the_standbys_stick_is_pulled_and_the_crossover_is_out_for_a_while(story: Story) -> None:
    """Its copy is brought up to date all the same, though no configuration of DRBD's is there."""
    a, b = story.pair.both
    assert story.lab.cables is not None
    with story:
        story.await_numbers(20)
        start = story.beacons.heard[-1].epoch
        pull(story, b)
        b.run("! cat /state/etc/drbd.d/*.res")
        story.lab.cables.unplug("xo")
        story.await_line(a, "alone in term .*outdated")
        story.await_numbers(20)
        story.lab.cables.plug("xo")
        wait_until("b's copy to be up to date", lambda: are_one(b), TAKEOVER, 2)
        helper = "/usr/lib/shoestring/drbd-helper before-resync-target minor-0"
        assert f"{helper} exit code 0" in b.run("journalctl -k -b --no-pager")
        assert {one.epoch for one in story.beacons.heard} == {start}, "the guest was started anew"
        b.power_cut(seed=14)
        story.return_of(b)  # with its stick
        story.audit(may_freeze=True)


def are_one(machine: Machine) -> bool:
    """Both copies of the guest, as DRBD on MACHINE has it; drbdadm has no configuration there."""
    return "Connected ro:Secondary/Primary ds:UpToDate/UpToDate" in machine.run("cat /proc/drbd")


@pytest.mark.row("C11")
def test_a_guest_that_ends_by_itself_starts_again_without_the_stick(story: Story) -> None:
    """Xen needs no file on the stick, neither to end a domain nor to make one."""
    a, _ = story.pair.both
    with story:
        story.await_numbers(10)
        pull(story, a)
        start = story.beacons.heard[-1].epoch
        a.run("xl destroy counter")
        wait_until(
            "the guest's next start", lambda: story.beacons.heard[-1].epoch != start, TAKEOVER
        )
        story.await_numbers(10)
        assert status(a)["guests"][0]["runs_on"] == ["a"]


@pytest.mark.row("C12")
def test_what_is_on_the_sticks_beside_the_state_cannot_be_read(lab: Lab) -> None:
    """On both machines. Programs are read and started again, and a guest moves there and back, as
    the root is in memory; nobody even asks for one of those blocks.
    """
    story = Story(lab)
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        for machine in (a, b):
            lose_blocks(machine)
        met = {machine.name: machine.met("stick") for machine in (a, b)}
        assert all(met.values()), f"it never happened: {met}"

        for machine in (a, b):
            machine.run(READ_PROGRAMS, 900)
            for unit, ends in (
                ("haagent", signal("haagent", "KILL")),
                ("heartbeat", signal_all("heartbeat", "KILL")),
            ):
                was = main_pid(machine, unit)
                machine.run(ends)
                await_anew(machine, unit, was)
        before.await_line(a, "released -> holding: the agent is back")
        story.await_protected()
        story.await_numbers(20)
        before.assert_unmoved()

        for source, target in ((a, b), (b, a)):
            move(source)
            before.await_line(target, "promoting: peer off: farewell")
            story.await_numbers(10)
            story.await_protected()
            assert runs_on(source) == [target.name]
        assert {machine.name: machine.met("stick") for machine in (a, b)} == met
        story.audit()


def lose_blocks(machine: Machine) -> None:
    """What is before the state partition on the stick of MACHINE cannot be read any more: the
    partition table, GRUB, what it loads, and both slots.
    """
    begin = SECTOR * int(machine.run(BEGIN_OF_STATE))
    machine.hurt("stick", Fault(Effect.FAIL, READS, end=begin))
    for partition in ("esp", "root-a"):
        machine.run(f"! {READ_ONE_BLOCK.format(partition)}")
    machine.run(READ_ONE_BLOCK.format("state"))
