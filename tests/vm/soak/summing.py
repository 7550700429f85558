# SPDX-License-Identifier: MIT
"""What all lines of a soak come to, in one. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

from tests.vm.runs.record import Outcome, Record


@dataclass(slots=True)
class Sum:
    holders: Counter[str] = field(default_factory=Counter)  # how often each was cut
    lost: int = 0
    doubles: int = 0
    failed: int = 0  # cuts, comparisons, and pairs that could not be made
    compared: set[int] = field(default_factory=set)  # cuts after which both copies were the same
    takeovers: list[float] = field(default_factory=list)

    @property
    def is_well(self) -> bool:
        """Also that both copies were compared at all: an interruption may have come before."""
        return not self.failed and bool(self.compared)

    @property
    def line(self) -> str:
        sides = ", ".join(f"{count} of {name}" for name, count in sorted(self.holders.items()))
        told = f"cuts {self.holders.total()}" + (f" ({sides})" if sides else "")
        told += f", lost {self.lost}, double writers {self.doubles}, failed {self.failed}"
        told += f", both copies the same after {len(self.compared)}"
        if self.takeovers:
            least, most = min(self.takeovers), max(self.takeovers)
            told += f"; takeovers {least:.0f} to {most:.0f} s, median {median(self.takeovers):.0f}"
        return told


def sum_up(records: Iterable[Record]) -> Sum:
    """Of RECORDS of one soak, the oldest first. Of a cut that was made again the newest counts."""
    total = Sum()
    cuts: dict[int, Record] = {}
    for one in records:
        if "cut" in one.about:
            cuts[int(one.about["cut"])] = one
        elif one.outcome is Outcome.PASSED:
            total.compared |= {int(number) for number in one.about["compared after"]}
        else:
            total.failed += 1
    for one in cuts.values():
        total.failed += one.outcome is Outcome.FAILED
        total.holders[str(one.about.get("holder", "nobody"))] += 1
        total.lost += len(one.about.get("lost", ()))
        total.doubles += len(one.about.get("doubles", ()))
        if "takeover" in one.about:
            total.takeovers.append(float(one.about["takeover"]))
    return total
