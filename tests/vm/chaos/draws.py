# SPDX-License-Identifier: MIT
"""Draws two faults from a seed, and knows which of them nobody promises to survive whole. Pure.

A seed means the same two for as long as the catalogue stays the same; what was drawn is written
down with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from tests.vm.chaos.faults import FAULTS, Fault

HOLDER, STANDBY = "holder", "standby"  # when the history begins
# Seconds on real hardware, to be stretched: at once, before anything is noticed (T_dead is 5),
# while it is waited for (T_take is 16), while the guest starts, and long after.
BETWEEN = (0.0, 2.0, 4.0, 8.0, 14.0, 20.0, 40.0)
AFTER = (2.0, 10.0, 20.0, 40.0)
AT_ONCE = 2.0  # of those, the least that is no hole: two keepalives are 1 s, and cutting takes time


class Exempt(StrEnum):
    """Why a pair may end as two halves that both say so (docs/arbitration.md)."""

    HOLE = "hole"  # both ways between the two at once, and both see the gateway
    FROZEN = "frozen"  # a machine stood still with its clocks
    NOTHING = ""


@dataclass(frozen=True, slots=True)
class Step:
    fault: str
    who: str = ""  # it is aimed at; empty if at nobody

    def __str__(self) -> str:
        return f"{self.fault} {self.who}".strip()


@dataclass(frozen=True, slots=True)
class History:
    seed: int
    first: Step
    second: Step
    between: float
    after: float  # from the second to the mending

    @property
    def steps(self) -> tuple[Step, Step]:
        return self.first, self.second

    @property
    def again(self) -> str:
        """The command that tells it once more."""
        return f"make vm-chaos SEED={self.seed} N=1"

    def exempt(self, faults: Mapping[str, Fault] = FAULTS) -> Exempt:
        both = [faults[step.fault] for step in self.steps]
        if any(fault.stands_still for fault in both):
            return Exempt.FROZEN
        if self.between < AT_ONCE and {fault.parts for fault in both} == {"crossover", "lan"}:
            return Exempt.HOLE
        return Exempt.NOTHING


def draw(seed: int, faults: Mapping[str, Fault] = FAULTS) -> History:
    random = Random(seed)
    first = _step(random, faults)
    second = _step(random, faults)
    while second == first:  # the same thing twice is one fault
        second = _step(random, faults)
    return History(seed, first, second, random.choice(BETWEEN), random.choice(AFTER))


def _step(random: Random, faults: Mapping[str, Fault]) -> Step:
    weights = [fault.weight for fault in faults.values()]
    (name,) = random.choices(list(faults), weights)
    if not faults[name].is_aimed:
        return Step(name)
    return Step(name, HOLDER if random.random() < 0.5 else STANDBY)
