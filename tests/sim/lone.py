# SPDX-License-Identifier: MIT
"""Named histories of a machine that was set up alone, and of the second that comes beside it."""

from collections.abc import Mapping
from dataclasses import replace

from haagent.core.model import Link, Path
from tests.sim.shadow import replace_machine, steps
from tests.sim.telling import A, B, Scenario, expect, named, recovers, stays, wait
from tests.sim.world import World

COMMITTED = "the survivor has committed"
AT_ONCE = 35.0  # seconds: a boot, and nothing is waited for after it


def lone_machine_loses_its_power(world: World) -> None:
    """It serves again by itself, with no cable in it and nobody to ask."""
    world.pull_lan(A)
    world.set_gateway(False)
    stays(world, A, 60)
    world.reset(A, "loses power for a moment")
    expect(world, A, AT_ONCE)
    world.reset(A, "loses power for a moment")
    expect(world, A, AT_ONCE)


def lone_machine_is_shut_down_in_order(world: World) -> None:
    world.leave(A)
    wait(world, 10)
    expect(world, A, AT_ONCE)


def lone_machines_agent_dies(world: World) -> None:
    """What runs is taken up, and nothing gives up for want of somebody who confirms it."""
    world.set_gateway(False)
    start = world.machines[A].domains["g"]
    for _ in range(3):
        world.restart_agent(A)
        wait(world, 30)
    assert world.machines[A].domains["g"] == start
    assert world.machines[A].resets == 0


def lone_machines_disk_fails(world: World) -> None:
    """Nobody else has the data: it is off, until the disk works again."""
    world.fail_disk(A)
    wait(world, 60)
    assert not world.serves(A)
    world.repair_disk(A)
    world.reset(A, "is restarted")
    expect(world, A, AT_ONCE)


def machine_comes_beside_a_lone_one(world: World) -> None:
    start = world.machines[A].domains["g"]
    replace_machine(world, B)
    world.run_until(world.is_healthy, world.now + 60)
    assert world.machines[A].domains["g"] == start, "the guest was stopped"
    wait(world, 15)
    world.power_off(A)
    expect(world, B, 25)
    world.power_on(A)
    world.run_until(world.is_healthy, world.now + 120)
    stays(world, B, 60)
    recovers(world)


def lone_machine_reboots_when_it_has_agreed(world: World) -> None:
    """The new machine has not begun, and nobody else ever had the guest."""
    world.set_gateway(False)
    agreed = steps(world, B)
    while next(agreed) != COMMITTED:
        pass
    for _ in range(2):
        world.reset(A, "loses power for a moment")
        expect(world, A, AT_ONCE)
    assert not world.machines[A].is_vacant
    for _ in agreed:
        pass
    recovers(world)


def lone_machine_dies_during_the_first_copy(world: World) -> None:
    replace_machine(world, B)
    mirror = world.mirrors["g"]
    world.run_until(lambda: mirror.copies[B].link is Link.SYNC_TARGET, world.now + 60)
    world.power_off(A)
    expect(world, None, 90)
    world.power_on(A)
    expect(world, A, 60)
    recovers(world)


def machine_beside_a_lone_one_is_chosen(world: World) -> None:
    """What A wrote last B has not, and a person lets B serve. A, cut off, must wait for a word."""
    replace_machine(world, B)
    world.run_until(world.is_healthy, world.now + 60)
    wait(world, 15)
    world.power_off(B)
    stays(world, A, 60)
    world.power_off(A)
    world.power_on(B)
    wait(world, 60)
    world.confirm(B)
    expect(world, B, 20)
    world.kill_nics(A)
    world.power_on(A)
    stays(world, B, 90)
    assert world.holders() == [B]


def flag_is_left_beside_a_second_machine(world: World) -> None:
    """What its settings say does not count once another machine has spoken with its key."""
    replace_machine(world, B)
    world.run_until(world.is_healthy, world.now + 60)
    wait(world, 15)
    world.move(A)
    expect(world, B, 60)
    world.machines[A].is_vacant = True
    world.restart_agent(A)
    stays(world, B, 30)
    world.unplug(Path.CROSSOVER)
    stays(world, B, 60)
    recovers(world)
    assert world.holders() == [B]


LONE: Mapping[str, Scenario] = {
    name: replace(scenario, is_lone=True)
    for name, scenario in named(
        lone_machine_loses_its_power,
        lone_machine_is_shut_down_in_order,
        lone_machines_agent_dies,
        lone_machines_disk_fails,
        machine_comes_beside_a_lone_one,
        lone_machine_reboots_when_it_has_agreed,
        lone_machine_dies_during_the_first_copy,
        machine_beside_a_lone_one_is_chosen,
        flag_is_left_beside_a_second_machine,
    ).items()
}
