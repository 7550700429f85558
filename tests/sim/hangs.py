# SPDX-License-Identifier: MIT
"""Named histories of data disks that hang: no answer comes, and no error either."""

from collections.abc import Mapping

from haagent.core.model import Disk, Phase
from tests.sim.disks import lacks
from tests.sim.telling import A, B, Scenario, disk, expect, named, phase, recovers, stays, wait
from tests.sim.world import World


def gives_up(world: World, node: int, within: float) -> None:
    resets = world.machines[node].resets
    world.run_until(lambda: world.machines[node].resets > resets, world.now + within)


def holders_disk_hangs(world: World) -> None:
    """Its guest goes to the other machine, and what it owed is copied when it is back."""
    world.hang_disk(A)
    gives_up(world, A, world.timing.hung_is_off + 1)
    expect(world, B, world.timing.take + 4)
    wait(world, 5)
    world.free_disk(A)
    stays(world, B, 60)
    assert world.is_healthy()


def standbys_disk_hangs(world: World) -> None:
    """The holder's writes wait for it. It cannot even be marked, but it can be off."""
    world.hang_disk(B)
    wait(world, 5)
    assert not world.serves(A)
    gives_up(world, B, world.timing.hung_is_off + 1)
    world.free_disk(B)
    world.run_until(lambda: world.serves(A), world.now + world.timing.resume + 5)
    assert world.audit.starts["g"] == world.machines[A].domains["g"], "it was not started anew"
    stays(world, A, 60)
    assert world.is_healthy()


def disk_hangs_of_who_is_alone(world: World) -> None:
    """Nobody could go on: it waits, also when the other one is back, which has not all."""
    world.power_off(B)
    wait(world, 20)
    assert world.serves(A)
    world.hang_disk(A)
    stays(world, A, 40)
    world.power_on(B)
    stays(world, A, 60)
    assert phase(world, A) is Phase.HOLDING and world.machines[A].resets == 0
    assert disk(world, B) is not Disk.UP_TO_DATE
    world.free_disk(A)
    world.run_until(lambda: world.serves(A), world.now + 5)
    recovers(world)
    assert world.holders() == [A]


def disks_hang_for_a_while(world: World) -> None:
    """As one that spins up again. The guest waits, and nothing else comes of it."""
    for node in (A, B):
        world.hang_disk(node)
        stays(world, A, 8)
        world.free_disk(node)
        stays(world, A, 30)
        assert world.serves(A) and world.machines[node].resets == 0
    assert world.is_healthy()


def disk_hangs_still_after_the_reset(world: World) -> None:
    """Nothing of it is taken up, so that nobody gives up again."""
    world.hang_disk(A)
    expect(world, B, 60)
    stays(world, B, 200)
    assert world.machines[A].resets == 1 and world.machines[A].is_on
    assert disk(world, A) is Disk.DISKLESS
    world.free_disk(A)
    stays(world, B, 30)
    assert world.is_healthy()


def disk_hangs_of_a_standby_without_its_holder(world: World) -> None:
    """The holder is dead: a reset would cost the proof that its copy is the newest. It is started
    when the disk answers, and not before.
    """
    world.power_off(A)
    world.hang_disk(B)
    expect(world, None, 60)
    assert world.machines[B].resets == 0
    assert "the disk of our copy does not answer" in lacks(world, B)
    world.free_disk(B)
    expect(world, B, 5)
    recovers(world)


HANGS: Mapping[str, Scenario] = named(
    holders_disk_hangs,
    standbys_disk_hangs,
    disk_hangs_of_who_is_alone,
    disks_hang_for_a_while,
    disk_hangs_still_after_the_reset,
    disk_hangs_of_a_standby_without_its_holder,
)
