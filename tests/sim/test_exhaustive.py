# SPDX-License-Identifier: MIT
"""All histories of a few steps, and what the explorer finds when a rule is taken out.

`make sim-exhaustive` goes deeper.
"""

from collections.abc import Sequence

import pytest

from haagent.core import agreeing, doubting, proofs
from haagent.core.model import Newest, NodeState
from haagent.core.timing import Timing
from tests.sim.exhaustive.alphabet import ALPHABET, Kind, Step, take
from tests.sim.exhaustive.ending import mended
from tests.sim.exhaustive.passing import is_serving
from tests.sim.exhaustive.search import Open, Outcome, Search, explore, healthy
from tests.sim.exhaustive.situation import Situation
from tests.sim.exhaustive.snapshot import fingerprint, shape
from tests.sim.test_plants import (
    Plant,
    a_term_for_who_has_no_disk,
    always_fed,
    no_waiting,
    no_yielding,
    nothing_before_it_is_seen,
)

CUTS = ("crossover is cut", "LAN is cut")
PULLED = ("a loses the LAN and the gateway", "b loses the LAN and the gateway")
STEPS = {step.name: step for step in ALPHABET}


def only(*faults: str) -> Sequence[Step]:
    """These, and all that costs nothing."""
    free = [step for step in ALPHABET if step.kind not in (Kind.FAULT, Kind.ORDER)]
    return [*(STEPS[name] for name in faults), *free]


def after(*names: str) -> Situation:
    situation = healthy()
    for name in names:
        assert STEPS[name].may(situation), name
        situation = take(situation, STEPS[name])
    return situation


def test_every_short_history_keeps_both_promises() -> None:
    outcome = explore(4, 2, mend_every=25)
    dark = after("a loses power", "b loses power", "a is switched on", "b is switched on")
    from_dark = explore(5, 1, start=dark)
    for one in (outcome, from_dark):
        assert one.is_well, (one.broken, one.undetected, one.stuck)
        assert one.frontier == 0
    assert outcome.states > 2000 and outcome.mended > 20
    assert set(outcome.taken) | set(from_dark.taken) == set(STEPS)


def test_every_short_history_with_the_timers_of_real_hardware() -> None:
    outcome = explore(5, 2, start=healthy(Timing()), alphabet=only(*CUTS))
    assert outcome.is_well and outcome.exempt and outcome.states > 50


def test_it_is_the_same_each_time() -> None:
    one, other = (explore(3, 2, alphabet=only(*CUTS, "a loses power")) for _ in range(2))
    assert one == other


def test_situations_that_were_merged_have_one_future() -> None:
    """Each is gone on from by every step beside the one that it was taken for."""
    letters = only("crossover is cut", "gateway is gone", PULLED[1], "b's agent stands still")
    search = Search(5, 2, letters, stop_at=1, mend_every=0)
    seen: dict[int, Situation] = {}
    layer, merged = [Open(healthy())], 0
    for _ in range(search.depth):
        following = []
        for one in layer:
            for index, step in enumerate(letters):
                if not search.may_follow(one, index) or not step.may(one.situation):
                    continue
                reached = search.reach(one, index, take(one.situation, step))
                known = seen.setdefault(fingerprint(reached.situation), reached.situation)
                if known is reached.situation:
                    following.append(reached)
                    continue
                merged += 1
                compare(known, reached.situation, letters)
        layer = following
    assert merged > 50


def compare(one: Situation, other: Situation, letters: Sequence[Step]) -> None:
    for step in letters:
        assert step.may(one) == step.may(other), step.name
        if step.may(one):
            assert shape(take(one, step)) == shape(take(other, step)), step.name


# rules that are taken out


def test_who_comes_back_first_does_not_serve_what_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """B dies, A goes on alone and writes, A dies, B returns first."""

    def explored() -> Outcome:
        start = after("b loses power", "time passes until something happens")
        assert len(start.mirror.copies[0].data) > len(start.mirror.copies[1].data)
        return explore(7, 1, start=start, alphabet=only("a loses power"))

    assert explored().is_well

    def sure(state: NodeState, guest: str) -> Newest | None:
        return Newest.IN_SYNC if state.guests[guest].resource else None

    monkeypatch.setattr(proofs, "newest", sure)
    monkeypatch.setattr(proofs, "fell_silent_together", lambda state: True)
    [found, *_] = explored().broken
    assert "stale start of g on node 1" in found.violations[0]
    assert "b is switched on" in found.path and "a loses power" in found.path


def test_unbroken_is_no_proof_once_the_holder_wrote_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """B loses both cables, A goes on alone, B regains the LAN, and A dies: three faults."""

    def explored() -> Outcome:
        start = after("crossover is cut", PULLED[1])
        return explore(6, 1, start=start, alphabet=only("a loses power"))

    assert explored().is_well
    monkeypatch.setattr(doubting, "break_chains", lambda turn, why: None)
    monkeypatch.setattr(agreeing, "stand_down", lambda turn, guest: None)
    [found, *_] = explored().broken
    assert "stale start of g on node 1" in found.violations[0]
    assert {"a loses power", "LAN is mended"} <= set(found.path)


def silent_apart(plant: pytest.MonkeyPatch) -> None:
    """It is not asked any more whether both paths fell silent in one moment."""
    plant.setattr(proofs, "fell_silent_together", lambda state: True)


@pytest.mark.parametrize(
    ("plant", "faults"),
    [
        (silent_apart, CUTS),
        (no_waiting, CUTS + PULLED),
        (always_fed, CUTS + PULLED),
        (no_yielding, ("a's machine and clocks stands still",)),
        (a_term_for_who_has_no_disk, ("a has its data disk fail", "crossover is cut")),
        (nothing_before_it_is_seen, ("a has its Xen hang", "a has its agent killed")),
    ],
)
def test_a_rule_that_is_taken_out_is_missed(
    plant: Plant, faults: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert explore(5, 2, alphabet=only(*faults)).is_well
    plant(monkeypatch)
    assert explore(6, 2, alphabet=only(*faults)).broken


# the two classes


def test_a_hole_and_a_frozen_machine_are_counted_apart() -> None:
    hole = explore(5, 2, alphabet=only(*CUTS))
    frozen = explore(4, 1, alphabet=only("a's machine and clocks stands still"))
    assert hole.is_well and any(name.startswith("HOLE") for name in hole.exempt)
    assert frozen.is_well and any(name.startswith("FROZEN") for name in frozen.exempt)


def test_cuts_that_lie_apart_are_no_hole() -> None:
    together = after(CUTS[0], "time passes until something happens")
    assert not together.is_hole
    assert after(*CUTS, "time passes until something happens").is_hole
    assert not after(CUTS[0], "a moment passes", CUTS[1], "a moment passes").is_hole


# what it found


def test_nothing_is_written_down_on_a_disk_that_fails_as_the_handler_answers() -> None:
    """Else it had a generation of its own when it was back, and the pair was split."""
    wait = "time passes until something happens"
    found = after("crossover is cut", wait, wait, "crossover is mended", wait)
    for name in ("b loses power", "a has its data disk fail", wait):
        found = take(found, STEPS[name])
    assert is_serving(mended(found))
