# SPDX-License-Identifier: MIT
"""What the named histories are told with: the pair they begin with, waiting, and expecting.

A history gets a world, does something to it, and asserts what must come of it. That nothing was
lost and nobody wrote twice is asserted for all of them by the test that runs them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from haagent.core.model import Disk, Phase, Policy
from tests.sim.wires import Formats
from tests.sim.world import World, healthy, lone

A, B = 0, 1


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story, and the pair that it begins with."""

    tell: Callable[[World], None]
    policy: Policy = Policy.AUTOMATIC
    is_exempt: bool = False  # of a class in which two machines may serve for a while
    guests: Mapping[str, int] = field(default_factory=lambda: {"g": A})
    places: Mapping[str, int] = field(default_factory=dict)  # in the order of starts
    pauses: Mapping[str, float] = field(default_factory=dict)
    off: frozenset[str] = frozenset()  # until they are started
    speak: tuple[Formats, Formats] | None = None  # of two releases: what each reads and writes
    is_lone: bool = False  # A was set up alone, and there is no B


def begin(scenario: Scenario, seed: int = 0) -> World:
    return (lone if scenario.is_lone else healthy)(
        guests=dict(scenario.guests),
        places=dict(scenario.places),
        pauses=dict(scenario.pauses),
        off=scenario.off,
        policy=scenario.policy,
        seed=seed,
        speak=scenario.speak,
    )


def phase(world: World, node: int, guest: str = "g") -> Phase:
    state = world.machines[node].state
    assert state is not None
    return state.guests[guest].phase


def disk(world: World, node: int) -> Disk:
    return world.mirrors["g"].copies[node].disk


def wait(world: World, seconds: float) -> None:
    world.run(world.now + seconds)


def expect(world: World, node: int | None, within: float, guest: str = "g") -> None:
    """The guest is served by NODE; or, with None, by nobody for as long as WITHIN."""
    if node is not None:
        world.run_until(lambda: world.serves(node, guest), world.now + within)
        return
    limit = world.now + within
    while world.now < limit:
        wait(world, 1.0)
        assert world.holders(guest) == [], "\n".join(world.log[-30:])


def stays(world: World, node: int, seconds: float, guest: str = "g") -> None:
    """NODE holds the guest all the time: it is not even started anew."""
    start = world.machines[node].domains[guest]
    wait(world, seconds)
    assert world.machines[node].domains.get(guest) == start, "\n".join(world.log[-30:])


def starts_anew(world: World, node: int, within: float) -> None:
    """The guest ends where it is, and is then served by NODE."""
    start = world.audit.starts["g"]
    world.run_until(
        lambda: world.audit.starts["g"] > start and world.serves(node), world.now + within
    )


def recovers(world: World, within: float = 120) -> None:
    world.heal()
    world.run_until(world.is_healthy, world.now + within)


def named(*tells: Callable[[World], None]) -> dict[str, Scenario]:
    """Each history on the ordinary pair, by its name: that of its function."""
    return {name_of(tell): Scenario(tell) for tell in tells}


def name_of(tell: Callable[[World], None]) -> str:
    return tell.__name__.replace("_", "-")
