# SPDX-License-Identifier: MIT
"""Faults of cards, gateway, standby and clocks: who must go on, and who must not."""

from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import TIMING, status
from tests.vm.story import BOOT, TAKEOVER, Story
from tests.vm.wait import wait_until


def test_the_standby_loses_power(lab: Lab) -> None:
    story = Story(lab)
    _, b = story.pair.both
    with story:
        story.await_numbers(20)
        start = story.beacons.heard[-1].epoch
        b.power_cut(seed=5)
        story.await_line(story.pair.a, "alone in term .*gateway")
        story.await_numbers(20)
        story.return_of(b)
        assert {one.epoch for one in story.beacons.heard} == {start}, "the guest was started anew"
        story.audit(may_freeze=True)


def test_the_holders_cards_die(lab: Lab) -> None:
    story = Story(lab)
    a, b = story.pair.both
    assert lab.cables is not None
    with story:
        story.await_numbers(20)
        boot = a.run("cat /proc/sys/kernel/random/boot_id")
        lab.cables.unplug("xo", "a")
        lab.cables.unplug("lan", "a")
        story.await_line(b, "promoting.*self-fenced.*unbroken")
        story.await_numbers(10)
        a.control.wait_for_boot(BOOT)  # its watchdog reset it
        assert a.run("cat /proc/sys/kernel/random/boot_id") != boot
        lab.cables.plug("xo")
        lab.cables.plug("lan")
        story.await_protected()
        story.audit()


def test_the_standbys_cards_die_and_later_the_holder(lab: Lab) -> None:
    story = Story(lab)
    a, b = story.pair.both
    assert lab.cables is not None
    with story:
        story.await_numbers(20)
        lab.cables.unplug("xo", "b")
        lab.cables.unplug("lan", "b")
        story.await_line(b, "our copy is Outdated")
        story.await_line(a, "alone in term .*gateway")
        story.await_numbers(20)
        a.power_cut(seed=6)
        lab.cables.plug("xo")
        lab.cables.plug("lan")
        after = status(b)["at"]
        wait_until("one whole wait", lambda: status(b)["at"] > after + 1.5 * TIMING.take, BOOT, 5)
        assert status(b)["guests"][0]["runs_on"] == []
        assert status(b)["verdict"] == "STOPPED"
        a.power_on()
        a.control.wait_for_boot(BOOT)
        story.await_numbers(10)
        story.await_protected()
        story.audit()


def test_the_gateway_dies_then_the_standby_then_the_lone_one_reboots(lab: Lab) -> None:
    story = Story(lab)
    a, b = story.pair.both
    assert lab.cables is not None
    with story:
        story.await_numbers(20)
        lab.cables.unplug("lan", "gw")
        story.await_line(a, "the peer promised not to start it")
        wait_until("a to say so", lambda: status(a).get("verdict") == "NOT PROTECTED", TAKEOVER)
        boot = a.run("cat /proc/sys/kernel/random/boot_id")
        b.power_cut(seed=7)
        story.await_line(a, "alone in term .*stood down")
        assert a.run("cat /proc/sys/kernel/random/boot_id") == boot
        a.power_cut(seed=8)
        a.power_on()
        a.control.wait_for_boot(BOOT)
        story.await_line(a, "promoting.*alone")
        lab.cables.plug("lan")
        story.await_numbers(10)
        story.return_of(b)
        story.audit()


def test_a_holder_that_stood_still_with_its_clocks(lab: Lab) -> None:
    story = Story(lab)
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        a.qmp("stop")
        story.await_line(b, "creating -> holding")
        story.await_numbers(10)
        a.qmp("cont")
        story.await_line(a, "the peer took it in term")
        wait_until("the guest to be gone from a", lambda: _is_gone(story), TAKEOVER)
        story.await_numbers(10)
        story.audit(may_freeze=True)


def _says_split(machine: Machine) -> bool:
    return "split brain" in machine.run("haagent status || true")


def _is_gone(story: Story) -> bool:
    result = story.pair.a.control.try_run("xl list counter")
    return result.rc != 0


def test_both_cables_are_cut_at_once(lab: Lab) -> None:
    """The hole: both see the gateway. Under `automatic` it ends StandAlone, nothing discarded."""
    story = Story(lab)
    a, b = story.pair.both
    assert lab.cables is not None
    with story:
        story.await_numbers(20)
        lab.cables.cut_between("xo", "a", "b")
        lab.cables.cut_between("lan", "a", "b")
        story.await_line(b, "creating -> holding")
        story.await_line(a, "alone in term")
        lab.cables.plug("xo")
        lab.cables.plug("lan")
        wait_until("both to say split brain", lambda: all(map(_says_split, (a, b))), TAKEOVER, 2)
        for machine in (a, b):
            assert "StandAlone" in machine.run("drbdadm cstate counter")
