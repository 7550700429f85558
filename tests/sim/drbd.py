# SPDX-License-Identifier: MIT
"""DRBD 8.4 for one guest, as it was measured: two copies, what is between them, when each freezes.

Generations are compared the way drbd_uuid_compare in drivers/block/drbd/drbd_receiver.c does, as
far as two nodes need it.
"""

from collections.abc import Callable
from dataclasses import replace

from haagent.core.model import CONNECTED, Disk, Link, Resource, Role
from haagent.core.timing import Timing
from tests.sim.copies import Copy

# What the handler's exit code makes of the peer's disk, drbd_nl.c, conn_try_outdate_peer. Our
# handler knows three of them, FenceAnswer; with any other the mark is not touched.
JUDGED = {3: Disk.INCONSISTENT, 4: Disk.OUTDATED, 5: Disk.OUTDATED, 7: Disk.OUTDATED}
IS_DOWN, IS_PRIMARY = 5, 6  # the peer: believed of an UpToDate disk alone; outdates our own disk


class Refused(Exception):
    """DRBD would not; the text is what drbdadm prints."""


class Mirror:
    """Both copies and the connection between them. `changed(node)` is called after each change."""

    def __init__(
        self,
        carries: Callable[[int, int], bool],
        changed: Callable[[int], None],
        fence: Callable[[int], None],
        discarded: Callable[[int, set[int]], None],
        expels: float = Timing().drbd_expels,
    ) -> None:
        self.copies = (Copy(), Copy())
        self._expels = expels  # after so many seconds, who owes an answer
        self._carries = carries  # whether the crossover and both kernels work, one way
        self.changed = changed
        self._fence = fence  # calls the handler of a node
        self._discarded = discarded
        self._generation = 1
        self._ready_since: float | None = None
        self._sync_done = 0.0  # when the resync under way ends; means nothing without one
        self._source = 0
        self.missed_ends = 0  # so many resyncs more hang at their source, until it connects anew
        self.is_end_unseen = False  # then by the target as well
        self._is_end_told = False  # of the resync that has copied all

    def go_on_from(self, other: "Mirror") -> None:
        """No generation is numbered as one of OTHER's, whose copies these are."""
        self._generation = other._generation

    def twin(
        self,
        carries: Callable[[int, int], bool],
        changed: Callable[[int], None],
        fence: Callable[[int], None],
        discarded: Callable[[int, set[int]], None],
    ) -> "Mirror":
        """Another mirror in the same state, between other machines."""
        twin = Mirror(carries, changed, fence, discarded, self._expels)
        zero, one = (
            replace(copy, data=set(copy.data), history=set(copy.history)) for copy in self.copies
        )
        twin.copies = (zero, one)
        twin._generation, twin._ready_since = self._generation, self._ready_since
        twin._sync_done, twin._source = self._sync_done, self._source
        twin.missed_ends, twin.is_end_unseen = self.missed_ends, self.is_end_unseen
        twin._is_end_told = self._is_end_told
        return twin

    def under_way(self, now: float) -> tuple[float | None, int, float]:
        """For how long both have been looking for each other; the resync's source, and its rest."""
        ready = None if self._ready_since is None else now - self._ready_since
        return ready, self._source, max(self._sync_done - now, 0.0)

    def show(self, node: int) -> Resource:
        copy, peer = self.copies[node], self.copies[1 - node]
        known = (copy.marks_peer if copy.is_attached else None) or Disk.UNKNOWN
        peer_disk = peer.disk if copy.link in CONNECTED else known
        if self.is_stuck(node):
            peer_disk = Disk.INCONSISTENT
        waits = copy.is_suspended or copy.lacks_data
        return Resource(copy.role, copy.link, copy.disk, peer_disk, waits)

    def is_stuck(self, node: int) -> bool:
        """It is the source of a resync that has copied all, and goes on. drbd_receiver.c,
        receive_state: it is told once, and that may overtake what marks the last blocks as copied.
        """
        copy = self.copies[node]
        return copy.has_missed_end and copy.link is Link.SYNC_SOURCE

    def data_of(self, node: int) -> set[int]:
        """What NODE reads: its own copy, or over the wire the other one."""
        copy = self.copies[node]
        return copy.data if copy.has_disk else self.copies[1 - node].data

    def step(self, now: float, detect: float, sync: float) -> None:
        """Lets the kernels notice what changed. DETECT and SYNC are seconds."""
        zero, one = self.copies
        if zero.link is one.link is Link.CONNECTING and not (zero.is_attached and one.is_attached):
            self._ready_since = None
            return
        is_up = self._carries(0, 1) and self._carries(1, 0)
        is_hanging = zero.is_hanging or one.is_hanging
        is_whole = is_up and zero.is_attached and one.is_attached and not is_hanging
        if is_whole and zero.link is one.link is Link.CONNECTED:
            self._ready_since = zero.broken_since = one.broken_since = None
            return
        for node, copy in enumerate(self.copies):
            if not copy.is_attached or copy.link not in CONNECTED:
                continue
            if self._is_owed_for_long(node, now):
                self.lose(node)
                continue
            if is_up and self.copies[1 - node].link in CONNECTED:
                copy.broken_since = None
            elif copy.broken_since is None:
                copy.broken_since = now
            elif now - copy.broken_since >= detect:
                self.lose(node)
        both = all(c.is_attached and c.link is Link.CONNECTING for c in self.copies)
        if not (both and is_up) or is_hanging:  # what it wrote last is waited for
            self._ready_since = None
        elif self._ready_since is None:
            self._ready_since = now
        elif now - self._ready_since >= 0.5:
            self._shake_hands(now, sync)
        source, target = self.copies[self._source], self.copies[1 - self._source]
        is_syncing = (source.link, target.link) == (Link.SYNC_SOURCE, Link.SYNC_TARGET)
        is_over = self.is_stuck(self._source) and target.link is Link.CONNECTED
        if is_over and self._is_end_told and is_up and not is_hanging:
            self._see_end()
        is_done = now >= self._sync_done and not self.is_stuck(self._source)
        if is_syncing and is_up and is_done and not is_hanging:
            self._finish_sync()

    def _is_owed_for_long(self, node: int, now: float) -> bool:
        """The peer's disk hangs, and a write here has waited for it: ko-count of drbd.conf(5)."""
        copy, peer = self.copies[node], self.copies[1 - node]
        if copy.pending is None or not (peer.has_disk and peer.is_hanging):
            copy.owed_since = None
        elif copy.owed_since is None:
            copy.owed_since = now
        return copy.owed_since is not None and now - copy.owed_since >= self._expels

    def lose(self, node: int) -> None:
        copy, peer = self.copies[node], self.copies[1 - node]
        is_part = peer.disk is Disk.INCONSISTENT or self.is_stuck(node)
        known = Disk.INCONSISTENT if is_part else None
        copy.link, copy.broken_since, copy.owed_since = Link.CONNECTING, None, None
        if not copy.has_disk:
            # "Not fencing peer, I'm not even Consistent myself": conn_try_outdate_peer.
            copy.lacks_data = copy.role is Role.PRIMARY
            self.changed(node)
            return
        copy.marks_peer = known
        if copy.role is Role.PRIMARY and known is None:
            copy.is_suspended = True
            self._fence(node)
        elif copy.role is Role.PRIMARY:
            self._write_alone(node)
        self.changed(node)

    def _write_alone(self, node: int) -> None:
        if self.copies[node].has_missed_end:
            return  # drbd_state.c, after_state_ch: not while there is a bitmap since the resync
        self._generation += 1
        self.copies[node].new_generation(self._generation)

    def drop_disk(self, node: int) -> None:
        """The disk fails, and is detached: drbd_state.c, `on-io-error detach` of drbd.conf(5)."""
        copy, peer = self.copies[node], self.copies[1 - node]
        if not (copy.is_attached and copy.has_disk):
            return
        copy.was_primary = copy.was_primary or copy.role is Role.PRIMARY  # MDF_PRIMARY_IND stays
        copy.disk, copy.based_on = Disk.DISKLESS, copy.current
        is_connected = copy.link in CONNECTED and peer.link in CONNECTED
        if is_connected:
            copy.link = peer.link = Link.CONNECTED  # a resync is aborted
            self._stand_in(1 - node)
        is_served = is_connected and peer.disk is Disk.UP_TO_DATE
        copy.lacks_data = copy.role is Role.PRIMARY and not is_served
        peer.lacks_data = peer.lacks_data or (
            is_connected and peer.role is Role.PRIMARY and peer.disk is not Disk.UP_TO_DATE
        )
        for one in (node, 1 - node):
            self.changed(one)

    def detach(self, node: int) -> None:
        """`drbdadm detach`. Raises Refused."""
        copy, peer = self.copies[node], self.copies[1 - node]
        is_served = copy.link is Link.CONNECTED and peer.disk is Disk.UP_TO_DATE
        if copy.has_disk and copy.role is Role.PRIMARY and not is_served:
            raise Refused("Need access to UpToDate data")
        self.drop_disk(node)

    def take_disk(self, node: int, until: float) -> None:
        """`drbdadm attach`, drbd_nl.c; a resync that begins lasts till UNTIL. Raises Refused."""
        copy, peer = self.copies[node], self.copies[1 - node]
        if copy.has_disk or not copy.is_attached or copy.has_failed:
            raise Refused("Can not open backing device")
        is_connected = copy.link in CONNECTED
        is_served = is_connected and peer.disk is Disk.UP_TO_DATE
        is_played = Role.PRIMARY in (copy.role, peer.role if is_connected else None)
        if is_played and not is_served and copy.based_on != copy.current:
            raise Refused("Can only attach to the data we lost last")
        copy.look_at_metadata()
        if is_connected and peer.has_disk:
            source = self._source_of()
            if source is None or (source == node and peer.role is Role.PRIMARY):
                copy.disk = Disk.DISKLESS
            elif source < 0:
                self._join(node)
                self._join(1 - node)
                copy.was_primary = peer.was_primary = False
            else:
                self._join(node)
                self._join(1 - node)
                self._begin_sync(source, until)
        elif is_connected:
            self._join(node)
        for one in (node, 1 - node):
            other = self.copies[1 - one]
            works = Disk.UP_TO_DATE in (self.copies[one].disk, other.disk if is_connected else None)
            self.copies[one].lacks_data = self.copies[one].lacks_data and not works
            self.changed(one)

    def _join(self, node: int) -> None:
        """Consistent and Outdated vanish when two are connected, whatever the other one has
        (sanitize_state): also where it has no disk at all.
        """
        copy = self.copies[node]
        if not copy.has_disk:
            return
        copy.marks_peer, copy.is_outdated = None, False
        if not copy.is_inconsistent:
            copy.disk = Disk.UP_TO_DATE

    def _stand_in(self, node: int) -> None:
        """NODE's disk is the only one of two that are connected. With a Primary a new generation
        begins, once, which the other one is told: after_state_ch, receive_uuids.
        """
        copy, peer = self.copies[node], self.copies[1 - node]
        if not copy.has_disk or peer.has_disk:
            return
        is_played = Role.PRIMARY in (copy.role, peer.role)
        if is_played and copy.disk is Disk.UP_TO_DATE and not copy.bitmap:
            self._write_alone(node)
        peer.based_on = copy.current

    def disconnect(self, node: int) -> None:
        """`drbdadm disconnect`: a Secondary that leaves a Primary is outdated by that alone, and so
        is one that a Primary leaves. Nobody leaves a Primary that has no disk but his. Raises
        Refused.
        """
        copy, peer = self.copies[node], self.copies[1 - node]
        was_connected = copy.link in CONNECTED and peer.link in CONNECTED
        was_standalone = copy.link is Link.STANDALONE
        stuck = {one for one in (node, 1 - node) if self.is_stuck(one)}
        is_heard = was_connected and self._carries(0, 1) and self._carries(1, 0)
        if is_heard and any(c.role is Role.PRIMARY and not c.has_disk for c in (copy, peer)):
            raise Refused("State change was refused by peer node")
        copy.link, copy.discards = Link.STANDALONE, False
        if is_heard and peer.role is Role.PRIMARY and not copy.has_disk:
            # It cannot be outdated, and goes all the same: conn_try_disconnect, CS_HARD.
            self.lose(1 - node)
        elif is_heard:
            peer.link = Link.CONNECTING
            for one, other in ((node, peer), (1 - node, copy)):
                if one in stuck:
                    self.copies[one].marks_peer = Disk.INCONSISTENT
                elif self.copies[one].role is Role.PRIMARY:
                    if other.has_disk and not other.is_inconsistent:
                        other.is_outdated, other.disk = True, Disk.OUTDATED
                    self.copies[one].marks_peer = other.disk if other.has_disk else Disk.OUTDATED
                    self._write_alone(one)
            self.changed(1 - node)
        elif copy.role is Role.PRIMARY and not copy.has_disk:
            copy.lacks_data = True
        elif node in stuck:
            copy.marks_peer = Disk.INCONSISTENT
        elif copy.role is Role.PRIMARY and not copy.marks_peer and not was_standalone:
            # Only now hangs the receiver up, and asks again: drbd_receiver.c, conn_disconnect.
            copy.is_suspended = True
            self._fence(node)
        self.changed(node)

    def connect(self, node: int) -> None:
        if not self.copies[node].is_attached:
            raise Refused("unknown resource")
        if self.copies[node].link is Link.STANDALONE:
            self.copies[node].link = Link.CONNECTING
            self.changed(node)

    def discard(self, node: int) -> None:
        """`drbdadm connect --discard-my-data`, from StandAlone; a Primary is refused."""
        copy = self.copies[node]
        if copy.role is Role.PRIMARY:
            raise Refused("--discard-my-data not allowed when primary")
        if copy.link in CONNECTED:
            return
        self.disconnect(node)
        self.connect(node)
        copy.discards = True

    def outdate(self, node: int) -> None:
        copy = self.copies[node]
        if copy.link in CONNECTED:
            return  # sanitize_state takes it back, and calls that nothing to do
        if copy.role is Role.PRIMARY:
            raise Refused("Need access to UpToDate data")
        if copy.has_disk and not copy.is_inconsistent:
            copy.is_outdated, copy.disk = True, Disk.OUTDATED
        self.changed(node)

    def invalidate(self, node: int, until: float) -> None:
        """`drbdadm invalidate`: all of it is copied again, till UNTIL if that can begin at once.
        Raises Refused.
        """
        copy = self.copies[node]
        if copy.link is Link.CONNECTED:
            self._begin_sync(1 - node, until)
            self.changed(1 - node)
        elif copy.link is Link.STANDALONE and copy.role is Role.SECONDARY:
            copy.disk, copy.is_inconsistent = Disk.INCONSISTENT, True
        else:
            raise Refused("Need a connection to start verify or resync")
        self.changed(node)

    def needs_handler(self, node: int) -> bool:
        """Whether a promotion would ask the fence-peer handler first."""
        copy = self.copies[node]
        is_known = copy.link in CONNECTED or copy.marks_peer is not None
        return not is_known and copy.disk in (Disk.UP_TO_DATE, Disk.CONSISTENT)

    def waits_for_peer(self, node: int) -> bool:
        """Both have to agree to a promotion (cl_wide_st_chg of drbd_state.c), and no word gets
        there: until the connection is lost, and all is judged anew.
        """
        is_up = self._carries(node, 1 - node) and self._carries(1 - node, node)
        return self.copies[node].link in CONNECTED and not is_up

    def promote(self, node: int, answer: int | None) -> None:
        """Raises Refused. ANSWER is the handler's, if it was asked. Not to be called while it
        `waits_for_peer`.
        """
        copy, peer = self.copies[node], self.copies[1 - node]
        if copy.role is Role.PRIMARY:
            return
        if copy.link in CONNECTED:
            if peer.role is Role.PRIMARY:
                raise Refused("Multiple primaries not allowed by config")
            if Disk.UP_TO_DATE not in (copy.disk, peer.disk):
                raise Refused("Need access to UpToDate data")
        elif self.needs_handler(node):
            judged = self._judge(node, answer)
            if judged is None and copy.disk is Disk.UP_TO_DATE:
                raise Refused("Refusing to be Primary while peer is not outdated")
            if judged is None:
                raise Refused("Need access to UpToDate data")
            copy.marks_peer, copy.disk, copy.is_suspended = judged, Disk.UP_TO_DATE, False
        elif copy.disk is not Disk.UP_TO_DATE:
            raise Refused("Need access to UpToDate data")
        copy.role = Role.PRIMARY
        if copy.link not in CONNECTED:
            self._write_alone(node)
        for one in (0, 1):
            if copy.link in CONNECTED:
                self._stand_in(one)
        self.changed(node)

    def demote(self, node: int) -> None:
        copy = self.copies[node]
        if copy.pending is not None and (copy.is_suspended or copy.lacks_data):
            raise Refused("State change failed: Device is held open by someone")
        copy.role, copy.pending = Role.SECONDARY, None
        if copy.link in CONNECTED or copy.marks_peer:
            # Else nothing but the peer's fate, or a disk, ends it: drbd_state.c.
            copy.is_suspended = copy.lacks_data = False
        self.changed(node)

    def answer(self, node: int, answer: int) -> None:
        """The handler of a frozen Primary ended. Where the disk failed meanwhile nothing is written
        down: the kernel falls over it (drbd_uuid_new_current of Linux 6.12 does not ask for a
        disk), which starts the machine anew. Here it goes on waiting.
        """
        copy = self.copies[node]
        if not copy.is_suspended or copy.link in CONNECTED or not copy.has_disk:
            return
        judged = self._judge(node, answer)
        if judged is not None:
            copy.marks_peer, copy.is_suspended = judged, False
            self._write_alone(node)
            self.changed(node)

    def _judge(self, node: int, answer: int | None) -> Disk | None:
        """What the peer's disk is by the handler's ANSWER; None if it proves nothing."""
        copy = self.copies[node]
        if answer == IS_PRIMARY and copy.role is not Role.PRIMARY:
            copy.is_outdated, copy.disk = True, Disk.OUTDATED
            self.changed(node)
        if answer is None or (answer == IS_DOWN and copy.disk is not Disk.UP_TO_DATE):
            return None
        return JUDGED.get(answer)

    def write(self, node: int, number: int) -> bool:
        """The guest on NODE writes NUMBER; whether it is acknowledged. If not, it stays pending."""
        copy, peer = self.copies[node], self.copies[1 - node]
        if copy.pending is not None:
            number = copy.pending
        copy.pending = number
        if copy.is_suspended or copy.lacks_data:
            return False
        if copy.has_disk and not copy.is_hanging:
            copy.data.add(number)
        if copy.link in CONNECTED and peer.has_disk:
            if not self._carries(node, 1 - node) or peer.link not in CONNECTED:
                return False
            if peer.is_hanging:
                return False
            peer.data.add(number)
            if not self._carries(1 - node, node):
                return False
        if copy.has_disk and copy.is_hanging:
            return False
        copy.pending = None
        return True

    def _shake_hands(self, now: float, sync: float) -> None:
        self._ready_since = None
        zero, one = self.copies
        # drbd_receiver.c, drbd_do_auth: who is answered wrongly gives up for good.
        if zero.secret != one.secret or zero.role is one.role is Role.PRIMARY:
            self._part()
            return
        if not (zero.has_disk and one.has_disk):
            self._meet_without_disk()
            return
        source = self._source_of()
        if source is None:
            self._part()
            return
        for node in (0, 1):
            ours, theirs = self.copies[node], self.copies[1 - node]
            if source < 0 and ours.is_suspended and theirs.disk is Disk.CONSISTENT:
                # drbd_receiver.c, receive_state: a rebooted peer cannot take what waited. It hangs
                # up, asks its handler again, and meets the peer as the newer one.
                self._write_alone(node)
                self._fence(node)
                source = node
        if source >= 0 and self.copies[1 - source].role is Role.PRIMARY:
            self._hang_up(1 - source)  # a Primary is never overwritten
            # drbd_receiver.c, receive_state: for a moment it was to bring the other up to date.
            self.copies[source].marks_peer = None
            return
        for copy, peer in (self.copies, self.copies[::-1]):
            if source < 0 and copy.role is Role.PRIMARY:
                peer.data |= copy.data  # what was under way is sent again
            copy.marks_peer, copy.is_suspended, copy.is_outdated = None, False, False
            copy.link, copy.disk, copy.discards = Link.CONNECTED, Disk.UP_TO_DATE, False
            copy.has_missed_end = False
            if source < 0:
                copy.was_primary = False  # drbd_state.c, after_state_ch: both are UpToDate
        if source >= 0:
            self._begin_sync(source, now + sync)
        for node in (0, 1):
            self.changed(node)

    def _meet_without_disk(self) -> None:
        """One of the two has no disk, or neither has one."""
        for node in (0, 1):
            copy, peer = self.copies[node], self.copies[1 - node]
            is_stale = peer.has_disk and peer.current != copy.based_on
            if not copy.has_disk and copy.role is Role.PRIMARY and is_stale:
                # receive_uuids, "Can only connect to data with current UUID". By then the other one
                # may have heard enough to count as connected for a moment.
                self._join(1 - node)
                self._hang_up(node)
                self.changed(1 - node)
                return
        for node in (0, 1):
            copy, peer = self.copies[node], self.copies[1 - node]
            self._join(node)
            copy.link, copy.discards, copy.is_suspended = Link.CONNECTED, False, False
        for node in (0, 1):
            copy, peer = self.copies[node], self.copies[1 - node]
            self._stand_in(node)
            works = Disk.UP_TO_DATE in (copy.disk, peer.disk)
            copy.lacks_data = copy.role is Role.PRIMARY and not works
        for node in (0, 1):
            self.changed(node)

    def _begin_sync(self, source: int, until: float) -> None:
        target = self.copies[1 - source]
        self.copies[source].link, target.link = Link.SYNC_SOURCE, Link.SYNC_TARGET
        target.disk, target.is_inconsistent = Disk.INCONSISTENT, True
        self._sync_done, self._source = until, source
        self._discarded(1 - source, target.data - self.copies[source].data)

    def _part(self) -> None:
        for node in (0, 1):
            self._hang_up(node)

    def _hang_up(self, node: int) -> None:
        copy = self.copies[node]
        copy.link, copy.discards = Link.STANDALONE, False
        if copy.role is Role.PRIMARY and copy.has_disk and not copy.marks_peer:
            self._fence(node)  # drbd_receiver.c, conn_disconnect
        self.changed(node)

    def _source_of(self) -> int | None:
        """Who has what the other lacks: 0, 1, -1 for nobody, None for split brain."""
        zero, one = self.copies
        if zero.is_inconsistent and one.is_inconsistent:
            return None
        if zero.is_inconsistent or one.is_inconsistent:
            return 1 if zero.is_inconsistent else 0
        if zero.current == one.current:
            if zero.has_missed_end != one.has_missed_end:
                return 0 if zero.has_missed_end else 1  # rule 34, and 36
            if zero.was_primary != one.was_primary and Role.PRIMARY not in (zero.role, one.role):
                return 0 if zero.was_primary else 1  # its activity log is copied
            return -1
        if zero.current == one.bitmap or zero.current in one.history:
            return 1
        if one.current == zero.bitmap or one.current in zero.history:
            return 0
        if zero.discards != one.discards:
            return 1 if zero.discards else 0
        return None

    def _finish_sync(self) -> None:
        source, target = self.copies[self._source], self.copies[1 - self._source]
        self._discarded(1 - self._source, target.data - source.data)
        target.data = set(source.data)
        source.has_missed_end = True  # it is told with the next step, at the earliest
        self._is_end_told = not self.missed_ends
        self.missed_ends = max(0, self.missed_ends - 1)
        if self.is_end_unseen and not self._is_end_told:
            return
        target.history |= source.history | {target.current, source.bitmap}
        target.current, target.bitmap = source.current, 0
        target.is_inconsistent, target.disk = False, Disk.UP_TO_DATE
        target.was_primary, target.link = False, Link.CONNECTED
        self.changed(1 - self._source)

    def _see_end(self) -> None:
        source = self.copies[self._source]
        source.history.add(source.bitmap)
        source.bitmap, source.has_missed_end = 0, False
        source.was_primary, source.link = False, Link.CONNECTED
        for node in (0, 1):
            self.changed(node)
