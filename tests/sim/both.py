# SPDX-License-Identifier: MIT
"""Named histories of both machines, and of one fault after another."""

from collections.abc import Mapping

from haagent.core import lacking
from haagent.core.model import Disk, Link, Path, Phase
from tests.sim.faults import FOR_EVER
from tests.sim.telling import A, B, Scenario, disk, expect, named, phase, recovers, stays, wait
from tests.sim.world import World


def one_after_the_other_dies_while_the_copy_catches_up(world: World) -> None:
    """The standby dies, and the holder does not wait for it: DRBD itself knows that half a copy is
    none. Later the holder dies, and nobody starts the guest on half a copy.
    """
    world.sync_takes = FOR_EVER
    world.power_off(B)
    wait(world, 30)
    catches_up(world)
    world.power_off(B)
    stays(world, A, 5)
    assert world.serves(A)
    stays(world, A, 20)
    catches_up(world)
    world.power_off(A)
    expect(world, None, 90)
    state = world.machines[B].state
    assert state is not None and lacking.unstartable(state, "g") is not None
    world.sync_takes = None
    recovers(world)
    assert world.holders() == [A]


def catches_up(world: World) -> None:
    """The standby is back, and behind."""
    world.power_on(B)
    holders = world.mirrors["g"].copies[A]
    world.run_until(lambda: holders.link is Link.SYNC_SOURCE, world.now + 60)
    stays(world, A, 5)
    assert disk(world, B) is Disk.INCONSISTENT


def gateway_goes_while_the_standby_waits(world: World) -> None:
    """It might be the one cut off: its copy is given up, and the dead one is waited for."""
    world.power_off(A)
    wait(world, 8)
    world.set_gateway(False)
    expect(world, None, 60)
    assert disk(world, B) is Disk.OUTDATED
    recovers(world)
    assert world.holders() == [A]


def gateway_goes_while_the_holder_waits(world: World) -> None:
    """It ends its guest in time, and does not know, in its next boot, who was the last."""
    world.power_off(B)
    world.run_until(lambda: phase(world, A) is Phase.FROZEN, world.now + 10)
    world.set_gateway(False)
    expect(world, None, 90) if not world.holders() else wait(world, 90)
    assert world.holders() == [] and world.machines[A].resets == 1
    recovers(world)


def both_die_and_return_without_a_cable(world: World) -> None:
    for node in (A, B):
        world.power_off(node)
    for path in (Path.CROSSOVER, Path.LAN):
        world.unplug(path)
    world.power_on(A)
    expect(world, None, 60)
    world.power_on(B)
    expect(world, None, 60)
    world.plug(Path.LAN)  # they talk, and neither knows what the other wrote last
    expect(world, None, 60)
    starts = world.audit.starts["g"]
    world.plug(Path.CROSSOVER)
    expect(world, A, 60)
    recovers(world)
    assert world.audit.starts["g"] == starts + 1


def both_leave_at_once(world: World) -> None:
    world.boot_takes = 40.0
    for node in (B, A):
        world.leave(node)
    wait(world, 20)
    assert world.holders() == []
    expect(world, A, 60)
    recovers(world)
    assert world.audit.starts["g"] == 2


def one_leaves_after_the_other(world: World) -> None:
    """Who left first is back first, and waits for the one with the last word."""
    world.leave(A)
    expect(world, B, 6)
    wait(world, 4)
    world.power_off(A, "is off")
    wait(world, 10)
    world.leave(B)
    wait(world, 10)
    world.power_off(B, "is off")
    world.power_on(A)
    expect(world, None, 90)
    world.power_on(B)
    expect(world, B, 60)
    recovers(world)
    assert world.audit.starts["g"] == 3


def mains_flicker(world: World) -> None:
    """The two come a little further each time."""
    for seconds in (1, 26, 27.5, 30, 36):
        for node in (A, B):
            world.power_off(node)
        for node in (A, B):
            world.power_on(node)
        wait(world, seconds)
    expect(world, A, 60)
    recovers(world)


BOTH: Mapping[str, Scenario] = named(
    one_after_the_other_dies_while_the_copy_catches_up,
    gateway_goes_while_the_standby_waits,
    gateway_goes_while_the_holder_waits,
    both_die_and_return_without_a_cable,
    both_leave_at_once,
    one_leaves_after_the_other,
    mains_flicker,
)
