# SPDX-License-Identifier: MIT
"""A machine dies, a cable goes: the pair does by itself what it promises."""

import pytest

from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import TIMING, status
from tests.vm.story import BOOT, TAKEOVER, Story
from tests.vm.wait import wait_until


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


def test_the_holder_loses_power_and_later_the_other_one_does(story: Story) -> None:
    a, b = story.pair.both
    with story:
        story.await_numbers(30)
        a.power_cut(seed=1)
        story.await_numbers(10)
        line = story.await_line(b, "promoting")
        assert "self-fenced" in line.text and "unbroken" in line.text
        story.return_of(a)
        assert status(b)["guests"][0]["runs_on"] == ["b"], "it failed back"
        story.await_numbers(10)
        b.power_cut(seed=2)
        story.await_numbers(10)
        story.return_of(b)
        story.audit()


def test_the_crossover_is_pulled_and_plugged_again(story: Story) -> None:
    a, b = story.pair.both
    assert story.lab.cables is not None
    with story:
        story.await_numbers(20)
        start = story.beacons.heard[-1].epoch
        a.unplug("xo")
        b.unplug("xo")
        story.await_line(a, "alone in term .*outdated")
        story.await_numbers(10)
        wait_until("b's copy to be Outdated", lambda: _disk(b) == "Outdated", TAKEOVER)
        a.plug("xo")
        b.plug("xo")
        story.await_protected()
        story.lab.cables.unplug("xo")
        story.await_line(a, "frozen", TAKEOVER)
        story.await_numbers(10)
        story.lab.cables.plug("xo")
        story.await_protected()
        assert {one.epoch for one in story.beacons.heard} == {start}, "the guest was started anew"
        story.audit(may_freeze=True)


def _disk(machine: Machine) -> str:
    return machine.run("drbdadm dstate counter").split("/")[0].strip()


def test_the_holder_is_rebooted_in_order(story: Story) -> None:
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        a.control.try_run("systemctl reboot", 5)
        line = story.await_line(b, "promoting")
        assert "farewell" in line.text
        story.await_numbers(10)
        a.control.wait_for_boot(BOOT)
        story.await_protected()
        assert status(b)["guests"][0]["runs_on"] == ["b"], "it failed back"
        story.audit()


def test_the_one_with_the_old_copy_returns_first(story: Story) -> None:
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        b.power_cut(seed=3)
        story.await_line(a, "alone in term")
        story.await_numbers(20)
        a.power_cut(seed=4)
        b.power_on()
        b.control.wait_for_boot(BOOT)
        wait_until("b to say STOPPED", lambda: status(b).get("verdict") == "STOPPED", BOOT)
        missing = status(b)["guests"][0]["missing"]
        assert missing, "it does not say what is missing"
        print(*missing, sep="\n")
        # Not a sleep for its own sake: this long, a wrong rule would have started it.
        wait_until("one whole wait", lambda: status(b)["at"] > TIMING.take * 1.5 + 60, BOOT, 5)
        assert status(b)["guests"][0]["runs_on"] == []
        a.power_on()
        a.control.wait_for_boot(BOOT)
        story.await_numbers(10)
        story.await_protected()
        story.audit()
