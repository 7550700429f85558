# SPDX-License-Identifier: MIT
"""Has DRBD connect anew where a resync hangs at its end: all is copied, and its source goes on
calling itself SyncSource for ever.

The source ends a resync when the target tells it, once, on one of two TCP connections; what marks
the last blocks as copied comes on the other. A source that is told before it has those ignores it,
and waits for another word that never comes (receive_state in drivers/block/drbd/drbd_receiver.c,
maybe_schedule_on_disk_bitmap_update in drbd_actlog.c, of Linux 6.12). Only the source can see that:
to the target the two are connected, and both are UpToDate.

No rule depends on it. It is for DRBD and the core as if the connection had been lost and found.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from haagent.core import proofs
from haagent.core.model import Disk, Link, NodeState, Phase
from haagent.storage.resync import copied

PATIENCE = 6  # looks: a resync that ends does so at once, so nearly any would do
SELDOM = 120  # looks between two reconnections: what they do not mend is not mended by more of them
CALM = (Phase.RELEASED, Phase.HOLDING)

log = logging.getLogger(__name__)


class Hang:
    """Of the resync of one guest. Looks are counted, not seconds: a machine that stood still has
    not given DRBD the time that went by.
    """

    def __init__(self) -> None:
        self._looks = 0  # in a row at which it was found so
        self._rest = 0  # looks before the next reconnection

    @property
    def is_one(self) -> bool:
        return self._looks >= PATIENCE

    def look(self, is_copied: bool) -> bool:
        """Once: IS_COPIED though it has not ended. Whether DRBD is to connect anew."""
        self._looks = self._looks + 1 if is_copied else 0
        self._rest = max(0, self._rest - 1)
        if not self.is_one or self._rest:
            return False
        self._rest = SELDOM
        return True


def may_reconnect(state: NodeState, guest: str) -> bool:
    """Nothing else is being done with GUEST's mirror, here or there, and the peer hears us say that
    its last word is not that the two are one (core/saying.py).

    safety: without a stick a holder that is not connected for a moment has no way to go on alone.
    """
    mine, words = state.guests[guest], proofs.hello_of(state, guest)
    resource = mine.resource
    if resource is None or words is None:
        return False
    is_source = (resource.link, resource.disk) == (Link.SYNC_SOURCE, Disk.UP_TO_DATE)
    is_calm = mine.phase in CALM and words.phase in CALM and state.left is None
    return is_source and is_calm and proofs.is_talking(state) and not state.is_stateless


class Reconnection:
    """Of guests, whose devices have the numbers MINORS; EVERY so many seconds there is a look, into
    PROC. `seen` never blocks.
    """

    def __init__(self, minors: Mapping[str, Iterable[int]], every: float, proc: Path) -> None:
        self.hanging: frozenset[str] = frozenset()  # guests whose resync does; for the screen
        self._minors = minors
        self._every = every
        self._proc = proc
        self._hangs = {name: Hang() for name in minors}
        self._newest: NodeState | None = None

    def seen(self, state: NodeState) -> None:
        """STATE is the newest."""
        self._newest = state

    def watch(self, reconnect: Callable[[str], None]) -> None:
        """Looks for ever. RECONNECT is called with a guest, and must not block."""
        while True:
            self.look(reconnect)
            time.sleep(self._every)  # there is no event to wait for: what is told is that none came

    def look(self, reconnect: Callable[[str], None]) -> None:
        """Once."""
        found = self._copied()
        for guest, hang in self._hangs.items():
            if hang.look(guest in found):
                log.warning(
                    "%s: all is copied, and DRBD does not end the resync: it is to connect anew",
                    guest,
                )
                reconnect(guest)
        self.hanging = frozenset(guest for guest, hang in self._hangs.items() if hang.is_one)

    def _copied(self) -> frozenset[str]:
        state = self._newest
        if state is None:
            return frozenset()
        wanted = {name: ours for name, ours in self._minors.items() if may_reconnect(state, name)}
        if not wanted:
            return frozenset()
        try:
            return copied(self._proc.read_text(errors="replace"), wanted)
        except OSError:
            return frozenset()  # haagent/lookout.py reads it as well, and says so
