# SPDX-License-Identifier: MIT
"""A soak on a pair that is a few fields: who is cut, what is written down, how it goes on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.fake_book import NOW, book
from tests.unit.fake_runs import RUN
from tests.vm.runs import results
from tests.vm.runs.book import Book
from tests.vm.runs.choosing import Now
from tests.vm.runs.origin import Tree
from tests.vm.runs.record import Outcome, Record
from tests.vm.soak.__main__ import soak
from tests.vm.soak.cuts import Takeover, other, seed_of_cut, to_do
from tests.vm.soak.judging import Verdict
from tests.vm.soak.summing import sum_up

SEED = 5


class FakePair:
    """It keeps its promises, but for what is planted at a cut: an act is called before it."""

    def __init__(self, did: list[str], plant: dict[int, Callable[["FakePair"], None]]) -> None:
        self.did = did
        self.plant = plant
        self.on = "a"
        self.verdict = Verdict(100)
        self.differs = ""
        self.is_slow = False

    def holder(self) -> str:
        number = 1 + sum(one.startswith("cut") for one in self.did)
        if number in self.plant:
            self.plant.pop(number)(self)
        return self.on

    def cut(self, name: str, seed: int) -> None:
        assert name == self.on
        self.did.append(f"cut {name} {seed}")

    def takeover(self, by: str) -> Takeover:
        if self.is_slow:
            raise TimeoutError("waited 900 s for b's agent\nand more")
        assert by == other(self.on)
        self.on = by
        return Takeover(80.04, "peer off: self-fenced")

    def bring_back(self, name: str) -> None:
        self.did.append(f"{name} is back")

    def judge(self) -> Verdict:
        return self.verdict

    def compare(self) -> str:
        self.did.append("compare")
        return self.differs

    def keep(self, name: str) -> str:
        return f"build/failed/{name}"


class Bench:
    """Gives out pairs, and counts them."""

    def __init__(self, plant: dict[int, Callable[[FakePair], None]] | None = None) -> None:
        self.did: list[str] = []
        self.pairs = 0
        self.plant = plant or {}

    @contextmanager
    def legs(self) -> Iterator[FakePair]:
        self.pairs += 1
        yield FakePair(self.did, self.plant)

    @property
    def cut(self) -> list[str]:
        return [one.split()[1] for one in self.did if one.startswith("cut")]


def run(bench: Bench, paper: Book, cuts: int, *, is_again: bool = False) -> int:
    return soak(paper, bench.legs, cuts, SEED, is_again=is_again)


def lines(paper: Book) -> list[Record]:
    return results.read(paper.file)


def test_the_sides_alternate_and_both_copies_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench, paper = Bench(), book(tmp_path)
    assert run(bench, paper, 4) == 0
    assert bench.cut == ["a", "b", "a", "b"] and bench.pairs == 1
    assert bench.did[-2:] == ["b is back", "compare"]
    told = (
        "cuts 4 (2 of a, 2 of b), lost 0, double writers 0, failed 0, both copies the same after 4"
    )
    assert told in capsys.readouterr().out
    assert [one.name for one in lines(paper)] == [
        *(f"soak/5/{number}" for number in (1, 2, 3, 4)),
        "soak/5/copies",
    ]
    one = lines(paper)[1]
    assert one.rows == ("A1", "C16") and one.outcome is Outcome.PASSED
    assert one.seed == seed_of_cut(SEED, 2) and one.about["holder"] == "b"
    assert f"cut b {one.seed}" in bench.did
    assert one.about["takeover"] == 80.0 and "self-fenced" in one.about["why"]


def test_the_caches_seeds_are_the_same_each_time_and_all_different() -> None:
    seeds = [seed_of_cut(1, number) for number in range(1, 101)]
    assert seeds == [seed_of_cut(1, number) for number in range(1, 101)]
    assert len({*seeds, *(seed_of_cut(2, number) for number in range(1, 101))}) == 200


def test_an_interrupted_soak_goes_on_with_the_next_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(pair: FakePair) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(Bench({3: interrupt}), book(tmp_path), 5)
    assert len(lines(book(tmp_path))) == 2
    bench = Bench()
    assert run(bench, book(tmp_path), 5) == 0
    assert bench.cut == ["a", "b", "a"]  # 3 to 5, on a healthy pair
    told = capsys.readouterr().out
    assert "2 of 5 cuts have their line already." in told
    # What the first pair's copies were like, nobody knows.
    assert "cuts 5 (3 of a, 2 of b), lost 0" in told and "both copies the same after 3" in told
    assert run(Bench(), book(tmp_path), 5) == 0
    assert run(bench := Bench(), book(tmp_path), 6) == 0
    assert len(bench.cut) == 1


def test_lines_of_another_image_are_not_its_own(tmp_path: Path) -> None:
    run(Bench(), book(tmp_path), 2)
    other_image = Now(NOW.tree, {"shoestring-test.raw": "9" * 64}, 4.0)
    assert run(bench := Bench(), book(tmp_path, other_image), 2) == 0
    assert len(bench.cut) == 2
    assert run(bench := Bench(), book(tmp_path), 2, is_again=True) == 0
    assert len(bench.cut) == 2


def test_a_changed_tree_begins_anew_and_is_summed_up_all_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = Now(Tree("c" * 40, is_dirty=True), NOW.images, 4.0)
    for _ in range(2):
        assert run(bench := Bench(), book(tmp_path, changed), 2) == 0
        assert len(bench.cut) == 2
    assert "cuts 2 (1 of a, 1 of b)" in capsys.readouterr().out.splitlines()[-1]


def lose(pair: FakePair) -> None:
    pair.verdict = Verdict(100, lost=(7, 8))


def write_twice(pair: FakePair) -> None:
    pair.verdict = Verdict(100, doubles=("3 was acknowledged after 3",))


def move_back(pair: FakePair) -> None:
    pair.on = other(pair.on)


def hang(pair: FakePair) -> None:
    pair.is_slow = True


@pytest.mark.parametrize(
    ("plant", "reason", "told"),
    [
        (lose, "lost: [7, 8]", "lost 2, double writers 0, failed 1"),
        (write_twice, "3 was acknowledged after 3", "lost 0, double writers 1, failed 1"),
        (move_back, "the guest moved back to a by itself", "lost 0, double writers 0, failed 1"),
        (hang, "waited 900 s for b's agent", "lost 0, double writers 0, failed 1"),
    ],
)
def test_a_failure_is_kept_and_the_next_pair_goes_on(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    plant: Callable[[FakePair], None],
    reason: str,
    told: str,
) -> None:
    bench, paper = Bench({2: plant}), book(tmp_path)
    assert run(bench, paper, 4) == 1
    assert bench.pairs == 2
    (failed,) = [one for one in lines(paper) if one.outcome is Outcome.FAILED]
    assert (failed.name, failed.reason) == ("soak/5/2", reason)
    assert failed.kept == "build/failed/soak-5-2"
    assert told in capsys.readouterr().out
    # Of the pair that failed no copies are compared: it is not healthy.
    assert bench.did.count("compare") == 1
    assert lines(paper)[-1].about == {"compared after": [3, 4]}


def test_copies_that_differ_are_a_failure(tmp_path: Path) -> None:
    def part(pair: FakePair) -> None:
        pair.differs = "the copies differ in 1 of 192 MiB: 7"

    paper = book(tmp_path)
    assert run(Bench({1: part}), paper, 2) == 1
    assert (lines(paper)[-1].outcome, lines(paper)[-1].name) == (Outcome.FAILED, "soak/5/copies")
    assert sum_up(lines(paper)).compared == set()


def test_a_pair_that_never_does_well_is_given_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench, paper = Bench(dict.fromkeys(range(1, 9), hang)), book(tmp_path)
    assert run(bench, paper, 8) == 1
    assert bench.pairs == 3 and len(lines(paper)) == 3
    assert "It was given up: too many failures" in capsys.readouterr().out


def test_a_pair_that_cannot_be_made_is_a_failure_and_costs_no_cut(tmp_path: Path) -> None:
    bench, paper = Bench(), book(tmp_path)
    troubles = [TimeoutError("waited 120 s for a's checkpoint to load")]

    @contextmanager
    def legs() -> Iterator[FakePair]:
        if troubles:
            raise troubles.pop()
        with bench.legs() as pair:
            yield pair

    assert soak(paper, legs, 2, SEED, is_again=False) == 1
    assert [(one.name, one.outcome) for one in lines(paper)] == [
        ("soak/5/pair", Outcome.FAILED),
        ("soak/5/1", Outcome.PASSED),
        ("soak/5/2", Outcome.PASSED),
        ("soak/5/copies", Outcome.PASSED),
    ]
    assert lines(paper)[0].reason == "waited 120 s for a's checkpoint to load"
    troubles += [TimeoutError("no")] * 9
    assert soak(paper, legs, 4, SEED, is_again=False) == 1
    assert len(troubles) == 6 and sum_up(lines(paper)).failed == 4


def test_without_a_comparison_it_is_not_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The interruption came after the last cut."""
    paper = book(tmp_path)
    assert run(Bench(), paper, 2) == 0
    first, second, _ = paper.file.read_text().splitlines(keepends=True)
    paper.file.write_text(first + second)
    assert run(bench := Bench(), book(tmp_path), 2) == 1
    assert bench.pairs == 0
    assert "No two copies were compared: N=3 makes one more cut" in capsys.readouterr().out


def test_failures_that_are_not_in_a_row_do_not_end_it(tmp_path: Path) -> None:
    bench = Bench(dict.fromkeys((2, 4, 6, 8), hang))
    assert run(bench, book(tmp_path), 9) == 1
    assert bench.pairs == 5 and len(bench.cut) == 9


def test_what_is_to_do_is_what_has_no_line() -> None:
    runs = [
        replace(RUN, about=about) for about in ({"cut": 1}, {"cut": 3}, {"compared after": [1]})
    ]
    assert to_do(runs, 5) == [2, 4, 5]
