# SPDX-License-Identifier: MIT
"""Owns how the figures read: a Markdown table, a group for each measure. Pure."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from tests.vm.bench.figures import Figure, Measured

HEAD = "| figure | median | unit | samples | spread | target | verdict |"
RULE = "|---|---:|---|---|---:|---|---|"
SHORT = 12  # digits of a hash; enough to find what it is of


def markdown(measured: Sequence[Measured], about: str) -> str:
    """The whole page. ABOUT is a paragraph on the machine that was measured on."""
    return "\n".join(_lines(measured, about)) + "\n"


def _lines(measured: Sequence[Measured], about: str) -> Iterator[str]:
    yield "# Figures"
    yield ""
    yield about
    ordered = sorted(measured, key=lambda one: one.figure.measure)
    for measure, group in groupby(ordered, key=lambda one: one.figure.measure):
        rows = list(group)
        yield ""
        yield f"## {measure}"
        yield ""
        yield HEAD
        yield RULE
        for one in rows:
            yield row(one.figure)
        yield ""
        for note in _notes(rows):
            yield f"- {note}"
        for commit, image, at in sorted({_origin(one) for one in rows}):
            yield f"- commit {commit}, image {image}, {at}"


def _notes(rows: Sequence[Measured]) -> Iterator[str]:
    return (f"{one.figure.name}: {one.figure.note}" for one in rows if one.figure.note)


def _origin(one: Measured) -> tuple[str, str, str]:
    return one.origin.commit[:SHORT], one.origin.image[:SHORT], one.origin.at


def row(figure: Figure) -> str:
    cells = (
        figure.name,
        number(figure.median),
        figure.unit,
        " ".join(map(number, figure.samples)),
        "" if figure.is_exact else number(figure.spread),
        "" if figure.target is None else str(figure.target),
        figure.verdict.value,
    )
    return f"| {' | '.join(cells)} |"


def number(value: float) -> str:
    """Three digits that count, and never an exponent."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
