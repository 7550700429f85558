# SPDX-License-Identifier: MIT
"""In which order tests are asked: those first that find most in the time that they take."""

from collections import Counter
from collections.abc import Iterable

HERE = 5  # how much more is learned in the same function than anywhere else
LEAST = 0.01  # what a test of a few milliseconds may always be asked for


class Order:
    """What is learned of tests while they are asked; a test's parameters are a group's affair."""

    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()  # by group, and by function and test
        self._caught: Counter[str] = Counter()

    def note(self, function: str, asked: Iterable[str], caught_by: str | None) -> None:
        """A mutant in FUNCTION was tried."""
        for test in asked:
            self._asked.update(_places(function, test))
        if caught_by is not None:
            self._caught.update(_places(function, caught_by))

    def cost(self, function: str, test: str, seconds: float) -> float:
        """Seconds for each catch that can be expected of TEST in FUNCTION."""
        anywhere, here = _places(function, test)
        caught = self._caught[anywhere] + HERE * self._caught[here] + 0.5
        asked = self._asked[anywhere] + HERE * self._asked[here] + 2
        return seconds / max(caught / asked, LEAST)


def _places(function: str, test: str) -> tuple[str, str]:
    return group(test), f"{function} {test}"


def group(test: str) -> str:
    """`test_x.py::test_y` of `test_x.py::test_y[z]`, and `history` of `history 7`."""
    return test.partition("[")[0].partition(" ")[0]
