# SPDX-License-Identifier: MIT
"""The course of a history, what counts as a failure, and what is written down of it. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from tests.vm.chaos.draws import HOLDER, Exempt, History, Step, draw
from tests.vm.runs.book import TROUBLE, Book, in_a_line
from tests.vm.runs.record import Outcome, Record

ROWS = ("H7",)


class Ended(StrEnum):
    PROTECTED = "protected"  # both machines say so
    PARTED = "parted"  # both machines say split brain, and both copies are kept


class Ground(Protocol):
    """A healthy pair that is under load. Whatever does not come about raises one of TROUBLE."""

    def happen(self, step: Step) -> str:
        """Does it; why it came to nothing, or nothing."""

    def wait(self, seconds: float) -> None:
        """So many of real hardware, stretched."""

    def mend(self) -> None:
        """Mends all that happened."""

    def settle(self) -> Ended:
        """Waits for one of the two ends."""

    def audit(self) -> None:
        """Raises AssertionError with what was not as promised."""

    def keep(self, name: str) -> str:
        """The folder that the evidence is in now."""


Grounds = Callable[[int], AbstractContextManager[Ground]]


def tell(ground: Ground, history: History, about: dict[str, object]) -> str:
    """Why HISTORY is a failure; nothing if it is none. ABOUT gets what is known as it goes."""
    nothing: list[str] = []
    about["came to nothing"] = nothing
    for step, pause in zip(history.steps, (history.between, history.after), strict=True):
        if why := ground.happen(step):
            nothing.append(f"{step}: {why}")
        ground.wait(pause)
    ground.mend()
    ended = ground.settle()
    about["ended"] = str(ended)
    if ended is Ended.PROTECTED:
        ground.audit()
    elif history.exempt() is Exempt.NOTHING:
        return "split brain, and nothing explains it"
    return ""


@dataclass(slots=True)
class Chaos:
    """Tells histories, each on a pair of its own."""

    book: Book
    grounds: Grounds
    say: Callable[[str], None]

    def run(self, seeds: Iterable[int]) -> None:
        for seed in seeds:
            record = self._one(draw(seed))
            if record.outcome is Outcome.FAILED:
                self.say(f"failed: {record.reason}")
                self.say(f"its evidence: {record.kept or 'none'}; again: {record.about['again']}")

    def _one(self, history: History) -> Record:
        name = f"chaos/{history.seed}"
        self.say(
            f"{name}: {history.first}, after {history.between:g} s {history.second},"
            f" mended {history.after:g} s later"
        )
        begun = self.book.begin()
        about: dict[str, object] = {
            "first": str(history.first),
            "second": str(history.second),
            "between": history.between,
            "after": history.after,
            "exempt": str(history.exempt()),
            "again": history.again,
        }
        reason, kept = self._tell(history, name.replace("/", "-"), about)
        return self.book.end(
            begun, name, ROWS, seed=history.seed, reason=reason, kept=kept, about=about
        )

    def _tell(self, history: History, name: str, about: dict[str, object]) -> tuple[str, str]:
        """Why it failed, and where the evidence is. A pair that could not be made leaves none."""
        try:
            with self.grounds(history.seed) as ground:
                try:
                    reason = tell(ground, history, about)
                except TROUBLE as error:
                    reason = in_a_line(error)
                return reason, ground.keep(name) if reason else ""
        except TROUBLE as error:
            return in_a_line(error), ""


@dataclass(slots=True)
class Sum:
    histories: int = 0
    exempt: Counter[str] = field(default_factory=Counter)
    parted: int = 0
    at_holder: int = 0
    aimed: int = 0
    failed: list[int] = field(default_factory=list)  # their seeds

    @property
    def line(self) -> str:
        kinds = f"hole {self.exempt[Exempt.HOLE]}, frozen {self.exempt[Exempt.FROZEN]}"
        seeds = f" (seeds {', '.join(map(str, self.failed))})" if self.failed else ""
        return (
            f"histories {self.histories}, failed {len(self.failed)}{seeds}; {kinds},"
            f" of these parted {self.parted};"
            f" {self.at_holder} of {self.aimed} aimed faults at the holder"
        )


def sum_up(records: Iterable[Record]) -> Sum:
    """Of RECORDS, the oldest first. Of a seed that was told again the newest counts."""
    total = Sum()
    for one in {one.name: one for one in records}.values():
        total.histories += 1
        total.exempt[one.about["exempt"]] += 1
        total.parted += one.about.get("ended") == Ended.PARTED and bool(one.about["exempt"])
        whom = [one.about[which].partition(" ")[2] for which in ("first", "second")]
        total.aimed += sum(map(bool, whom))
        total.at_holder += whom.count(HOLDER)
        if one.outcome is Outcome.FAILED:
            total.failed.append(one.seed or 0)
    return total
