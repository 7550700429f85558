# SPDX-License-Identifier: MIT
"""What a guest does to itself is no reason to move it; and where it cannot run, it is not kept."""

import re

import pytest

from haagent.core.wishing import MOST_CRASHES
from tests.vm.incidents.domains import LEFT, give_memory_back, panic, take_memory
from tests.vm.incidents.network import await_complaint
from tests.vm.incidents.programs import move
from tests.vm.incidents.standing import Standing, await_time, boot_id, runs_on, starts
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import TIMING, status
from tests.vm.story import BOOT, TAKEOVER, Story, switch_on
from tests.vm.wait import wait_until

DEFINITION = "/run/shoestring/guests/counter.cfg"  # that the agent has xl start it from
STRANGER = "02:00:00:00:00:99"  # locally administered, IEEE 802c: nobody's card
# In place of the script that puts the guest's card on the bridge; it does that, and then the guest
# reads another address in its own half of Xen's store, before its kernel starts.
LIAR = "/run/liar"
UNHEARD = " frames that it sent under another MAC address were kept off the LAN"
OF_GUEST = "/local/domain/$(xl domid counter)/device/vif/0/mac"
LIES = """\
#!/bin/sh
/etc/xen/scripts/vif-shoestring "$@" || exit
[ "$1" = online ] || exit 0
domain=${{XENBUS_PATH%/*}}
exec xenstore-write "/local/domain/${{domain##*/}}/device/vif/0/mac" {mac}
"""

TRIED_IN_VAIN = "what was tried here failed, and b waits a moment before a start"
# What whoever typed `shoestring move` was told: systemd has it from the program's output.
MOVERS_LINES = "journalctl --boot --no-pager --output=cat --identifier=shoestring"


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


@pytest.mark.row("E1", "E2")
def test_the_guest_panics_and_hangs(story: Story) -> None:
    """It is started again where it was. While it merely hangs, for longer than a takeover waits,
    nobody touches it.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        boots = boot_id(a), boot_id(b)
        for ends, words in (
            (lambda: panic(a), "it crashed"),
            (lambda: a.run("xl reboot counter"), "it ended by itself"),
        ):
            before = Standing(story)
            ends()
            before.await_line(a, f"holding -> creating: {words}")
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


@pytest.mark.row("E1")
def test_the_guest_panics_again_and_again(story: Story) -> None:
    """A few times it is started again where it was; then the other machine has it. When it panics
    there as well, it stays off, and both screens say so, until a person has it tried again.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        for count in range(1, MOST_CRASHES + 1):
            before = Standing(story)
            panic(a)
            before.await_line(a, rf"holding -> creating: it crashed( {count} times of late)?$")
            before.await_next_start()
            story.await_numbers(3)
        before = Standing(story)
        panic(a)
        before.await_line(a, f"holding -> stopping: it crashed {MOST_CRASHES + 1} times of late")
        before.await_line(b, "promoting: peer off: farewell; our copy: in-sync")
        story.await_numbers(5)
        assert runs_on(a) == runs_on(b) == ["b"]
        for machine in (a, b):
            wait_until("the note", lambda: notes(machine) == {"SHOE-110"}, TAKEOVER, 1)  # noqa: B023

        panic(b)
        for machine in (a, b):
            await_complaint(machine, "counter crashed again and again, and was given up.")
            assert status(machine)["verdict"] == "STOPPED"
        assert starts_of(story, 2 * TIMING.take) == 0, "it was started all the same"
        type_at(a, "shoestring guest start counter")
        story.await_numbers(5)
        assert runs_on(a) == runs_on(b) == ["a"]
        story.await_protected()
        story.audit()


@pytest.mark.row("E3")
def test_the_guest_switches_itself_off(story: Story) -> None:
    """It is off on both, which are protected all the same; and when its machine dies, and when that
    is back. Then a person starts it, on the machine where that is said, and stops it again.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        a.run("xl shutdown counter")
        story.await_line(a, "it switched itself off$")
        story.await_line(b, "it switched itself off: the other machine says so")
        story.await_line(a, "stopping -> released: farewell")
        story.await_protected()
        assert runs_on(a) == runs_on(b) == []
        a.power_cut(seed=73)
        story.await_line(b, "a is silent on every path")
        assert starts_of(story, 2 * TIMING.take) == 0, "it was taken over"
        story.return_of(a)
        assert starts_of(story, TIMING.take) == 0, "it came back with its machine"

        type_at(b, "shoestring guest start counter")
        story.await_numbers(10)
        assert runs_on(a) == runs_on(b) == ["b"]
        type_at(a, "shoestring guest stop counter --yes")
        assert runs_on(a) == runs_on(b) == []
        story.await_protected()
        type_at(a, "shoestring guest start counter")
        story.await_numbers(10)
        before = Standing(story)
        type_at(a, "shoestring guest restart counter --yes")
        before.await_next_start()
        story.await_numbers(5)
        assert runs_on(a) == runs_on(b) == ["a"]
        story.audit(may_freeze=True)


def notes(machine: Machine) -> set[str]:
    return {note["code"] for note in status(machine).get("notes", ())}


def starts_of(story: Story, seconds: float) -> int:
    """How often the guest starts within so many SECONDS."""
    before = len(starts(story))
    await_time(story.pair.b, seconds)
    return len(starts(story)) - before


def type_at(machine: Machine, command: str) -> None:
    """COMMAND does what it is for, and says so."""
    machine.run(command, timeout=TAKEOVER)


@pytest.mark.row("E4")
def test_the_other_machine_has_no_memory_for_the_guest(story: Story) -> None:
    """Both say so before. A person moves it there: it comes back once, and stays. When its machine
    dies, there is no other place: it is tried there again and again, until that machine is back.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        take_memory(b)
        for machine in story.pair.both:
            await_complaint(machine, "b has no memory for counter.")
        expect_no_promise(b)
        expect_figures(b)
        move(a)
        before.await_line(b, "promoting: peer off: farewell; our copy: in-sync")
        before.await_line(b, "creating -> destroying: it could not be started")
        await_complaint(b, TRIED_IN_VAIN)
        expect_reason(b)
        before.await_line(a, "promoting: peer off: agreed; our copy: in-sync")
        story.await_numbers(20)
        await_short_of_memory(story)
        await_told(a, "counter did not get to b: counter runs on a")
        back = Standing(story)
        await_time(a, 3 * TIMING.take)
        back.assert_unmoved()
        assert runs_on(a) == runs_on(b) == ["a"]
        assert len(starts(story)) == 2, "it went to and fro"

        a.power_cut(seed=71)
        story.await_line(b, "promoting: peer off: self-fenced; our copy: unbroken")
        story.await_line(b, "promoting: peer off: alone; our copy: left-behind")
        expect_reason(b)
        await_complaint(b, TRIED_IN_VAIN)
        assert len(starts(story)) == 2
        switch_on(a)
        await_short_of_memory(story)
        story.await_numbers(20)
        assert runs_on(a) == runs_on(b) == ["a"]
        assert len(starts(story)) == 3, "it was started more than once"
        give_memory_back(b)
        story.await_protected()
        story.audit(may_freeze=True)


def await_short_of_memory(story: Story) -> None:
    """Both machines have nothing to say but that b has too little memory."""
    for machine in story.pair.both:
        wait_until(
            f"{machine.name} to miss nothing but memory",
            lambda: codes(machine) == {"SHOE-308"},  # noqa: B023
            BOOT,
            2,
        )


def expect_no_promise(machine: Machine) -> None:
    """MACHINE's screen foresees that it would not start the guest, and says why."""
    wait_until(
        f"{machine.name} to promise no start",
        lambda: any(
            " MiB for guests, and counter needs " in why
            for guest in status(machine).get("guests", ())
            for why in (guest["outlook"] or {}).get("missing", ())
        ),
        TAKEOVER,
        2,
    )


def expect_figures(machine: Machine) -> None:
    """What MACHINE has for guests is what a domain of another has left of it."""
    mine, _ = status(machine)["nodes"]
    assert 0 <= mine["memory"] <= LEFT and mine["memory_used"] == 0, mine
    said = machine.run("shoestring guests", 120)
    assert re.search(rf"^{machine.name}: \d+ MiB of memory for guests, 0 used,", said, re.M), said


def codes(machine: Machine) -> set[str]:
    return {one["code"] for one in status(machine).get("complaints", ())}


def await_told(machine: Machine, words: str) -> None:
    """Whoever moved the guest away from MACHINE reads WORDS."""
    wait_until(
        f"a person to be told: {words}",
        lambda: words in machine.control.try_run(MOVERS_LINES).out,
        TAKEOVER,
        2,
    )


def expect_reason(machine: Machine) -> None:
    """MACHINE's screen tells, among what was decided there lately, how the start failed."""
    told = [what for _, what in status(machine)["lately"]]
    assert any("create failed: xl create" in what for what in told), told


@pytest.mark.row("E6")
def test_the_guest_takes_another_address_of_ethernet(story: Story) -> None:
    """That of either machine's LAN card: nobody hears it, and neither machine believes that the
    other is gone, or back. With its own again it is heard. Then one that is nobody's: its machine
    dies, and it is taken over as ever.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        ours = mac_of_guest(a)
        for machine in (b, a):
            before = Standing(story)
            take_address(a, lan_mac(machine))
            await_dropped(a)
            await_time(b, 1.5 * TIMING.take)
            before.assert_nobody_was_missed()
            before.assert_unmoved()  # of its new start nothing was heard
            assert UNHEARD in a.run("shoestring guest show counter", 120)
            story.await_protected()

        before = Standing(story)
        start_with(a, "vif-shoestring")
        before.await_next_start()
        story.await_numbers(10)
        assert mac_of_guest(a) == ours
        assert dropped(a) == 0, "something that it may say was dropped"
        assert UNHEARD not in a.run("shoestring guest show counter", 120)
        story.await_protected()

        before = Standing(story)
        take_address(a, STRANGER)
        await_dropped(a)
        story.await_protected()
        before.assert_unmoved()
        assert STRANGER not in b.run("bridge fdb show br lan"), "it was heard"
        a.power_cut(seed=72)
        story.await_line(b, "promoting: peer off: self-fenced; our copy: unbroken")
        story.await_numbers(10)
        assert mac_of_guest(b) == ours
        story.return_of(a)
        assert runs_on(a) == runs_on(b) == ["b"], "it failed back"
        story.audit(may_freeze=True)


def take_address(machine: Machine, mac: str) -> None:
    """The guest starts anew on MACHINE, and believes that it has MAC."""
    machine.run(f"cat > {LIAR} <<'END'\n{LIES.format(mac=mac)}END\nchmod +x {LIAR}")
    start_with(machine, LIAR)
    wait_until(
        f"the guest on {machine.name} to have {mac}",
        lambda: mac in machine.control.try_run(f"xenstore-read {OF_GUEST}").out,
        TAKEOVER,
        1,
    )


def start_with(machine: Machine, script: str) -> None:
    """The guest ends by itself, and its card is put on MACHINE's bridge by SCRIPT when it starts
    anew.
    """
    machine.run(f"sed -i 's#script=[^\"]*#script={script}#' {DEFINITION}")
    machine.run("xl destroy counter")


def await_dropped(machine: Machine) -> None:
    """The guest lives: it says something to everybody ten times a second."""
    wait_until(
        f"{machine.name} to drop what the guest says", lambda: dropped(machine) >= 20, TAKEOVER, 1
    )


def dropped(machine: Machine) -> int:
    """Frames of the guest that MACHINE's kernel kept off the bridge, tc(8)."""
    said = machine.control.try_run(
        "tc -statistics filter show dev vif$(xl domid counter).0 ingress"
    )
    return sum(map(int, re.findall(r"\(dropped (\d+),", said.out)))


def mac_of_guest(machine: Machine) -> str:
    """By the half of xenstore that is not the guest's; the filter has it from there."""
    domain = "$(xl domid counter)"
    return machine.run(f"xenstore-read /local/domain/0/backend/vif/{domain}/0/mac").strip()


def lan_mac(machine: Machine) -> str:
    return next(nic.mac for nic in machine.nics if nic.segment == "lan")
