# SPDX-License-Identifier: MIT
"""Owns what a measured figure is: its samples, their median and spread, and its verdict.

Pure. It must not know how anything was measured, nor where the figures are kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import median
from typing import Any

ENOUGH = 3  # samples; fewer say nothing about a machine that is noisy


class Bound(StrEnum):
    AT_MOST = "at most"
    AT_LEAST = "at least"


class Verdict(StrEnum):
    REACHED = "reached"
    MISSED = "missed"
    TOO_FEW = "too few samples"  # whatever they say: no word before there are enough
    NONE = ""  # no target was set


@dataclass(frozen=True, slots=True)
class Target:
    """What the median should be, in the figure's unit."""

    bound: Bound
    limit: float

    def __str__(self) -> str:
        return f"{self.bound} {self.limit:g}"

    def is_reached_by(self, value: float) -> bool:
        return value <= self.limit if self.bound is Bound.AT_MOST else value >= self.limit


@dataclass(frozen=True, slots=True)
class Origin:
    """What was measured: the COMMIT of this tree and the IMAGE, the sha256 of the file booted."""

    commit: str
    image: str
    at: str  # ISO 8601, UTC


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table. MEASURE is what `make bench ONLY=` calls where it comes from.

    NOTE is a sentence on what the figure is, where its name does not say it all.
    """

    measure: str
    name: str
    unit: str
    samples: tuple[float, ...]
    target: Target | None = None
    note: str = ""
    is_exact: bool = False  # read, not timed: it is the same each time, and one sample is enough

    def __post_init__(self) -> None:
        """Raises ValueError without a sample: nothing was measured, and a figure says it was."""
        if not self.samples:
            raise ValueError(f"{self.measure}: {self.name} has no sample")

    @property
    def median(self) -> float:
        return median(self.samples)

    @property
    def spread(self) -> float:
        """From the least sample to the greatest, in the figure's unit."""
        return max(self.samples) - min(self.samples)

    @property
    def verdict(self) -> Verdict:
        if len(self.samples) < ENOUGH and not self.is_exact:
            return Verdict.TOO_FEW
        if self.target is None:
            return Verdict.NONE
        return Verdict.REACHED if self.target.is_reached_by(self.median) else Verdict.MISSED


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure, and what it was measured on."""

    figure: Figure
    origin: Origin


def ratios(above: Sequence[float], below: Sequence[float]) -> tuple[float, ...]:
    """Sample by sample, of two figures that were measured side by side. Raises ValueError when
    they were not: their lengths differ, or nothing was there to compare with.
    """
    if any(value <= 0 for value in below):
        raise ValueError("a ratio to nothing")
    return tuple(one / other for one, other in zip(above, below, strict=True))


def merge(
    before: Sequence[Measured], now: Sequence[Measured], *, is_added: bool
) -> tuple[Measured, ...]:
    """What is known after a run: a measure that ran replaces all of its figures, the others stay.

    When the run IS_ADDED to an earlier one of the same image, the samples of both count, and what
    it did not meet this time stays. Two images are never one figure.
    """
    ran = {one.figure.measure for one in now}
    images = {one.origin.image for one in now} if is_added else set()
    earlier = {_key(one): one for one in before if one.origin.image in images}
    met = {_key(one) for one in now}
    kept = [
        one
        for one in before
        if one.figure.measure not in ran or (_key(one) in earlier and _key(one) not in met)
    ]
    return (*kept, *(_added(one, earlier.get(_key(one))) for one in now))


def _key(one: Measured) -> tuple[str, str, str, str]:
    figure = one.figure
    return figure.measure, figure.name, figure.unit, one.origin.image


def _added(now: Measured, before: Measured | None) -> Measured:
    if before is None or now.figure.is_exact:
        return now
    samples = before.figure.samples + now.figure.samples
    return replace(now, figure=replace(now.figure, samples=samples))


def to_dict(measured: Measured) -> dict[str, Any]:
    """For bench.json: what was measured, and what follows from it."""
    figure, origin = measured.figure, measured.origin
    return {
        "measure": figure.measure,
        "name": figure.name,
        "unit": figure.unit,
        "samples": list(figure.samples),
        "median": figure.median,
        "spread": figure.spread,
        "target": None
        if figure.target is None
        else {"bound": figure.target.bound.value, "limit": figure.target.limit},
        "verdict": figure.verdict.value,
        "note": figure.note,
        "is_exact": figure.is_exact,
        "commit": origin.commit,
        "image": origin.image,
        "at": origin.at,
    }


def from_dict(data: Mapping[str, Any]) -> Measured:
    """The reverse; what follows is computed anew. Raises KeyError, ValueError or TypeError."""
    target = data["target"]
    figure = Figure(
        measure=data["measure"],
        name=data["name"],
        unit=data["unit"],
        samples=tuple(map(float, data["samples"])),
        target=target and Target(Bound(target["bound"]), float(target["limit"])),
        note=data["note"],
        is_exact=data["is_exact"],
    )
    return Measured(figure, Origin(data["commit"], data["image"], data["at"]))
