# SPDX-License-Identifier: MIT
"""Mutants that change nothing that anybody could see, each with the reason why: reviewed by people.

A paragraph of the file is a reason, and below it, indented, the names of the mutants.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

FILE = Path(__file__).parents[1] / "equivalent_mutants.txt"


def read(text: str) -> dict[str, str]:
    """Names, and why each is equivalent. Raises ValueError for a name without a reason."""
    found: dict[str, str] = {}
    reason: list[str] = []
    is_new = True
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            is_new = True
        elif line.startswith(" "):
            name, is_new = line.strip(), True
            if not reason or name in found:
                raise ValueError(f"no reason, or told twice: {name}")
            found[name] = " ".join(reason)
        else:
            reason = [line.strip()] if is_new else [*reason, line.strip()]
            is_new = False
    return found


def complaints(
    equivalent: Collection[str], known: Collection[str], caught: Mapping[str, str]
) -> list[str]:
    """What is wrong with the file: a name that is KNOWN no more, or CAUGHT by a test."""
    gone = [f"{name}: there is no such mutant" for name in equivalent if name not in known]
    seen = [
        f"{name}: it is not equivalent, {caught[name]} sees it"
        for name in equivalent
        if name in caught
    ]
    return gone + seen
