# SPDX-License-Identifier: MIT
"""What is written on a machine's stick about the pair is damaged, or not there to be had."""

import pytest

from haagent.cluster.revival import PATIENCE
from haagent.core.model import Path
from tests.vm.chaos.faults import signal
from tests.vm.incidents.generations import heartbeat_said, reception
from tests.vm.incidents.network import is_two_way
from tests.vm.incidents.programs import SET_CLOCK_RIGHT, await_anew, main_pid, signal_all
from tests.vm.incidents.standing import Standing, await_time, boot_id, runs_on, starts
from tests.vm.journal import find
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import SETUP, TIMING, flash, status
from tests.vm.story import BOOT, TAKEOVER, Story
from tests.vm.wait import wait_until

STATE = "/state/haagent"
SETTINGS = "/state/etc/shoestring/pair.yaml"
SPOIL_ONE = f"printf '\\377' | dd of={STATE}/state-a.json bs=1 seek=100 conv=notrunc status=none"
SPOIL_BOTH = f"truncate --size=100 {STATE}/state-a.json {STATE}/state-b.json && sync"
KEEP = f"cp -a {STATE} {STATE}.kept && cp -a {SETTINGS} {SETTINGS}.kept"
GIVE_STATE_BACK = f"cp -a {STATE}.kept/. {STATE}/"
GIVE_SETTINGS_BACK = f"cp -a {SETTINGS}.kept {SETTINGS}"
# systemd may have given up on it.
START = "systemctl reset-failed haagent; systemctl restart haagent"

GENERATION = "/var/lib/heartbeat/hb_generation"  # its start's number, which heartbeat counts up
# heartbeat takes this for 0, and its peer takes what it says then for old words played again.
MAKE_ZEROS = f"head --bytes=16 /dev/zero > {GENERATION} && sync"
LOSE_BOTH = f"rm --force {GENERATION} {GENERATION}.highest && sync"
# As of a battery that is empty; its clock itself goes on, or the machine would seem to have slept.
SET_LONG_AGO = "date --set=2001-01-01"


def codes(machine: Machine) -> set[str]:
    """Of what MACHINE complains of."""
    return {complaint["code"] for complaint in status(machine).get("complaints", [])}


@pytest.mark.row("D15")
def test_the_state_and_the_settings_are_damaged(lab: Lab) -> None:
    """Of the holder one copy of the state: it goes on with the other. Of the standby both, and
    later the settings: its agent says what it does not understand, and does nothing, until a person
    has put that right.
    """
    story = Story(lab)
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        a.run(SPOIL_ONE)
        a.run(signal("haagent", "KILL"))
        before.await_line(a, r"state-a\.json is damaged")
        before.await_line(a, "released -> holding: the agent is back")
        story.await_protected()
        before.assert_unmoved()
        assert "fine, save" in a.run("haagent check"), "the copy was not mended"

        boots = boot_id(a), boot_id(b)
        b.run(KEEP)
        b.run(SPOIL_BOTH)
        b.run(signal("haagent", "KILL"))
        b.control.wait_for_boot(BOOT)  # nobody feeds the watchdog that was armed
        assert boot_id(b) != boots[1]
        story.await_line(b, r"The agent's state in .* is lost: state-a\.json is damaged")
        wait_until("a to miss b", lambda: "SHOE-301" in codes(a), BOOT, 2)
        assert status(b) == {}, "it decides something"
        story.await_numbers(20)

        b.run(f"{GIVE_STATE_BACK} && echo 'colour: red' >> {SETTINGS}; {START}")
        story.await_line(b, r"pair\.yaml:\d+: .*colour")
        b.run(f"truncate --size=0 {SETTINGS}; {START}")
        story.await_line(b, r"pair\.yaml:1: the file is empty")
        assert status(b) == {}, "it decides something"
        b.run(f"{GIVE_SETTINGS_BACK}; {START}")
        story.await_protected()
        story.await_numbers(20)
        assert runs_on(a) == runs_on(b) == ["a"]
        assert boot_id(a) == boots[0], "the holder was reset"
        assert len(starts(story)) == 1, "the guest was started anew"
        story.audit(may_freeze=True)


def generation(machine: Machine) -> int:
    return int(machine.run(f"cat {GENERATION}"))


def await_heartbeat(machine: Machine) -> None:
    """MACHINE's agent hears the other one by heartbeat, and is heard."""
    wait_until(
        f"{machine.name} to hear the other one by heartbeat",
        lambda: is_two_way(machine, Path.HEARTBEAT),
        BOOT,
        2,
    )


@pytest.mark.row("F3")
def test_heartbeats_generation_is_damaged(lab: Lab) -> None:
    """On the standby it is zeros after a power cut; on the holder it is lost with the second file
    that guards it, and heartbeat starts anew. Each time the other machine's heartbeat has run on,
    and knows what came before.
    """
    story = Story(lab)
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        was = generation(b)
        b.run(MAKE_ZEROS)
        b.power_cut(seed=81)
        story.await_line(a, "b is silent on every path")
        story.return_of(b)
        await_heartbeat(a)
        assert generation(b) > was

        before = Standing(story)
        was, process = generation(a), main_pid(a, "heartbeat")
        a.run(f"{LOSE_BOTH} && {signal_all('heartbeat', 'KILL')}")
        await_anew(a, "heartbeat", process)
        before.await_line(a, "heartbeat: signed on as")
        await_time(b, 3 * TIMING.dead)  # a heartbeat that is not heard is missed by then
        await_heartbeat(b)
        story.await_protected()
        assert generation(a) > was
        story.await_numbers(20)
        before.assert_nobody_was_missed()
        before.assert_unmoved()
        assert len(starts(story)) == 1, "the guest was started anew"
        story.audit(may_freeze=True)


@pytest.mark.row("F3")
def test_heartbeats_generation_goes_back(lab: Lab) -> None:
    """On the standby it is lost with the second file, and the clock is of long ago. The holder's
    heartbeat takes what it says for old words, until its agent has it started again. One that began
    anew by itself meanwhile, as on a busy host, knows of no other generation, and hears it at once.
    """
    story = Story(lab)
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        was, process, listens = generation(b), main_pid(b, "heartbeat"), main_pid(a, "heartbeat")
        said = len(heartbeat_said(a))
        b.run(f"{SET_LONG_AGO} && {LOSE_BOTH} && {signal_all('heartbeat', 'KILL')}")
        await_anew(b, "heartbeat", process)
        before.await_line(b, "heartbeat: signed on as")
        assert generation(b) < was
        b.run(SET_CLOCK_RIGHT)
        found = wait_until(
            "a's heartbeat to follow that of b",
            lambda: reception(heartbeat_said(a)[said:], b.name),
            PATIENCE * TIMING.dead + TAKEOVER,
            5,
        )
        print(found)
        mended = find(before.said(a), "nothing of the other machine comes by heartbeat")
        if found.was_deaf and not found.forgot:
            assert mended, "nobody had it started again"
            await_anew(a, "heartbeat", listens)
        elif not found.was_deaf:
            assert not mended, f"it was started again for nothing: {mended}"
        await_time(a, 3 * TIMING.dead)  # a heartbeat that is not heard is missed by then
        for machine in (a, b):
            await_heartbeat(machine)
        story.await_protected()
        story.await_numbers(20)
        before.assert_nobody_was_missed()
        before.assert_unmoved()
        assert len(starts(story)) == 1, "the guest was started anew"
        story.audit()


@pytest.mark.row("D16")
def test_a_pair_is_made_on_a_lan_where_nobody_answers(lab: Lab) -> None:
    """No DHCP, no names, no time, and no gateway, of which alone it complains. Then there is a
    gateway, with none of these behind it, and the pair is protected.
    """
    pair = flash(lab)
    assert lab.cables is not None
    lab.cables.unplug("lan", "gw")
    for machine in pair.both:
        machine.power_on()
    for machine in pair.both:
        machine.control.wait_for_boot(SETUP)
    story = Story(lab, pair)
    with story:
        story.await_beacons(20, SETUP)
        wait_until(
            "both to miss the gateway, and nothing else",
            lambda: all(misses_the_gateway(machine) for machine in pair.both),
            SETUP,
            2,
        )
        start = story.beacons.heard[-1].epoch
        lab.cables.plug("lan")
        story.await_numbers(20)
        story.await_protected()
        assert starts(story) == {start}, "the guest was started anew"
        story.audit()


def misses_the_gateway(machine: Machine) -> bool:
    found = codes(machine)
    return "SHOE-501" in found and found <= {"SHOE-501", "SHOE-502"}
