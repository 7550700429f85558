# SPDX-License-Identifier: MIT
"""A dead machine is replaced, with the power cut after each step of it; and what is broken on
purpose in that is seen.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from haagent.core import replacing
from haagent.core.invariants import InvariantBroken
from haagent.core.model import Link, NodeState
from tests.sim import shadow as shadows
from tests.sim.copies import Copy
from tests.sim.machine import Machine
from tests.sim.shadow import blank_copy, steps
from tests.sim.successions import SUCCESSIONS, survive
from tests.sim.telling import A, B, begin, recovers
from tests.sim.world import World, healthy, lone

STEPS = 5
Plant = Callable[[pytest.MonkeyPatch, World], None]


def watched(world: World) -> World:
    """Fails as soon as the survivor's copy is written over."""
    mirror = world.mirrors["g"]
    step = mirror.step

    def look(now: float, detect: float, sync: float) -> None:
        step(now, detect, sync)
        assert mirror.copies[A].link is not Link.SYNC_TARGET, "the survivor is overwritten"

    mirror.step = look  # type: ignore[method-assign]
    return world


def bereft() -> World:
    world = healthy()
    survive(world)
    return world


@pytest.mark.parametrize("begins", [bereft, lone])
@pytest.mark.parametrize("number", range(STEPS))
@pytest.mark.parametrize("who", [(A,), (B,), (A, B)])
def test_a_power_cut_after_each_step(
    who: tuple[int, ...], number: int, begins: Callable[[], World]
) -> None:
    """Of who was left by another machine, and of who never had one."""
    world = watched(begins())
    replacement = steps(world, B)
    for _ in range(number + 1):
        next(replacement)
    for node in who:
        world.power_off(node)
    for node in who:
        if node == A or number == STEPS - 1:
            world.power_on(node)
    # Before the new machine is there, the survivor serves alone: in the old pair, or in the new.
    world.run_until(lambda: world.serves(A), world.now + 120)
    for _ in replacement:
        pass
    recovers(world, 200)
    assert world.holders() == [A]
    assert world.audit.violations == []
    assert world.audit.together == 0
    assert {machine.key for machine in world.machines} == {"second"}


def test_there_are_as_many_steps() -> None:
    world = healthy()
    survive(world)
    assert len(list(steps(world, B))) == STEPS


def first_sync_skipped(plant: pytest.MonkeyPatch, world: World) -> None:
    """What `new-current-uuid --clear-bitmap` would do: a blank copy passes for the newest."""

    def declared(secret: str) -> Copy:
        survivor = world.mirrors["g"].copies[A]
        return replace(blank_copy(secret), is_inconsistent=False, current=survivor.current)

    plant.setattr(shadows, "blank_copy", declared)


def new_copy_taken_for_the_newer(plant: pytest.MonkeyPatch, world: World) -> None:
    """The direction of the first copy turned round."""

    def newer(secret: str) -> Copy:
        survivor = world.mirrors["g"].copies[A]
        history = {survivor.current, survivor.bitmap, *survivor.history}
        copy = blank_copy(secret)
        return replace(copy, is_inconsistent=False, current=10**6, history=history)

    plant.setattr(shadows, "blank_copy", newer)


def old_promises_kept(plant: pytest.MonkeyPatch, world: World) -> None:
    plant.setattr(replacing, "_with_another_peer", lambda ledgers: ledgers)


def replaced_machine_not_told(plant: pytest.MonkeyPatch, world: World) -> None:
    plant.setattr(replacing, "answer", lambda turn: None)


def replaced_machine_told_nothing_that_lasts(plant: pytest.MonkeyPatch, world: World) -> None:
    said = replacing.verdict

    def verdict(state: NodeState) -> object:
        return replace(said(state), guests={})

    plant.setattr(replacing, "verdict", verdict)


def keys_not_handed_on(plant: pytest.MonkeyPatch, world: World) -> None:
    """The new machine knows nobody who was replaced before it came."""
    plant.setattr(
        shadows, "Machine", lambda ground, node, key, replaced_keys: Machine(ground, node, key=key)
    )


PLANTS: tuple[tuple[Plant, str], ...] = (
    (first_sync_skipped, "dead-machine-is-replaced"),
    (new_copy_taken_for_the_newer, "dead-machine-is-replaced"),
    (old_promises_kept, "replaced-after-a-stand-down"),
    (replaced_machine_not_told, "replaced-machine-comes-back"),
    (replaced_machine_told_nothing_that_lasts, "replaced-machine-comes-back"),
    (keys_not_handed_on, "replaced-machine-comes-back-to-strangers"),
)


@pytest.mark.parametrize(("plant", "name"), PLANTS)
def test_a_broken_rule_is_seen(plant: Plant, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = SUCCESSIONS[name]
    world = watched(begin(scenario))
    plant(monkeypatch, world)
    try:
        scenario.tell(world)
    except (AssertionError, InvariantBroken):
        return
    assert world.audit.violations or world.audit.together, "nobody noticed"


def test_a_mirror_with_the_old_secret_is_refused() -> None:
    """Its cable may be put back into the machine that was replaced."""
    world = healthy()
    survive(world)
    for _ in steps(world, B):
        pass
    for mirror in world.mirrors.values():
        mirror.copies[B].secret = "first"
    world.run_until(lambda: world.mirrors["g"].copies[A].link is Link.STANDALONE, world.now + 90)
    assert world.holders() == [A]
