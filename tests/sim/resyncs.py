# SPDX-License-Identifier: MIT
"""Named histories of resyncs that hang at their end: the target is up to date, and the source goes
on calling itself SyncSource.

They cannot be told of real machines: nobody knows how to have DRBD miss the end of a resync.
"""

from collections.abc import Mapping

from haagent.core.model import Disk, Link
from tests.sim.telling import A, B, Scenario, disk, expect, named, recovers, stays, wait
from tests.sim.world import World

ENDS = 45.0  # seconds: what a resync that hangs is given, and the one that follows


def hangs(world: World, times: int = 1, *, by_both: bool = False, is_told: bool = True) -> None:
    """B was away for a while, and its copy is up to date again. A does not know, or neither; they
    have told each other what they see, unless it IS_TOLD no more.
    """
    world.power_off(B)
    wait(world, 20)
    world.miss_ends(times, by_both=by_both)
    world.power_on(B)
    world.run_until(lambda: world.mirrors["g"].is_stuck(A), world.now + 60)
    assert disk(world, B) is (Disk.INCONSISTENT if by_both else Disk.UP_TO_DATE)
    if is_told:
        wait(world, 3)


def connects_anew(world: World) -> None:
    """A has taken its connection down just now."""
    copy = world.mirrors["g"].copies[A]
    world.run_until(lambda: copy.link is Link.STANDALONE, world.now + ENDS)


def is_waited_for(world: World) -> None:
    """A dies, and nobody has the guest before it is back."""
    world.power_off(A)
    expect(world, None, 60)
    recovers(world)
    assert world.holders() == [A]


def goes_on_alone(world: World) -> None:
    """A is cut off. DRBD does not freeze it, so nobody else may have the guest."""
    world.kill_nics(A)
    stays(world, A, 60)
    assert world.serves(A)
    recovers(world)
    assert world.holders() == [A]


def resync_hangs_at_its_end(world: World) -> None:
    """It is begun anew, and has nothing to copy. The guest does not notice."""
    hangs(world)
    world.audit.longest_gap["g"] = 0.0
    stays(world, A, ENDS)
    assert world.is_healthy()
    assert world.audit.longest_gap["g"] < 2
    world.power_off(A)
    expect(world, B, 25)
    recovers(world)


def resync_hangs_on_both_machines(world: World) -> None:
    """The target does not see the end either. It is mended in the same way."""
    hangs(world, by_both=True)
    stays(world, A, ENDS)
    assert world.is_healthy()


def resync_hangs_again(world: World) -> None:
    """The connection is not taken down all the time: what did not help is tried again, but late."""
    hangs(world, times=2)
    wait(world, 300)
    assert world.mirrors["g"].is_stuck(A)
    assert sum("is to connect anew" in line for line in world.log) == 1
    stays(world, A, 360)
    assert sum("is to connect anew" in line for line in world.log) == 2
    assert world.is_healthy()


def holder_dies_while_a_resync_hangs(world: World) -> None:
    """A would have gone on without B at once, so B takes nothing over, whatever its DRBD says."""
    hangs(world)
    is_waited_for(world)


def holder_dies_as_its_mirror_connects_anew(world: World) -> None:
    """What it wrote in that moment is on its disk alone, and no word of that came out."""
    hangs(world)
    connects_anew(world)
    world.stall_agent(A, 1)
    wait(world, 0.3)
    one, other = (copy.data for copy in world.mirrors["g"].copies)
    assert one - other
    is_waited_for(world)


def holder_is_cut_off_while_a_resync_hangs(world: World) -> None:
    """DRBD does not freeze it, and it goes on alone."""
    hangs(world)
    goes_on_alone(world)


def holder_is_cut_off_as_a_resync_ends(world: World) -> None:
    """The same, before anybody could say what he sees."""
    hangs(world, is_told=False)
    goes_on_alone(world)


def holder_leaves_while_a_resync_hangs(world: World) -> None:
    """B was never told that both copies are one, and takes nothing over: A starts it again."""
    hangs(world)
    world.leave(A)
    wait(world, 12)
    assert world.holders() == []
    recovers(world)
    assert len(world.holders()) == 1


def agent_dies_as_its_mirror_connects_anew(world: World) -> None:
    """The next one finds a connection that is down, and no split brain."""
    hangs(world)
    connects_anew(world)
    world.restart_agent(A)
    stays(world, A, 60)
    assert world.is_healthy()


RESYNCS: Mapping[str, Scenario] = named(
    resync_hangs_at_its_end,
    resync_hangs_on_both_machines,
    resync_hangs_again,
    holder_dies_while_a_resync_hangs,
    holder_dies_as_its_mirror_connects_anew,
    holder_is_cut_off_while_a_resync_hangs,
    holder_is_cut_off_as_a_resync_ends,
    holder_leaves_while_a_resync_hangs,
    agent_dies_as_its_mirror_connects_anew,
)
