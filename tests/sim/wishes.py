# SPDX-License-Identifier: MIT
"""Named histories of guests that are stopped and started, end by themselves, or crash."""

from collections.abc import Mapping
from functools import partial

from haagent.core.model import Path, Phase
from haagent.core.wish import End, Target
from haagent.core.wishing import MOST_CRASHES
from tests.sim.telling import (
    A,
    B,
    Scenario,
    expect,
    name_of,
    named,
    phase,
    recovers,
    starts_anew,
    stays,
    wait,
)
from tests.sim.wires import BEFORE, NOW
from tests.sim.world import World

STARTS = 12.0  # seconds that a start takes which nobody has to wait for


def target(world: World, node: int) -> Target:
    kept = world.machines[node].kept
    assert kept is not None
    return kept.ledgers["g"].wish.target


def is_off(world: World, wanted: Target, seconds: float, within: float = 10.0) -> None:
    """The guest ends, and nobody starts it; both machines know why."""
    world.run_until(lambda: not world.holders(), world.now + within)
    expect(world, None, seconds)
    assert target(world, A) is target(world, B) is wanted
    assert phase(world, A) is phase(world, B) is Phase.RELEASED


def crashes(world: World, node: int, times: int) -> None:
    """So many times, each time as soon as it serves."""
    for _ in range(times):
        world.run_until(lambda: world.serves(node), world.now + STARTS)
        world.end(node, "g", End.CRASH)


def guest_is_stopped_and_started(world: World) -> None:
    """At the machine that has it: there it is shut down, and there it starts again."""
    for seconds in (60, 2):  # within T_take of its end the other one would have it at once
        world.want(A, Target.STOPPED)
        is_off(world, Target.STOPPED, seconds)
        world.want(A, Target.STARTED)
        expect(world, A, STARTS)
        stays(world, A, 60)
    assert world.refusals == [None] * 4
    assert world.is_healthy()


def guest_is_stopped_from_the_other_machine(world: World) -> None:
    """It starts where that is said, also where it was not."""
    world.want(B, Target.STOPPED)
    is_off(world, Target.STOPPED, 30)
    world.want(B, Target.STARTED)
    expect(world, B, STARTS)
    stays(world, B, 60)
    assert world.is_healthy()


def guest_is_started_where_it_cannot(world: World) -> None:
    """Then the other machine has it, after a while."""
    world.want(A, Target.STOPPED)
    is_off(world, Target.STOPPED, 10)
    world.machines[B].is_full = True
    world.want(B, Target.STARTED)
    expect(world, A, 60)
    stays(world, A, 60)
    recovers(world)


def stopped_guest_stays_off_as_machines_die(world: World) -> None:
    """Whoever is left, and whoever comes back, knows that nobody is to start it."""
    world.want(A, Target.STOPPED)
    is_off(world, Target.STOPPED, 5)
    for node in (A, B):
        world.power_off(node)
        expect(world, None, 60)
        world.power_on(node)
        expect(world, None, 60)
    assert target(world, A) is target(world, B) is Target.STOPPED
    world.want(B, Target.STARTED)
    expect(world, B, STARTS)
    recovers(world)


def guest_is_stopped_by_who_is_alone(world: World) -> None:
    """The other one is off, and does not know. Back first, it starts nothing, for its copy is old;
    then both are there, and the guest is off.
    """
    world.power_off(B)
    wait(world, 20)
    world.want(A, Target.STOPPED)
    world.run_until(lambda: not world.holders(), world.now + 10)
    world.power_off(A)
    world.power_on(B)
    expect(world, None, 90)
    world.power_on(A)
    expect(world, None, 90)
    assert target(world, B) is Target.STOPPED
    world.want(A, Target.STARTED)
    expect(world, A, 60)
    recovers(world)


def guest_is_stopped_by_who_is_cut_off(world: World) -> None:
    """Nobody hears that, nor its farewell: the other one takes the guest over. When both hear each
    other again, the newer word counts, and it is shut down there.
    """
    world.kill_nics(A)
    wait(world, 0.5)
    world.want(A, Target.STOPPED)
    expect(world, B, 60)
    world.heal_nics(A)
    is_off(world, Target.STOPPED, 60, within=60)
    recovers(world)


def guest_is_stopped_as_it_moves(world: World) -> None:
    world.move(A)
    world.run_until(lambda: phase(world, B) is Phase.CREATING, world.now + 10)
    world.want(A, Target.STOPPED)
    world.run_until(lambda: phase(world, B) is Phase.STOPPING, world.now + 10)
    is_off(world, Target.STOPPED, 60)
    recovers(world)


def stop_is_said_to_a_machine_without_its_stick(world: World) -> None:
    """It keeps it in memory; the other one has it on disk, and tells it after a restart."""
    world.pull_stick(A)
    world.run_until(lambda: world.machines[A].is_stick_lost, world.now + 70)
    world.want(A, Target.STOPPED)
    world.run_until(lambda: not world.holders(), world.now + 10)
    expect(world, None, 60)
    assert target(world, B) is Target.STOPPED
    world.want(A, Target.STARTED)
    wait(world, 1)
    assert world.refusals[-1] is not None
    world.put_stick_back(A)
    world.reset(A)
    expect(world, None, 90)
    assert target(world, A) is Target.STOPPED
    recovers(world)


def guest_switches_itself_off(world: World) -> None:
    """As its owner does with a PC: it stays off, on both, until somebody starts it."""
    world.end(A, "g", End.POWEROFF)
    is_off(world, Target.OFF, 60)
    world.power_off(A)
    expect(world, None, 60)
    world.power_on(A)
    expect(world, None, 60)
    world.want(A, Target.STARTED)
    expect(world, A, STARTS)
    assert world.is_healthy()


def guest_starts_itself_anew(world: World) -> None:
    """By itself, and at a person's word; nothing moves, and its term stays."""
    kept = world.machines[A].kept
    for restart in (partial(world.end, A, "g", End.REBOOT), partial(world.want_restart, A)):
        restart()
        starts_anew(world, A, STARTS)
    assert world.machines[A].kept == kept
    world.want_restart(B)
    stays(world, A, 10)
    assert world.refusals == [None, "it does not run on b"]
    assert world.is_healthy()


def guest_ends_while_its_agent_is_away(world: World) -> None:
    """What is left of it waits for the next agent, which sees how it ended."""
    for how in (End.CRASH, End.POWEROFF):
        world.machines[A].end_agent()
        world.end(A, "g", how)
        wait(world, 1)
        world.restart_agent(A)
        if how is End.CRASH:
            starts_anew(world, A, STARTS)
            wait(world, 5)
    is_off(world, Target.OFF, 30)
    recovers(world)


def agent_dies_as_a_guest_starts_anew(world: World) -> None:
    """What it began comes to its end without it; the next one is told that there is a domain."""
    world.end(A, "g", End.CRASH)
    world.run_until(lambda: phase(world, A) is Phase.CREATING, world.now + 5)
    world.machines[A].end_agent()
    wait(world, 0.3)
    world.restart_agent(A)
    world.run_until(lambda: phase(world, A) is Phase.DESTROYING, world.now + 5)
    recovers(world)


def guest_crashes_while_its_writes_wait(world: World) -> None:
    """It is started again when they do not wait any more."""
    world.unplug(Path.CROSSOVER)
    world.run_until(lambda: phase(world, A) is Phase.FROZEN, world.now + 10)
    world.end(A, "g", End.CRASH)
    starts_anew(world, A, 30)
    recovers(world)


def guest_crashes_again_and_again(world: World) -> None:
    """It is started again where it was, a few times; then the other machine has it, and keeps it,
    and after a while it is a guest like any other.
    """
    crashes(world, A, MOST_CRASHES)
    starts_anew(world, A, STARTS)
    crashes(world, A, 1)
    expect(world, B, STARTS)
    assert target(world, A) is target(world, B) is Target.RETRIED
    stays(world, B, world.timing.crashes + 5)
    assert target(world, A) is target(world, B) is Target.STARTED
    crashes(world, B, 1)
    starts_anew(world, B, STARTS)
    recovers(world)


def guest_crashes_wherever_it_is(world: World) -> None:
    """Then it stays off: it is the guest that is broken. A person may have it tried again."""
    crashes(world, A, MOST_CRASHES + 1)
    expect(world, B, STARTS)
    crashes(world, B, 1)
    is_off(world, Target.FAILED, 60)
    world.want(A, Target.STARTED)
    expect(world, A, STARTS)
    crashes(world, A, 1)
    starts_anew(world, A, STARTS)
    recovers(world)


def guest_crashes_on_who_is_alone(world: World) -> None:
    """There is no other machine to try."""
    world.power_off(B)
    wait(world, 20)
    crashes(world, A, MOST_CRASHES + 1)
    world.run_until(lambda: not world.holders(), world.now + 10)
    expect(world, None, 60)
    assert target(world, A) is Target.FAILED
    world.power_on(B)
    expect(world, None, 60)
    assert target(world, B) is Target.FAILED
    recovers(world)


def taker_of_a_crashed_guest_dies(world: World) -> None:
    """The other one has to have it after all."""
    crashes(world, A, MOST_CRASHES + 1)
    expect(world, B, STARTS)
    world.power_off(B)
    expect(world, A, 60)
    recovers(world)


def mixed_guest_switches_itself_off(world: World) -> None:
    """The other machine's release does not know of guests that are off: it is started again."""
    world.end(A, "g", End.POWEROFF)
    starts_anew(world, A, STARTS)
    world.want(A, Target.STOPPED)
    stays(world, A, 30)
    assert world.refusals == ["b runs a release that does not know of guests that are stopped"]
    crashes(world, A, MOST_CRASHES + 1)
    starts_anew(world, A, STARTS)
    recovers(world)


def guest_that_comes_off_is_started_by_hand(world: World) -> None:
    """Nobody starts it but a person: not the machine that it begins on, and not who takes over."""
    expect(world, None, 60, "new")
    world.power_off(A)
    expect(world, B, 40)
    expect(world, None, 60, "new")
    world.power_on(A)
    world.run_until(world.is_healthy, world.now + 120)
    world.want(B, Target.STARTED, "new")
    expect(world, B, STARTS, "new")
    world.power_off(B)
    for guest in ("g", "new"):
        expect(world, A, 60, guest)
    recovers(world)


def machine_that_knows_nothing_leaves_a_guest_off(world: World) -> None:
    """It has lost all that it wrote down, and hears of it from the other one."""
    world.power_off(A)
    world.machines[A].kept = None
    world.machines[A].ground.off = frozenset()
    world.power_on(A)
    expect(world, None, 120, "new")


WISHES: Mapping[str, Scenario] = {
    **named(
        guest_is_stopped_and_started,
        guest_is_stopped_from_the_other_machine,
        guest_is_started_where_it_cannot,
        stopped_guest_stays_off_as_machines_die,
        guest_is_stopped_by_who_is_alone,
        guest_is_stopped_by_who_is_cut_off,
        guest_is_stopped_as_it_moves,
        stop_is_said_to_a_machine_without_its_stick,
        guest_switches_itself_off,
        guest_starts_itself_anew,
        guest_ends_while_its_agent_is_away,
        agent_dies_as_a_guest_starts_anew,
        guest_crashes_while_its_writes_wait,
        guest_crashes_again_and_again,
        guest_crashes_wherever_it_is,
        guest_crashes_on_who_is_alone,
        taker_of_a_crashed_guest_dies,
    ),
    **{
        name_of(tell): Scenario(tell, guests={"g": A, "new": A}, off=frozenset({"new"}))
        for tell in (
            guest_that_comes_off_is_started_by_hand,
            machine_that_knows_nothing_leaves_a_guest_off,
        )
    },
    "mixed-guest-switches-itself-off": Scenario(
        mixed_guest_switches_itself_off, speak=(NOW, BEFORE)
    ),
}
