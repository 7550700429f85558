# SPDX-License-Identifier: MIT
"""Named histories of machines that die, leave, boot or stand still, and of agents that do."""

from collections.abc import Mapping

from haagent.core.model import Disk, Path, Phase
from tests.sim.faults import FOR_EVER
from tests.sim.telling import (
    A,
    B,
    Scenario,
    disk,
    expect,
    name_of,
    named,
    phase,
    recovers,
    starts_anew,
    stays,
    wait,
)
from tests.sim.world import World


def holder_loses_power(world: World) -> None:
    world.power_off(A)
    expect(world, B, 25)
    world.power_on(A)
    recovers(world)
    stays(world, B, 30)  # nothing fails back
    world.power_off(B)
    expect(world, A, 25)
    recovers(world)


def standby_loses_power(world: World) -> None:
    world.power_off(B)
    stays(world, A, 60)
    timing = world.timing
    assert world.audit.longest_gap["g"] <= timing.dead + timing.resume + 1
    recovers(world)


def holder_leaves(world: World) -> None:
    world.leave(A)
    expect(world, B, 6)
    recovers(world)
    stays(world, B, 30)


def standby_leaves(world: World) -> None:
    world.leave(B)
    stays(world, A, 60)
    recovers(world)


def stale_one_returns_first(world: World) -> None:
    world.power_off(B)
    wait(world, 30)
    world.power_off(A)
    wait(world, 5)
    world.power_on(B)
    expect(world, None, 120)
    recovers(world)
    assert world.holders() == [A]


def newer_one_returns_first(world: World) -> None:
    world.power_off(B)
    wait(world, 30)
    world.power_off(A)
    wait(world, 5)
    world.power_on(A)
    expect(world, A, 60)
    recovers(world)


def both_reboot(world: World) -> None:
    for node in (A, B):
        world.reset(node)
    expect(world, A, 60)
    recovers(world)


def both_lose_power_one_returns(world: World) -> None:
    world.power_off(A)
    world.power_off(B)
    world.power_on(A)
    expect(world, None, 120)
    recovers(world)


def holder_returns_before_the_takeover(world: World) -> None:
    world.power_off(A)
    world.power_on(A, 8)
    expect(world, A, 60)
    recovers(world)


def standby_stalls_while_the_holder_writes_and_dies(world: World) -> None:
    world.stall(B, 20)
    wait(world, 17)
    world.power_off(A)
    expect(world, None, 90)
    recovers(world)


def standby_dies_and_holder_reboots(world: World) -> None:
    world.power_off(B)
    wait(world, 30)
    world.reset(A)
    expect(world, A, 70)
    recovers(world)


def farewell_of_long_ago(world: World) -> None:
    for node in (A, B):
        world.leave(node)
        expect(world, 1 - node, 6)
        wait(world, 60)
    world.kill_nics(A)
    wait(world, 60)
    assert world.audit.together == 0
    recovers(world)


def holder_without_a_watchdog(world: World) -> None:
    world.machines[A].has_watchdog = False
    world.machines[A].fed = None
    world.restart_agent(A)
    wait(world, 10)
    world.kill_nics(A)
    wait(world, 60)
    assert world.holders() in ([A], [])
    recovers(world)


def somebody_answers_for_the_dead(world: World) -> None:
    world.ghost = True
    world.power_off(A)
    expect(world, None, 90)
    recovers(world)


def agent_restarts(world: World) -> None:
    for node in (A, B, A):
        world.restart_agent(node)
        stays(world, A, 10)
    assert disk(world, B) is Disk.UP_TO_DATE
    world.power_off(A)
    expect(world, B, 25)
    recovers(world)


def agent_hangs(world: World) -> None:
    world.stall_agent(A, 30)
    wait(world, 60)
    assert world.machines[A].resets == 1
    assert world.audit.together == 0
    recovers(world)


def agent_dies_again_and_again(world: World) -> None:
    """And its machine is cut off: no agent is old enough to know how long."""
    world.kill_nics(A)
    world.kill_agent_again_and_again(A, 60, 3)
    expect(world, B, 25)
    assert not world.machines[A].is_on
    recovers(world)


def agent_dies_as_its_watchdog_runs_out(world: World) -> None:
    """Linux feeds what a dead agent had open."""
    world.kill_nics(A)
    machine, unfed = world.machines[A], world.timing.watchdog - 0.5
    world.run_until(lambda: world.now - (machine.fed or 0.0) > unfed, world.now + 20)
    world.restart_agent(A)
    world.run_until(lambda: phase(world, B) is Phase.PROMOTING, world.now + 25)
    assert not machine.is_on
    expect(world, B, 5)
    recovers(world)


def agent_restarts_while_writes_wait(world: World) -> None:
    """DRBD asks once, and the handler asks the new agent before that one knows what it has."""
    world.unplug(Path.CROSSOVER)
    world.run_until(lambda: phase(world, A) is Phase.FROZEN, world.now + 10)
    world.restart_agent(A)
    stays(world, A, 30)
    assert world.serves(A)
    recovers(world)
    stays(world, A, 30)


def blind_agent_sees_late(world: World) -> None:
    world.hang_xen(A, 12)
    world.restart_agent(A)
    stays(world, A, 60)
    assert phase(world, A) is Phase.HOLDING


def blind_agent_never_sees(world: World) -> None:
    """Nobody could end the guest there, and the other one may have it."""
    world.hang_xen(A, FOR_EVER)
    world.restart_agent(A)
    expect(world, B, 60)
    recovers(world)


def blind_agent_hears_of_a_start_elsewhere(world: World) -> None:
    """A person starts it on the other one in spite of all. DRBD refuses, but the term has risen: it
    is not that of a guest which may run here unseen, and that ends as if its agent had seen it.
    """
    world.hang_xen(A, 1.0)
    world.restart_agent(A)
    world.confirm(B)
    starts_anew(world, B, 60)
    recovers(world)
    stays(world, B, 30)


def blind_agents_die_one_after_the_other(world: World) -> None:
    world.hide_drbd(A, FOR_EVER)
    world.kill_agent_again_and_again(A, 60, 9)
    starts_anew(world, A, 90)  # the other one was not told that nothing was written meanwhile
    recovers(world)


def blind_agent_is_cut_off(world: World) -> None:
    world.hang_xen(A, FOR_EVER)
    world.restart_agent(A)
    wait(world, 5)
    world.kill_nics(A)
    expect(world, B, 25)
    recovers(world)


def zombie_of_who_is_alone(world: World) -> None:
    """It leaves, and cannot end its guest: a start frees it, and nobody else has the data."""
    world.power_off(A)
    expect(world, B, 25)
    wait(world, 5)
    world.make_zombies(B)
    world.leave(B)
    starts_anew(world, B, 100)
    assert world.machines[B].resets == 1
    recovers(world)


def xl_hangs_at_the_taker(world: World) -> None:
    world.hang_xen(B, FOR_EVER)
    world.power_off(A)
    expect(world, B, 180)
    recovers(world)


def taker_dies_too(world: World) -> None:
    world.power_off(A)
    expect(world, B, 25)
    wait(world, 5)
    world.power_off(B)
    world.power_on(A)
    expect(world, None, 90)
    recovers(world)
    assert world.holders() == [B]


def frozen_holder(world: World) -> None:
    world.freeze(A, 30)
    expect(world, B, 25) if not world.holders() else wait(world, 25)
    wait(world, 20)
    assert A not in world.holders()
    recovers(world)


def frozen_standby(world: World) -> None:
    world.freeze(B, 24)
    wait(world, 20)
    world.power_off(A)
    wait(world, 60)
    recovers(world)


def taker_cannot_start_it(world: World) -> None:
    """There is no other place: it is tried again and again, until the old holder is back and has
    got what it missed.
    """
    world.machines[B].is_full = True
    world.power_off(A)
    expect(world, None, 60)
    world.power_on(A)
    expect(world, A, 80)
    stays(world, A, 30)
    world.machines[B].is_full = False
    recovers(world)


def taker_dies_before_its_guest_starts(world: World) -> None:
    """It has made the copy its own, by a risen term, and can prove it when it is back alone."""
    world.power_off(A)
    world.run_until(lambda: phase(world, B) is Phase.CREATING, world.now + 30)
    world.power_off(B)
    wait(world, 5)
    world.power_on(B)
    expect(world, B, 70)
    recovers(world)
    assert world.holders() == [B]


def old_holder_wakes_in_the_takeover(world: World) -> None:
    """It hears the higher term, and gives way; that it stood still it cannot tell."""
    world.freeze(A, 16.7, is_noticed=False)
    world.run_until(lambda: phase(world, B) is Phase.CREATING, world.now + 30)
    expect(world, B, 20)
    assert world.machines[A].resets == 0
    recovers(world)
    assert world.holders() == [B]


def guest_ends_while_its_writes_wait(world: World) -> None:
    """Xen says so once, when nothing can be done about it yet."""
    world.power_off(B)
    world.run_until(lambda: phase(world, A) is Phase.FROZEN, world.now + 10)
    world.crash(A, "g")
    expect(world, A, 25)
    recovers(world)


DEATHS: Mapping[str, Scenario] = named(
    holder_loses_power,
    standby_loses_power,
    holder_leaves,
    standby_leaves,
    stale_one_returns_first,
    newer_one_returns_first,
    both_reboot,
    both_lose_power_one_returns,
    holder_returns_before_the_takeover,
    standby_stalls_while_the_holder_writes_and_dies,
    standby_dies_and_holder_reboots,
    farewell_of_long_ago,
    holder_without_a_watchdog,
    somebody_answers_for_the_dead,
    agent_restarts,
    agent_hangs,
    agent_dies_again_and_again,
    agent_dies_as_its_watchdog_runs_out,
    agent_restarts_while_writes_wait,
    blind_agent_sees_late,
    blind_agent_never_sees,
    blind_agent_hears_of_a_start_elsewhere,
    blind_agents_die_one_after_the_other,
    blind_agent_is_cut_off,
    zombie_of_who_is_alone,
    xl_hangs_at_the_taker,
    taker_cannot_start_it,
    taker_dies_before_its_guest_starts,
    taker_dies_too,
    frozen_standby,
    guest_ends_while_its_writes_wait,
) | {
    name_of(tell): Scenario(tell, is_exempt=True)
    for tell in (frozen_holder, old_holder_wakes_in_the_takeover)
}
