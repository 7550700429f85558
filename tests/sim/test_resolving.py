# SPDX-License-Identifier: MIT
"""A split brain, and a person who ends it: either way, from either machine, with whatever fails."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from haagent.core import decide, events, resolving
from haagent.core.actions import Discard
from haagent.core.decide import HANDLERS
from haagent.core.invariants import InvariantBroken
from haagent.core.model import Choice, GuestHello, Link, NodeState, Path
from haagent.core.turn import Turn
from tests.sim import machine as simulated
from tests.sim.choices import split_brain
from tests.sim.draws import ANY, one_of
from tests.sim.drbd import Mirror
from tests.sim.histories import happen
from tests.sim.telling import A, B, recovers, stays, wait
from tests.sim.world import World, healthy

SEEDS = range(4)
ALL_BUT_CHOICES = tuple(what for what in ANY if what not in ("choose", "confirm", "freeze"))
EITHER_WAY = [(typed, counts) for typed in (A, B) for counts in (A, B)]


def apart(seed: int = 0, **how: object) -> World:
    """A pair whose copies went apart: A has the guest, and B had it meanwhile."""
    world = healthy(seed=seed, **how)
    split_brain(world)
    return world


def ledger_choice(world: World, node: int) -> Choice:
    state = world.machines[node].state
    assert state is not None
    return state.durable.ledgers["g"].choice


def is_over(world: World) -> bool:
    return world.is_healthy() and not any(ledger_choice(world, node).is_open for node in (A, B))


def ends(world: World, counts: int, within: float = 120) -> None:
    """The copy on COUNTS is what both have, and the guest runs."""
    before = set(world.mirrors["g"].copies[counts].data)
    world.run_until(lambda: is_over(world), world.now + within)
    for node in (A, B):
        assert before <= world.mirrors["g"].copies[node].data
    assert world.audit.violations == []
    assert world.audit.together == 0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("typed", "counts"), EITHER_WAY)
def test_either_copy_from_either_machine(typed: int, counts: int, seed: int) -> None:
    world = apart(seed)
    given_up = set(world.mirrors["g"].copies[1 - counts].data)
    world.choose(typed, counts)
    ends(world, counts)
    assert world.refusals == [None]
    assert given_up <= world.audit.copies["g"]
    recovers(world)


def test_the_guest_goes_on_where_it_runs_on_the_copy_that_counts() -> None:
    world = apart()
    world.choose(B, A)
    stays(world, A, 40)
    assert is_over(world)


def test_the_copy_that_counts_serves_before_the_resync_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is the only one that may, and a disk takes hours."""
    world = apart()
    step = Mirror.step
    monkeypatch.setattr(Mirror, "step", lambda m, now, detect, sync: step(m, now, detect, 500.0))
    world.choose(A, B)
    world.run_until(lambda: world.serves(B), world.now + 60)
    assert world.mirrors["g"].copies[B].link is Link.SYNC_SOURCE
    assert world.audit.violations == []


def test_one_side_may_still_try_to_connect() -> None:
    """DRBD hangs up on one side; the other tries for ever."""
    for trying in (A, B):
        for counts in (A, B):
            world = apart()
            world.mirrors["g"].copies[trying].link = Link.CONNECTING
            world.machines[trying].resource_changed("g")
            wait(world, 5)
            world.choose(A, counts)
            ends(world, counts)


@pytest.mark.parametrize(("typed", "counts"), EITHER_WAY)
def test_power_cut_after_every_save(typed: int, counts: int) -> None:
    """Whenever either machine loses its power: nothing but what was chosen is given up."""
    number = 0
    while True:
        number += 1
        world = apart()
        world.saves, world.cut_at_save = 0, number
        world.choose(typed, counts)
        wait(world, 60)
        if world.saves < number:
            assert number > 4
            return
        world.cut_at_save = None
        world.heal()
        wait(world, 90)
        if not is_over(world):  # it was dropped before anything was done: the person asks again
            assert not any(ledger_choice(world, node).is_open for node in (A, B))
            world.choose(typed, counts)
        ends(world, counts)


@pytest.mark.parametrize("after", range(12))
@pytest.mark.parametrize("fault", ["power a", "power b", "crossover", "LAN", "agent a", "agent b"])
def test_something_fails_on_the_way(fault: str, after: int) -> None:
    world = apart()
    world.choose(A, B)
    wait(world, after)
    match fault:
        case "power a" | "power b":
            world.power_off(B if fault.endswith("b") else A)
        case "agent a" | "agent b":
            world.restart_agent(B if fault.endswith("b") else A)
        case _:
            world.unplug(Path.CROSSOVER if fault == "crossover" else Path.LAN)
    wait(world, 45)
    world.heal()
    wait(world, 120)
    if not is_over(world):
        world.choose(A, B)
    ends(world, B)


@pytest.mark.parametrize("seed", range(40))
def test_anything_fails_on_the_way(seed: int) -> None:
    """Several faults at random moments; the person asks again for what was dropped."""
    random = Random(seed)
    counts, typed = random.randrange(2), random.randrange(2)
    world = apart(seed)
    began = world.now
    for _ in range(random.choice((1, 2, 3))):
        step = one_of(random, random.uniform(0.0, 20.0), ALL_BUT_CHOICES)
        world.at(began + step.at, lambda step=step: happen(world, step))  # type: ignore[misc]
    world.choose(typed, counts)
    wait(world, 60)
    world.heal()
    wait(world, 120)
    if not is_over(world):
        world.choose(typed, counts)
    ends(world, counts, 300)


def test_it_is_dropped_when_the_other_does_not_answer() -> None:
    world = apart()
    world.power_off(B)
    world.choose(A, A)
    wait(world, 20)
    assert not ledger_choice(world, A).is_open
    world.heal()
    wait(world, 90)
    assert world.audit.acked["g"] - world.mirrors["g"].copies[A].data
    assert world.audit.violations == []


def test_it_is_refused_while_the_copies_are_one() -> None:
    world = healthy()
    world.choose(A, B)
    wait(world, 20)
    assert world.refusals == ["its two copies are connected: there is nothing to choose"]
    assert world.is_healthy()


def test_without_room_nothing_is_given_up_until_a_person_does_without() -> None:
    world = apart()
    world.machines[B].has_no_room = True
    world.choose(B, A)
    wait(world, 60)
    assert not world.audit.copies
    assert Link.STANDALONE in {copy.link for copy in world.mirrors["g"].copies}
    world.do_without(A, A, ledger_choice(world, A).number)
    ends(world, A)


def two_words(seed: int) -> World:
    """Typed at the two screens of one machine, or at one of each, within half a second; and an
    agent that forgets what it proposed.
    """
    random = Random(seed)
    world = apart(seed)
    first, second = random.choice(((B, B), (A, B), (B, A)))
    world.choose(first, random.randrange(2))
    wait(world, random.uniform(0.0, 1.0))
    world.choose(second, random.randrange(2))
    wait(world, random.uniform(0.0, 0.6))
    if random.random() < 0.5:
        world.restart_agent(first)
    wait(world, 120)
    return world


@pytest.mark.parametrize("seed", range(50))
def test_two_words_at_once_come_to_an_end(seed: int) -> None:
    world = two_words(seed)
    assert not any(ledger_choice(world, node).is_open for node in (A, B))
    if not is_over(world):  # neither was agreed to: the person asks again
        world.choose(A, B)
        ends(world, B)
    assert world.audit.violations == []


def one_number_for_two(plant: pytest.MonkeyPatch) -> None:
    propose = resolving.propose

    def careless(turn: Turn, event: events.ChoiceAsked) -> str | None:
        turn.set_guest(event.guest, proposal=None)
        return propose(turn, event)

    plant.setattr(resolving, "propose", careless)
    plant.setattr(resolving, "_is_same", lambda one, other: one and one.number == other.number)


def a_late_proposal(plant: pytest.MonkeyPatch) -> None:
    """What was proposed is written down although another choice was, meanwhile."""
    hear = resolving.hear

    def late(turn: Turn, guest: str, words: GuestHello) -> None:
        proposal = turn.mine(guest).proposal
        if proposal is not None and proposal.number < turn.ledger(guest).choice.number:
            turn.write(guest, choice=replace(proposal, is_agreed=True))
        hear(turn, guest, words)

    plant.setattr(resolving, "hear", late)


@pytest.mark.parametrize(("plant", "seed"), [(one_number_for_two, 3), (a_late_proposal, 41)])
def test_a_number_that_is_used_twice_is_seen(
    plant: Callable[[pytest.MonkeyPatch], None], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    with pytest.raises((AssertionError, InvariantBroken)):
        test_two_words_at_once_come_to_an_end(seed)


def an_old_word() -> World:
    """A person stands at "without a copy"; another one takes the choice back; then the first one
    answers.
    """
    world = apart()
    world.machines[A].has_no_room = True
    world.choose(A, B)
    wait(world, 20)
    number = ledger_choice(world, A).number
    world.audit.acked["g"] &= world.mirrors["g"].copies[A].data  # that is what the other gives up
    world.post(A, lambda: events.OperatorConfirmed(world.clock(A), "g"))
    world.run_until(lambda: world.serves(A), world.now + 60)
    wait(world, 30)
    world.do_without(A, B, number)
    return world


def test_a_word_about_a_choice_that_was_taken_back_gives_nothing_up() -> None:
    world = an_old_word()
    stays(world, A, 90)
    assert world.refusals[-1] and "is over" in world.refusals[-1]
    assert world.audit.acked["g"] <= world.mirrors["g"].copies[A].data
    assert world.audit.violations == []


def test_an_old_word_that_makes_a_new_choice_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    propose = resolving.propose
    monkeypatch.setattr(
        resolving, "propose", lambda turn, event: propose(turn, replace(event, about=0))
    )
    world = an_old_word()
    wait(world, 90)
    assert world.audit.violations


def test_a_start_in_spite_of_all_ends_it_the_other_way() -> None:
    """The copy that counts is gone for good before it served; the other one is what is left."""
    world = apart()
    world.machines[A].has_no_room = True
    world.choose(A, B)
    wait(world, 30)
    world.power_off(B)
    wait(world, 30)
    assert world.holders() == []
    world.audit.acked["g"] &= world.mirrors["g"].copies[A].data  # that is what the person gives up
    world.post(A, lambda: events.OperatorConfirmed(world.clock(A), "g"))
    world.run_until(lambda: world.serves(A), world.now + 20)
    world.power_on(B)
    stays(world, A, 90)
    assert not any(ledger_choice(world, node).is_open for node in (A, B))
    assert world.audit.violations == []


def _tell(counts: int) -> None:
    world = apart()
    world.choose(A, counts)
    wait(world, 60)
    assert world.audit.violations == []
    assert world.audit.together == 0
    ends(world, counts)


def the_wrong_side_gives_up(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(resolving, "_serve", resolving._give_up)


def a_word_that_is_turned_round(plant: pytest.MonkeyPatch) -> None:
    """On both machines, so that they agree: only who saw the person type can tell."""
    asked = HANDLERS[events.ChoiceAsked]

    def mistaken(turn: Turn, event: events.ChoiceAsked) -> None:
        asked(turn, replace(event, node=1 - event.node))

    plant.setattr(decide, "HANDLERS", {**HANDLERS, events.ChoiceAsked: mistaken})


def while_it_runs(plant: pytest.MonkeyPatch) -> None:
    """The invariants are blind to it, too: DRBD itself, and the audit, are what is left."""

    def hasty(turn: Turn, guest: str) -> None:
        mine = turn.mine(guest)
        if not mine.is_stepping and not mine.has_dropped:
            turn.set_guest(guest, is_stepping=True)
            turn.act(Discard(guest))

    plant.setattr(resolving, "_give_up", hasty)
    plant.setattr(simulated, "check", lambda before, decision: None)


def before_it_is_kept(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(resolving, "KeepCopy", lambda guest, stamp, number: Discard(guest))
    plant.setattr(simulated, "check", lambda before, decision: None)


def on_one_word(plant: pytest.MonkeyPatch) -> None:
    """What was only proposed is carried out, before the other machine has it on disk."""

    def hasty(turn: Turn, event: events.ChoiceAsked) -> None:
        choice = Choice(2 + event.node, event.node, event.stamp, True, True)
        turn.write(event.guest, choice=choice)

    plant.setattr(decide, "HANDLERS", {**HANDLERS, events.ChoiceAsked: hasty})
    plant.setattr(resolving, "_is_confirmed_now", lambda state, guest: True)
    plant.setattr(resolving, "hear", lambda turn, guest, words: None)


def started_meanwhile(plant: pytest.MonkeyPatch) -> None:
    """What is to be given up may be started again by itself."""

    def never(state: NodeState, guest: str) -> bool:
        return False

    plant.setattr(resolving, "is_giving_up", never)


Plant = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.parametrize(
    ("plant", "counts"),
    [
        (the_wrong_side_gives_up, A),
        (a_word_that_is_turned_round, A),
        (while_it_runs, B),
        (before_it_is_kept, A),
        (on_one_word, B),
        (started_meanwhile, B),
    ],
)
def test_a_broken_rule_is_seen(plant: Plant, counts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises((AssertionError, InvariantBroken)):
        _tell(counts)
