# SPDX-License-Identifier: MIT
"""How two faults are drawn, and which of them may part a pair."""

from collections import Counter

import pytest

from tests.vm.chaos.draws import (
    AT_ONCE,
    BETWEEN,
    HOLDER,
    STANDBY,
    Exempt,
    History,
    Step,
    draw,
)
from tests.vm.chaos.faults import FAULTS

MANY = [draw(seed) for seed in range(2000)]


def test_a_seed_is_a_history() -> None:
    assert MANY[:50] == [draw(seed) for seed in range(50)]
    assert len(set(MANY)) == len(MANY)
    assert MANY[7].again == "make vm-chaos SEED=7 N=1"


def test_every_fault_is_drawn_first_and_second() -> None:
    assert {one.first.fault for one in MANY} == set(FAULTS)
    assert {one.second.fault for one in MANY} == set(FAULTS)
    assert all(one.first != one.second for one in MANY)


def test_half_of_what_is_aimed_is_aimed_at_the_holder() -> None:
    steps = [step for one in MANY for step in one.steps]
    aimed = Counter(step.who for step in steps if FAULTS[step.fault].is_aimed)
    assert set(aimed) == {HOLDER, STANDBY}
    assert 0.47 < aimed[HOLDER] / aimed.total() < 0.53
    assert all(step.who == "" for step in steps if not FAULTS[step.fault].is_aimed)


def test_what_weighs_more_is_drawn_more_often() -> None:
    drawn = Counter(one.first.fault for one in MANY)
    assert drawn["power"] > 3 * drawn["switch"]


def history(first: str, second: str, between: float) -> History:
    return History(1, Step(first), Step(second), between, 10.0)


@pytest.mark.parametrize(
    ("first", "second", "between", "exempt"),
    [
        ("crossover", "lan-between", 0.0, Exempt.HOLE),
        ("lan-between", "silent-crossover", 0.0, Exempt.HOLE),
        ("crossover", "lan-between", 2.0, Exempt.NOTHING),
        ("crossover", "gateway", 0.0, Exempt.NOTHING),
        ("crossover", "silent-crossover", 0.0, Exempt.NOTHING),
        ("freeze", "gateway", 40.0, Exempt.FROZEN),
        ("power", "freeze", 0.0, Exempt.FROZEN),
        ("power", "power", 0.0, Exempt.NOTHING),
    ],
)
def test_a_hole_and_a_frozen_clock_may_part_a_pair_and_nothing_else(
    first: str, second: str, between: float, exempt: Exempt
) -> None:
    assert history(first, second, between).exempt() is exempt


def test_no_pause_is_near_the_edge_of_the_hole() -> None:
    """Between the keepalives of one second, and the seconds that pass before a cut is made."""
    assert all(pause == 0.0 or pause >= AT_ONCE for pause in BETWEEN)
