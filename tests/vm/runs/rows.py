# SPDX-License-Identifier: MIT
"""The rows of the fault matrix, tests/vm/rows.txt: a fault each, and the pair's promise."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parents[1] / "rows.txt"
LINE = re.compile(r"([A-H][1-9][0-9]?) ([^:]+): (.+)")


class UnknownRow(ValueError):
    """A row that tests/vm/rows.txt does not have; the text says who named it."""


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    fault: str
    promise: str


def read(text: str) -> dict[str, Row]:
    """The rows of TEXT by name, in its order. Raises ValueError with the line that is no row."""
    found: dict[str, Row] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        row = LINE.fullmatch(line)
        if row is None:
            raise ValueError(f"line {number} is not `NAME fault: promise`: {line!r}")
        if row[1] in found:
            raise ValueError(f"line {number} has {row[1]} a second time")
        found[row[1]] = Row(*row.groups())
    return found


ROWS = read(FILE.read_text())


def checked(names: Iterable[str], who: str) -> tuple[str, ...]:
    """NAMES, if each is a row. Raises UnknownRow with WHO named it."""
    named = tuple(names)
    for name in named:
        if name not in ROWS:
            raise UnknownRow(f"{who} names row {name}, which tests/vm/rows.txt does not have.")
    return named
