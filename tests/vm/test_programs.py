# SPDX-License-Identifier: MIT
"""Programs of a machine are killed, hang, or are kept from what they need: what moves, and what
must not.
"""

import pytest

from tests.vm.chaos.faults import signal
from tests.vm.incidents.domains import SPINNERS, end_spinning, spin, spun, weight
from tests.vm.incidents.programs import (
    EAT_MEMORY,
    NO_MORE_PROCESSES,
    PROCESSES_AGAIN,
    await_anew,
    begin,
    main_pid,
    signal_all,
)
from tests.vm.incidents.standing import Standing, await_time, boot_id, expect_takeover
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import TIMING
from tests.vm.story import BOOT, Story
from tests.vm.wait import wait_until

SCREENS = ("console@tty1", "console@hvc0")
STUCK = "timeout 5 sh -c 'echo >/dev/tty1'"  # ends with 124 then, timeout(1)
BACK = 300  # seconds; generous for what restarts within one or two


@pytest.fixture
def story(lab: Lab) -> Story:
    return Story(lab)


@pytest.mark.row("D1", "D4", "D14")
def test_programs_are_killed_on_both_and_nothing_moves(story: Story) -> None:
    """The agent, heartbeat, the screens: each is back by itself, and nobody was missed for want of
    heartbeat.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        for machine in (a, b):
            was = main_pid(machine, "haagent")
            machine.run(signal("haagent", "KILL"))
            await_anew(machine, "haagent", was)
        before.await_line(a, "released -> holding: the agent is back")
        story.await_protected()
        before.assert_unmoved()

        quiet = Standing(story)
        for machine in (a, b):
            was = main_pid(machine, "heartbeat")
            machine.run(signal_all("heartbeat", "KILL"))
            await_anew(machine, "heartbeat", was)
        for machine in (a, b):
            quiet.await_line(machine, "heartbeat: signed on as")
        story.await_protected()

        for machine in (a, b):
            for screen in SCREENS:
                was = main_pid(machine, screen)
                machine.run(signal_all(screen, "KILL"))
                await_anew(machine, screen, was)
        story.await_protected()
        story.await_numbers(20)
        quiet.assert_nobody_was_missed()
        before.assert_unmoved()
        story.audit()


@pytest.mark.row("D2")
def test_the_holders_agent_hangs(story: Story) -> None:
    """It feeds no watchdog then, and says nothing; its kernel and its guest are well until that
    bites.
    """
    a, _ = story.pair.both
    with story:
        story.await_numbers(20)
        before = boot_id(a)
        a.run(signal("haagent", "STOP"))
        expect_takeover(story, before)


@pytest.mark.row("D3")
def test_the_holders_agent_dies_again_and_again(story: Story) -> None:
    """Until systemd starts it no more, or it has not lived long enough to feed the watchdog."""
    a, _ = story.pair.both
    with story:
        story.await_numbers(20)
        before = boot_id(a)
        begin(a, f"while :; do {signal('haagent', 'KILL')}; sleep 0.5; done")
        expect_takeover(story, before)


@pytest.mark.row("D5")
def test_the_holders_heartbeat_hangs(story: Story) -> None:
    """All of its processes. The other machine's hears nothing of it, and says so; the agents do
    not need it. Nobody comes: it has to be back by itself.
    """
    a, b = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        a.run(signal_all("heartbeat", "STOP"))
        before.await_line(b, r"heartbeat: link \S+ to a is dead")
        story.await_numbers(20)
        before.assert_nobody_was_missed()
        before.assert_unmoved()
        before.await_line(b, r"heartbeat: link \S+ to a is up", BACK)
        story.await_protected()
        before.assert_unmoved()
        story.audit()


@pytest.mark.row("D6")
def test_the_holders_xenstored_dies(story: Story) -> None:
    """Neither xl nor a guest's driver is answered any more, and it cannot be started again."""
    a, _ = story.pair.both
    with story:
        story.await_numbers(20)
        before = boot_id(a)
        a.run(signal("xenstored", "KILL"))
        expect_takeover(story, before)


@pytest.mark.row("D11")
def test_dom0_runs_out_of_memory(story: Story) -> None:
    """On one machine after the other. The kernel ends the program that ate it, and no other."""
    with story:
        story.await_numbers(20)
        before = Standing(story)
        for machine in story.pair.both:
            units = ("haagent", "heartbeat", "xenstored")
            were = [main_pid(machine, unit) for unit in units]
            machine.run(EAT_MEMORY)
            wait_until(
                f"{machine.name}'s kernel to end a program",
                lambda machine=machine: killed(machine),  # type: ignore[misc]
                BOOT,
                1,
            )
            assert [main_pid(machine, unit) for unit in units] == were
            (victim,) = killed(machine)
            assert "(python3)" in victim
            # The kernel tells it with the trace of a call: that is no sickness this time.
            machine.run("dmesg --clear")
            story.await_protected()
        story.await_numbers(20)
        before.assert_unmoved()
        story.audit()


def killed(machine: Machine) -> list[str]:
    """What MACHINE's kernel ended for want of memory."""
    log = machine.run("dmesg").splitlines()
    return [line for line in log if "Out of memory: Killed process" in line]


@pytest.mark.row("D12")
def test_guests_take_all_of_the_processor(story: Story) -> None:
    """Three others spin beside it, and have soon had as much as a takeover waits."""
    a, _ = story.pair.both
    with story:
        story.await_numbers(20)
        spin(a)
        # Where it cannot be set, nothing else tells.
        assert weight(a, "Domain-0") == 2048
        assert {weight(a, name) for name in ("counter", *SPINNERS)} == {256}
        story.await_protected()
        before = Standing(story)
        enough = spun(a) + TIMING.take
        wait_until("them to have spun", lambda: spun(a) > enough, BOOT, 2)
        story.await_numbers(20)
        before.assert_nobody_was_missed()
        before.assert_unmoved()
        end_spinning(a)
        story.await_protected()
        before.assert_unmoved()
        story.audit()


def press_scroll_lock(machine: Machine) -> None:
    """Whoever writes to its monitor waits, until the key is pressed again."""
    machine.qmp("send-key", keys=[{"type": "qcode", "data": "scroll_lock"}])


def is_stuck(machine: Machine) -> bool:
    return machine.control.try_run(STUCK).rc == 124


@pytest.mark.row("D13")
def test_the_consoles_are_stuck(story: Story) -> None:
    """Somebody pressed Scroll Lock on both keyboards. A cable that goes and a machine that dies are
    met as ever.
    """
    a, b = story.pair.both
    assert story.lab.cables is not None
    with story:
        story.await_numbers(20)
        before = Standing(story)
        for machine in (a, b):
            press_scroll_lock(machine)
            wait_until(
                f"{machine.name}'s monitor to be stuck",
                lambda machine=machine: is_stuck(machine),  # type: ignore[misc]
                120,
            )
        story.lab.cables.unplug("xo")
        before.await_line(a, "alone in term .*outdated")
        story.await_numbers(10)
        story.lab.cables.plug("xo")
        story.await_protected()
        before.assert_unmoved()
        a.power_cut(seed=41)
        story.await_line(b, "promoting.*self-fenced.*unbroken")
        story.await_numbers(10)
        assert is_stuck(b)
        press_scroll_lock(b)
        wait_until("b's monitor to go on", lambda: not is_stuck(b), 120)
        story.return_of(a)
        story.audit(may_freeze=True)


@pytest.mark.row("D17")
def test_the_holders_agent_can_start_no_process(story: Story) -> None:
    """It is told so by systemd's own limit. It goes on feeding its watchdog, and on speaking."""
    a, _ = story.pair.both
    with story:
        story.await_numbers(20)
        before = Standing(story)
        a.run(NO_MORE_PROCESSES)
        before.await_line(a, "list-units.*Resource temporarily unavailable")
        await_time(a, 3 * TIMING.watchdog)
        story.await_numbers(20)
        before.assert_nobody_was_missed()
        before.assert_unmoved()
        a.run(PROCESSES_AGAIN)
        story.await_protected()
        before.assert_unmoved()
        story.audit()
