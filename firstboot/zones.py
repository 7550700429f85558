# SPDX-License-Identifier: MIT
"""The time zones that this system knows, from its tz database. Reads it, and nothing else."""

import difflib
import re
import zoneinfo
from collections.abc import Collection
from functools import cache

UTC = "UTC"
FOLDER = "/usr/share/zoneinfo"  # tzfile(5); where /etc/localtime points to
# As the database names them: Europe/Berlin, America/Argentina/Buenos_Aires, Etc/GMT+1.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(/[A-Za-z0-9_+-]{1,32}){0,2}")


# Names that lead back to this machine's own, or to none.
NO_ZONES = frozenset({"localtime", "posixrules", "Factory"})


def find(typed: str, known: Collection[str]) -> str:
    """The one of the KNOWN zones that TYPED means. Raises ValueError, with a sentence."""
    name = "_".join(typed.split())
    if not NAME.fullmatch(name):
        raise ValueError(f"{typed!a:.40} is no time zone, such as Europe/Berlin or UTC.")
    by_lower = {zone.lower(): zone for zone in known}
    if name.lower() in by_lower:
        return by_lower[name.lower()]
    # Most people know their city, and not what comes before it.
    cities = sorted(zone for low, zone in by_lower.items() if low.endswith(f"/{name.lower()}"))
    near = difflib.get_close_matches(name.lower(), by_lower, 1)
    guess = cities[0] if cities else by_lower[near[0]] if near else ""
    hint = f"Did you mean {guess}?" if guess else "One is called Europe/Berlin, another UTC."
    raise ValueError(f"There is no time zone {name}. {hint}")


@cache
def known() -> frozenset[str]:
    """All there are here; UTC always is one."""
    return (frozenset(zoneinfo.available_timezones()) | {UTC}) - NO_ZONES
