# SPDX-License-Identifier: MIT
"""Which backups may go. Pure: it looks at no file and at no clock.

Days, weeks and months are those of UTC, as in the names. What cannot be read is no `Point`: it
neither goes nor counts.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from haagent.backup.naming import Name
from haagent.errors import OperatorError


@dataclass(frozen=True, slots=True)
class Point:
    """A backup that is there."""

    file: str  # its name
    name: Name  # what it says it is
    id: str
    base: str | None = None  # the id of what it builds on


@dataclass(frozen=True, slots=True)
class Policy:
    """How many are kept of each guest: the last ones, and the newest of each of the last days,
    weeks and months that have one. Raises OperatorError.
    """

    last: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0

    def __post_init__(self) -> None:
        numbers = (self.last, self.daily, self.weekly, self.monthly)
        if min(numbers) < 0 or not any(numbers):
            raise OperatorError(
                "No backup would be kept. Nothing was removed.",
                "Keep at least one: the last, or one of a day, a week or a month.",
            )


def expendable(
    points: Iterable[Point], policy: Policy, until: datetime | None = None
) -> list[Point]:
    """Those that POLICY does not keep, in the order in which they can be removed: whatever moment
    it ends, what is left can be restored.

    safety: what is dated after UNTIL, when the newest was made, is of a clock that was ahead. It
    neither goes nor counts, or each new one would go in its favour.
    """
    all_ = list(points)
    kept = {point.id for point in all_ if until is not None and point.name.at > until}
    for guest in {point.name.guest for point in all_}:
        ours = [one for one in all_ if one.name.guest == guest and one.id not in kept]
        kept |= _wanted(ours, policy)
    # safety: without what it builds on, an incremental backup is nothing.
    by_id = {point.id: point for point in all_}
    kept |= {below.id for point in all_ if point.id in kept for below in _below(point, by_id)}
    going = [point for point in all_ if point.id not in kept]
    # The longest way down goes first, so that nothing loses its base before it goes itself.
    going.sort(key=lambda point: point.file)
    going.sort(key=lambda point: len(_below(point, by_id)), reverse=True)
    return going


def _wanted(points: Sequence[Point], policy: Policy) -> set[str]:
    """The ids of those of one guest that POLICY names itself."""
    newest_first = sorted(points, key=lambda one: (one.name.at, one.file, one.id), reverse=True)
    periods: list[tuple[int, Callable[[datetime], object]]] = [
        (policy.last, lambda at: object()),  # each is a period of its own
        (policy.daily, lambda at: at.date()),
        (policy.weekly, lambda at: at.isocalendar()[:2]),
        (policy.monthly, lambda at: (at.year, at.month)),
    ]
    found: set[str] = set()
    for count, period_of in periods:
        newest: dict[object, str] = {}
        for point in newest_first:
            newest.setdefault(period_of(point.name.at), point.id)
        found |= set(list(newest.values())[:count])
    return found


def _below(point: Point, by_id: Mapping[str, Point]) -> list[Point]:
    """What POINT builds on, as far as it is there."""
    found: list[Point] = []
    while point.base is not None and (base := by_id.get(point.base)) is not None:
        if base in found or base is point:
            break  # nobody writes such a ring; who made one shall not hang us
        found.append(base)
        point = base
    return found
