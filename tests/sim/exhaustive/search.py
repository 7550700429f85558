# SPDX-License-Identifier: MIT
"""All histories of so many steps with so many faults; each situation is gone on from once.

Breadth first while there may be another fault; what follows the last one is narrow, and gone
through at once. What is left out is what another history has in another order, or what nothing
comes of: see `Search.may_follow`.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import monotonic

from haagent.core.timing import Timing
from tests.sim.exhaustive.alphabet import ALPHABET, COUNTED, Kind, Step, take
from tests.sim.exhaustive.doing import switch_on
from tests.sim.exhaustive.ending import ends_detected, mended
from tests.sim.exhaustive.passing import is_serving, pass_time
from tests.sim.exhaustive.situation import TIGHT, Situation, dark
from tests.sim.exhaustive.snapshot import fingerprint

TELL_EVERY = 5.0  # seconds

Cost = tuple[int, int, int, bool, bool]


@dataclass(frozen=True, slots=True)
class Found:
    """A history, and the promises that it broke."""

    path: tuple[str, ...]
    violations: tuple[str, ...]


@dataclass(slots=True)
class Outcome:
    """What there was."""

    states: int = 0
    edges: int = 0
    merged: int = 0  # edges into a situation that was there already
    frontier: int = 0  # situations within the bound that were not gone on from
    by_depth: Counter[int] = field(default_factory=Counter)  # situations, by where first seen
    taken: Counter[str] = field(default_factory=Counter)  # edges, by step
    broken: list[Found] = field(default_factory=list)
    exempt: Counter[str] = field(default_factory=Counter)  # by class and promise
    undetected: list[Found] = field(default_factory=list)  # of a class, and not noticed after it
    mended: int = 0  # at the bound everything was mended, and it was seen what comes of it
    stuck: list[Found] = field(default_factory=list)  # and the pair did not serve again

    @property
    def is_well(self) -> bool:
        return not (self.broken or self.undetected or self.stuck or self.frontier)


@dataclass(frozen=True, slots=True)
class Open:
    """A situation that is to be gone on from."""

    situation: Situation
    path: tuple[int, ...] = ()
    faults: int = 0
    after: int = -1  # the last fault of this moment; -1: none
    has_settled: bool = True  # no moment follows: the last step was time, or does not last
    is_between: bool = False  # the last step was a moment: time alone would have got there

    @property
    def cost(self) -> Cost:
        """Who has no more of anything may do all that one with more may."""
        return len(self.path), self.faults, self.after, self.has_settled, self.is_between


def healthy(timing: Timing = TIGHT) -> Situation:
    """A pair that came up, and serves."""
    situation = dark(timing)
    for node in situation.nodes:
        switch_on(situation, node)
    pass_time(situation, 5 * timing.take)
    assert is_serving(situation) and not situation.audit.violations
    return situation


def explore(
    depth: int,
    faults: int,
    *,
    start: Situation | None = None,
    alphabet: Sequence[Step] = ALPHABET,
    tell: Callable[[str], None] = lambda line: None,
    stop_at: int = 1,
    mend_every: int = 0,
) -> Outcome:
    """Every history of DEPTH steps with at most so many FAULTS, until STOP_AT broke a promise.

    After each one of MEND_EVERY at the bound everything is mended; 0: after none.
    """
    search = Search(depth, faults, alphabet, stop_at, mend_every)
    search.run(start or healthy(), tell)
    return search.outcome


class Search:
    """One exploration."""

    def __init__(
        self, depth: int, faults: int, alphabet: Sequence[Step], stop_at: int, mend_every: int
    ) -> None:
        self.depth, self.faults, self.alphabet = depth, faults, alphabet
        self.stop_at, self.mend_every, self.at_bound = stop_at, mend_every, 0
        self.outcome = Outcome()
        self.seen: dict[int, tuple[Cost, ...]] = {}

    def run(self, first: Situation, tell: Callable[[str], None]) -> None:
        began = told = monotonic()
        layer = [Open(first)]
        self._is_new(fingerprint(first), layer[0])
        for depth in range(self.depth):
            following: list[Open] = []
            for done, one in enumerate(layer):
                self._go_on(one, following)
                if monotonic() - told > TELL_EVERY:
                    told = monotonic()
                    tell(self._progress(told - began, depth, len(layer) - done - 1, len(following)))
                if self._is_enough():
                    self.outcome.frontier += len(layer) - done - 1 + len(following)
                    break
            layer = [] if self._is_enough() else following
        self.outcome.states = len(self.seen)

    def _is_enough(self) -> bool:
        return len(self.outcome.broken) >= self.stop_at

    def _go_on(self, one: Open, following: list[Open]) -> None:
        """Takes every step from ONE; what may still have a fault is put off to FOLLOWING."""
        stack = [one]
        while stack and not self._is_enough():
            for reached in self.successors(stack.pop()):
                is_narrow = self._is_last_fault(reached)
                (stack if is_narrow else following).append(reached)
        self.outcome.frontier += len(stack)

    def successors(self, one: Open) -> Iterator[Open]:
        """What can be gone on from."""
        for index, step in enumerate(self.alphabet):
            if not self.may_follow(one, index) or not step.may(one.situation):
                continue
            after = take(one.situation, step)
            self.outcome.edges += 1
            self.outcome.taken[step.name] += 1
            reached = self.reach(one, index, after)
            if not self._is_new(fingerprint(after), reached):
                self.outcome.merged += 1
            elif after.audit.violations:
                self._judge(reached)
            elif len(reached.path) == self.depth:
                self._end(reached)
            else:
                yield reached

    def reach(self, one: Open, index: int, after: Situation) -> Open:
        step = self.alphabet[index]
        is_counted = step.kind in COUNTED
        return Open(
            after,
            (*one.path, index),
            one.faults + is_counted,
            index if is_counted else -1,
            not step.lasts,
            step.kind is Kind.MOMENT,
        )

    def _is_last_fault(self, one: Open) -> bool:
        """To a history that is exempt none is added: all that is judged there is how it ends."""
        return one.faults == self.faults or one.situation.is_exempt

    def may_follow(self, one: Open, index: int) -> bool:
        step, left = self.alphabet[index], self.depth - len(one.path)
        if left <= 1:
            return left == 1 and step.kind is Kind.TIME  # before time passes nothing is judged
        match step.kind:
            case Kind.TIME:
                # Time after a moment is the same as time: something is to come in between.
                return not one.is_between
            case Kind.FAULT | Kind.ORDER:
                # Of faults in one moment the order is nothing.
                return not self._is_last_fault(one) and index > one.after
            case Kind.MEND:
                # What is mended in the moment of a fault is mended before it, or as if it was not.
                return one.after < 0
            case Kind.MOMENT:
                is_more_to_come = not self._is_last_fault(one) or self._may_mend(one.situation)
                return not one.has_settled and left > 2 and is_more_to_come
        return True

    def _may_mend(self, situation: Situation) -> bool:
        return any(step.kind is Kind.MEND and step.may(situation) for step in self.alphabet)

    def _is_new(self, mark: int, reached: Open) -> bool:
        """Whether nothing that was at MARK may do all that REACHED may."""
        cost, known = reached.cost, self.seen.get(mark, ())
        if any(all(map(int.__le__, less, cost)) for less in known):
            return False
        if not known:
            self.outcome.by_depth[len(reached.path)] += 1
        self.seen[mark] = (*known, cost)
        return True

    def _judge(self, reached: Open) -> None:
        situation, outcome = reached.situation, self.outcome
        found = self._found(reached, situation)
        if situation.is_bug or not situation.is_exempt:
            outcome.broken.append(found)
            return
        which = "HOLE" if situation.is_hole else "FROZEN"
        promise = re.sub(r"^[0-9.]+: |\d+ (?=writes)", "", found.violations[0])
        outcome.exempt[f"{which}: {promise}"] += 1
        if not ends_detected(situation):
            outcome.undetected.append(found)

    def _end(self, reached: Open) -> None:
        """Mends everything after some of the histories, and sees whether the pair serves again."""
        if not self.mend_every or reached.situation.is_exempt:
            return
        self.at_bound += 1
        if self.at_bound % self.mend_every:
            return
        self.outcome.mended += 1
        after = mended(reached.situation)
        if after.audit.violations:
            self.outcome.broken.append(self._found(reached, after))
        elif not is_serving(after):
            self.outcome.stuck.append(self._found(reached, after))

    def _found(self, reached: Open, situation: Situation) -> Found:
        names = tuple(self.alphabet[index].name for index in reached.path)
        return Found(names, tuple(situation.audit.violations))

    def _progress(self, seconds: float, depth: int, left: int, following: int) -> str:
        outcome = self.outcome
        return (
            f"{seconds:7.0f} s  depth {depth}: frontier {left} and {following} deeper; "
            f"states {len(self.seen)}, edges {outcome.edges}, exempt {outcome.exempt.total()}"
        )
