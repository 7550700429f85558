# SPDX-License-Identifier: MIT
"""Rules about guests that are stopped or crash, broken one at a time: a history must notice."""

from dataclasses import replace

import pytest

import tests.sim.machine as simulated
from haagent.core import moving, starting, stateless, wishing
from haagent.core.model import NodeState
from haagent.core.turn import Turn
from haagent.core.wish import End, Target, Wish
from tests.sim.test_plants import Plant, assert_seen


def started(state: NodeState, guest: str) -> NodeState:
    """STATE as if GUEST were to run."""
    ledger = replace(state.durable.ledgers[guest], wish=Wish())
    ledgers = {**state.durable.ledgers, guest: ledger}
    return replace(state, durable=replace(state.durable, ledgers=ledgers))


def starting_what_is_off(plant: pytest.MonkeyPatch) -> None:
    may_start = starting.may_start
    plant.setattr(
        starting, "may_start", lambda state, guest: may_start(started(state, guest), guest)
    )


def starting_it_unchecked(plant: pytest.MonkeyPatch) -> None:
    """The invariants are blind, too: what is left is whoever watches from outside."""
    starting_what_is_off(plant)
    plant.setattr(simulated, "check", lambda before, decision: None)


def whoever_held_it_goes_first(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(wishing, "is_our_turn", lambda state, guest: False)


def a_wish_of_the_other_is_not_taken_over(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(wishing, "hear", lambda turn, guest, words: None)


def a_crash_is_a_crash(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(wishing, "MOST_CRASHES", 1000)


def to_and_fro(plant: pytest.MonkeyPatch) -> None:
    """It is handed to the other machine each time, also from where it was tried."""

    def crashed(turn: Turn, guest: str) -> None:
        wishing.wish(turn, guest, Target.RETRIED)
        moving.let_go(turn, guest, "it crashed")

    plant.setattr(wishing, "_crashed", crashed)


def tried_for_ever(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(wishing, "_is_stable", lambda state, guest: False)


def a_power_off_is_a_crash(plant: pytest.MonkeyPatch) -> None:
    end = wishing._end
    plant.setattr(wishing, "_end", lambda turn, guest, how: end(turn, guest, End.CRASH))


def told_to_who_does_not_know_of_it(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(wishing, "_is_understood", lambda state: True)


def a_stop_needs_a_stick(plant: pytest.MonkeyPatch) -> None:
    binds = stateless._binds
    plant.setattr(
        stateless,
        "_binds",
        lambda name, value, ledger: name != "wish" and binds(name, value, ledger),
    )


def what_has_ended_is_forgotten(plant: pytest.MonkeyPatch) -> None:
    """An agent looks at what it is told, and not at what it was told before it held the guest."""
    take_up = wishing.look

    def look(turn: Turn, guest: str) -> None:
        if turn.mine(guest).since == turn.state.now:
            turn.set_guest(guest, ended=None)
        take_up(turn, guest)

    plant.setattr(wishing, "look", look)


PLANTS: tuple[tuple[Plant, str], ...] = (
    (starting_what_is_off, "guest-is-stopped-and-started"),
    (starting_it_unchecked, "stopped-guest-stays-off-as-machines-die"),
    (whoever_held_it_goes_first, "guest-is-stopped-and-started"),
    (a_wish_of_the_other_is_not_taken_over, "guest-is-stopped-by-who-is-cut-off"),
    (a_crash_is_a_crash, "guest-crashes-wherever-it-is"),
    (to_and_fro, "guest-crashes-wherever-it-is"),
    (tried_for_ever, "guest-crashes-again-and-again"),
    (a_power_off_is_a_crash, "guest-switches-itself-off"),
    (told_to_who_does_not_know_of_it, "mixed-guest-switches-itself-off"),
    (a_stop_needs_a_stick, "stop-is-said-to-a-machine-without-its-stick"),
    (what_has_ended_is_forgotten, "guest-ends-while-its-agent-is-away"),
)


@pytest.mark.parametrize(("plant", "name"), PLANTS)
def test_a_broken_rule_is_seen(plant: Plant, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert_seen(name)
