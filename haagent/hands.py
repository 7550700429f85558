# SPDX-License-Identifier: MIT
"""Carries out what was decided about guests: a thread for each, one deed after the other.

No policy. Every deed ends as one event, `Done` or `Failed`, in the queue that decides.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from haagent.core import actions
from haagent.core.events import Deed, Done, Event, Failed
from haagent.errors import ShoestringError

GRACE = 60.0  # seconds, on real hardware, that a guest may take to shut down

log = logging.getLogger(__name__)

Post = Callable[[Event], None]
GuestAction = (
    actions.Outdate
    | actions.Connect
    | actions.KeepCopy
    | actions.Discard
    | actions.Promote
    | actions.Create
    | actions.Shutdown
    | actions.Restart
    | actions.Destroy
)


class Storage(Protocol):
    """What storage/drbd.py does."""

    def outdate(self, guest: str) -> None: ...
    def connect(self, guest: str) -> None: ...
    def discard(self, guest: str) -> None: ...
    def promote(self, guest: str, disconnect: bool, timeout: float) -> None: ...
    def demote(self, guest: str) -> None: ...
    def reconnect(self, guest: str) -> None: ...
    def verify(self, guest: str) -> None: ...
    def down(self, guest: str) -> None: ...


class Guests(Protocol):
    """What guests/xen.py does."""

    def create(self, guest: str) -> None: ...
    def shutdown(self, guest: str, grace: float) -> bool: ...
    def restart(self, guest: str) -> None: ...
    def destroy(self, guest: str) -> None: ...


class Copies(Protocol):
    """What storage/kept.py does."""

    def keep(self, guest: str, stamp: str, number: int) -> None: ...


class Hands:
    """Works on GUESTS. PATIENCE is how long DRBD may take to promote, GRACE how long a guest may
    take to shut down, both in seconds; ANNOUNCE tells the LAN where a guest now is.
    """

    def __init__(
        self,
        guests: Iterable[str],
        storage: Storage,
        xen: Guests,
        copies: Copies,
        announce: Callable[[str], None],
        post: Post,
        *,
        patience: float,
        grace: float,
    ) -> None:
        self._storage = storage
        self._xen = xen
        self._copies = copies
        self._announce = announce
        self._post = post
        self._patience = patience
        self._grace = grace
        self._work: Mapping[str, queue.SimpleQueue[Callable[[], None]]] = {
            guest: queue.SimpleQueue() for guest in guests
        }
        for guest in self._work:
            threading.Thread(
                target=self._serve, args=(guest,), name=f"hands of {guest}", daemon=True
            ).start()

    def do(self, action: GuestAction) -> None:
        """Returns at once."""
        guest = action.guest
        deed, work = self._deed(action)
        self._work[guest].put(lambda: self._carry_out(guest, deed, work))

    def reconnect(self, guest: str) -> None:
        """Has DRBD connect anew, between two deeds. Returns at once. No event comes of it: nothing
        was decided, and a connection that stays down is taken up like any that DRBD dropped.
        """
        self._work[guest].put(lambda: self._reconnect(guest))

    def verify(self, guest: str) -> None:
        """Has DRBD begin to compare both copies, between two deeds. So, too."""
        self._work[guest].put(lambda: self._verify(guest))

    def down(self, done: Callable[[], None]) -> None:
        """Takes every resource out of DRBD, then calls DONE. For the end of a boot."""
        waiting = set(self._work)
        lock = threading.Lock()

        def take_down(guest: str) -> None:
            try:
                self._storage.down(guest)
            except ShoestringError as error:
                log.warning("%s: %s", guest, error)
            with lock:
                waiting.discard(guest)
                is_last = not waiting
            if is_last:
                done()

        for guest, work in self._work.items():
            work.put(lambda guest=guest: take_down(guest))  # type: ignore[misc]
        if not self._work:
            done()

    def _serve(self, guest: str) -> None:
        while True:
            self._work[guest].get()()

    def _reconnect(self, guest: str) -> None:
        try:
            self._storage.reconnect(guest)
        except (ShoestringError, OSError) as error:
            log.warning("%s: DRBD did not connect anew: %s", guest, error)

    def _verify(self, guest: str) -> None:
        try:
            self._storage.verify(guest)
        except (ShoestringError, OSError) as error:
            log.warning("%s: its two copies cannot be compared: %s", guest, error)

    def _carry_out(self, guest: str, deed: Deed, work: Callable[[], None]) -> None:
        try:
            work()
        except (ShoestringError, OSError) as error:
            self._post(Failed(time.monotonic(), guest, deed, str(error)))
        else:
            self._post(Done(time.monotonic(), guest, deed))

    def _deed(self, action: GuestAction) -> tuple[Deed, Callable[[], None]]:
        storage = self._storage
        match action:
            case actions.Outdate(guest):
                return Deed.OUTDATE, lambda: storage.outdate(guest)
            case actions.Connect(guest):
                return Deed.CONNECT, lambda: storage.connect(guest)
            case actions.KeepCopy(guest, stamp, number):
                return Deed.KEEP, lambda: self._copies.keep(guest, stamp, number)
            case actions.Discard(guest):
                return Deed.DISCARD, lambda: storage.discard(guest)
            case actions.Promote(guest, disconnect):
                return Deed.PROMOTE, lambda: storage.promote(guest, disconnect, self._patience)
            case actions.Create(guest):
                return Deed.CREATE, lambda: self._create(guest)
            case actions.Shutdown(guest):
                return Deed.SHUTDOWN, lambda: self._shut_down(guest)
            case actions.Restart(guest):
                return Deed.RESTART, lambda: self._xen.restart(guest)
            case actions.Destroy(guest):
                return Deed.DESTROY, lambda: self._destroy(guest)

    def _create(self, guest: str) -> None:
        self._xen.create(guest)
        try:
            self._announce(guest)
        except OSError as error:
            # The guest runs; clients find it a little later, when it speaks for itself.
            log.warning("%s: the LAN was not told where it is: %s", guest, error)

    def _shut_down(self, guest: str) -> None:
        if not self._xen.shutdown(guest, self._grace):
            log.warning("%s: did not shut down in %.0f s, destroyed", guest, self._grace)
        self._storage.demote(guest)

    def _destroy(self, guest: str) -> None:
        self._xen.destroy(guest)
        self._storage.demote(guest)
