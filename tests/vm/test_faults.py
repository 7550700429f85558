# SPDX-License-Identifier: MIT
"""Faults of cards, gateway, standby and clocks: who must go on, and who must not."""

import pytest

from tests.vm import audits
from tests.vm.incidents.hole import cut_both_cables, mend_both_cables, says_split
from tests.vm.incidents.standing import boot_id, is_gone, runs_on, starts
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import TIMING, status
from tests.vm.story import BOOT, TAKEOVER, Story, await_stopped, switch_on
from tests.vm.wait import wait_until


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


@pytest.mark.row("A2")
def test_the_standby_loses_power(story: Story) -> None:
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        start = story.beacons.heard[-1].epoch
        b.power_cut(seed=5)
        story.await_line(a, "alone in term .*gateway")
        story.await_numbers(20)
        gap = audits.longest_gap(story.recorder.moments)
        story.return_of(b)
        assert {one.epoch for one in story.beacons.heard} == {start}, "the guest was started anew"
        assert gap <= TIMING.dead + TIMING.resume
        story.audit(may_freeze=True)


def test_the_holders_cards_die(story: Story) -> None:
    a, b = story.pair.both
    assert story.lab.cables is not None
    with story:
        story.await_numbers(20)
        before = boot_id(a)
        story.lab.cables.unplug("xo", "a")
        story.lab.cables.unplug("lan", "a")
        story.await_line(b, "promoting.*self-fenced.*unbroken")
        story.await_numbers(10)
        a.control.wait_for_boot(BOOT)
        assert boot_id(a) != before, "its watchdog did not reset it"
        story.lab.cables.plug("xo")
        story.lab.cables.plug("lan")
        story.await_protected()
        assert runs_on(b) == ["b"], "it failed back"
        story.audit()


def test_the_standbys_cards_die_and_later_the_holder(story: Story) -> None:
    a, b = story.pair.both
    assert story.lab.cables is not None
    with story:
        story.await_numbers(20)
        story.lab.cables.unplug("xo", "b")
        story.lab.cables.unplug("lan", "b")
        story.await_line(b, "our copy is Outdated")
        story.await_line(a, "alone in term .*gateway")
        story.await_numbers(20)
        a.power_cut(seed=6)
        story.lab.cables.plug("xo")
        story.lab.cables.plug("lan")
        await_stopped(b)
        switch_on(a)
        story.await_numbers(10)
        story.await_protected()
        story.audit(may_freeze=True)


def test_the_gateway_dies_then_the_standby_then_the_lone_one_reboots(story: Story) -> None:
    a, b = story.pair.both
    assert story.lab.cables is not None
    with story:
        story.await_numbers(20)
        story.lab.cables.unplug("lan", "gw")
        story.await_line(a, "the peer promised not to start it")
        wait_until(
            "a to say so",
            lambda: any("stands down" in c["what"] for c in status(a).get("complaints", [])),
            TAKEOVER,
        )
        before = boot_id(a)
        b.power_cut(seed=7)
        story.await_line(a, "alone in term .*stood down")
        story.await_beacons(20)
        assert boot_id(a) == before
        a.power_cut(seed=8)
        switch_on(a)
        story.await_line(a, "promoting.*alone")
        story.lab.cables.plug("lan")
        story.await_numbers(10)
        story.return_of(b)
        story.audit()


@pytest.mark.row("A6")
def test_a_holder_that_stood_still_with_its_clocks(story: Story) -> None:
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        a.stand_still()
        story.await_line(b, "creating -> holding")
        story.await_numbers(10)
        a.go_on()
        story.await_line(a, "the peer took it in term")
        story.await_numbers(10)
        story.await_protected()  # its watchdog ended that boot, if the disk was not to be released
        assert is_gone(a)
        assert runs_on(a) == ["b"]
        assert len(starts(story)) == 2, "it was started more than once"
        story.audit(may_freeze=True, may_wake=True)


def links(*machines: Machine) -> set[str]:
    """What DRBD's connection is on MACHINES, in DRBD's words."""
    return {machine.run("drbdadm cstate counter").strip() for machine in machines}


@pytest.mark.row("B6")
def test_both_cables_are_cut_at_once_under_automatic(story: Story) -> None:
    """It ends StandAlone, both say so, and nothing is discarded."""
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        cut_both_cables(story)
        story.await_line(b, "creating -> holding")
        story.await_line(a, "alone in term")
        mend_both_cables(story)
        wait_until("both to say split brain", lambda: all(map(says_split, (a, b))), TAKEOVER, 2)

        # One of them may go on trying (DRBD 8.4 users guide, "Manual split brain recovery").
        wait_until("DRBD to hang up", lambda: "StandAlone" in links(a, b), TAKEOVER, 2)
        assert not links(a, b) & {"Connected", "SyncSource", "SyncTarget"}
        for machine in (a, b):
            assert machine.run("drbdadm dstate counter").startswith("UpToDate/")
        story.await_numbers(10)


@pytest.mark.row("B6")
def test_both_cables_are_cut_at_once_under_wait_for_me(story: Story) -> None:
    """It goes on where it runs; the other machine starts nothing and says why."""
    a, b = story.pair.both
    for machine in (a, b):
        machine.run(
            "sed -i 's/^policy: .*/policy: \"wait for me\"/' /state/etc/shoestring/pair.yaml"
        )
        machine.run("systemctl restart haagent")
    story.await_protected()
    with story:
        story.await_numbers(20)
        start = story.beacons.heard[-1].epoch
        cut_both_cables(story)
        story.await_line(a, "alone in term .*gateway")
        await_stopped(b)
        story.await_numbers(10)
        mend_both_cables(story)
        story.await_protected()
        assert {one.epoch for one in story.beacons.heard} == {start}, "the guest was started anew"
        story.audit(may_freeze=True)
