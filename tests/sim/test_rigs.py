# SPDX-License-Identifier: MIT
"""What a soak and a chaos expect of emulated machines comes true on simulated ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.sim.rigs import FAULTS, ChaosRig, SoakRig
from tests.unit.fake_book import book
from tests.vm.chaos import faults
from tests.vm.chaos.draws import HOLDER, STANDBY, Exempt, History, Step, draw
from tests.vm.chaos.histories import Ended, tell
from tests.vm.runs.record import Outcome
from tests.vm.soak.cuts import Soak

CUTS = 8


def test_every_fault_of_the_catalogue_can_be_simulated() -> None:
    assert set(FAULTS) == set(faults.FAULTS)


@pytest.mark.parametrize("seed", range(60))
def test_a_history_of_chaos_ends_as_it_should(seed: int) -> None:
    history = draw(seed)
    rig = ChaosRig(history)
    assert tell(rig, history, {}) == "", rig.keep("")


@pytest.mark.parametrize("between", [0.0, 2.0])
def test_both_ways_cut_in_one_moment_are_the_hole_and_later_no_more(between: float) -> None:
    about: dict[str, object] = {}
    history = History(1, Step("crossover"), Step("lan-between"), between, 40.0)
    assert tell(ChaosRig(history), history, about) == ""
    is_hole = history.exempt() is Exempt.HOLE
    assert about["ended"] == (Ended.PARTED if is_hole else Ended.PROTECTED)


def test_a_split_that_nothing_explains_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(History, "exempt", lambda history: Exempt.NOTHING)
    history = History(1, Step("crossover"), Step("lan-between"), 0.0, 40.0)
    assert tell(ChaosRig(history), history, {}) == "split brain, and nothing explains it"


def test_what_cannot_happen_any_more_comes_to_nothing() -> None:
    rig = ChaosRig(History(1, Step("power", STANDBY), Step("reboot", STANDBY), 2.0, 10.0))
    assert rig.happen(Step("power", STANDBY)) == ""
    assert rig.happen(Step("reboot", STANDBY)) == "b is off, or stands still"


def test_the_holder_is_the_one_that_it_happens_to() -> None:
    rig = ChaosRig(History(1, Step("power", HOLDER), Step("gateway"), 2.0, 10.0))
    rig.happen(Step("power", HOLDER))
    assert not rig.world.machines[0].is_on


def test_a_soak_cuts_each_side_in_turn_and_the_copies_are_the_same(tmp_path: Path) -> None:
    @contextmanager
    def leg() -> Iterator[SoakRig]:
        yield SoakRig(seed=3)

    paper = book(tmp_path)
    assert Soak(paper, 1, leg).run(range(1, CUTS + 1))
    assert [one.outcome for one in paper.written] == [Outcome.PASSED] * (CUTS + 1), paper.written
    assert [one.about["holder"] for one in paper.written[:CUTS]] == ["a", "b"] * (CUTS // 2)


def test_copies_that_differ_are_found() -> None:
    rig = SoakRig(seed=3)
    rig.world.mirrors["g"].copies[1].data.discard(max(rig.world.mirrors["g"].copies[1].data))
    assert rig.compare() == "the copies differ in 1 writes"
