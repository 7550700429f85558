# SPDX-License-Identifier: MIT
"""How values are put into words for a person, and what may be shown at all. Pure."""

from collections.abc import Sequence
from enum import StrEnum

LONGEST = 128  # characters of any text that hardware tells about itself


class Side(StrEnum):
    """Which machine is meant, seen from the one that shows it."""

    HERE = "this machine"
    THERE = "the other machine"
    BOTH = "both machines"


def printable(text: str) -> str:
    """TEXT as one line of printable ASCII, and not too long.

    safety: a disk's model and a volume's label are whatever somebody wrote there, and a terminal
    obeys control characters.
    """
    return plain(" ".join(text.split()))[:LONGEST].strip()


def plain(text: str) -> str:
    """TEXT with a question mark for whatever is not printable ASCII."""
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def sized(number: int, model: str) -> str:
    """How large a disk is and what its maker calls it, where that is known."""
    return f"{size(number)} {model}".strip()


def size(number: int) -> str:
    """1610612736 -> '1.5 GiB'."""
    if number >= 2**30:
        return f"{number / 2**30:.1f} GiB"
    return f"{number / 2**20:.0f} MiB"


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def sentence(text: str) -> str:
    """TEXT, such as an error's, as one begins and ends."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def in_short(things: Sequence[str], most: int = 3) -> str:
    """The first of THINGS, and how many more there are."""
    left = len(things) - most
    return ", ".join(things[:most]) + (f", and {left} more" if left > 0 else "")


def span(seconds: float) -> str:
    """A length of time, roughly: 5400 -> '90 minutes'."""
    whole = int(abs(seconds))
    for noun, length in (("year", 31536000), ("day", 86400), ("hour", 3600), ("minute", 60)):
        if whole >= 2 * length:
            return count(whole // length, noun)
    return count(whole, "second")
