# SPDX-License-Identifier: MIT
"""Which scenarios run, and which need not."""

from typing import Any

import pytest

from tests.unit.fake_runs import COMMIT, IMAGE, RUN, run
from tests.vm.runs.choosing import BadChoice, Now, Shard, passed, rows, shard, why_left_out
from tests.vm.runs.origin import Tree
from tests.vm.runs.record import Outcome
from tests.vm.runs.rows import UnknownRow

NAMES = [f"tests/vm/test_{n}.py::test_it[{n}]" for n in range(200)]
NOW = Now(Tree(COMMIT, is_dirty=False), IMAGE, scale=4.0)


def test_every_scenario_is_in_one_shard_whatever_else_there_is() -> None:
    shards = [[name for name in NAMES if Shard(k, 5).has(name)] for k in range(1, 6)]
    assert sorted(name for one in shards for name in one) == sorted(NAMES)
    assert all(len(one) > 20 for one in shards)
    # On every host, in every release: who has 2/5 may not find that others had it, too.
    assert [k for k in range(1, 6) if Shard(k, 5).has("tests/vm/test_takeover.py::test_x")] == [2]


@pytest.mark.parametrize("text", ["", "2", "0/5", "6/5", "2/0", "2/5/7", "-1/5", "a/b"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(BadChoice, match="2/5 is the second of five"):
        shard(text)
    assert shard("2/5") == Shard(2, 5)


def test_rows_are_asked_for_by_name() -> None:
    assert rows("A6, B1") == {"A6", "B1"}
    with pytest.raises(UnknownRow, match="asked for names row A66"):
        rows("A6,A66")


def test_what_passed_now_is_left_out_and_why() -> None:
    assert passed([RUN], NOW) == {RUN.name: RUN}
    said = why_left_out(RUN)
    for part in ("this commit and this image", RUN.when, "300 s", RUN.name):
        assert part in said


@pytest.mark.parametrize(
    "change",
    [
        {"commit": "d" * 40},
        {"is_dirty": True},
        {"scale": 1.0},
        {"images": {"shoestring-test.raw": "2" * 64}},
        {"images": {**IMAGE, "shoestring.raw": "3" * 64}},
        {"images": {}},
        {"outcome": Outcome.FAILED},
        {"outcome": Outcome.SKIPPED},
        {"outcome": Outcome.SPOILED},
    ],
    ids=str,
)
def test_what_passed_otherwise_is_run_again(change: dict[str, Any]) -> None:
    assert passed([run(**change)], NOW) == {}


def test_in_a_changed_tree_everything_is_run_again() -> None:
    assert passed([RUN], Now(Tree(COMMIT, is_dirty=True), IMAGE, 4.0)) == {}


def test_the_newest_run_counts() -> None:
    failed = run(outcome=Outcome.FAILED)
    assert passed([RUN, failed], NOW) == {}
    assert passed([failed, RUN], NOW) == {RUN.name: RUN}
    # One that did not run says nothing, nor does one of another commit.
    assert passed([RUN, run(outcome=Outcome.SKIPPED)], NOW) == {RUN.name: RUN}
    assert passed([RUN, run(outcome=Outcome.FAILED, commit="d" * 40)], NOW) == {RUN.name: RUN}
