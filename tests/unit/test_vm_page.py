# SPDX-License-Identifier: MIT
"""docs/reliability.md: what is made of runs, what is kept, and that it lists every row."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.fake_runs import run
from tests.vm.runs import reliability, results
from tests.vm.runs.marks import marked
from tests.vm.runs.page import BEGIN, END, NotKept, by_hand, look, page
from tests.vm.runs.record import Outcome, Record
from tests.vm.runs.rows import ROWS, Row

DATA = Path(__file__).parents[1] / "data/reliability"
FEW = {
    name: Row(name, f"what happens in {name}", f"what is promised for {name}")
    for name in ("A1", "A2", "B1", "B2", "B3", "C16")
}
SCENARIOS = {
    "tests/vm/test_one.py::test_a": ("A1",),
    "tests/vm/test_one.py::test_b": ("A2",),
    "tests/vm/test_one.py::test_c": ("B1",),
    "tests/vm/test_one.py::test_d": ("B1",),
    "tests/vm/test_one.py::test_e": ("B2",),
}
KEPT = "## By hand\n\nIt failed, and was mended.\n"


def test_the_page_of_the_recorded_runs() -> None:
    """After a change: write it anew, and read the difference."""
    records = results.read(DATA / "results.jsonl")
    made = page(FEW, SCENARIOS, records, KEPT, ["a sum."])
    assert made == (DATA / "page.md").read_text()


@pytest.mark.parametrize(
    ("row", "result", "passed", "seconds", "images"),
    [
        ("A1", "passed", "2 of 3", "305", "111111111111"),
        (
            "A2",
            "**failed**: `tests/vm/test_one.py::test_b[y]`",
            "1 of 2",
            "200",
            "111111111111 aaaaaaaaaaaa",
        ),
        (
            "B1",
            "passed, but 1 of 2 scenarios did not run yet",
            "1 of 1",
            "400",
            "111111111111",
        ),
        ("B2", "not run yet", "", "", ""),
        ("B3", "no scenario yet", "", "", ""),
        ("C16", "passed", "2 of 2", "350", "111111111111"),
    ],
)
def test_what_the_runs_say_of_a_row(
    row: str, result: str, passed: str, seconds: str, images: str
) -> None:
    seen = look(row, SCENARIOS, results.read(DATA / "results.jsonl"))
    assert seen.cells() == (result, passed, seconds, images)


def test_what_only_a_long_run_shows_has_its_scenario() -> None:
    assert look("C16", SCENARIOS, []).result == "not run yet"
    lost = run(name="soak/1/2", rows=("A1", "C16"), outcome=Outcome.FAILED)
    assert look("C16", SCENARIOS, [lost]).result == "**failed**: `soak/1/2`"


def test_a_failure_after_a_pass_is_one() -> None:
    name = "tests/vm/test_one.py::test_a"
    runs = [run(name=name), run(name=name, outcome=Outcome.FAILED)]
    assert look("A1", SCENARIOS, runs).result == f"**failed**: `{name}`"
    assert look("A1", SCENARIOS, runs[::-1]).is_passed


@pytest.mark.parametrize("outcome", [Outcome.SKIPPED, Outcome.SPOILED])
def test_what_did_not_run_or_was_spoiled_takes_nothing_from_a_pass(outcome: Outcome) -> None:
    name = "tests/vm/test_one.py::test_a"
    seen = look("A1", SCENARIOS, [run(name=name), run(name=name, outcome=outcome)])
    assert seen.is_passed and seen.cells()[1] == "1 of 1"
    assert look("A1", SCENARIOS, [run(name=name, outcome=outcome)]).result == "not run yet"


def test_the_newest_soak_and_chaos_are_summed_up() -> None:
    def cut(number: int, **changes: Any) -> Record:
        about = {"cut": number, "holder": "ab"[number % 2], "lost": [], "takeover": 80.0}
        return run(name=f"soak/4/{number}", about=about, **changes)

    def history(seed: int, **changes: Any) -> Record:
        about = {"first": "power holder", "second": "gateway", "exempt": ""}
        return run(name=f"chaos/{seed}", seed=seed, about=about, **changes)

    assert list(reliability.sums([run()])) == []
    records = [
        cut(1, commit="d" * 40),
        cut(1),
        cut(2),
        cut(3, is_dirty=True),
        history(6, outcome=Outcome.FAILED),
        history(6),
        history(7, outcome=Outcome.FAILED),
    ]
    soak, chaos = reliability.sums(records)
    assert soak.startswith("soak, seed 4: cuts 2 (1 of a, 1 of b), lost 0, double writers 0, fai")
    assert chaos.startswith("chaos: histories 2, failed 1 (seeds 7); hole 0, frozen 0,")
    assert soak.endswith("(commit cccccccccccc, time scale 4)")


def test_what_is_by_hand_is_kept_to_the_letter(tmp_path: Path) -> None:
    file, lines = tmp_path / "page.md", tmp_path / "none.jsonl"
    reliability.write(file, lines)
    changed = file.read_text().replace("Nothing is written down yet.", "| a | b |\n\n*x*")
    file.write_text(changed)
    reliability.write(file, lines)
    assert file.read_text() == changed
    assert "| a | b |\n\n*x*" in by_hand(changed)


@pytest.mark.parametrize("text", ["", f"{BEGIN}\nx\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n" * 2])
def test_what_cannot_be_kept_is_not_written_over(tmp_path: Path, text: str) -> None:
    file = tmp_path / "page.md"
    file.write_text(text)
    with pytest.raises(NotKept, match="once each"):
        reliability.write(file, tmp_path / "none.jsonl")
    assert file.read_text() == text
    assert list(tmp_path.iterdir()) == [file]


def test_the_page_that_there_is_was_made_of_the_lines_that_there_are() -> None:
    """It lists every row; after a change of them, or of a scenario's mark: `make reliability`."""
    records = results.read(reliability.KEPT)
    kept = by_hand(reliability.PAGE.read_text())
    made = page(ROWS, marked(), records, kept, list(reliability.sums(records)))
    assert reliability.PAGE.read_text() == made
    assert not any(one.is_dirty for one in records)


def test_runs_of_several_hosts_come_together_once_each(tmp_path: Path) -> None:
    kept, other = tmp_path / "kept.jsonl", run(name="tests/vm/test_one.py::test_other_host")
    results.append(other, kept)
    lines = tmp_path / "lines.jsonl"
    first, second = run(), run(when="2026-01-01T00:00:00+00:00", outcome=Outcome.FAILED)
    spoiled = run(outcome=Outcome.SPOILED)
    for one in (first, run(is_dirty=True), run(outcome=Outcome.SKIPPED), spoiled, second):
        results.append(one, lines)
    assert reliability.take_in(lines, kept) == 2
    assert results.read(kept) == [other, first, second]
    assert reliability.take_in(lines, kept) == 0
    assert results.read(kept) == [other, first, second]
