# SPDX-License-Identifier: MIT
"""Which scenarios run: those of some rows, one shard of several, not what passed. Pure."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.vm.runs.origin import Tree
from tests.vm.runs.record import Outcome, Record
from tests.vm.runs.rows import checked

IS_RUN = {Outcome.PASSED, Outcome.FAILED}


class BadChoice(ValueError):
    """What was asked for cannot be; the text says why, to whoever typed it."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several, as `2/5` says it. A scenario is in one of them by the hash of its name: in
    the same one on every host, whatever else there is and however long it takes.
    """

    number: int
    of: int

    def has(self, name: str) -> bool:
        digest = hashlib.sha256(name.encode()).digest()
        return int.from_bytes(digest[:8]) % self.of == self.number - 1


def shard(text: str) -> Shard:
    """TEXT as `2/5`. Raises BadChoice."""
    found = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise BadChoice(f"{text!r} is no shard; 2/5 is the second of five.")
    return Shard(int(found[1]), int(found[2]))


def rows(text: str) -> frozenset[str]:
    """Of TEXT, as `A6` or `A6,B1`. Raises UnknownRow."""
    return frozenset(checked((one.strip() for one in text.split(",")), "What was asked for"))


@dataclass(frozen=True, slots=True)
class Now:
    """What a run of this moment would stand on."""

    tree: Tree
    images: Mapping[str, str]  # sha256 by file name
    scale: float

    def is_of(self, record: Record) -> bool:
        """Whether RECORD was of the same commit, images and time scale."""
        return (
            not self.tree.is_dirty
            and not record.is_dirty
            and record.commit == self.tree.commit
            and record.scale == self.scale
            and bool(record.images)
            and all(self.images.get(name) == digest for name, digest in record.images.items())
        )


def passed(records: Iterable[Record], now: Now) -> dict[str, Record]:
    """By name, the runs that need no other one NOW: the newest of the same kind, and passed."""
    newest = {one.name: one for one in records if one.outcome in IS_RUN and now.is_of(one)}
    return {name: one for name, one in newest.items() if one.outcome is Outcome.PASSED}


def why_left_out(record: Record) -> str:
    """A line for each scenario that is not run again."""
    return (
        f"left out, for it passed with this commit and this image on {record.when}"
        f" in {record.seconds:.0f} s: {record.name}"
    )
