# SPDX-License-Identifier: MIT
"""A healthy pair that was brought up once and is copied from then on.

Two boots and a first start cost as much as most histories, and tell nothing new. What was on its
way in the model at that moment is lost; the turns of the two agents fall anew, by the seed.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import fields
from functools import lru_cache

from haagent.core.model import Policy
from tests.sim.audit import Audit
from tests.sim.copies import Copy
from tests.sim.hands import STEP
from tests.sim.machine import Machine
from tests.sim.wires import Formats
from tests.sim.world import World, healthy

Speak = tuple[Formats, Formats]
OWN = frozenset({"ground", "node", "queue"})  # of a machine; everything else is copied


def standing(
    guests: Mapping[str, int], policy: Policy, seed: int, speak: Speak | None = None
) -> World:
    """As `healthy`, and with another log: what was before is not in it."""
    model = _model(tuple(guests.items()), policy, speak)
    world = World(guests=dict(guests), policy=policy, seed=seed, speak=speak)
    world.begin_at(model.now)
    for machine, other in zip(world.machines, model.machines, strict=True):
        for field in fields(Machine):
            if field.name not in OWN:
                setattr(machine, field.name, _apart(getattr(other, field.name)))
    for guest, mirror in world.mirrors.items():
        for one, other_copy in zip(mirror.copies, model.mirrors[guest].copies, strict=True):
            for field in fields(Copy):
                setattr(one, field.name, _apart(getattr(other_copy, field.name)))
        mirror.go_on_from(model.mirrors[guest])
    for field in fields(Audit):
        setattr(world.audit, field.name, _apart(getattr(model.audit, field.name)))
    world.write_numbers, world.start_numbers = copy(model.write_numbers), copy(model.start_numbers)
    world.after(world.random.uniform(0.0, STEP), world.step)
    for machine in world.machines:
        machine.turn_after(world.random.uniform(0.0, world.timing.keepalive))
    world.note("== healthy")
    return world


@lru_cache(maxsize=64)
def _model(guests: tuple[tuple[str, int], ...], policy: Policy, speak: Speak | None) -> World:
    return healthy(guests=dict(guests), policy=policy, speak=speak)


def _apart(value: object) -> object:
    """VALUE, so that what is done to it is not seen in the model. States are values already."""
    match value:
        case dict():
            return {key: _apart(one) for key, one in value.items()}
        case set() | list():
            return copy(value)
    return value
