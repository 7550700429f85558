# SPDX-License-Identifier: MIT
"""Owns DRBD: reads its state, watches it, and carries out what was decided about a resource.

It must not decide anything: who is promoted, outdated or connected is the core's business. No verb
takes a success for granted; each reads the state back. No verb ever uses --force, and one alone
gives data up: `discard`, for what a person has chosen.

Verbs go through drbdadm(8), which knows the configuration; reading goes through drbdsetup(8). Both
exist in a version for DRBD 8.4 that takes the same words (drbd-utils 9.22, user/v84).
"""

import re
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from haagent.core.model import STALE, Disk, Link, Resource, Role
from haagent.errors import ToolError
from haagent.guests.name import checked
from haagent.run import Run, Stream, run
from haagent.storage.events2 import ABSENT, PROGRAM, Connection, Fold, snapshot
from haagent.storage.holders import DeviceNews, holders
from haagent.storage.slices import BUSY, Slices

QUIET = 0.02  # seconds; the lines of one change follow each other faster than this
LOOK_AGAIN = 0.5  # seconds; the kernel tells nobody when it lets go of a device itself

# What the kernel refused, linux/drbd.h; drbdsetup prints `State change failed: (-12) ...`.
DEVICE_IN_USE = -12
PASSING = frozenset({-18, -19})  # "retry after next state change", "concurrent state changes"
REFUSAL = re.compile(r"State change failed: \((-\d+)\)")
SECRET = re.compile(r"(shared-secret=)[^\s']*")
GAVE_UP = "did not terminate within"  # drbdadm itself, after cmd-timeout-short of drbd.conf(5)

Post = Callable[[str, Resource], None]
Tell = Callable[[str, Resource, bool], None]  # the last: whether its two copies are being compared


def drbdadm(verb: str, guest: str) -> tuple[str, ...]:
    """The command line for VERB on all volumes of GUEST. Raises OperatorError for a bad name."""
    return ("drbdadm", verb, checked(guest))


def refusal(error: ToolError) -> int | None:
    """The kernel's reason why a change of state was refused, if that is what ERROR says."""
    found = REFUSAL.search(error.stderr)
    return int(found[1]) if found else None


def in_words(resource: Resource) -> str:
    """One line for a person."""
    suspended = ", its writes wait" if resource.is_suspended else ""
    return (
        f"{resource.role}, {resource.link}, disk {resource.disk}, "
        f"the peer's disk {resource.peer_disk}{suspended}"
    )


class Drbd:
    """DRBD on this machine. A resource is called like the guest whose disks it mirrors.

    LIMIT is how long, in seconds, one program may take and one verb may try. All verbs but `verify`
    raise ToolError if what they are for cannot be read back afterwards, and all can be repeated.
    """

    def __init__(
        self,
        *,
        limit: float = 30.0,
        run: Run = run,
        stream: Callable[[Sequence[str]], Stream] = Stream,
        news: Callable[[], DeviceNews] = DeviceNews,
        root: Path = Path("/"),
    ) -> None:
        self._limit = limit
        self._run = run
        self._open = stream
        self._news = news
        self._root = root
        self._slices = Slices(limit=limit, run=run, root=root)
        self._spare: Path | None = None
        self._is_usual_readable: Callable[[], bool] = lambda: True
        self._lock = threading.Lock()
        self._watched: Stream | None = None
        self._is_stopping = False

    def rely_on(self, spare: Path, is_usual_readable: Callable[[], bool] = lambda: False) -> None:
        """From now on drbdadm reads SPARE, a copy of the usual configuration, whenever that one
        cannot be read; as it stands, always.
        """
        self._spare, self._is_usual_readable = spare, is_usual_readable

    def read(self, guest: str) -> Resource:
        """The state now. A resource that DRBD does not have is Secondary, StandAlone, Diskless.

        Raises ToolError, or ParseError for a word that is not known.
        """
        return self._look(guest).resources().get(guest, ABSENT)

    def watch(
        self, post: Post, expected: Collection[str] = (), tell: Tell = lambda *_: None
    ) -> None:
        """Calls POST with every resource now, then with each whose state changes, until `stop`. So
        too TELL, which also hears when a verification begins and ends.

        Blocks. A resource that goes away, or is not there although EXPECTED, is posted as `read`
        shows it. Raises ToolError when the stream of events ends, ParseError for a word that is not
        known.
        """
        posted: dict[str, tuple[Resource, bool]] = {}
        while True:
            with self._lock:
                if self._is_stopping:
                    return
                self._watched = self._open(PROGRAM)
            with self._watched as stream:
                if not _follow(stream, posted, post, expected, tell):
                    return

    def stop(self) -> None:
        """Ends `watch`, now or whenever it is called; may be called from another thread."""
        with self._lock:
            self._is_stopping = True
            if self._watched is not None:
                self._watched.stop()

    def up(self, guest: str) -> None:
        """Configures the resource and attaches its disks. One that is up stays as it is."""
        before = self._look(guest).resources().get(guest)
        if before is not None and before.disk is not Disk.DISKLESS:
            return
        # A resource whose configuration was cut short is there without a disk: finish that.
        argv = drbdadm("up" if before is None else "adjust", guest)
        self._do(argv)
        self._verify(guest, argv, lambda now: now.disk not in (Disk.DISKLESS, Disk.FAILED))

    def adjust(self, guest: str) -> None:
        """Takes up what is written down for a resource that is up, such as another secret: for the
        next handshake. A connection stays, and so does whoever is Primary (drbd-utils,
        user/v84/drbdadm_adjust.c: other net options alone are set while it runs).
        """
        argv = drbdadm("adjust", guest)
        before = self.read(guest)
        self._do(argv)
        self._verify(guest, argv, lambda now: (now.role, now.disk) == (before.role, before.disk))

    def down(self, guest: str) -> None:
        """Takes the resource out of DRBD; its disks and their metadata stay."""
        if not self._exists(guest):
            return
        self._remove_slices(guest)
        argv = drbdadm("down", guest)
        self._do(argv)
        if self._exists(guest):
            raise ToolError(argv, 0, f"{guest} is still {in_words(self.read(guest))}")

    def forget(self, guest: str) -> None:
        """The same, whatever it was configured by, and whether that is there still."""
        if not self._exists(guest):
            return
        self._remove_slices(guest)
        argv = ("drbdsetup", "down", checked(guest))
        self._do(argv)
        if self._exists(guest):
            raise ToolError(argv, 0, f"{guest} is still {in_words(self.read(guest))}")

    def skip_first_sync(self, guest: str) -> None:
        """Declares two connected, never used copies the same; the kernel skips nothing for others
        (drbd_nl.c, drbd_adm_new_c_uuid). Nothing is read back: the peer may be lost right then.
        """
        self._do(("drbdadm", "new-current-uuid", "--clear-bitmap", f"{checked(guest)}/0"))

    def connect(self, guest: str) -> None:
        """Lets DRBD look for its peer, until it is told or decides otherwise."""
        if self.read(guest).link is not Link.STANDALONE:
            return
        argv = drbdadm("connect", guest)
        self._do(argv)
        self._verify(guest, argv, lambda now: now.link is not Link.STANDALONE)

    def discard(self, guest: str) -> None:
        """Connects anew, so that in a split brain our copy is given up for the peer's.

        drbd.conf(5), discard-my-data: it is asked once, at the next handshake, and counts only
        there where both sides wrote; a disconnect takes it back. A resource that is connected, or
        is being brought up to date, stays as it is.
        """
        argv = (*drbdadm("connect", guest)[:2], "--discard-my-data", guest)
        before = self.read(guest)
        if before.role is not Role.SECONDARY:
            # safety: whoever writes must not lose what is written. The kernel refuses it, too.
            raise ToolError(argv, 0, f"not tried: {guest} is {in_words(before)}")
        if before.is_connected:
            return
        self.disconnect(guest)  # DRBD takes the word only with a new connection
        self._do(argv)
        self._verify(guest, argv, lambda now: now.link is not Link.STANDALONE)

    def disconnect(self, guest: str) -> None:
        """Takes the connection down and reads StandAlone back.

        Over a working connection DRBD does this in agreement with the peer, and where fencing is
        on, the Secondary of a Primary ends Outdated (drbd_nl.c, conn_try_disconnect): a connected
        Primary that disconnects outdates its peer. Tries again while DRBD is between two states,
        for at most the limit.
        """
        argv = drbdadm("disconnect", guest)
        deadline = time.monotonic() + self._limit
        while self.read(guest).link is not Link.STANDALONE:
            try:
                self._do(argv)
            except ToolError as error:
                if self.read(guest).link is Link.STANDALONE:  # it became so by itself
                    return
                passes = refusal(error) in PASSING or GAVE_UP in error.stderr
                left = deadline - time.monotonic()
                if not passes or left <= 0:
                    raise
                self._await_next_try(guest, left)
            else:
                self._verify(guest, argv, lambda now: now.link is Link.STANDALONE)

    def reconnect(self, guest: str) -> None:
        """Takes the connection down and up again where the peer's copy is brought up to date, and
        nowhere else. The peer's disk is Inconsistent to DRBD here, so a Primary is not frozen by
        that, and the peer's is not outdated: tests/data/drbd-sequences.txt,
        resync-is-left-by-its-source.
        """
        if self.read(guest).link is Link.SYNC_SOURCE:
            self.disconnect(guest)
            self.connect(guest)

    def verify(self, guest: str) -> None:
        """Begins to compare both copies, all of each, where the two are one to DRBD and that is not
        being done. It goes on by itself, and guests write meanwhile.

        drbdsetup(8): without a start DRBD goes on where it was last cut short, of which nobody
        knows how long ago that was. drbdadm has no word for it in 8.4 (user/v84/drbdadm_main.c).
        Nothing is read back: a small volume is done by then, and `watch` tells of both ends.
        """
        before = self._look(guest)
        if before.is_verifying(guest) or not before.resources().get(guest, ABSENT).is_in_sync:
            return
        for minor in before.minors(guest):
            self._do(("drbdsetup", "verify", str(minor), "--start=0"))

    def outdate(self, guest: str) -> None:
        """Disconnects, marks our copy Outdated, and reads back that it is Outdated (or already
        Inconsistent), Secondary and not connected.
        """
        argv = drbdadm("outdate", guest)
        before = self.read(guest)
        if before.role is Role.PRIMARY:
            # safety: to disconnect a Primary would outdate the peer's copy instead of ours.
            raise ToolError(argv, 0, f"not tried: {guest} is {in_words(before)}")
        self.disconnect(guest)
        exit: int | None = 0
        said = ""
        if self.read(guest).disk not in STALE:
            try:
                self._do(argv)
            except ToolError as error:  # the reading decides, and tells both
                exit, said = error.exit, f"{error.stderr.strip()}\n"
        now = self.read(guest)
        if now.disk in STALE and now.role is Role.SECONDARY and now.link is Link.STANDALONE:
            return
        raise ToolError(argv, exit, f"{said}{guest} is {in_words(now)}")

    def promote(self, guest: str, disconnect: bool, timeout: float) -> None:
        """Makes us Primary, with DISCONNECT after taking the connection down.

        DRBD may call the fence-peer handler, up to four times, and blocks until it has answered:
        TIMEOUT, in seconds, must leave room for that, and so must cmd-timeout-medium of
        drbd.conf(5), 121 s, after which drbdadm gives up by itself.
        """
        if disconnect:
            self.disconnect(guest)
        argv = drbdadm("primary", guest)
        # safety: after a timeout the kernel is still waiting for the handler, and promotes us if
        # its answer allows it. Whoever catches the error must reckon with that.
        self._do(argv, timeout)
        self._verify(
            guest,
            argv,
            lambda now: (
                now.role is Role.PRIMARY and (not disconnect or now.link is Link.STANDALONE)
            ),
        )

    def demote(self, guest: str) -> None:
        """Makes us Secondary, without the slices that were on it. While somebody keeps a device
        open, waits for him to let go, at most for the limit; the error then names him where that
        can be found out.
        """
        argv = drbdadm("secondary", guest)
        deadline = time.monotonic() + self._limit
        with self._news() as news:
            while self.read(guest).role is Role.PRIMARY:
                try:
                    self._remove_slices(guest)
                    self._do(argv)
                except ToolError as error:
                    if refusal(error) != DEVICE_IN_USE and BUSY not in error.stderr:
                        raise
                    left = deadline - time.monotonic()
                    if left <= 0:
                        who = self._who_holds(guest)
                        said = error.stderr.strip() + who
                        raise ToolError(error.argv, error.exit, said) from error
                    news.wait(min(left, LOOK_AGAIN))
                else:
                    self._verify(guest, argv, lambda now: now.role is not Role.PRIMARY)

    def _remove_slices(self, guest: str) -> None:
        for minor in self._look(guest).minors(guest):
            self._slices.remove(minor)

    def _look(self, guest: str) -> Fold:
        return snapshot(self._do((*PROGRAM, "--now", checked(guest))))

    def _exists(self, guest: str) -> bool:
        return guest in self._look(guest).resources()

    def _do(self, argv: Sequence[str], timeout: float | None = None) -> str:
        is_verb = argv[0] == "drbdadm"
        if is_verb and self._spare is not None and not self._is_usual_readable():
            argv = ("drbdadm", "--config-file", str(self._spare), *argv[1:])
        try:
            return self._run(argv, timeout=self._limit if timeout is None else timeout)
        except ToolError as error:
            # safety: drbdadm repeats a failed command line, with the key that it read for it.
            hushed = SECRET.sub(r"\1(not shown)", error.stderr)
            raise ToolError(error.argv, error.exit, hushed) from None

    def _verify(self, guest: str, argv: Sequence[str], is_so: Callable[[Resource], bool]) -> None:
        now = self.read(guest)
        if not is_so(now):
            raise ToolError(argv, 0, f"{guest} is {in_words(now)}")

    def _await_next_try(self, guest: str, seconds: float) -> None:
        """Until DRBD is no longer between two tries to connect, the state it changes nothing in."""
        deadline = time.monotonic() + seconds
        fold = Fold()
        with self._open((*PROGRAM, guest)) as stream:
            while (left := deadline - time.monotonic()) > 0:
                for line in stream.read(0, left) or ():
                    fold.feed(line)
                if fold.is_complete and fold.connection(guest) is not Connection.UNCONNECTED:
                    return

    def _who_holds(self, guest: str) -> str:
        found = [who for n in self._look(guest).minors(guest) for who in holders(n, self._root)]
        return f"\nkept open by {', '.join(found)}" if found else ""


def _follow(
    stream: Stream,
    posted: dict[str, tuple[Resource, bool]],
    post: Post,
    expected: Collection[str],
    tell: Tell,
) -> bool:
    """Posts what changes against POSTED. True if the kernel's messages were lost, so that the
    stream must be started again; False if it was stopped.
    """
    fold = Fold()
    while (lines := stream.read(QUIET)) is not None:
        for line in lines:
            fold.feed(line)
        if fold.has_gap:
            return True
        if not fold.is_complete:
            continue
        now = fold.resources()
        for name in sorted({*posted, *now, *expected}):
            found = now.get(name, ABSENT), fold.is_verifying(name)
            before = posted.get(name)
            if before == found:
                continue
            posted[name] = found
            if before is None or before[0] != found[0]:
                post(name, found[0])
            tell(name, *found)
    return False
