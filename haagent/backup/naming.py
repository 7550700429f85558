# SPDX-License-Identifier: MIT
"""Owns what a backup's file is called: whose it is, from when, and of which kind. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from haagent.errors import OperatorError
from haagent.guests.name import checked

SUFFIX = ".shoestring"
UNFINISHED = ".part"  # behind the name while it is written
STAMP = "%Y-%m-%dT%H%MZ"  # no colon: neither FAT nor exFAT takes one
NAME = re.compile(
    r"(?P<guest>[a-z0-9-]+)-(?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{4}Z)"
    r"\.(?P<kind>full|incremental|plain)(?P<suffix>\.shoestring)?",
    re.ASCII,
)


class Kind(StrEnum):
    """What is in it."""

    FULL = "full"
    INCREMENTAL = "incremental"  # what changed since its base
    PLAIN = "plain"  # a folder of raw disks


@dataclass(frozen=True, slots=True)
class Name:
    """`str` of it is the file's name, or the folder's of a plain one."""

    guest: str
    at: datetime  # UTC, to the minute
    kind: Kind

    def __str__(self) -> str:
        suffix = "" if self.kind is Kind.PLAIN else SUFFIX
        return f"{self.guest}-{stamp(self.at)}.{self.kind}{suffix}"


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime(STAMP)


def moment(text: str) -> datetime:
    """Raises ValueError."""
    found = datetime.strptime(text, STAMP).replace(tzinfo=UTC)
    if stamp(found) != text:
        raise ValueError(f"{text!r} is no date")
    return found


def parse(text: str) -> Name | None:
    """None if TEXT is not such a name."""
    found = NAME.fullmatch(text)
    if found is None:
        return None
    kind = Kind(found["kind"])
    if (found["suffix"] is None) != (kind is Kind.PLAIN):
        return None
    try:
        return Name(checked(found["guest"]), moment(found["at"]), kind)
    except (ValueError, OperatorError):
        return None
