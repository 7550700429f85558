# SPDX-License-Identifier: MIT
"""Named histories of guests that start in an order."""

import re
from collections.abc import Mapping

from tests.sim.telling import A, B, Scenario, expect, name_of, recovers, wait
from tests.sim.world import World

PAUSE = 5.0  # seconds from the first guest's start
THREE = {"web": 90, "app": 50, "db": 10}  # their places
RUNNING = re.compile(r" *([0-9.]+)  [ab]: (\w+): running")


def starts(world: World, since: float) -> dict[str, float]:
    """When each guest came up, the first that did first."""
    found = (RUNNING.fullmatch(line) for line in world.log)
    return {one[2]: float(one[1]) for one in found if one and float(one[1]) >= since}


def in_order(world: World, since: float) -> None:
    found = starts(world, since)
    assert list(found) == ["db", "app", "web"], found
    assert found["app"] - found["db"] >= PAUSE


def guests_start_in_their_order(world: World) -> None:
    """With both machines, and on the one that is left."""
    in_order(world, 0.0)
    since = world.now
    world.power_off(A)
    for guest in THREE:
        expect(world, B, 60, guest)
    in_order(world, since)
    recovers(world)


def guests_on_both_start_in_their_order(world: World) -> None:
    """What comes first is on its way on the other machine."""
    found = starts(world, 0.0)
    assert next(iter(found)) == "db"
    since = world.now
    world.power_off(A)
    world.power_off(B)
    wait(world, 5)
    world.power_on(A, 10.0)
    world.power_on(B, 10.5)
    world.run_until(world.is_healthy, world.now + 90)
    assert next(iter(starts(world, since))) == "db"


def guest_that_cannot_start_keeps_nobody_back(world: World) -> None:
    """Its disk has failed where the others are taken over: they wait for nothing."""
    mirror = world.mirrors["db"]
    mirror.copies[B].has_failed = True
    mirror.drop_disk(B)
    wait(world, 5)
    since = world.now
    world.power_off(A)
    for guest in ("app", "web"):
        expect(world, B, 40, guest)
    assert list(starts(world, since)) == ["app", "web"]
    recovers(world)


def guest_that_was_frozen_keeps_nobody_back(world: World) -> None:
    """It runs all the time: nobody waits for it as for one that has just been started."""
    start, since = world.machines[B].domains["db"], world.now
    world.power_off(A)
    for guest in ("app", "web"):
        expect(world, B, 40, guest)
    assert world.machines[B].domains["db"] == start
    found = starts(world, since)
    assert list(found) == ["app", "web"] and found["app"] - since < world.timing.take + PAUSE
    recovers(world)


ON_ONE = {"web": A, "app": A, "db": A}
ON_BOTH = {**ON_ONE, "db": B}
ORDERS: Mapping[str, Scenario] = {
    name_of(tell): Scenario(tell, guests=guests, places=THREE, pauses={"db": PAUSE})
    for tell, guests in (
        (guests_start_in_their_order, ON_ONE),
        (guests_on_both_start_in_their_order, ON_BOTH),
        (guest_that_cannot_start_keeps_nobody_back, ON_ONE),
        (guest_that_was_frozen_keeps_nobody_back, ON_BOTH),
    )
}
