# SPDX-License-Identifier: MIT
"""A rule that is broken on purpose is found by chance, and what is left of the script shows why."""

import re
from dataclasses import replace
from inspect import signature
from pathlib import Path

import pytest

from tests.sim import random
from tests.sim.draws import draw
from tests.sim.faults import HAPPENINGS
from tests.sim.histories import Outcome, tell
from tests.sim.scripts import dump, load
from tests.sim.shrinking import as_it_did, shrink
from tests.sim.test_plants import Plant, going_on_at_once, no_waiting


def first_broken() -> Outcome:
    """The first history that loses something."""
    return next(one for one in (tell(draw(seed)) for seed in range(3000)) if one.problems)


@pytest.mark.parametrize("plant", [no_waiting, going_on_at_once])
def test_a_planted_mistake_is_found_and_shrunk(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    one = first_broken()
    fails = as_it_did(one.problems[0])
    short = shrink(one.script, fails)
    assert fails(load(dump(short)))
    assert len(short.steps) <= 3
    for number in range(len(short.steps)):
        rest = short.steps[:number] + short.steps[number + 1 :]
        assert not fails(replace(short, steps=rest))


def test_the_program_prints_what_tells_it_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    no_waiting(monkeypatch)
    monkeypatch.setattr(random, "KEPT", tmp_path)
    seed = first_broken().script.seed
    assert random.main(["--runs", "1", "--seed", str(seed)]) == 1
    said = capsys.readouterr().out
    assert said.splitlines()[-1].endswith("violations=1")
    file = re.search(r"--replay (\S+)", said)
    assert file is not None
    assert random.main(["--replay", file[1]]) == 1
    monkeypatch.undo()
    assert random.main(["--replay", file[1]]) == 0


@pytest.mark.parametrize("seed", range(50))
def test_a_script_is_what_was_written_down(seed: int) -> None:
    script = draw(seed, is_mixed=seed % 2 == 1)
    assert load(dump(script)) == script


def test_no_argument_takes_the_place_of_a_word_about_its_step() -> None:
    """Both are keys of one line."""
    for name, happen in HAPPENINGS.items():
        assert not {"at", "what", "for"} & signature(happen).parameters.keys(), name


def test_a_script_decides_everything() -> None:
    assert tell(draw(7)) == tell(draw(7))
