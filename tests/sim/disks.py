# SPDX-License-Identifier: MIT
"""Named histories of data disks that fail: DRBD detaches them, and the other machine's serves."""

from collections.abc import Mapping

from haagent.core import lacking
from haagent.core.model import Disk, Link, Path, Phase
from haagent.measures import SELDOM
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
    stays,
    wait,
)
from tests.sim.world import World

TWO = {"g": A, "h": A}


def lacks(world: World, node: int) -> list[str]:
    state = world.machines[node].state
    assert state is not None
    return lacking.sentences(state, "g")


def fail_with_no_room_elsewhere(world: World) -> None:
    """A's disk fails, and its guest stays, for B has no memory for it, as both know."""
    world.machines[B].is_full = True
    wait(world, SELDOM)
    world.fail_disk(A)
    wait(world, 10)
    assert world.serves(A)


def make_room(world: World) -> None:
    """B has memory again. Neither knows yet."""
    world.machines[B].is_full = False


def holders_disk_fails(world: World) -> None:
    """The guest feels nothing of it but the move to where the disk works. It does not come back."""
    world.fail_disk(A)
    assert world.serves(A)
    expect(world, B, 10)
    world.repair_disk(A)
    wait(world, 30)
    assert disk(world, A) is Disk.DISKLESS, "not before its next start"
    recovers(world)
    stays(world, B, 30)


def holders_disk_fails_and_nobody_else_has_room(world: World) -> None:
    """The guest runs on and does not notice; it goes when the other machine could start it."""
    fail_with_no_room_elsewhere(world)
    stays(world, A, 2 * SELDOM)
    assert world.serves(A)
    assert world.audit.longest_gap["g"] < 2
    make_room(world)
    expect(world, B, SELDOM + 10)
    recovers(world)
    stays(world, B, 30)


def both_guests_lose_their_disk(world: World) -> None:
    """One goes when the one before runs."""
    world.fail_disk(A)
    world.run_until(lambda: phase(world, B, "g") is Phase.HOLDING, world.now + 10)
    assert phase(world, A, "h") is Phase.HOLDING
    world.run_until(lambda: phase(world, B, "h") is Phase.HOLDING, world.now + 10)
    recovers(world)
    stays(world, B, 30)


def holder_with_a_failed_disk_leaves(world: World) -> None:
    """DRBD cannot outdate a disk that failed: the other one is frozen for a while."""
    fail_with_no_room_elsewhere(world)
    make_room(world)
    world.leave(A)
    expect(world, B, 16)
    recovers(world)
    stays(world, B, 30)


def holder_with_a_failed_disk_dies(world: World) -> None:
    """Its disk can be read when it is back: what it has is old, and becomes the target."""
    fail_with_no_room_elsewhere(world)
    make_room(world)
    world.power_off(A)
    expect(world, B, 25)
    world.repair_disk(A)
    world.power_on(A)
    stays(world, B, 60)
    recovers(world)


def holders_disk_fails_and_the_standby_starts_anew(world: World) -> None:
    """It meets a holder without a disk, which DRBD connects to the copy that it wrote to alone."""
    fail_with_no_room_elsewhere(world)
    world.boot_takes = 8.0
    world.reset(B)
    wait(world, 1)
    world.run_until(lambda: world.serves(A), world.now + 14)
    wait(world, 20)
    make_room(world)
    world.power_off(A)
    expect(world, B, 25)
    recovers(world)


def holders_disk_fails_and_the_crossover_is_back(world: World) -> None:
    """No copy can be reached: the guest is frozen, gets no error, and goes on."""
    fail_with_no_room_elsewhere(world)
    world.unplug(Path.CROSSOVER)
    wait(world, 8)
    assert phase(world, A) is Phase.FROZEN
    assert phase(world, B) is Phase.RELEASED and disk(world, B) is Disk.UP_TO_DATE
    world.plug(Path.CROSSOVER)
    stays(world, A, 30)
    assert world.serves(A)
    recovers(world)


def holders_disk_fails_then_the_crossover(world: World) -> None:
    """It never goes on alone, nor is the only copy given up for it. When it has given up and is
    there again, without a disk, the other one has it.
    """
    fail_with_no_room_elsewhere(world)
    world.unplug(Path.CROSSOVER)
    make_room(world)
    expect(world, B, 90)
    assert world.machines[A].resets == 1
    stays(world, B, 30)
    recovers(world)


def failed_disk_is_back_and_the_crossover_dead(world: World) -> None:
    """The one that has the only copy loses the gateway meanwhile. It keeps that copy, and the old
    one is not taken for the newest over the LAN.
    """
    fail_with_no_room_elsewhere(world)
    make_room(world)
    world.power_off(A)
    wait(world, 4)
    world.set_gateway(False)
    wait(world, 10)
    world.unplug(Path.CROSSOVER)
    world.set_gateway(True)
    world.repair_disk(A)
    world.power_on(A)
    expect(world, B, 90)
    stays(world, B, 30)
    recovers(world)


def standbys_disk_fails(world: World) -> None:
    """The guest does not notice. The other one takes nothing over until it is whole again."""
    world.fail_disk(B)
    stays(world, A, 60)
    assert world.audit.longest_gap["g"] < 2
    world.move(A)
    stays(world, A, 10)
    assert world.refusals[-1] == "its copy on b is Diskless"
    recovers(world)
    stays(world, A, 30)


def standbys_disk_fails_then_the_crossover(world: World) -> None:
    """Its consent is as good as that of one with an old copy: it starts nothing any more."""
    world.fail_disk(B)
    wait(world, 10)
    world.unplug(Path.CROSSOVER)
    stays(world, A, 60)
    assert world.serves(A)
    assert world.audit.longest_gap["g"] <= world.timing.dead + world.timing.gasp + 1
    recovers(world)


def standbys_disk_fails_and_it_leaves(world: World) -> None:
    world.fail_disk(B)
    wait(world, 10)
    world.leave(B)
    stays(world, A, 60)
    assert world.serves(A)
    recovers(world)


def standbys_disk_fails_then_the_holder(world: World) -> None:
    world.fail_disk(B)
    wait(world, 10)
    world.power_off(A)
    expect(world, None, 60)
    assert "our copy has no working disk: DRBD calls it Diskless" in lacks(world, B)
    recovers(world)
    assert world.holders() == [A]


def standbys_disk_is_dead_at_the_start(world: World) -> None:
    """It says so, and agrees: the other one has the newest copy, and no gateway to start by."""
    world.power_off(B)
    stays(world, A, 60)
    world.fail_disk(B)
    world.power_off(A)
    world.set_gateway(False)
    wait(world, 5)
    for node in (A, B):
        world.power_on(node)
    expect(world, A, 60)
    assert disk(world, B) is Disk.DISKLESS
    stays(world, A, 30)
    world.set_gateway(True)
    recovers(world)
    stays(world, A, 30)


def both_disks_fail_one_after_the_other(world: World) -> None:
    """What DRBD calls UpToDate, for it met a peer without a disk, is the older of two copies."""
    world.fail_disk(B)
    wait(world, 10)
    for node in (A, B):
        world.power_off(node)
    world.power_on(A, 5.0)
    wait(world, 6)
    world.fail_disk(A)
    world.repair_disk(B)
    world.power_on(B, 5.0)
    wait(world, 10)
    copy = world.mirrors["g"].copies[B]
    assert (copy.link, copy.disk) == (Link.CONNECTED, Disk.UP_TO_DATE)
    expect(world, None, 60)
    recovers(world)
    assert world.holders() == [A]


DISKS: Mapping[str, Scenario] = named(
    holders_disk_fails,
    holders_disk_fails_and_nobody_else_has_room,
    holder_with_a_failed_disk_leaves,
    holder_with_a_failed_disk_dies,
    holders_disk_fails_and_the_standby_starts_anew,
    holders_disk_fails_and_the_crossover_is_back,
    holders_disk_fails_then_the_crossover,
    failed_disk_is_back_and_the_crossover_dead,
    standbys_disk_fails,
    standbys_disk_fails_then_the_crossover,
    standbys_disk_fails_and_it_leaves,
    standbys_disk_fails_then_the_holder,
    standbys_disk_is_dead_at_the_start,
    both_disks_fail_one_after_the_other,
) | {name_of(both_guests_lose_their_disk): Scenario(both_guests_lose_their_disk, guests=TWO)}
