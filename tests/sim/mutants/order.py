# SPDX-License-Identifier: MIT
"""In which order tests are asked: those first that find most in the time that they take."""

from collections import Counter
from collections.abc import Iterable

HERE = 5  # how much more a catch in the same function tells than one anywhere


class Order:
    """What is learned of tests while they are asked; a test's parameters are a group's affair."""

    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()  # by group
        self._caught: Counter[str] = Counter()
        self._caught_in: Counter[tuple[str, str]] = Counter()  # by function and test

    def note(self, function: str, asked: Iterable[str], caught_by: str | None) -> None:
        """A mutant in FUNCTION was tried."""
        self._asked.update(map(group, asked))
        if caught_by is not None:
            self._caught[group(caught_by)] += 1
            self._caught_in[function, caught_by] += 1

    def cost(self, function: str, test: str, seconds: float) -> float:
        """Seconds for each catch that can be expected of TEST in FUNCTION."""
        of_group = (self._caught[group(test)] + 0.5) / (self._asked[group(test)] + 2)
        return seconds / (of_group + HERE * self._caught_in[function, test])


def group(test: str) -> str:
    """`test_x.py::test_y` of `test_x.py::test_y[z]`, and `history` of `history 7`."""
    return test.partition("[")[0].partition(" ")[0]
