# SPDX-License-Identifier: MIT
"""A thousand random histories, of which none may lose an acknowledged write."""

import os
from concurrent.futures import ProcessPoolExecutor

from tests.sim.histories import FAULTS, Outcome, freeze, run, run_mixed

FIRST = int(os.environ.get("SIM_FIRST_SEED", "0"))
HISTORIES = int(os.environ.get("SIM_HISTORIES", "1000"))


def freezing(seed: int) -> Outcome:
    return run(seed, faults=(*FAULTS, *((freeze,) * len(FAULTS))))


def outcomes(which: object, count: int) -> list[Outcome]:
    with ProcessPoolExecutor() as processes:
        seeds = range(FIRST, FIRST + count)
        return list(processes.map(which, seeds, chunksize=10))  # type: ignore[arg-type]


def test_random_histories_keep_both_promises() -> None:
    """Every seed outside the named classes: nothing lost, no two writers, and the pair recovers."""
    told = outcomes(run, HISTORIES)
    assert all_ordinary_are_well(told) > 0.9 * HISTORIES


def test_random_histories_of_two_releases_keep_both_promises() -> None:
    """Fewer of them, because every hello goes through the bytes of the wire."""
    count = max(1, HISTORIES // 8)
    told = outcomes(run_mixed, count)
    assert all_ordinary_are_well(told) > 0.9 * count
    assert any("gets a release" in line for one in told for line in one.log)


def all_ordinary_are_well(told: list[Outcome]) -> int:
    """How many there are; raises AssertionError if one of them is not."""
    ordinary = [one for one in told if not one.is_exempt]
    broken = [one for one in ordinary if one.violations or one.together or not one.has_converged]
    for one in broken[:3]:
        print(f"seed {one.seed}: {one.violations}", *one.log, sep="\n")
    assert [one.seed for one in broken] == []
    return len(ordinary)


def test_the_named_classes_end_detected() -> None:
    """In a hole, or after a machine stood still with its clocks: recovered, or StandAlone."""
    told = outcomes(freezing, HISTORIES // 5)
    exempt = [one for one in told if one.is_exempt]
    assert len(exempt) > HISTORIES // 20
    undetected = [one for one in exempt if not (one.has_converged or one.is_parted)]
    discarded = [one for one in exempt if any("discarded" in v for v in one.violations)]
    for one in (undetected + discarded)[:3]:
        print(f"seed {one.seed}: {one.violations}", *one.log, sep="\n")
    assert [one.seed for one in undetected] == []
    assert [one.seed for one in discarded] == []
    writers = [one for one in exempt if any("two writers" in v for v in one.violations)]
    stale = [one for one in exempt if any("stale" in v for v in one.violations)]
    print(f"{len(exempt)} of the classes: {len(writers)} with two writers, {len(stale)} stale")
