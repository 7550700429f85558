# SPDX-License-Identifier: MIT
"""Named histories of a pair whose addresses on the LAN are changed."""

from collections.abc import Mapping

from haagent.core.model import LanChange, LanStage
from haagent.core.relocating import OPEN
from tests.sim.telling import A, B, Scenario, expect, named, recovers, stays, wait
from tests.sim.world import World


def stands(world: World, node: int) -> LanChange:
    """What NODE has on disk."""
    kept = world.machines[node].kept
    assert kept is not None
    return kept.lan


def lan(world: World) -> set[int]:
    """The changes that anything of the pair has its addresses from."""
    return {number for one in world.machines for number in (one.lan_files, one.lan, one.lan_agent)}


def is_over(world: World) -> bool:
    """Nothing of it is under way on either machine, and no file is on trial."""
    return (
        all(stands(world, node).stage not in OPEN for node in (A, B))
        and all(one.lan_trial is None for one in world.machines)
        and len(lan(world)) == 1
    )


def change(world: World) -> None:
    world.change_lan(A)
    wait(world, 60)


def addresses_are_changed(world: World) -> None:
    world.change_lan(B)
    stays(world, A, 60)
    assert is_over(world) and lan(world) == {1}
    world.power_off(A)
    expect(world, B, 25)
    recovers(world)


def new_gateway_does_not_answer(world: World) -> None:
    world.bad_gateways.add(2)
    world.change_lan(A)
    stays(world, A, 180)
    assert is_over(world) and lan(world) == {0}
    assert stands(world, A).stage is LanStage.DROPPED
    recovers(world)


def asker_reboots_as_addresses_change(world: World) -> None:
    world.change_lan(A)
    world.run_until(lambda: world.machines[A].lan_trial is not None, world.now + 60)
    world.reset(A)
    expect(world, A, 90)
    wait(world, 30)
    assert is_over(world) and lan(world) == {0}
    recovers(world)


RELOCATIONS: Mapping[str, Scenario] = named(
    addresses_are_changed,
    new_gateway_does_not_answer,
    asker_reboots_as_addresses_change,
)
