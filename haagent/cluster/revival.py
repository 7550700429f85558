# SPDX-License-Identifier: MIT
"""Has a heartbeat started again that stands still, or that lets nothing of the peer through.
systemd does so with one that ends.

No rule depends on heartbeat, so none is needed here: it is one of three ways to the peer, and both
cables are whole when it is started again. If they go in the next moment, it would have gone too.

*Stands still.* It gives us back each of our own words, two a second, so it is silent for long only
if it does not run.

*Lets nothing through.* A peer that lost its heartbeat's generation, and has a clock of long ago,
begins below what our heartbeat remembers: that drops it as a replay, for as long as it runs
(should_drop_message of heartbeat.c, 3.0.6). It remembers it nowhere else, so a restart mends that.
Its links need not look dead meanwhile, as acknowledgements pass. Nor is ours to blame each time: a
port that is filtered looks the same, and is not mended by any number of restarts. One that is deaf
still carries our words; without the stick no other one would follow it, so it is left alone then.
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
PATIENCE = 12  # times T_dead without a word by heartbeat, from a peer that is there

log = logging.getLogger(__name__)


class Carrier(Protocol):
    """What cluster/heartbeat.py's Heartbeat is."""

    answered_at: float
    signed_on_at: float | None


class Revival:
    """Of HEARTBEAT, when it has given nothing for SILENCE seconds, or nothing of the peer for
    longer. `seen` never blocks.
    """

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
        self._well_at = now()  # when it last let the peer's words through, or could not have
        self._deaf_for = 0.0
        self._patience = float("inf")
        self._pause = SELDOM  # before a restart for the same reason

    def seen(self, state: NodeState) -> None:
        """STATE is the newest."""
        self._is_peer_there = all(
            proofs.is_whole(state, path) for path in (Path.CROSSOVER, Path.LAN)
        )
        # Where both are deaf, one goes first: if that mends it, the other has nothing to do.
        self._patience = PATIENCE * state.timing.dead * (1 + state.me)
        heard = state.peer.paths.get(Path.HEARTBEAT, proofs.NOTHING_HEARD)
        is_heard = state.now - heard.last_word <= state.timing.dead
        if is_heard:
            self._pause = SELDOM
        if is_heard or not self._is_peer_there or state.is_stateless:
            self._well_at = state.now
        self._deaf_for = state.now - self._well_at

    @property
    def is_hanging(self) -> bool:
        """It is silent though the peer is heard on both cables, and hears us."""
        return self._is_peer_there and self._now() - self._heartbeat.answered_at > self._silence

    @property
    def is_deaf(self) -> bool:
        """Nothing of the peer has come by it for a good while, though the peer was there."""
        return self._deaf_for > self._patience

    def watch(self) -> None:
        """Looks for ever."""
        while True:
            self.look()
            time.sleep(LOOK)  # there is no event to wait for: what is told is that none came

    def look(self) -> None:
        """Once."""
        since = self._now() - self._restarted
        if self.is_hanging:
            if since >= SELDOM:
                self._restart("heartbeat stands still: it is started again")
        elif self.is_deaf and self._has_had_time and since >= self._pause:
            self._pause *= 2
            self._restart(
                "nothing of the other machine comes by heartbeat, though both cables carry its "
                "words: it is started again; should that be in vain, once more in "
                f"{self._pause / 60:.0f} minutes"
            )

    @property
    def _has_had_time(self) -> bool:
        """It has run for as long as its predecessor may be deaf. One that does not run is not."""
        began = self._heartbeat.signed_on_at
        return began is not None and self._now() - began > self._patience

    def _restart(self, why: str) -> None:
        self._restarted = self._now()
        log.warning("%s", why)
        try:
            self._run(RESTART, timeout=60)
        except ToolError as error:
            log.warning("%s", error)
