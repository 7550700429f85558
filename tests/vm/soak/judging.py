# SPDX-License-Identifier: MIT
"""What was seen from outside in a soak, judged after each cut; and two copies, compared. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.vm import audits
from tests.vm.beacons import Beacon

SHOWN = 8  # places of a difference that are told


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong; nothing is the promise kept."""

    acknowledged: int  # numbers so far, since this pair was begun with
    lost: tuple[int, ...] = ()
    doubles: tuple[str, ...] = ()  # that two wrote at once, in sentences
    others: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """All that is wrong, in a line; empty if nothing is."""
        lost = (f"lost: {list(self.lost)}",) if self.lost else ()
        return "; ".join((*lost, *self.doubles, *self.others))


class Judge:
    """Of one pair. Its beacons become hundreds of thousands, so that each is looked at twice, and
    not after every cut: beside all that was heard since the cut before the last. An old start that
    is still heard is that, whatever was heard before.
    """

    def __init__(self, tolerance: float) -> None:
        """TOLERANCE: seconds in which a start that is being ended may still be heard."""
        self._tolerance = tolerance
        self._from = self._next = 0

    def look(
        self,
        acknowledged: Sequence[int],
        present: Sequence[int],
        beacons: Sequence[Beacon],
        others: Sequence[str] = (),
    ) -> Verdict:
        """ACKNOWLEDGED before PRESENT was read from the guest's disk."""
        heard = beacons[self._from :]
        self._from, self._next = self._next, len(beacons)
        silent = [] if heard else ["no beacon was heard: the audits of them mean nothing"]
        return Verdict(
            len(acknowledged),
            tuple(audits.lost(acknowledged, present)),
            (
                *audits.acknowledged_twice(acknowledged),
                *audits.overlapping(heard, self._tolerance),
            ),
            (*audits.last_went_back(heard), *others, *silent),
        )


def differing(sums: Sequence[Sequence[str]]) -> str:
    """Where two copies are not the same, by the sums of each MiB of both; empty where they are."""
    ours, theirs = sums
    if len(ours) != len(theirs) or not ours:
        return f"one copy has {len(ours)} MiB, the other {len(theirs)}"
    places = [
        number for number, pair in enumerate(zip(ours, theirs, strict=True)) if len({*pair}) > 1
    ]
    if not places:
        return ""
    shown = ", ".join(map(str, places[:SHOWN])) + (", ..." if len(places) > SHOWN else "")
    return f"the copies differ in {len(places)} of {len(ours)} MiB: {shown}"
