# SPDX-License-Identifier: MIT
"""What foresight says of a moment is what happens: the peer is killed there, in the same world."""

from dataclasses import dataclass, replace

import pytest

from haagent.core import foresight, proofs
from haagent.core.foresight import Fate, Outlook, foresee
from haagent.core.model import CONNECTED, NodeState, Phase
from haagent.core.timing import Timing
from tests.sim.hands import STEP
from tests.sim.hangs import HANGS
from tests.sim.scenarios import ORDINARY
from tests.sim.telling import A, B, begin, wait
from tests.sim.world import World

MOMENTS = (2.6, 9.3, 23.7)  # seconds after the pair was healthy, in each history

# What answers in the place of the dead cannot be known before there is a dead one, and that Xen
# cannot start a guest not before it has tried; nor that a stick is gone before it is looked at, nor
# that a disk hangs before it has owed an answer for long, or what an agent will be told that sees
# nothing yet.
# That a guest which ended will run again is foreseen, and not how long Xen takes for it.
UNKNOWN = {
    "blind-agent-sees-late",
    "guest-ends-while-its-writes-wait",
    "somebody-answers-for-the-dead",
    "both-sticks-are-lost",
    "moved-guest-cannot-start-there",
    "second-guest-stays-when-the-first-cannot-start-there",
    "taker-cannot-start-it",
    "xl-hangs-at-the-taker",
    *HANGS,
}
TOLD = sorted(ORDINARY.keys() - UNKNOWN)


DEAD = Timing().dead  # what foresight may be wrong by, in seconds


class Reached(Exception):
    """The history has come to the moment that matters."""


def tell_until(name: str, moment: float) -> World | None:
    """The history NAME, MOMENT seconds after its beginning; None if it is over by then.

    A seed decides everything, so to tell it again is to copy it.
    """
    world = begin(ORDINARY[name])
    stop = world.now + moment
    run = world.run

    def run_until(until: float) -> None:
        run(min(until, stop))
        if world.now >= stop:
            raise Reached

    world.run = run_until  # type: ignore[method-assign]
    try:
        ORDINARY[name].tell(world)
    except Reached:
        world.run = run  # type: ignore[method-assign]
        return world
    return None


def kill_peer(world: World, node: int) -> float | None:
    """Kills NODE's peer; after how many seconds the guest goes on or begins to start on NODE."""
    machine, mirror = world.machines[node], world.mirrors["g"]
    boot, domain, died = machine.boots, machine.domains.get("g"), world.now
    state = machine.state
    is_going = state is not None and state.guests["g"].phase is Phase.STOPPING
    fails = state is not None and state.guests["g"].phase is Phase.PROMOTING  # without the peer
    world.power_off(1 - node)
    while world.now < died + foresight.LOOKS_AHEAD * world.timing.take:
        wait(world, STEP)
        state = machine.state
        if machine.boots != boot or state is None:
            return None  # it was reset: what comes after that is another story
        is_promoting = state.guests["g"].phase is Phase.PROMOTING
        fails = fails and is_promoting
        begins = is_promoting and not fails and (domain is None or is_going)
        goes_on = (
            state.guests["g"].phase is Phase.HOLDING
            and domain in (None, machine.domains.get("g"))
            and mirror.copies[node].link not in CONNECTED
            and world.serves(node)
        )
        if begins or goes_on:
            return world.now - died
    return None


@dataclass(frozen=True, slots=True)
class Compared:
    """One moment."""

    said: Outlook
    happened: float | None  # after so many seconds; None: never

    def agrees(self, tolerance: float) -> bool:
        if self.said.fate is Fate.NOT or self.happened is None:
            return self.said.fate is Fate.NOT and self.happened is None
        return abs(self.said.seconds - self.happened) <= tolerance


def compare(name: str, moment: float, node: int) -> Compared | None:
    """None where there is nothing to compare: NODE is not up, or does not know the gateway yet."""
    world = tell_until(name, moment)
    state = world.machines[node].state if world else None
    if world is None or state is None or not world.machines[node].is_awake:
        return None
    if proofs.has_referee(state) != world.sees_gateway(node):
        return None
    return Compared(foresight.foresee(state)["g"], kill_peer(world, node))


@pytest.mark.parametrize("name", TOLD)
def test_what_is_foreseen_is_what_happens(name: str) -> None:
    for moment in MOMENTS:
        for node in (A, B):
            found = compare(name, moment, node)
            assert found is None or found.agrees(DEAD), f"{moment} s, node {node}: {found}"


FATES = (
    ("holder-loses-power", 2.6, B, Fate.STARTS),
    ("gateway-then-holder", 9.3, A, Fate.GOES_ON),
    ("gateway-then-holder", 9.3, B, Fate.NOT),
    ("crossover-then-holder", 23.7, A, Fate.GOES_ON),
    ("crossover-then-holder", 23.7, B, Fate.NOT),
    ("gateway-then-holder", 2.6, A, Fate.NOT),
    ("maintenance-and-the-peer-dies", 23.7, A, Fate.NOT),
    ("maintenance-and-the-peer-dies", 23.7, B, Fate.GOES_ON),
    ("hole-wait-for-me", 2.6, B, Fate.NOT),
)


@pytest.mark.parametrize(("name", "moment", "node", "fate"), FATES)
def test_every_fate_is_met(name: str, moment: float, node: int, fate: Fate) -> None:
    found = compare(name, moment, node)
    assert found is not None and found.said.fate is fate, found


@pytest.mark.parametrize("fate", Fate)
def test_a_foresight_that_says_the_same_of_all_is_seen(
    fate: Fate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blind(state: NodeState) -> dict[str, Outlook]:
        return {guest: replace(said, fate=fate) for guest, said in foresee(state).items()}

    monkeypatch.setattr(foresight, "foresee", blind)
    wrong = [
        (name, moment)
        for name, moment, node, _ in FATES
        if (found := compare(name, moment, node)) is not None and not found.agrees(DEAD)
    ]
    assert wrong, "nobody noticed"
