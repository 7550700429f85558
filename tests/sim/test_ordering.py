# SPDX-License-Identifier: MIT
"""The rules of the order of starts, broken one at a time: a history must notice."""

import pytest

from haagent.core import ordering
from haagent.core.model import GuestState, NodeState, Phase
from tests.sim.test_plants import Plant, assert_seen


def no_order(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(ordering, "waits_for", lambda state, guest: None)


def no_pause(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(ordering, "_is_young", lambda state, other, mine: False)


def a_pause_whenever_it_is_held_anew(plant: pytest.MonkeyPatch) -> None:
    def is_young(state: NodeState, other: str, mine: GuestState) -> bool:
        pause = state.pair.pauses.get(other, 0.0)
        return mine.phase is Phase.HOLDING and state.now - mine.since < 10 * pause

    plant.setattr(ordering, "_is_young", is_young)


def only_this_machine(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(
        ordering, "_is_on_its_way", lambda state, other, mine: mine.phase in ordering.BEGINNING
    )


def whatever_is_wanted_comes_first(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(
        ordering, "_is_on_its_way", lambda state, other, mine: mine.phase is not Phase.HOLDING
    )


PLANTS: tuple[tuple[Plant, str], ...] = (
    (no_order, "guests-start-in-their-order"),
    (no_pause, "guests-start-in-their-order"),
    (a_pause_whenever_it_is_held_anew, "guest-that-was-frozen-keeps-nobody-back"),
    (only_this_machine, "guests-on-both-start-in-their-order"),
    (whatever_is_wanted_comes_first, "guest-that-cannot-start-keeps-nobody-back"),
)


@pytest.mark.parametrize(("plant", "name"), PLANTS)
def test_a_broken_rule_is_seen(plant: Plant, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert_seen(name)
