# SPDX-License-Identifier: MIT
"""Named histories of a person who says which copy is to be used."""

from collections.abc import Mapping

from haagent.core import events
from haagent.core.model import Disk, Link, Path
from tests.sim.telling import A, B, Scenario, disk, expect, named, recovers, stays, wait
from tests.sim.world import World


def operator_starts_the_old_copy(world: World) -> None:
    world.power_off(B)
    wait(world, 20)
    world.power_off(A)
    world.power_on(B)
    wait(world, 40)
    world.audit.acked["g"].clear()  # the operator gives up what A alone has
    world.post(B, lambda: events.OperatorConfirmed(world.clock(B), "g"))
    expect(world, B, 10)
    wait(world, 20)
    world.power_off(B)
    world.power_on(A, 10)
    world.power_on(B, 20)
    wait(world, 90)
    assert A not in world.holders()
    parted = {world.mirrors["g"].copies[node].link for node in (A, B)}
    assert Link.STANDALONE in parted


def term_that_was_heard_of_survives_a_power_cut(world: World) -> None:
    """A served alone and died, and a person started B's copy. A hears so from B, and not from DRBD;
    then both lose power, and A alone is back: all that tells it to wait is on its stick.
    """
    world.power_off(B)
    wait(world, 20)
    world.power_off(A)
    world.power_on(B)
    wait(world, 40)
    world.audit.acked["g"].clear()  # the operator gives up what A alone has
    world.post(B, lambda: events.OperatorConfirmed(world.clock(B), "g"))
    expect(world, B, 10)
    world.unplug(Path.CROSSOVER)
    world.power_on(A)
    wait(world, 40)
    assert world.holders() == [B]
    world.power_off(B)
    world.reset(A)
    expect(world, None, 90)


def operator_wants_a_part_of_a_copy(world: World) -> None:
    """The holder dies while the other copy is brought up to date: no word can start that one, and
    none may keep the holder from serving when it is back.
    """
    world.power_off(B)
    stays(world, A, 60)
    world.sync_takes = 3600.0
    world.power_on(B)
    world.run_until(lambda: disk(world, B) is Disk.INCONSISTENT, world.now + 60)
    world.power_off(A)
    wait(world, 30)
    world.post(B, lambda: events.OperatorConfirmed(world.clock(B), "g"))
    expect(world, None, 30)
    world.power_on(A)
    expect(world, A, 90)
    world.sync_takes = None
    world.break_mirror()
    recovers(world)


def operator_wants_an_outdated_copy(world: World) -> None:
    """The other one wrote since, and DRBD knows it: without force it starts nothing on that."""
    world.unplug(Path.CROSSOVER)
    wait(world, 30)
    assert disk(world, B) is Disk.OUTDATED
    world.power_off(A)
    wait(world, 30)
    world.post(B, lambda: events.OperatorConfirmed(world.clock(B), "g"))
    expect(world, None, 30)
    world.power_on(A)
    expect(world, A, 90)
    recovers(world)


def split_brain(world: World) -> None:
    """Both wrote alone: A has the guest now, and B has ended its own. What led here is forgiven."""
    for path in (Path.CROSSOVER, Path.LAN):
        world.unplug(path)
    wait(world, 60)
    world.heal()
    wait(world, 30)
    assert world.holders() == [A]
    one, other = (copy.data for copy in world.mirrors["g"].copies)
    world.audit.forgive("g", one ^ other)
    world.note("== split brain")


def split_brain_is_ended_where_it_runs(world: World) -> None:
    split_brain(world)
    world.choose(B, A)
    stays(world, A, 40)
    assert world.is_healthy()


def split_brain_is_ended_the_other_way(world: World) -> None:
    split_brain(world)
    world.choose(A, B)
    expect(world, B, 20)
    recovers(world)


CHOICES: Mapping[str, Scenario] = named(
    operator_starts_the_old_copy,
    term_that_was_heard_of_survives_a_power_cut,
    operator_wants_a_part_of_a_copy,
    operator_wants_an_outdated_copy,
    split_brain_is_ended_where_it_runs,
    split_brain_is_ended_the_other_way,
)
