# SPDX-License-Identifier: MIT
"""Moments and ages, in words. Pure."""

from datetime import UTC, datetime


def span(seconds: float) -> str:
    """How long SECONDS are, in words that do not change more often than once a second."""
    whole = max(0, int(seconds))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if whole >= 2 * size:
            return f"{whole // size} {unit}"
    return f"{whole} s"


def age(moment: float | None, now: float) -> str:
    """How long ago MOMENT was, as `span` tells it."""
    return "never" if moment is None else span(now - moment)


def since(moment: float, now: float) -> str:
    """MOMENT of the wall clock, and how long ago that was, unless the clock was set back since."""
    told = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{told}, {age(moment, now)} ago" if moment <= now else told


def clock(moment: float, now: float) -> str:
    """MOMENT of the wall clock in UTC: the time of day, with the date if that is not today's."""
    then, today = datetime.fromtimestamp(moment, UTC), datetime.fromtimestamp(now, UTC)
    return then.strftime("%H:%M:%S" if then.date() == today.date() else "%Y-%m-%d %H:%M:%S")
