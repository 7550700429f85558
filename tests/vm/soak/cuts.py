# SPDX-License-Identifier: MIT
"""The course of a soak: who is cut when, what is a failure, and when there is another pair. Pure.

The holder is cut each time. The other one takes the guest over, and so the sides alternate.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from random import Random
from typing import Protocol

from tests.vm.runs.book import TROUBLE, Begun, Book, in_a_line
from tests.vm.runs.record import Outcome, Record
from tests.vm.soak.judging import Verdict

NAMES = ("a", "b")
CUT_ROWS, COPIES_ROWS = ("A1", "C16"), ("C16",)
COPIES, PAIR = "copies", "pair"
MOST_FAILURES = 3  # in a row; then it is no accident, and there is enough to look at


@dataclass(frozen=True, slots=True)
class Takeover:
    seconds: float  # from the cut to the next acknowledged number
    why: str  # the taker's words, with its proofs


class Ground(Protocol):
    """A healthy pair that is under load all the time; machines are called by name. Whatever does
    not come about raises one of TROUBLE.
    """

    def holder(self) -> str:
        """Where the guest runs."""

    def cut(self, name: str, seed: int) -> None:
        """Its power goes, and a part of what its disks had in their caches, by SEED."""

    def takeover(self, by: str) -> Takeover:
        """Waits until it serves there."""

    def bring_back(self, name: str) -> None:
        """Switches it on, and waits until both machines say PROTECTED."""

    def judge(self) -> Verdict: ...

    def compare(self) -> str:
        """Stops the guest in order. Where both copies differ, in a sentence; or nothing."""

    def keep(self, name: str) -> str:
        """The folder that the evidence is in now."""


Legs = Callable[[], AbstractContextManager[Ground]]


def first_word(seed: int) -> str:
    """What the names of the lines of a soak begin with."""
    return f"soak/{seed}/"


def seed_of_cut(seed: int, number: int) -> int:
    """Of the disks' caches, in cut NUMBER of the soak with SEED: the same each time."""
    return Random(f"{seed}/{number}").randrange(1 << 30)


def other(name: str) -> str:
    return NAMES[1 - NAMES.index(name)]


def to_do(records: Iterable[Record], cuts: int) -> list[int]:
    """The numbers of the cuts that no record is about."""
    done = {int(one.about["cut"]) for one in records if "cut" in one.about}
    return [number for number in range(1, cuts + 1) if number not in done]


@dataclass(slots=True)
class Soak:
    """Goes through cuts, on one pair after another: on the next when one fails."""

    book: Book
    seed: int
    legs: Legs

    def run(self, numbers: Sequence[int]) -> bool:
        """Whether it came to the end. If not, it failed too often in a row."""
        left = list(numbers)
        failures = 0
        while left and failures < MOST_FAILURES:
            before, begun = len(left), self.book.begin()
            try:
                with self.legs() as ground:
                    self._leg(ground, left)
            except TROUBLE as error:  # of the pair's making or end: a cut's is in its line
                name, reason = first_word(self.seed) + PAIR, in_a_line(error)
                self.book.end(begun, name, (), seed=self.seed, reason=reason, about={})
            # Where any are left, the last one of this pair failed.
            failures = failures + 1 if before - len(left) <= 1 else 1
        return not left

    def _leg(self, ground: Ground, left: list[int]) -> None:
        """Takes cuts from LEFT until none is there, or one fails."""
        mine: list[int] = []
        expected: str | None = None
        while left:
            number = left.pop(0)
            record = self._cut(ground, number, expected)
            if record.outcome is Outcome.FAILED:
                return
            mine.append(number)
            expected = other(record.about["holder"])
        self._compare(ground, mine)

    def _cut(self, ground: Ground, number: int, expected: str | None) -> Record:
        """EXPECTED holds the guest if nothing moved back."""
        begun = self.book.begin()
        about: dict[str, object] = {"cut": number}
        seed = seed_of_cut(self.seed, number)
        steps = _steps(ground, seed, expected, about)
        return self._end(ground, begun, str(number), CUT_ROWS, seed, about, steps)

    def _compare(self, ground: Ground, cuts: list[int]) -> None:
        begun = self.book.begin()
        about: dict[str, object] = {"compared after": cuts}
        steps = _comparison(ground)
        self._end(ground, begun, COPIES, COPIES_ROWS, self.seed, about, steps)

    def _end(
        self,
        ground: Ground,
        begun: Begun,
        what: str,
        rows: Sequence[str],
        seed: int,
        about: dict[str, object],
        steps: Iterator[str],
    ) -> Record:
        """Takes STEPS, each of which says what is wrong, or nothing, up to the first that does."""
        try:
            reason = next((said for said in steps if said), "")
        except TROUBLE as error:
            reason = in_a_line(error)
        name = first_word(self.seed) + what
        kept = ground.keep(name.replace("/", "-")) if reason else ""
        return self.book.end(begun, name, rows, seed=seed, reason=reason, kept=kept, about=about)


def _comparison(ground: Ground) -> Iterator[str]:
    yield ground.compare()


def _steps(
    ground: Ground, seed: int, expected: str | None, about: dict[str, object]
) -> Iterator[str]:
    """One cut. ABOUT gets what is known as soon as it is."""
    holder = about["holder"] = ground.holder()
    yield "" if holder == (expected or holder) else f"the guest moved back to {holder} by itself"
    ground.cut(holder, seed)
    takeover = ground.takeover(other(holder))
    about["takeover"], about["why"] = round(takeover.seconds, 1), takeover.why
    ground.bring_back(holder)
    verdict = ground.judge()
    about["acknowledged"] = verdict.acknowledged
    about["lost"], about["doubles"] = list(verdict.lost), list(verdict.doubles)
    yield verdict.reason
