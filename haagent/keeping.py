# SPDX-License-Identifier: MIT
"""Keeps the agent's state on the stick, and finds out in time when that is not possible any more.

Owns the one thread that waits for the stick: a write to a dying one may hang for minutes, and
whoever feeds the watchdog must not wait that long. It must not judge what is lost with the stick.

The stick counts as lost for the rest of this boot at the first write that fails or that does not
end in time, whatever comes of it later: one that is plugged in again is another device, and what
was decided since is not on it. That is noted in /run, with what was saved last, for an agent that
is started again in this boot.
"""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from haagent.core.events import Event, StateLost
from haagent.core.model import Durable
from haagent.errors import BugError
from haagent.folder import Folder
from haagent.state import Damaged, NotUnderstood, StateError, decode, encode

LOST = Path("/run/shoestring/stick-lost")
LOOK = 60.0  # seconds between two looks while nothing is to be saved
# A look may take longer than a save: nobody waits for it, and cheap sticks pause to tidy up.
LOOK_LIMIT = 30.0
TOO_SLOW = "it did not answer in time"

log = logging.getLogger(__name__)


class Store(Protocol):
    """What state.py's StateFile does."""

    def load(self, guests: Collection[str], gone: Collection[str] = ()) -> Durable | None: ...
    def save(self, durable: Durable) -> None: ...
    def look(self) -> None: ...


class _Job:
    """Something that the thread at the stick does."""

    def __init__(self, do: Callable[[], None]) -> None:
        self.do = do
        self.is_done = threading.Event()
        self.error: BaseException | None = None


class Keeper:
    """Of STORE. LIMIT is how long a save may take, in seconds; NOTE is the file in /run."""

    def __init__(self, store: Store, limit: float, note: Path = LOST) -> None:
        self._store = store
        self._limit = limit
        self._note = note
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._is_lost = threading.Event()
        self._last: Durable | None = None
        self._why = ""
        threading.Thread(target=self._work, name="stick", daemon=True).start()

    @property
    def lost_because(self) -> str:
        """Why nothing is written any more, in a few words; "" while it is."""
        return self._why

    def load(self, guests: Collection[str], gone: Collection[str] = ()) -> Durable | None:
        """As `StateFile.load`; if an agent of this boot has lost the stick, what that one knew.

        Raises StateError.
        """
        try:
            noted = self._note.read_bytes()
        except FileNotFoundError:
            self._last = self._store.load(guests, gone)
            return self._last
        except OSError as error:
            raise StateError(
                f"{self._note} cannot be read: {error.strerror}.", "Restart this machine."
            ) from error
        try:
            found = decode(noted).durable
        except (Damaged, NotUnderstood) as error:
            # safety: the stick may have what was never acted on. Only a start makes it true.
            raise StateError(
                f"What an agent noted in {self._note} cannot be used: {error}.",
                "Restart this machine.",
            ) from error
        self._last = found
        self._lose("it was lost before the agent was started again")
        return found

    def save(self, durable: Durable) -> None:
        """On the stick, twice, when this returns. Raises StateError, at the latest after the limit;
        from then on always.
        """
        failure = self._try(lambda: self._store.save(durable), self._limit)
        with self._lock:
            if failure is None and not self._why:
                self._last = durable
                return
        why = failure or self._why
        self._lose(why)
        raise StateError(
            f"The agent's state cannot be written to the stick: {why}.",
            "It counts as lost until the machine is started again.",
            why,
        )

    def watch(self, post: Callable[[Event], None]) -> None:
        """Looks each minute whether the stick can still be written; ends, with an event posted,
        when it cannot. Blocks.
        """
        while not self._is_lost.wait(LOOK):
            failure = self._try(self._store.look, LOOK_LIMIT)
            if failure is not None:
                self._lose(failure)
        post(StateLost(time.monotonic(), self._why))

    def _try(self, do: Callable[[], None], limit: float) -> str | None:
        """Has it done beside us; why it was not done within LIMIT seconds, or None."""
        if self._why:
            return self._why
        job = _Job(do)
        self._jobs.put(job)
        if not job.is_done.wait(limit):
            return TOO_SLOW
        match job.error:
            case None:
                return None
            case StateError() as error:
                return error.why
        raise BugError(f"the thread at the stick: {job.error!r}") from job.error

    def _lose(self, why: str) -> None:
        with self._lock:
            if self._why:
                return
            self._why = why
        log.critical("the stick is lost: %s", why)
        if self._last is not None:
            self._write_note(self._last)
        self._is_lost.set()

    def _write_note(self, last: Durable) -> None:
        """For the next agent of this boot: in memory, so it needs nothing of the stick."""
        folder = Folder(self._note.parent)
        with contextlib.suppress(OSError):  # without it the next agent finds out for itself
            folder.write(f"{self._note.name}.new", encode(last, 0))
            folder.rename(f"{self._note.name}.new", self._note.name)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            # safety: what waited behind a write that hung is not done late, when nobody counts on
            # it any more.
            if self._why:
                job.error = StateError("The stick is lost.", "", self._why)
            else:
                try:
                    job.do()
                except Exception as error:
                    job.error = error
            job.is_done.set()
