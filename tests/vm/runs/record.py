# SPDX-License-Identifier: MIT
"""What is kept of one run: a scenario's, one power cut of a soak, one history of a chaos."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  # it did not run; the reason says why
    SPOILED = "spoiled"  # by this host: it says nothing of the pair; the reason says what happened


@dataclass(frozen=True, slots=True)
class Record:
    """One run, as one line of JSON has it: the keys are the names here."""

    when: str  # it began: ISO 8601, UTC
    name: str  # pytest's node id, or what a soak or a chaos calls it
    rows: tuple[str, ...]  # of tests/vm/rows.txt
    outcome: Outcome
    seconds: float  # all of it, from the machines' start to their end
    commit: str
    is_dirty: bool  # the tree had changes that no commit has
    images: Mapping[str, str]  # sha256 in hexadecimal, by the name of the file that was booted
    seed: int | None
    accel: str  # kvm or tcg; empty where no machine was made
    scale: float  # how many times as long every timer took as on real machines
    load: float  # of this host in the minute before: processes that ran or wanted to
    reason: str = ""  # why it failed or was skipped, in a line
    kept: str = ""  # the folder of its consoles, until the same fails again
    about: Mapping[str, Any] = field(default_factory=dict)  # what a soak or a chaos adds


def dump(record: Record) -> str:
    """One line, without its end."""
    return json.dumps(asdict(record), sort_keys=False)


def load(line: str) -> Record:
    """Raises ValueError if LINE is no record. A key that is not known here is left out."""
    read = json.loads(line)
    if not isinstance(read, dict):
        raise ValueError(f"no record: {line!r}")
    known = {key: read[key] for key in (one.name for one in fields(Record)) if key in read}
    try:
        return Record(
            **{**known, "rows": tuple(known["rows"]), "outcome": Outcome(known["outcome"])}
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no record: {error}") from error
