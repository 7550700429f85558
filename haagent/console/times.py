# SPDX-License-Identifier: MIT
"""Moments and ages, in words. Pure."""

from datetime import UTC, datetime


def age(moment: float | None, now: float) -> str:
    """How long ago MOMENT was, in words that do not change more often than once a second."""
    if moment is None:
        return "never"
    seconds = max(0, int(now - moment))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def since(moment: float, now: float) -> str:
    """MOMENT of the wall clock, and how long ago that was, unless the clock was set back since."""
    told = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{told}, {age(moment, now)} ago" if moment <= now else told
