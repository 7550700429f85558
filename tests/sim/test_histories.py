# SPDX-License-Identifier: MIT
"""Random histories, of which none may lose an acknowledged write, and what they are made of."""

import os
from dataclasses import replace

import pytest

from haagent.core import foresight
from haagent.core.foresight import Fate
from haagent.core.model import Phase, Policy
from tests.sim.draws import draw
from tests.sim.histories import SETTLES, Teller, is_protected
from tests.sim.random import Sum, report, run

FIRST = int(os.environ.get("SIM_FIRST_SEED", "0"))
HISTORIES = int(os.environ.get("SIM_HISTORIES", "1000"))


@pytest.fixture(scope="module")
def told() -> Sum:
    return run(draw(seed) for seed in range(FIRST, FIRST + HISTORIES))


def is_well(total: Sum) -> bool:
    for one in total.broken[:3]:
        report(one)
    return not total.broken


def test_random_histories_keep_both_promises(told: Sum) -> None:
    """Nothing lost, no two writers, and the pair recovers; the named classes end detected."""
    assert is_well(told)


def test_the_histories_are_worth_telling(told: Sum) -> None:
    """They are full of events, faults and takeovers, and half of them meet whoever serves."""
    print(told.averages())
    assert told.events_per_node >= 60
    assert told.share_faulty >= 0.9
    assert told.share_taken_over >= 0.3
    assert 0.4 <= told.share_aimed <= 0.6


def test_few_of_them_are_exempt(told: Sum) -> None:
    assert told.hole + told.frozen + told.persons < 0.1 * told.schedules


def test_random_histories_of_two_releases_keep_both_promises() -> None:
    """Fewer of them, because every hello goes through the bytes of the wire."""
    seeds = range(FIRST, FIRST + max(1, HISTORIES // 12))
    assert is_well(run(draw(seed, is_mixed=True) for seed in seeds))


def test_the_named_classes_end_detected() -> None:
    """In a hole, or after a machine stood still with its clocks: recovered, or StandAlone."""
    seeds = range(FIRST, FIRST + HISTORIES // 5)
    total = run(draw(seed, more=("freeze", "hole")) for seed in seeds)
    assert is_well(total)
    assert total.hole > HISTORIES // 50
    assert total.frozen > HISTORIES // 50


@pytest.mark.parametrize("seed", range(12))
def test_what_counts_as_protected_would_be_taken_over(seed: int) -> None:
    """A history is over when it is; so this must be what the agents themselves foresee."""
    teller = Teller(replace(draw(seed), policy=Policy.AUTOMATIC))
    teller.tell()
    world = teller.world
    if not is_protected(world):
        return
    world.run(world.now + SETTLES)
    for machine in world.machines:
        assert machine.state is not None
        for guest, outlook in foresight.foresee(machine.state).items():
            is_here = machine.state.guests[guest].phase is Phase.HOLDING
            assert outlook.fate is (Fate.GOES_ON if is_here else Fate.STARTS), outlook
