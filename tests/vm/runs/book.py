# SPDX-License-Identifier: MIT
"""What a soak and a chaos write down: a line for each of their steps, as for a scenario."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pexpect import ExceptionPexpect

from tests.vm.runs import origin, results
from tests.vm.runs.choosing import Now
from tests.vm.runs.record import Outcome, Record

# What a pair that does not do well makes us see, also where somebody types it in.
TROUBLE = (TimeoutError, AssertionError, OSError, ExceptionPexpect)


def in_a_line(error: BaseException) -> str:
    """The reason of a failure."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


@dataclass(frozen=True, slots=True)
class Begun:
    when: str
    at: float  # monotonic
    load: float


@dataclass(slots=True)
class Book:
    """Appends to FILE; all that is written stands on NOW."""

    file: Path
    now: Now
    accel: str
    clock: Callable[[], float] = time.monotonic
    written: list[Record] = field(default_factory=list)  # in this session

    def begin(self) -> Begun:
        return Begun(origin.now(), self.clock(), origin.load())

    def end(
        self,
        begun: Begun,
        name: str,
        rows: Sequence[str],
        *,
        seed: int,
        reason: str = "",
        kept: str = "",
        about: Mapping[str, Any],
    ) -> Record:
        """What BEGUN came to; it passed if there is no REASON why not."""
        record = Record(
            when=begun.when,
            name=name,
            rows=tuple(rows),
            outcome=Outcome.FAILED if reason else Outcome.PASSED,
            seconds=round(self.clock() - begun.at, 1),
            commit=self.now.tree.commit,
            is_dirty=self.now.tree.is_dirty,
            images=self.now.images,
            seed=seed,
            accel=self.accel,
            scale=self.now.scale,
            load=begun.load,
            reason=reason,
            kept=kept,
            about=about,
        )
        results.append(record, self.file)
        self.written.append(record)
        return record

    def earlier(self, first: str) -> list[Record]:
        """The lines whose names begin with FIRST, of runs like this one: the oldest first. Those of
        this session are among them, also in a tree with changes.
        """
        known = [one for one in results.read(self.file) if self.now.is_of(one)]
        new = [one for one in self.written if one not in known]
        return [one for one in (*known, *new) if one.name.startswith(first)]
