# SPDX-License-Identifier: MIT
"""Other addresses on the LAN for both machines, with whatever fails: both end with the same ones,
the new or the old, and the guest runs on.
"""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from haagent.core import proofs, relocating
from haagent.core.decide import first_state
from haagent.core.invariants import InvariantBroken
from haagent.core.model import (
    Durable,
    LanStage,
    NodeState,
    Pair,
    Path,
    Peer,
    Phase,
    Predecessor,
    owner,
)
from haagent.core.turn import Turn
from tests.sim import machine as simulated
from tests.sim.draws import one_of
from tests.sim.histories import happen
from tests.sim.relocations import change, is_over, lan, stands
from tests.sim.telling import A, B, expect, recovers, stays, wait
from tests.sim.world import World, healthy

SEEDS = range(3)
NEW = {A: 2, B: 1}  # the number of the first change that is asked for there
FAILURES = ("power a", "power b", "crossover", "LAN", "agent a", "agent b", "gateway", "cards b")


def ends(world: World, within: float = 300) -> None:
    """Both have the same addresses, on their files, in their kernels and in their agents."""
    world.run_until(lambda: is_over(world) and world.is_healthy(), world.now + within)
    assert len(lan(world)) == 1, lan(world)
    assert world.audit.violations == []
    assert world.audit.together == 0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("typed", [A, B])
def test_from_either_machine_while_the_guest_runs_on(typed: int, seed: int) -> None:
    world = healthy(seed=seed)
    world.change_lan(typed)
    stays(world, A, 60)
    ends(world, 0)
    assert lan(world) == {NEW[typed]}
    assert world.refusals == [None]
    world.power_off(A)
    expect(world, B, 25)
    recovers(world)


def test_with_a_guest_on_each() -> None:
    world = healthy(guests={"g": A, "h": B})
    world.change_lan(A)
    wait(world, 60)
    ends(world, 0)
    assert lan(world) == {2}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("typed", [A, B])
@pytest.mark.parametrize("flaw", ["gateway", "LAN", "a is stuck", "b is stuck"])
def test_addresses_that_do_not_work_are_given_up(flaw: str, typed: int, seed: int) -> None:
    world = healthy(seed=seed)
    match flaw:
        case "gateway":
            world.bad_gateways.add(NEW[typed])
        case "LAN":
            world.bad_lans.add(NEW[typed])
        case _:
            world.stuck.add(A if flaw.startswith("a") else B)
    world.change_lan(typed)
    stays(world, A, 200)
    ends(world, 0)
    assert lan(world) == {0}
    assert stands(world, typed).stage is LanStage.DROPPED
    world.power_off(A)
    expect(world, B, 25)
    recovers(world)


@pytest.mark.parametrize("flaw", ["", "gateway", "LAN"])
@pytest.mark.parametrize("typed", [A, B])
def test_power_cut_after_every_save(typed: int, flaw: str) -> None:
    """Whenever either machine loses its power, as it writes or after the last write."""
    number = 0
    found = set()
    while True:
        number += 1
        world = healthy()
        if flaw:
            {"gateway": world.bad_gateways, "LAN": world.bad_lans}[flaw].add(NEW[typed])
        world.saves, world.cut_at_save = 0, number
        world.change_lan(typed)
        wait(world, 200 if flaw else 60)
        if world.saves < number:
            assert number > 8
            break
        world.cut_at_save = None
        world.heal()
        ends(world)
        found |= lan(world)
    assert found == ({0} if flaw else {0, NEW[typed]})


@pytest.mark.parametrize("second", [0, 30, 200])
@pytest.mark.parametrize("typed", [A, B])
def test_both_lose_power_after_every_save(typed: int, second: float) -> None:
    """And come back one before the other."""
    number = 0
    while True:
        number += 1
        world = healthy()
        world.saves, world.cut_at_save = 0, number
        world.change_lan(typed)
        wait(world, 45)
        if world.saves < number:
            assert number > 8
            return
        world.cut_at_save = None
        for node in (A, B):
            world.power_off(node)
        world.power_on(typed)
        wait(world, second)
        world.heal()
        ends(world)


@pytest.mark.parametrize("typed", [A, B])
@pytest.mark.parametrize("after", [step * 1.7 for step in range(11)])
@pytest.mark.parametrize("fault", FAILURES)
def test_something_fails_on_the_way(fault: str, after: float, typed: int) -> None:
    world = healthy()
    world.change_lan(typed)
    wait(world, after)
    match fault:
        case "power a" | "power b":
            world.power_off(B if fault.endswith("b") else A)
        case "agent a" | "agent b":
            world.restart_agent(B if fault.endswith("b") else A)
        case "gateway":
            world.set_gateway(False)
        case "cards b":
            world.kill_nics(B)
        case _:
            world.unplug(Path.CROSSOVER if fault == "crossover" else Path.LAN)
    wait(world, 45)
    world.heal()
    ends(world)
    assert lan(world) <= {0, NEW[typed]}


@pytest.mark.parametrize("after", [step * 1.3 for step in range(16)])
@pytest.mark.parametrize("seed", range(2))
def test_the_crossover_is_cut_as_addresses_change(after: float, seed: int) -> None:
    """Each goes silent on the LAN by its own will: neither may take the other for dead."""
    world = healthy(seed=seed)
    world.change_lan(A)
    wait(world, after)
    world.unplug(Path.CROSSOVER)
    wait(world, 90)
    assert world.audit.together == 0
    recovers(world, 300)
    ends(world)


@pytest.mark.parametrize("seed", range(40))
def test_anything_fails_on_the_way(seed: int) -> None:
    random = Random(seed)
    typed = random.randrange(2)
    world = healthy(seed=seed)
    began = world.now
    for bad in (world.bad_gateways, world.bad_lans):
        bad.update(number for number in range(1, 12) if random.random() < 0.15)
    never_good = world.bad_gateways | world.bad_lans
    for _ in range(random.choice((0, 1, 2))):
        again = random.randrange(2)
        moment = began + random.uniform(0.0, 40.0)
        world.at(moment, lambda again=again: world.change_lan(again))  # type: ignore[misc]
    for _ in range(random.choice((1, 2, 3))):
        step = one_of(random, random.uniform(0.0, 25.0))
        world.at(began + step.at, lambda step=step: happen(world, step))  # type: ignore[misc]
    world.change_lan(typed)
    wait(world, 60)
    world.heal()
    wait(world, 150)
    if world.is_hole or world.is_frozen_class:
        return
    ends(world)
    assert not lan(world) & never_good


def test_the_asker_dies_before_its_verdict_is_heard() -> None:
    """The other goes back, serves with the old addresses, and takes the new ones up when told."""
    world = healthy()
    world.change_lan(A)
    world.run_until(lambda: stands(world, B).stage is LanStage.PROVEN, world.now + 60)
    world.unplug(Path.CROSSOVER, A)
    world.unplug(Path.LAN, A)
    world.run_until(lambda: stands(world, A).stage is LanStage.KEPT, world.now + 5)
    world.power_off(A)
    wait(world, 150)
    assert stands(world, B).stage is LanStage.PROVEN
    assert world.machines[B].lan == 0
    recovers(world, 300)
    ends(world)
    assert lan(world) == {2}


def test_a_second_change_follows_the_first() -> None:
    world = healthy()
    for typed, number in ((A, 2), (B, 3), (A, 4)):
        world.change_lan(typed)
        wait(world, 60)
        ends(world, 0)
        assert lan(world) == {number}


def test_both_ask_at_once() -> None:
    world = healthy()
    world.change_lan(A)
    world.change_lan(B)
    wait(world, 60)
    ends(world)


def test_it_is_refused_while_something_is_not_well() -> None:
    world = healthy()
    world.unplug(Path.CROSSOVER)
    wait(world, 30)
    world.change_lan(A)
    assert world.refusals == ["a and b do not hear each other over the crossover"]
    recovers(world)
    world.power_off(B)
    wait(world, 30)
    world.change_lan(A)
    assert world.refusals[1:] == ["b is silent, and it takes both machines"]


def on_one_word(plant: pytest.MonkeyPatch) -> None:
    """Kept as soon as it works here, whatever the other one has."""

    def works_here(state: NodeState) -> bool:
        return state.pair.lan == state.durable.lan.number and proofs.has_referee(state)

    def hasty(turn: Turn) -> None:
        relocating._write(turn, turn.state.durable.lan, LanStage.KEPT)

    plant.setattr(relocating, "_is_proven", works_here)
    plant.setattr(relocating, "_prove", hasty)
    plant.setattr(simulated, "check", lambda before, decision: None)


def on_the_askers_agreement(plant: pytest.MonkeyPatch) -> None:
    """The asker does not wait for the other one's PROVEN on disk."""

    def hasty(turn: Turn) -> None:
        change_, me = turn.state.durable.lan, turn.state.me
        is_asker = owner(change_.number) == me
        stage = LanStage.KEPT if is_asker else LanStage.PROVEN
        relocating._write(turn, change_, stage)

    plant.setattr(relocating, "_prove", hasty)
    plant.setattr(simulated, "check", lambda before, decision: None)


def heard_before(plant: pytest.MonkeyPatch) -> None:
    """What was heard on the LAN is carried over the restart of the agent."""
    last: dict[int, NodeState] = {}
    look = relocating.look

    def remember(turn: Turn) -> None:
        look(turn)
        last[turn.state.me] = turn.state

    def carried(
        pair: Pair,
        boot: str,
        durable: Durable | None,
        at: float,
        lan_files: int,
        left: Predecessor | None,
    ) -> NodeState:
        state = first_state(pair, boot, durable, at, lan_files, left)
        before = last.get(pair.me)
        if before is None or before.boot != boot:
            return state
        peer: Peer = before.peer
        now = {
            path: replace(heard, last_word=at + 5, two_way=at + 5)
            for path, heard in peer.paths.items()
        }
        return replace(state, peer=replace(peer, paths=now), referee=before.referee)

    plant.setattr(relocating, "look", remember)
    plant.setattr(simulated, "first_state", carried)


def tried_again_after_a_start(plant: pytest.MonkeyPatch) -> None:
    """A machine that lost its power on trial tries once more, for ever."""
    end = relocating._end

    def stubborn(state: NodeState) -> str | None:
        lan_ = replace(state.durable.lan, boot=state.boot)
        found = end(replace(state, durable=replace(state.durable, lan=lan_), lan_since=state.now))
        return found

    plant.setattr(relocating, "_end", stubborn)


def dropped_in_doubt(plant: pytest.MonkeyPatch) -> None:
    """Who has said that it works gives it up by itself when the asker falls silent."""
    plant.setattr(relocating, "DROPPABLE", relocating.OPEN)


def asked_again_too_soon(plant: pytest.MonkeyPatch) -> None:
    """A change takes the place of one that is kept, and is not on file."""
    settled = relocating._not_settled
    plant.setattr(
        relocating,
        "_not_settled",
        lambda state: settled(replace(state, lan_files=state.pair.lan)),
    )


def the_lan_counts_meanwhile(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(proofs, "is_lan_settled", lambda state: True)
    plant.setattr(proofs, "OPEN_LAN", frozenset())
    plant.setattr(relocating, "_is_promised", lambda state, guest: True)


def without_the_promise(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(relocating, "_is_promised", lambda state, guest: True)


def addresses_that_hear_nothing(world: World) -> None:
    world.bad_lans.add(2)
    world.change_lan(A)
    wait(world, 200)


def the_other_dies_in_doubt(world: World) -> None:
    """As it has said that the new addresses work, and before it hears that they are kept."""
    world.change_lan(A)
    world.run_until(lambda: stands(world, B).stage is LanStage.PROVEN, world.now + 60)
    world.unplug(Path.CROSSOVER, A)
    world.unplug(Path.LAN, A)
    world.run_until(lambda: stands(world, A).stage is LanStage.KEPT, world.now + 5)
    world.reset(B)
    wait(world, 60)


def the_other_is_cut_off_before_it_has_tried(world: World) -> None:
    world.stuck.add(B)
    world.change_lan(A)
    wait(world, 200)
    world.stuck.clear()


def the_asker_stops_at_the_gateway(world: World) -> None:
    """The new gateway answers one of the two only, and goes on doing so."""
    world.change_lan(A)
    world.gateway_cut.add(B)
    wait(world, 60)


def a_machine_that_dies_of_them(world: World) -> None:
    """Its cards do not bear the new addresses: each time it takes them up, it hangs."""
    tries = 0
    world.change_lan(A)
    limit = world.now + 400
    while world.now < limit:
        wait(world, 0.5)
        if world.machines[B].lan_trial is not None:
            tries += 1
            world.reset(B)
    assert tries == 1


def asked_again_before_the_last_ones_are_on_file(world: World, node: int = A) -> None:
    """A power cut would still bring the ones of before; the next change must not hide that."""
    world.unwritable.add(node)
    world.change_lan(A)
    wait(world, 60)
    assert [one.lan_files for one in world.machines] == [2 * (node != A), 2 * (node != B)]
    world.bad_lans.add(4)
    world.change_lan(A)
    wait(world, 200)
    world.unwritable.clear()


def asked_again_before_the_other_has_them_on_file(world: World) -> None:
    asked_again_before_the_last_ones_are_on_file(world, B)


def the_standby_dies(world: World) -> None:
    """As soon as addresses may change: the guest runs on where it is."""
    world.change_lan(A)
    world.run_until(lambda: stands(world, B).stage is LanStage.AGREED, world.now + 30)
    world.power_off(B)
    stays(world, A, 60)
    state = world.machines[A].state
    assert state is not None and state.guests["g"].phase is Phase.HOLDING


Plant = Callable[[pytest.MonkeyPatch], None]
Story = Callable[[World], None]


@pytest.mark.parametrize(
    "story",
    [
        addresses_that_hear_nothing,
        the_other_dies_in_doubt,
        the_other_is_cut_off_before_it_has_tried,
        the_asker_stops_at_the_gateway,
        a_machine_that_dies_of_them,
        asked_again_before_the_last_ones_are_on_file,
        asked_again_before_the_other_has_them_on_file,
        the_standby_dies,
    ],
)
def test_ends_with_both_on_the_same(story: Story) -> None:
    world = healthy()
    story(world)
    world.heal()
    ends(world)
    assert lan(world) - world.bad_lans


@pytest.mark.parametrize(
    ("plant", "story"),
    [
        (on_one_word, addresses_that_hear_nothing),
        (on_the_askers_agreement, change),
        (heard_before, addresses_that_hear_nothing),
        (tried_again_after_a_start, a_machine_that_dies_of_them),
        (dropped_in_doubt, the_other_dies_in_doubt),
        (asked_again_too_soon, asked_again_before_the_last_ones_are_on_file),
        (asked_again_too_soon, asked_again_before_the_other_has_them_on_file),
        (without_the_promise, the_standby_dies),
    ],
)
def test_a_broken_rule_is_seen(plant: Plant, story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises((AssertionError, InvariantBroken)):
        test_ends_with_both_on_the_same(story)


def as_addresses_change(after: float) -> float:
    """The crossover is cut as the holder goes silent on the LAN. The gateway answers it all the
    time, and its services take long: for how long both serve.
    """
    world = healthy()
    world.gateway_moves, world.services_take = False, (40.0, 40.0)
    world.change_lan(B)
    world.run_until(lambda: world.machines[A].lan_trial is not None, world.now + 60)
    wait(world, after)
    world.unplug(Path.CROSSOVER)
    wait(world, 60)
    world.heal()
    wait(world, 30)
    return world.audit.together


MOMENTS = (0.0, 0.3, 0.6)


def test_a_lan_that_goes_away_is_not_taken_for_a_death() -> None:
    assert not any(as_addresses_change(after) for after in MOMENTS)


def test_a_lan_that_counts_meanwhile_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    the_lan_counts_meanwhile(monkeypatch)
    assert any(as_addresses_change(after) for after in MOMENTS)
