# SPDX-License-Identifier: MIT
"""A book in a folder of the test's own, whose clock stands still."""

from pathlib import Path

from tests.unit.fake_runs import COMMIT, IMAGE
from tests.vm.runs.book import Book
from tests.vm.runs.choosing import Now
from tests.vm.runs.origin import Tree

NOW = Now(Tree(COMMIT, is_dirty=False), IMAGE, scale=4.0)


def book(folder: Path, now: Now = NOW) -> Book:
    return Book(folder / "results.jsonl", now, "tcg", clock=lambda: 0.0)
