# SPDX-License-Identifier: MIT
"""Owns what a change of machines consisted of: the lines of both agents -> seconds for each part,
what its proof needs, and what is left over that neither the proof nor the guest can answer for.

Pure. All moments are seconds of this host's monotonic clock; an `offset` is how far a machine's
wall clock is ahead of it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from haagent.core.model import PeerOff
from haagent.core.timing import Timing
from tests.vm.journal import Line, find

SILENT = r"is silent on every path"
DECIDED = r"released -> promoting: peer off: (?P<proof>[\w-]+);"
PROMOTED = r"promoting -> creating"
CREATED = r"creating -> holding"
STOPPING = r"holding -> stopping"
RELEASED = r"stopping -> released"
AGAIN = r"holding -> creating"  # the guest ended by itself


class NotTold(ValueError):
    """An agent never said what it must have said; the text says what."""


@dataclass(frozen=True, slots=True)
class Course:
    """One guest's way from one machine to the other. BEGAN is when the power was cut, or when the
    guest answered last before it was shut down; STOPPED is how long its own shutdown took, 0 if it
    had none.
    """

    proof: PeerOff
    began: float
    decided: float
    promoted: float
    created: float
    answered: float
    stopped: float = 0.0

    @property
    def total(self) -> float:
        return self.answered - self.began

    def parts(self) -> dict[str, float]:
        """Seconds of each part, in their order; their sum is `total`."""
        return {
            "until decided": self.decided - self.began,
            "DRBD promotes": self.promoted - self.decided,
            "xl creates": self.created - self.promoted,
            "the guest starts": self.answered - self.created,
        }

    def needs(self, timing: Timing, cold_boot: float) -> float:
        """Seconds that nobody can save: the proof's, the guest's own shutdown and its COLD_BOOT."""
        return proof_needs(self.proof, timing) + self.stopped + cold_boot

    def overhead(self, timing: Timing, cold_boot: float) -> float:
        return self.total - self.needs(timing, cold_boot)

    def share(self, timing: Timing, cold_boot: float) -> float:
        """The overhead in percent of what nobody can save."""
        needed = self.needs(timing, cold_boot)
        return 100 * (self.total - needed) / needed


def proof_needs(proof: PeerOff, timing: Timing) -> float:
    """How long the other machine must be silent, or how long its word is on its way: it is told in
    a hello, one each keepalive, and consent needs one more to ask for it. A person's word and that
    of our own disk need none beside what they are made of.
    """
    match proof:
        case PeerOff.SELF_FENCED:
            return timing.take
        case PeerOff.AGREED:
            return 2 * timing.keepalive
        case PeerOff.FAREWELL:
            return timing.keepalive
        case _:
            return 0.0


def course(taker: Sequence[Line], offset: float, began: float, answers: Sequence[float]) -> Course:
    """The course that TAKER, the lines of the machine that serves now, tells of. ANSWERS are the
    moments of the guest's. Raises NotTold.
    """
    journal = list(taker)
    decided = told(journal, DECIDED, began + offset)
    promoted = told(journal, PROMOTED, decided.at)
    created = told(journal, CREATED, promoted.at)
    match = re.search(DECIDED, decided.text)
    assert match, "it was found by this pattern"
    # The guest may answer before xl has said that it runs, but not before xl was asked.
    answered = next((at for at in answers if at + offset > promoted.at), None)
    if answered is None:
        raise NotTold("the guest never answered again")
    return Course(
        PeerOff(match["proof"]),
        began,
        decided.at - offset,
        promoted.at - offset,
        min(created.at - offset, answered),
        answered,
    )


def shutdown(giver: Sequence[Line], offset: float, asked: float, last: float) -> float:
    """How long the guest was away for its own shutdown, on the machine whose lines are GIVER: from
    its LAST answer on, for it answers while it begins to shut down. Raises NotTold.
    """
    stopping = told(giver, STOPPING, asked + offset)
    return told(giver, RELEASED, stopping.at).at - max(stopping.at, last + offset)


def told(journal: Sequence[Line], pattern: str, after: float) -> Line:
    """The first line after AFTER, of the machine's own clock, that matches PATTERN."""
    line = find(list(journal), pattern, after)
    if line is None:
        raise NotTold(f"no agent said {pattern!r}")
    return line
