# SPDX-License-Identifier: MIT
"""A second machine comes beside a lone one, with the power cut at any moment of it."""

import pytest

from haagent.core.model import Link
from tests.sim.lone import LONE
from tests.sim.shadow import steps
from tests.sim.telling import A, B, begin
from tests.sim.test_replacing import watched
from tests.sim.world import World, lone


@pytest.mark.parametrize("finds_old", [False, True], ids=["new", "old"])
@pytest.mark.parametrize("name", ["lone-machine-loses-its-power", "lone-machines-agent-dies"])
def test_a_power_cut_in_every_save(name: str, finds_old: bool) -> None:
    """Nobody mends anything but the power: it serves again alone."""

    def tell(cut_at_save: int) -> int:
        scenario = LONE[name]
        world = begin(scenario)
        world.saves, world.cut_at_save, world.cut_finds_old = 0, cut_at_save, finds_old
        try:
            scenario.tell(world)
        except (AssertionError, KeyError):
            assert world.cut_at_save is not None and world.saves >= cut_at_save
        world.cut_at_save = None
        world.power_on(A)
        world.run_until(lambda: world.serves(A), world.now + 60)
        assert_kept(world)
        return world.saves

    for number in range(1, tell(-1) + 1):
        tell(number)


def test_the_direction_of_the_first_copy() -> None:
    world = watched(lone())
    for _ in steps(world, B):
        pass
    copies = world.mirrors["g"].copies
    world.run_until(lambda: copies[B].link is Link.SYNC_TARGET, world.now + 60)
    assert copies[A].link is Link.SYNC_SOURCE


def assert_kept(world: World) -> None:
    assert world.audit.violations == []
    assert world.audit.together == 0
