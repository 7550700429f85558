# SPDX-License-Identifier: MIT
"""Has a heartbeat started again that stands still. systemd does so with one that ends.

No rule depends on heartbeat, so none is needed here: it is one of three ways to the peer, and while
it stands still it carries nothing. It gives us back each of our own words, two a second, so it is
silent for long only if it does not run.
"""

import logging
import time
from collections.abc import Callable
from typing import Protocol

from haagent.core import proofs
from haagent.core.model import NodeState, Path
from haagent.errors import ToolError
from haagent.run import Run, run

RESTART = ("systemctl", "restart", "--no-block", "heartbeat.service")
LOOK = 5.0  # seconds between two looks
SELDOM = 600.0  # seconds between two restarts: what they do not mend is not mended by more of them

log = logging.getLogger(__name__)


class Carrier(Protocol):
    """What cluster/heartbeat.py's Heartbeat is."""

    answered_at: float


class Revival:
    """Of HEARTBEAT, when it has given nothing for SILENCE seconds. `seen` never blocks."""

    def __init__(
        self,
        heartbeat: Carrier,
        silence: float,
        run: Run = run,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._heartbeat = heartbeat
        self._silence = silence
        self._run = run
        self._now = now
        self._is_peer_there = False
        self._restarted = float("-inf")

    def seen(self, state: NodeState) -> None:
        """STATE is the newest."""
        self._is_peer_there = all(
            proofs.is_whole(state, path) for path in (Path.CROSSOVER, Path.LAN)
        )

    @property
    def is_hanging(self) -> bool:
        """It is silent though the peer is heard on both cables, and hears us."""
        return self._is_peer_there and self._now() - self._heartbeat.answered_at > self._silence

    def watch(self) -> None:
        """Looks for ever."""
        while True:
            self.look()
            time.sleep(LOOK)  # there is no event to wait for: what is told is that none came

    def look(self) -> None:
        """Once."""
        if not self.is_hanging or self._now() - self._restarted < SELDOM:
            return
        self._restarted = self._now()
        log.warning("heartbeat stands still: it is started again")
        try:
            self._run(RESTART, timeout=60)
        except ToolError as error:
            log.warning("%s", error)
