# SPDX-License-Identifier: MIT
"""Both machines die, and one fault comes before another is mended."""

import pytest

from tests.vm.incidents.programs import POWER_OFF, begin
from tests.vm.incidents.standing import Standing, runs_on, starts
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import lone_holder, status
from tests.vm.story import BOOT, TAKEOVER, Story, await_stopped, switch_on
from tests.vm.wait import wait_until


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


@pytest.fixture
def lone(lab: Lab) -> Story:
    """It begins when the standby has died, and the holder has written without it."""
    return Story(lab, lone_holder(lab))


def await_off(machine: Machine) -> None:
    """It goes down by itself."""
    wait_until(f"{machine.name} to be off", lambda: not machine.is_on, BOOT, 1)


def expect_no_primary(machine: Machine) -> None:
    """Nor would DRBD start it there."""
    refused = machine.control.try_run("drbdadm primary counter", 120)
    assert refused.rc != 0, f"DRBD promoted the copy on {machine.name}"


@pytest.mark.row("H1")
def test_the_one_with_the_old_copy_returns_first(lone: Story) -> None:
    a, b = lone.pair.both
    with lone:
        lone.await_numbers(20)
        a.power_cut(seed=4)
        switch_on(b)
        told = await_stopped(b)
        assert "nothing proves that a has written nothing" in told
        assert "last the same on" in told, "it does not say since when"
        expect_no_primary(b)
        switch_on(a)
        lone.await_numbers(10)
        lone.await_protected()
        assert len(starts(lone)) == 2, "it was started more than once"
        lone.audit()


@pytest.mark.row("H2")
def test_the_one_with_the_newer_copy_returns_first(lone: Story) -> None:
    """The other one stays off: nobody is asked, and a person least of all."""
    a, _ = lone.pair.both
    with lone:
        lone.await_numbers(20)
        a.power_cut(seed=31)
        switch_on(a)
        lone.await_line(a, "promoting: peer off: alone; our copy: left-behind")
        lone.await_numbers(20)
        assert runs_on(a) == ["a"]
        assert len(starts(lone)) == 2, "it was started more than once"
        lone.audit()


@pytest.mark.row("H3", "H4")
def test_both_die_together_and_return_without_a_cable(story: Story) -> None:
    """First one of them, alone; then the other, which it does not see; then they talk over the LAN.
    Only the mirror itself can show that both copies are one.
    """
    a, b = story.pair.both
    cables = story.lab.cables
    assert cables is not None
    with story:
        story.await_numbers(20)
        a.power_cut(seed=32)
        b.power_cut(seed=33)
        cables.cut_between("xo", "a", "b")
        cables.cut_between("lan", "a", "b")

        switch_on(a)
        assert "nothing proves that b has written nothing" in await_stopped(a)
        expect_no_primary(a)

        switch_on(b)
        assert "nothing proves that a has written nothing" in await_stopped(b)
        await_stopped(a)

        cables.plug("lan")
        for machine, other in ((a, b), (b, a)):
            story.await_line(machine, f"{other.name} is heard")
        for machine, other in ((a, b), (b, a)):
            told = await_stopped(machine)
            assert f"{other.name} is there, and has not agreed to a start here" in told

        cables.plug("xo")
        story.await_numbers(10)
        story.await_protected()
        assert len(starts(story)) == 2, "it was started more than once"
        story.audit()


# DRBD's own switch: a resync begins, and does not go on as long as it stands (drbdadm(8)).
HOLD_RESYNCS = "drbdadm pause-sync counter"


def return_behind(story: Story, standby: Machine) -> None:
    """STANDBY is back, and a part of its copy is old."""
    switch_on(standby)
    story.await_line(standby, "a is heard")
    wait_until(
        f"{standby.name}'s copy to be incomplete",
        lambda: (
            standby.control.try_run("drbdadm dstate counter").out.strip() == "Inconsistent/UpToDate"
        ),
        BOOT,
        1,
    )


@pytest.mark.row("H6", "H7")
def test_one_after_the_other_dies_while_the_copy_catches_up(lone: Story) -> None:
    """The standby is back and dies again, and the guest goes on: half a copy is none, and DRBD
    knows. Then the standby is back, and the holder dies; nobody starts the guest on half a copy.
    """
    a, b = lone.pair.both
    with lone:
        lone.await_numbers(20)
        start = lone.beacons.heard[-1].epoch
        a.run(HOLD_RESYNCS)
        return_behind(lone, b)
        lone.await_numbers(20)
        b.power_cut(seed=34)
        lone.await_line(a, "alone in term .*outdated")
        lone.await_numbers(20)

        return_behind(lone, b)
        lone.await_numbers(20)
        assert {one.epoch for one in lone.beacons.heard} == {start}, "the guest was started anew"
        a.power_cut(seed=35)
        lone.await_line(b, "a is silent on every path")
        assert "a has a newer copy than this one" in await_stopped(b)
        told = status(b)["complaints"][0]["do"]
        assert "It cannot be started on b, even by a person: our copy is Inconsistent" in told
        expect_no_primary(b)

        switch_on(a)
        lone.await_numbers(10)
        lone.await_protected()
        assert runs_on(b) == ["a"]
        assert len(starts(lone)) == 2, "it was started more than once"
        lone.audit()


@pytest.mark.row("H7")
def test_the_gateway_goes_while_the_standby_waits_to_take_over(story: Story) -> None:
    """Who sees neither the other nor the gateway may be the one cut off: it gives its copy up."""
    a, b = story.pair.both
    assert story.lab.cables is not None
    with story:
        story.await_numbers(20)
        a.power_cut(seed=36)
        story.await_line(b, "a is silent on every path")
        story.lab.cables.unplug("lan", "gw")
        story.await_line(b, "released -> forfeiting: the gateway does not answer us")
        assert "our copy is Outdated" in await_stopped(b)
        story.lab.cables.plug("lan")
        switch_on(a)
        story.await_numbers(10)
        story.await_protected()
        assert runs_on(a) == ["a"]
        assert len(starts(story)) == 2, "it was started more than once"
        story.audit()


@pytest.mark.row("H7")
def test_the_gateway_goes_while_the_holder_waits_to_go_on_alone(story: Story) -> None:
    """It ends the guest in time, and its boot; in the next one it does not know who was the last.
    The other one has not written since, and so nothing is lost when the two meet.
    """
    a, b = story.pair.both
    assert story.lab.cables is not None
    with story:
        story.await_numbers(20)
        b.power_cut(seed=37)
        story.await_line(a, "holding -> frozen")
        story.lab.cables.unplug("lan", "gw")
        story.await_line(a, "the watchdog is not fed: counter is here, and nobody confirms")
        a.control.wait_for_boot(BOOT)
        assert "nothing proves that b has written nothing" in await_stopped(a)
        story.lab.cables.plug("lan")
        switch_on(b)
        story.await_numbers(10)
        story.await_protected()
        assert len(starts(story)) == 2, "it was started more than once"
        story.audit()


@pytest.mark.row("H8")
def test_both_are_switched_off_one_after_the_other(story: Story) -> None:
    """Who went first is back first, and waits for the one with the last word."""
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        begin(a, POWER_OFF)
        await_off(a)
        before.await_next_start()
        story.await_numbers(20)
        begin(b, POWER_OFF)
        await_off(b)
        switch_on(a)
        assert "our copy is Outdated" in await_stopped(a)
        switch_on(b)
        story.await_numbers(10)
        story.await_protected()
        assert runs_on(a) == ["b"]
        assert len(starts(story)) == 3, "it was started for nothing"
        story.audit()


@pytest.mark.row("H8")
def test_both_are_switched_off_at_once(story: Story) -> None:
    """As by a UPS that runs empty: nobody takes over from one that goes down while it does, too."""
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        for machine in (b, a):
            begin(machine, POWER_OFF)
        for machine in (b, a):
            await_off(machine)
        switch_on(b, a)
        story.await_numbers(10)
        story.await_protected()
        assert len(starts(story)) == 2, "it was started more than once"
        story.audit()


@pytest.mark.row("H9")
def test_the_mains_flicker(story: Story) -> None:
    """Each time the two have come a little further: to their firmware, their kernels, their
    programs, to each other, and to a start of the guest.
    """
    a, b = story.pair.both

    def come_to_the_kernel() -> None:
        for machine in (a, b):
            machine.console.expect("about to get started", timeout=BOOT)

    def come_to_programs() -> None:
        for machine in (a, b):
            machine.control.wait_for_boot(BOOT)

    def come_to_each_other() -> None:
        come_to_programs()
        story.await_line(b, "a is heard")

    def come_to_a_start() -> None:
        come_to_programs()
        story.await_line(a, "promoting -> creating")

    with story:
        story.await_numbers(20)
        for seed, come_far in enumerate(
            (
                lambda: None,
                come_to_the_kernel,
                come_to_programs,
                come_to_each_other,
                come_to_a_start,
                come_to_programs,
            ),
            41,
        ):
            for machine in (a, b):
                machine.power_cut(seed=seed)
            for machine in (a, b):
                machine.power_on()
            come_far()
        story.await_numbers(10, TAKEOVER)
        story.await_protected()
        assert runs_on(a) == runs_on(b) == ["a"]
        story.audit()
