# SPDX-License-Identifier: MIT
"""Keeps what only a screen needs: what would become of the guests if the peer died now, how far a
resync is, and what was decided last.

It must not act, and nothing may be decided by what it finds. It works in threads of its own, beside
the loop that decides, and a bug in it costs a line on the screen and no more.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from haagent.config import GuestConfig
from haagent.core.foresight import Outlook, foresee
from haagent.core.model import Link, NodeState
from haagent.storage.resync import Progress, by_guest

PROC_DRBD = Path("/proc/drbd")
LOOK_AHEAD = 5.0  # seconds between two looks, stretched by the time scale: each costs some work
LOOK_AT_RESYNC = 2.0  # seconds; DRBD's own figures are averages over longer
KEPT = 5  # decisions

log = logging.getLogger(__name__)


class Lookout:
    """About GUESTS. `seen` and `decided` are called by whoever decides, and never block."""

    def __init__(
        self,
        guests: Mapping[str, GuestConfig],
        proc: Path = PROC_DRBD,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.addresses: Mapping[str, str] = {
            name: str(guest.address) for name, guest in guests.items() if guest.address is not None
        }
        self.outlooks: Mapping[str, Outlook] = {}
        self.resyncs: Mapping[str, Progress] = {}
        self._minors = {name: guest.minors for name, guest in guests.items()}
        self._proc = proc
        self._wall = wall
        self._lately: deque[tuple[float, str]] = deque(maxlen=KEPT)
        self._newest: NodeState | None = None
        self._is_syncing = threading.Event()
        self._has_failed = False  # one complaint in the log is enough

    @property
    def lately(self) -> tuple[tuple[float, str], ...]:
        """The last decisions, the newest first: seconds since the epoch, and the sentence."""
        return tuple(self._lately)

    def decided(self, reasons: Iterable[str]) -> None:
        self._lately.extendleft((self._wall(), reason) for reason in reasons)

    def seen(self, state: NodeState) -> None:
        """STATE is the newest."""
        self._newest = state
        links = {mine.resource.link for mine in state.guests.values() if mine.resource}
        if links & {Link.SYNC_SOURCE, Link.SYNC_TARGET}:
            self._is_syncing.set()
        else:
            self._is_syncing.clear()

    def start(self) -> None:
        for keep in (self._keep_looking_ahead, self._keep_looking_at_resyncs):
            threading.Thread(target=keep, name=keep.__name__, daemon=True).start()

    def look_ahead(self) -> None:
        """Once, at the newest state."""
        state = self._newest
        if state is None:
            return
        try:
            self.outlooks = foresee(state)
        except Exception:
            # safety: what is only imagined must not end the agent that decides.
            if not self._has_failed:
                log.exception("a bug: it cannot be told what would become of the guests")
            self._has_failed = True
            self.outlooks = {}

    def look_at_resyncs(self) -> None:
        """Once, in DRBD's own account."""
        try:
            self.resyncs = by_guest(self._proc.read_text(errors="replace"), self._minors)
        except OSError as error:
            log.warning("%s cannot be read: %s", self._proc, error)
            self.resyncs = {}

    def _keep_looking_ahead(self) -> None:
        while True:
            self.look_ahead()
            scale = self._newest.pair.scale if self._newest else 1.0
            time.sleep(LOOK_AHEAD * scale)  # there is no event to wait for: time itself counts

    def _keep_looking_at_resyncs(self) -> None:
        while True:
            self._is_syncing.wait()
            self.look_at_resyncs()
            time.sleep(LOOK_AT_RESYNC)  # DRBD tells nobody how far it is
            if not self._is_syncing.is_set():
                self.resyncs = {}
