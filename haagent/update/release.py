# SPDX-License-Identifier: MIT
"""What a release is called, and which of two is newer. Pure."""

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Self

SHAPE = re.compile(r"(?P<numbers>\d{1,5}(?:\.\d{1,5}){0,3})(?:\+(?P<build>\d{1,5}))?", re.ASCII)


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """One to four numbers with dots, and perhaps +N, the Nth build of the same: 0.2, 0.2.1, 0.2+1.

    They are compared number by number; a number that is missing counts as 0, so 0.2 is 0.2.0, and
    any +N is newer than none.
    """

    text: str  # as it was written

    @classmethod
    def of(cls, text: str) -> Self:
        """Raises ValueError."""
        if SHAPE.fullmatch(text) is None:
            raise ValueError(f"{text!r:.40} is no release: two are told apart as 0.2.0 and 0.2.1")
        return cls(text)

    @property
    def _order(self) -> tuple[int, ...]:
        numbers, _, build = self.text.partition("+")
        parts = [int(number) for number in numbers.split(".")]
        return (*parts, *[0] * (4 - len(parts)), int(build or 0))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Release) and self._order == other._order

    def __lt__(self, other: "Release") -> bool:
        return self._order < other._order

    def __hash__(self) -> int:
        return hash(self._order)

    def __str__(self) -> str:
        return self.text
