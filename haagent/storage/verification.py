# SPDX-License-Identifier: MIT
"""Has DRBD compare the two copies of each guest's disk once a week, and keeps what that finds.

A disk may give back other bits than it was given, and call them good. Nothing notices on the
machine that runs the guest until the guest reads them, and nothing at all on the other one, whose
copy nobody reads until the day when it is needed. Only the two copies together can tell, and not
which of them is right: nothing here repairs anything, and no rule depends on it.

What DRBD 8.4 does (drivers/block/drbd of Linux 6.12), and what a person is told because of it:

- Each block that differs is marked in the bitmaps of both machines, and no more (drbd_worker.c,
  w_e_end_ov_reply). Comparing without marking is not to be had.
- A mark is not taken away by a later verification that finds the two the same, nor by a guest that
  writes the block anew, unless something is compared or copied in that moment (drbd_main.c,
  drbd_send_dblock). So its figure is of all that was ever found and not copied since.
- A connection that is lost and found copies nothing, as long as nobody wrote meanwhile
  (drbd_receiver.c, drbd_sync_handshake: "No resync, but ... bits in bitmap").
- safety: but when one of the machines has written alone, because the other one was restarted, or a
  cable was out, or a guest was taken over, the next connection is a resync from whoever wrote, and
  copies what is marked with the rest. That makes both copies the same, and may take the rotten
  block for the good one. Which one it takes is not chosen by anybody: it is the copy of the machine
  that runs the guest then. Nobody can keep DRBD from it but by never connecting again, which costs
  the whole mirror. So it is told before, and told after, with the machine that it came from. The
  agent takes down a connection over which both copies are one only when its machine goes down, or
  has no stick and the other one takes the guest (core/agreeing.py).
- A block that cannot be read is no difference: DRBD lets go of the disk, the verification ends, and
  the guest goes on with the other copy (drbd_worker.c, drbd_endio_read_sec_final).

Not every difference is rot. DRBD locks the guest out of what it compares at a moment, but it takes
what a guest writes from the guest's memory twice, for the disk and for the cable. A guest that
changes a page under way, as it may with swap, with direct I/O and with what it deletes at once,
leaves two versions, and reads neither of them (drbd.conf(5), notes on data integrity). What it
discarded two SSDs may give back as each likes. And the set-up declares two new volumes to be the
same, whatever the disks held before (`new-current-uuid --clear-bitmap`): what no guest has written
yet differs, so that what the first comparison finds is no alarm, but a note.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from haagent.core import proofs
from haagent.core.model import Link, NodeState, Phase, Resource
from haagent.storage.findings import NOTHING, Book, Finding
from haagent.storage.resync import VERIFICATION, Progress, apart, by_guest

WEEK = 7 * 86400.0
EARLY = 43200.0  # seconds: a night's verification is due again a week later, in the same night
NIGHT = range(1, 5)  # hours of the machine's own time in which one may begin; it may end by day
LOOK = 10.0  # seconds between two looks
LOOK_AT_PROGRESS = 2.0  # the same, while something is compared
AGAIN = 3600.0  # seconds until one that was cut short, or did not begin, is tried again
PAUSE = 60.0  # seconds from one start to the next: DRBD has told by then that it began
SETTLED = 3600.0  # seconds since the agent started, so that nothing is begun after a start
CALM = (Phase.RELEASED, Phase.HOLDING)
STARTER = 0  # the node that begins them: both must be well for one, so either would do

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verified:
    """What is known of a guest's two copies."""

    finding: Finding = NOTHING
    is_under_way: bool = False  # or has ended, and what it found is not read yet
    progress: Progress | None = None  # None: none is under way, or DRBD has not told yet


def refusal(state: NodeState, guest: str) -> str | None:
    """Why the copies of GUEST cannot be compared now, the rest of a sentence; None if they can."""
    peer, hello = state.pair.names[1 - state.me], state.peer.hello
    words, mine = proofs.hello_of(state, guest), state.guests[guest]
    if hello is None or words is None or not proofs.is_talking(state):
        return f"{peer} is silent"
    if state.left is not None or state.is_fenced or hello.is_leaving:
        return "a machine is going down"
    if state.is_stateless:
        return "what is found could not be written down: the stick is lost"
    for name, one in state.guests.items():
        if one.resource is not None and one.resource.link in (Link.SYNC_SOURCE, Link.SYNC_TARGET):
            return f"a copy of {name} is being brought up to date"
    if not mine.is_in_sync or not words.is_connected:
        return f"{guest} is not mirrored"
    if mine.phase not in CALM or words.phase not in CALM:
        return f"{guest} is being started, moved or ended"
    return None


def is_due(finding: Finding, now: float) -> bool:
    """A clock that was set back by more than a day makes it due, too."""
    return finding.at is None or not -86400 < now - finding.at < WEEK - EARLY


class _Guest:
    """What is under way with one."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        self.is_under_way = False
        self.has_ended = False  # and was not cut short; what it found is still to be read
        self.is_asked_for = False  # by a person
        self.tried: float | None = None  # when one was last to begin; monotonic
        self.progress: Progress | None = None

    @property
    def is_busy(self) -> bool:
        return self.is_under_way or self.has_ended


class Verification:
    """Of guests, whose devices have the numbers MINORS; what is found is kept in BOOK. PROC is
    /proc/drbd, WALL the time, HOUR that of the day where the machine stands.

    `seen`, `changed`, `ask` and `take_note` may be called from any thread, and never block.
    """

    def __init__(
        self,
        minors: Mapping[str, Collection[int]],
        book: Book,
        proc: Path,
        wall: Callable[[], float] = time.time,
        hour: Callable[[float], int] = lambda now: time.localtime(now).tm_hour,
    ) -> None:
        self._minors = minors
        self._book = book
        self._proc = proc
        self._wall = wall
        self._hour = hour
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._newest: NodeState | None = None
        self._guests = {name: _Guest(book.kept(name)) for name in minors}
        self._has_failed = False  # one complaint in the log is enough
        self._is_told = False  # that something could not be kept: once is enough

    @property
    def verified(self) -> Mapping[str, Verified]:
        with self._lock:
            return {
                name: Verified(one.finding, one.is_busy, one.progress)
                for name, one in self._guests.items()
            }

    def seen(self, state: NodeState) -> None:
        """STATE is the newest."""
        self._newest = state

    def changed(self, guest: str, resource: Resource, is_verifying: bool) -> None:
        """DRBD tells of GUEST."""
        state = self._newest
        with self._lock:
            one = self._guests.get(guest)
            if one is None:
                return
            if one.is_under_way and not is_verifying:
                # Nothing but its end leaves the two as they were: what cuts one short, a lost
                # connection or a failed disk, is told in the same breath.
                one.has_ended = resource.is_in_sync
                one.progress = None
                if not one.has_ended:
                    log.warning("%s: the comparison of its two copies was cut short", guest)
            one.is_under_way = is_verifying
            if state is not None and resource.link in (Link.SYNC_SOURCE, Link.SYNC_TARGET):
                is_ours = resource.link is Link.SYNC_SOURCE
                source = state.pair.names[state.me if is_ours else 1 - state.me]
                one.finding = one.finding.copied(source)
        self._news.set()

    def ask(self, guest: str) -> str | None:
        """A person wants GUEST's copies compared now. Why not; None if that is about to begin."""
        state = self._newest
        if state is None:
            return "the agent has only just started"
        if (why := refusal(state, guest)) is not None:
            return why
        with self._lock:
            for name, one in self._guests.items():
                if one.is_busy or one.is_asked_for:
                    return f"the copies of {name} are being compared"
            self._guests[guest].is_asked_for = True
        self._news.set()
        return None

    def take_note(self, guest: str) -> str | None:
        """A person has taken note of what was found of GUEST. Why not; None if that is written
        down as soon as may be.
        """
        with self._lock:
            one = self._guests[guest]
            if one.is_busy:
                return f"the copies of {guest} are being compared: wait for what is found"
            one.finding = one.finding.taken_note_of()
        self._news.set()
        return None

    def watch(self, begin: Callable[[str], None]) -> None:
        """Looks for ever. BEGIN is called with a guest, and must not block."""
        while True:
            try:
                self.look(begin)
            except Exception:
                # safety: what is only told must not end the agent that decides.
                if not self._has_failed:
                    log.exception("a bug: two copies may not be compared, or what differs not told")
                self._has_failed = True
            is_busy = any(one.is_busy for one in self._guests.values())
            self._news.wait(LOOK_AT_PROGRESS if is_busy else LOOK)
            self._news.clear()

    def look(self, begin: Callable[[str], None]) -> None:
        """Once."""
        now = self._wall()
        # safety: whoever decides waits for this lock. What may take long is done without it.
        hour = self._hour(now)
        with self._lock:
            wanted = {
                name: one.has_ended
                for name, one in self._guests.items()
                if one.is_busy or one.finding.is_marked
            }
        text = self._read() if wanted else None
        with self._lock:
            if text is not None:
                self._take(text, wanted, now)
            chosen = self._next(now, hour)
        for name, one in self._guests.items():
            self._keep(name, one.finding)
        if chosen is not None:
            log.info("%s: its two copies are to be compared", chosen)
            begin(chosen)

    def _read(self) -> str | None:
        """What DRBD says of everything."""
        try:
            return self._proc.read_text(errors="replace")
        except OSError:
            return None  # haagent/lookout.py reads it as well, and says so

    def _take(self, text: str, wanted: Mapping[str, bool], now: float) -> None:
        """What TEXT says of the guests in WANTED: whether theirs had ended before it was read."""
        minors = {name: self._minors[name] for name in wanted}
        marked, progress = apart(text, minors), by_guest(text, minors, VERIFICATION)
        for name, had_ended in wanted.items():
            one, count = self._guests[name], marked.get(name)
            one.progress = progress.get(name) if one.is_under_way else None
            if one.is_busy and not had_ended:
                if count is not None:
                    self._found(name, one.finding.counted(count, now))
            elif had_ended:
                one.has_ended = False
                if count is not None:  # else the two came apart before it could be read
                    self._found(name, one.finding.ended(count, now))
                    log.info("%s: its two copies were compared, %d KiB are marked", name, count)
            elif count is not None:
                one.finding = one.finding.seen(count)

    def _found(self, guest: str, finding: Finding) -> None:
        one = self._guests[guest]
        if finding.differs > (0 if one.finding.copied_from else one.finding.differs):
            log.error("%s: %d KiB differ between its two copies", guest, finding.differs)
        one.finding = finding

    def _next(self, now: float, hour: int) -> str | None:
        """The guest whose copies are to be compared from now on."""
        state = self._newest
        if state is None or any(one.is_busy for one in self._guests.values()):
            return None
        asked = [name for name, one in self._guests.items() if one.is_asked_for]
        for name in asked or self._due(state, now, hour):
            one = self._guests[name]
            one.is_asked_for = False
            if refusal(state, name) is None:
                one.tried = state.now
                return name
        return None

    def _due(self, state: NodeState, now: float, hour: int) -> list[str]:
        """Those whose turn it is by themselves, who waits longest first."""
        if state.me != STARTER or hour not in NIGHT or state.now - state.started < SETTLED:
            return []
        if state.durable.in_maintenance or (state.peer.hello and state.peer.hello.in_maintenance):
            return []  # a person works on a machine
        tried = {name: one.tried for name, one in self._guests.items() if one.tried is not None}
        if any(state.now - at < PAUSE for at in tried.values()):
            return []
        found = [
            (one.finding.at or 0.0, name)
            for name, one in self._guests.items()
            if is_due(one.finding, now) and (name not in tried or state.now - tried[name] >= AGAIN)
        ]
        return [name for _, name in sorted(found)]

    def _keep(self, guest: str, finding: Finding) -> None:
        try:
            self._book.keep(guest, finding)
        except OSError as error:
            if not self._is_told:
                log.warning("cannot note what was found of %s: %s", guest, error)
            self._is_told = True
