# SPDX-License-Identifier: MIT
"""Named histories of machines whose stick is pulled, dies, or is full while they run."""

from collections.abc import Mapping

from haagent.core import lacking
from haagent.core.model import Disk, Path, Phase
from tests.sim.telling import (
    A,
    B,
    Scenario,
    disk,
    expect,
    named,
    phase,
    recovers,
    stays,
    wait,
)
from tests.sim.world import World

LOST = "a cannot write to its stick any more"


def lose_stick(world: World, node: int) -> None:
    """It is pulled, and both machines know."""
    world.pull_stick(node)
    world.run_until(lambda: knows(world, node) and is_told(world, node), world.now + 90)


def knows(world: World, node: int) -> bool:
    state = world.machines[node].state
    return state is not None and state.is_stateless


def is_told(world: World, node: int) -> bool:
    state = world.machines[1 - node].state
    hello = state.peer.hello if state else None
    return hello is not None and hello.is_stateless


def holder_loses_its_stick(world: World) -> None:
    """It serves on; a person then shuts it down, and the guest goes to the other first."""
    lose_stick(world, A)
    kept = world.machines[A].kept
    stays(world, A, 120)
    assert world.machines[A].kept == kept
    assert world.machines[A].resets == 0
    world.leave(A)
    expect(world, B, 6)
    stays(world, B, 60)
    recovers(world)


def holder_without_its_stick_dies(world: World) -> None:
    """As any other holder; it does not come back without a stick, and is no danger with it."""
    lose_stick(world, A)
    world.power_off(A)
    expect(world, B, 25)
    world.power_on(A)
    stays(world, B, 60)
    world.put_stick_back(A)
    recovers(world)
    stays(world, B, 30)


def holder_is_switched_off_without_its_stick(world: World) -> None:
    """Before its agent has noticed anything."""
    world.pull_stick(A)
    world.power_off(A)
    expect(world, B, 25)
    recovers(world)


def holder_without_its_stick_loses_the_other(world: World) -> None:
    """It cannot go on alone in a claim that it cannot write: it ends, and gives up in time."""
    lose_stick(world, A)
    state = world.machines[A].state
    assert state is not None and LOST in lacking.sentences(state, "g")
    world.power_off(B)
    wait(world, 12)
    assert phase(world, A) is Phase.FROZEN
    world.run_until(lambda: not world.holders(), world.now + 10)
    expect(world, None, 60)
    assert not world.machines[A].is_on
    world.power_on(B)
    expect(world, None, 90)  # whoever wrote last is not there
    world.put_stick_back(A)
    recovers(world)


def standby_without_its_stick(world: World) -> None:
    """The other dies: it may not take over, for it could not write its claim down."""
    lose_stick(world, B)
    stays(world, A, 60)
    world.move(A)
    assert world.refusals == [LOST.replace("a", "b", 1)]
    world.power_off(A)
    expect(world, None, 120)
    state = world.machines[B].state
    assert state is not None
    assert lacking.unstartable(state, "g") == LOST.replace("a", "b", 1)
    world.power_on(A)
    expect(world, A, 60)
    recovers(world)


def standby_without_its_stick_dies(world: World) -> None:
    """The holder goes on alone, by its own claim on its own stick."""
    lose_stick(world, B)
    world.power_off(B)
    stays(world, A, 60)
    world.put_stick_back(B)
    recovers(world)
    stays(world, A, 30)


def guest_is_moved_off_a_machine_without_its_stick(world: World) -> None:
    """And not back: nothing is started there."""
    lose_stick(world, A)
    world.move(A)
    expect(world, B, 6)
    stays(world, B, 60)
    world.move(B)
    assert world.refusals == [None, LOST]
    world.reset(A)
    stays(world, B, 60)
    world.put_stick_back(A)
    recovers(world)
    stays(world, B, 30)


def crossover_is_pulled_from_a_standby_without_its_stick(world: World) -> None:
    """Its consent is written down by DRBD: its copy is Outdated before it is given."""
    lose_stick(world, B)
    world.unplug(Path.CROSSOVER)
    stays(world, A, 60)
    assert disk(world, B) is Disk.OUTDATED
    world.power_off(A)
    world.reset(B)
    world.put_stick_back(B)
    world.power_on(B)
    expect(world, None, 120)
    recovers(world)
    assert world.holders() == [A]


def holder_returns_to_a_standby_without_its_stick(world: World) -> None:
    """It needs the other's consent, and gets it of a copy that is Outdated."""
    lose_stick(world, B)
    world.reset(A)
    expect(world, A, 90)
    wait(world, 30)
    assert disk(world, B) is Disk.UP_TO_DATE
    recovers(world)


def gateway_fails_beside_a_machine_without_its_stick(world: World) -> None:
    """The other promises it nothing, for it can rely on nothing; so it may take over later."""
    lose_stick(world, A)
    world.set_gateway(False)
    stays(world, A, 30)
    state = world.machines[B].state
    assert state is not None and not state.durable.ledgers["g"].stands_down
    world.set_gateway(True)
    wait(world, 30)
    world.power_off(A)
    expect(world, B, 25)
    recovers(world)


def stick_is_lost_while_the_other_stands_down(world: World) -> None:
    """The other takes its promise back by itself: the one that it was made to could not."""
    world.set_gateway(False)
    wait(world, 20)
    state = world.machines[B].state
    assert state is not None and state.durable.ledgers["g"].stands_down
    lose_stick(world, A)
    world.set_gateway(True)
    stays(world, A, 30)
    world.power_off(A)
    expect(world, B, 25)
    recovers(world)


def agent_dies_without_its_stick(world: World) -> None:
    """It cannot read its settings any more: the watchdog ends the boot, the other takes over."""
    lose_stick(world, A)
    world.restart_agent(A)
    expect(world, B, 60)
    world.put_stick_back(A)
    recovers(world)


def stick_is_full(world: World) -> None:
    """It counts as lost for the whole boot, also for the next agent, and for the next boot anew."""
    world.fill_stick(A)
    world.run_until(lambda: knows(world, A), world.now + 90)
    world.restart_agent(A)
    stays(world, A, 30)
    assert knows(world, A)
    world.machines[A].is_stick_full = False
    stays(world, A, 30)
    assert knows(world, A)
    world.move(A)
    expect(world, B, 6)
    recovers(world)


def both_sticks_are_lost(world: World) -> None:
    """The guest runs on as long as both do."""
    lose_stick(world, A)
    lose_stick(world, B)
    stays(world, A, 120)
    assert world.serves(A)
    recovers(world, 200)


STICKS: Mapping[str, Scenario] = named(
    holder_loses_its_stick,
    holder_without_its_stick_dies,
    holder_is_switched_off_without_its_stick,
    holder_without_its_stick_loses_the_other,
    standby_without_its_stick,
    standby_without_its_stick_dies,
    guest_is_moved_off_a_machine_without_its_stick,
    crossover_is_pulled_from_a_standby_without_its_stick,
    holder_returns_to_a_standby_without_its_stick,
    gateway_fails_beside_a_machine_without_its_stick,
    stick_is_lost_while_the_other_stands_down,
    agent_dies_without_its_stick,
    stick_is_full,
    both_sticks_are_lost,
)
