# SPDX-License-Identifier: MIT
"""Named histories of a pair whose machines run two releases, and of one that is being updated.

The release before speaks the older format alone; it has this release's rules, for none of them has
asked for anything that the older format cannot say. Hellos go through the bytes of the wire here.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from haagent.cluster.wire import VERSION
from haagent.core.model import Link, Path
from tests.sim.cables import CABLES
from tests.sim.choices import CHOICES, split_brain
from tests.sim.deaths import DEATHS
from tests.sim.moves import MOVES
from tests.sim.relocations import RELOCATIONS
from tests.sim.successions import SUCCESSIONS
from tests.sim.telling import A, B, Scenario, expect, name_of, recovers, stays, wait
from tests.sim.wires import BEFORE, NOW
from tests.sim.world import World

MIXED = (NOW, BEFORE)  # the guest begins on the newer release
CROSSWISE = (BEFORE, NOW)  # on the older one


def heard_in(world: World, node: int) -> int:
    """The format that NODE has heard its peer's present boot speak."""
    state = world.machines[node].state
    assert state is not None
    return state.peer.format


def both_hear(world: World) -> bool:
    return all(one.state is not None and one.state.hears_peer for one in world.machines)


def update(world: World, node: int, formats: tuple[int, ...] = NOW) -> None:
    """NODE is rebooted in order into the release that speaks FORMATS; what runs there moves."""
    world.change_release(node, formats)
    boots = world.machines[node].boots
    world.leave(node)
    world.run_until(lambda: world.machines[node].boots > boots, world.now + 90)
    world.run_until(world.is_healthy, world.now + 60)
    wait(world, 10)
    assert both_hear(world)


def pair_is_updated(world: World) -> None:
    """One after the other, the standby first; then either machine may still fail."""
    update(world, B)
    stays(world, A, 20)
    assert heard_in(world, B) == VERSION - 1
    update(world, A)
    stays(world, B, 20)
    assert [heard_in(world, node) for node in (A, B)] == [VERSION, VERSION]
    world.power_off(B)
    expect(world, A, 25)
    recovers(world)


def update_is_taken_back(world: World) -> None:
    """The updated machine goes back to the release before, and is understood at once."""
    update(world, B)
    update(world, B, BEFORE)
    stays(world, A, 20)
    assert heard_in(world, A) == VERSION - 1
    world.power_off(A)
    expect(world, B, 25)
    recovers(world)


def updated_machine_falls_back_by_itself(world: World) -> None:
    """Both are updated; one dies, and is given up by its boot menu: it starts the one before."""
    assert [heard_in(world, node) for node in (A, B)] == [VERSION, VERSION]
    world.change_release(B, BEFORE)
    world.power_off(B)
    stays(world, A, 30)
    world.power_on(B)
    world.run_until(world.is_healthy, world.now + 120)
    wait(world, 15)
    world.power_off(A)
    expect(world, B, 25)
    recovers(world)


def holder_dies_while_it_is_updated(world: World) -> None:
    """The newer release on B has the guest when A, which is starting its own, loses power again."""
    update(world, B)
    world.change_release(A, NOW)
    world.leave(A)
    expect(world, B, 10)
    world.run_until(lambda: world.machines[A].boots > 1, world.now + 90)
    world.power_off(A)
    stays(world, B, 40)
    world.power_on(A)
    recovers(world)
    assert heard_in(world, B) == VERSION


def split_brain_is_not_chosen_while_the_other_is_silent(world: World) -> None:
    """Whoever is asked says why not, on the newer release and on the older one."""
    split_brain(world)
    for path in (Path.CROSSOVER, Path.LAN):
        world.unplug(path)
    wait(world, 10)
    for node in (A, B):
        world.choose(node, A)
        wait(world, 1)
    assert world.refusals == [
        "b is silent, and it takes both machines",
        "a is silent, and it takes both machines",
    ]
    for path in (Path.CROSSOVER, Path.LAN):
        world.plug(path)
    wait(world, 30)
    assert all(copy.link is Link.STANDALONE for copy in world.mirrors["g"].copies)
    world.choose(B, A)
    stays(world, A, 40)
    assert world.is_healthy()


def told(
    tell: Callable[[World], None], speak: tuple[tuple[int, ...], tuple[int, ...]]
) -> dict[str, Scenario]:
    return {name_of(tell): Scenario(tell, speak=speak)}


# Ordinary histories, told by two releases: whichever has the guest when it happens.
AGAIN: Mapping[str, Scenario] = {
    f"{word}-{name}": replace(one, speak=speak)
    for word, speak, names in (
        (
            "mixed",
            MIXED,
            (
                "holder-loses-power",
                "holders-cards-die",
                "holder-leaves",
                "gateway-then-standby",
                "gateway-comes-back",
                "guest-is-moved",
                "maintenance-on-and-off",
                "split-brain-is-ended-where-it-runs",
                "split-brain-is-ended-the-other-way",
                "addresses-are-changed",
                "replaced-machine-comes-back",
            ),
        ),
        (
            "crosswise",
            CROSSWISE,
            (
                "holder-loses-power",
                "holder-leaves",
                "gateway-then-standby",
                "guest-is-moved",
                "split-brain-is-ended-the-other-way",
            ),
        ),
    )
    for name, one in {**DEATHS, **CABLES, **CHOICES, **MOVES, **SUCCESSIONS, **RELOCATIONS}.items()
    if name in names
}

RELEASES: Mapping[str, Scenario] = {
    **AGAIN,
    **told(pair_is_updated, (BEFORE, BEFORE)),
    **told(update_is_taken_back, (BEFORE, BEFORE)),
    **told(updated_machine_falls_back_by_itself, (NOW, NOW)),
    **told(holder_dies_while_it_is_updated, (BEFORE, BEFORE)),
    **told(split_brain_is_not_chosen_while_the_other_is_silent, MIXED),
}
