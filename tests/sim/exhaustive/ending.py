# SPDX-License-Identifier: MIT
"""How a history ends when everything is mended."""

from haagent.core import events
from haagent.core.model import Link
from tests.sim.exhaustive.alphabet import ALPHABET, Kind
from tests.sim.exhaustive.doing import hear
from tests.sim.exhaustive.passing import is_serving, pass_time
from tests.sim.exhaustive.situation import Situation

PATIENCE = 20  # thirds of T_take


def mended(situation: Situation) -> Situation:
    """Every cable, machine, disk and gateway works again, for a good while. A person restarts who
    has a disk again that DRBD has given up.
    """
    after = situation.copy()
    for _ in range(PATIENCE):
        for step in ALPHABET:
            if step.kind is Kind.MEND and step.may(after):
                step.do(after)
        for node in after.nodes:
            copy = after.mirror.copies[node.me]
            if copy.is_attached and not copy.has_disk:
                hear(after, node, events.Leave(0))
        pass_time(after, after.timing.take / 3)
        if is_serving(after) or after.audit.violations != situation.audit.violations:
            break
    return after


def ends_detected(situation: Situation) -> bool:
    """What led here is not judged; from here on nothing acknowledged is given up, and the pair is
    one again, or both mirrors have hung up.
    """
    before = len(situation.audit.violations)
    after = mended(situation)
    discarded = any("discarded" in one for one in after.audit.violations[before:])
    is_parted = all(copy.link is Link.STANDALONE for copy in after.mirror.copies)
    return not discarded and (is_serving(after) or is_parted)
