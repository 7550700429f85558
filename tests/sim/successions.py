# SPDX-License-Identifier: MIT
"""Named histories of a pair whose dead machine is replaced by a blank one, and might come back."""

from collections.abc import Mapping

from haagent.core import events
from haagent.core.model import Link, Path
from tests.sim.choices import split_brain
from tests.sim.shadow import Shadow, replace_machine, steps
from tests.sim.telling import A, B, Scenario, expect, named, recovers, stays, wait
from tests.sim.world import World

COMMITTED = "the survivor has committed"


def shadow_of(world: World) -> Shadow:
    assert isinstance(world.shadow, Shadow)
    return world.shadow


def survive(world: World) -> None:
    """B dies for good, and A serves alone."""
    world.power_off(B)
    stays(world, A, 60)


def dead_machine_is_replaced(world: World) -> None:
    survive(world)
    start = world.machines[A].domains["g"]
    acknowledged = len(world.audit.acked["g"])
    replace_machine(world, B)
    world.run_until(world.is_healthy, world.now + 60)
    assert world.machines[A].domains["g"] == start, "the guest was stopped"
    assert len(world.audit.acked["g"]) > acknowledged
    wait(world, 15)
    world.power_off(A)
    expect(world, B, 25)
    recovers(world)


def replaced_machine_comes_back(world: World) -> None:
    """It wrote last, and alone: by itself it would serve again. A person gave that up."""
    begin_alone_and_give_up(world)
    replace_machine(world, B)
    world.run_until(world.is_healthy, world.now + 90)
    shadow = shadow_of(world)
    shadow.power_on(B)
    wait(world, 90)
    told = shadow.machines[B].state
    assert told is not None and told.peer.hello is not None and told.peer.hello.has_replaced
    assert shadow.domains() == []
    stays(world, A, 30)
    world.power_off(A)
    world.power_off(B)
    for _ in range(120):  # now nobody can tell it any more
        wait(world, 1)
        assert shadow.domains() == []
    recovers(world)
    assert shadow.domains() == []


def replaced_machine_comes_back_to_strangers(world: World) -> None:
    """It wrote last, and alone; by now the machine that knew it is replaced as well. What it says
    goes to the address of that one, which the newest has.
    """
    begin_alone_and_give_up(world)
    replace_machine(world, B)
    world.run_until(world.is_healthy, world.now + 90)
    oldest = shadow_of(world)
    wait(world, 20)
    world.power_off(A)
    expect(world, B, 25)
    wait(world, 20)
    replace_machine(world, A, "third")
    world.run_until(world.is_healthy, world.now + 90)
    world.shadow = oldest
    wait(world, 1)  # its time stood still
    oldest.power_on(B)
    world.run_until(lambda: has_been_told(oldest), world.now + 60)
    world.unplug(Path.LAN)
    for _ in range(60):
        wait(world, 1)
        assert oldest.domains() == []
    recovers(world)


def has_been_told(shadow: Shadow) -> bool:
    state = shadow.machines[shadow.node].state
    hello = state.peer.hello if state is not None else None
    return hello is not None and hello.has_replaced


def begin_alone_and_give_up(world: World) -> None:
    """B has written last and alone when it dies; a person starts A all the same."""
    world.power_off(A)
    expect(world, B, 25)
    wait(world, 20)
    world.power_off(B)
    world.power_on(A)
    wait(world, 40)
    world.audit.acked["g"].clear()  # the operator gives up what B alone has
    world.post(A, lambda: events.OperatorConfirmed(world.clock(A), "g"))
    expect(world, A, 10)


def dead_after_a_split_brain(world: World) -> None:
    """Both wrote alone, and one dies for good before anybody chose: the other has what is left."""
    split_brain(world)
    world.power_off(B)
    stays(world, A, 60)
    replace_machine(world, B)
    world.run_until(world.is_healthy, world.now + 90)
    shadow = shadow_of(world)
    shadow.power_on(B)
    for _ in range(90):
        wait(world, 1)
        assert shadow.domains() == []
    stays(world, A, 10)
    recovers(world)


def survivor_dies_during_the_first_copy(world: World) -> None:
    survive(world)
    replace_machine(world, B)
    mirror = world.mirrors["g"]
    world.run_until(lambda: mirror.copies[B].link is Link.SYNC_TARGET, world.now + 60)
    world.power_off(A)
    expect(world, None, 90)
    world.power_on(A)
    expect(world, A, 60)
    recovers(world)


def replaced_after_a_stand_down(world: World) -> None:
    """The dead one had promised not to start the guest; the new one has promised nothing."""
    world.set_gateway(False)
    wait(world, 15)
    survive(world)
    world.set_gateway(True)
    wait(world, 10)
    replace_machine(world, B)
    world.run_until(world.is_healthy, world.now + 60)
    wait(world, 20)
    world.kill_nics(A)
    expect_takeover(world)
    world.heal_nics(A)
    recovers(world)


def expect_takeover(world: World) -> None:
    world.run_until(lambda: B in world.holders(), world.now + 60)
    expect(world, B, 20)


def survivor_reboots_when_it_has_agreed(world: World) -> None:
    """The new machine has not begun: alone, the survivor serves on in the new pair."""
    survive(world)
    replacement = steps(world, B)
    while next(replacement) != COMMITTED:
        pass
    world.reset(A, "loses power for a moment")
    expect(world, A, 90)
    assert world.machines[A].key == "second"
    for _ in replacement:
        pass
    recovers(world)


SUCCESSIONS: Mapping[str, Scenario] = named(
    dead_machine_is_replaced,
    replaced_machine_comes_back,
    dead_after_a_split_brain,
    replaced_machine_comes_back_to_strangers,
    survivor_dies_during_the_first_copy,
    replaced_after_a_stand_down,
    survivor_reboots_when_it_has_agreed,
)
