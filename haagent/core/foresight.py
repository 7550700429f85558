# SPDX-License-Identifier: MIT
"""If the peer died now, what would become of each guest here?

Pure, and no rule of its own: it lets the core itself decide on what would happen from now on. The
peer says nothing any more; DRBD notices in the longest time that it may take; the gateway goes on
answering, or not answering, as it does now; whatever this node does to its own guests succeeds at
once, unless it has no memory for one. What is decided here is only imagined and must never be done.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from haagent.core import actions, events, fitting, hanging, lacking, proofs
from haagent.core.blockers import Blocker
from haagent.core.copying import replace
from haagent.core.decide import decide
from haagent.core.events import Deed, Event
from haagent.core.model import (
    HELD,
    STALE,
    Disk,
    FenceAnswer,
    Link,
    NodeState,
    Phase,
    Resource,
    Role,
)

LOOKS_AHEAD = 3  # times the longest wait of the rules: whoever has not started then never does


class Fate(StrEnum):
    """What would become of a guest on this node."""

    STARTS = "starts"
    GOES_ON = "goes on"
    NOT = "would not run"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What would become of one guest here if the peer died at the moment that was judged."""

    fate: Fate
    phase: Phase  # of the guest at that moment
    at: float  # that moment
    seconds: float  # from the death: until the start is decided, or until writes go on
    missing: tuple[str, ...]  # for NOT: what would still stand in the way; sentences


PENDING: Mapping[Phase, Deed] = {
    Phase.FORFEITING: Deed.OUTDATE,
    Phase.PROMOTING: Deed.PROMOTE,
    Phase.CREATING: Deed.CREATE,
    Phase.STOPPING: Deed.SHUTDOWN,
    Phase.DESTROYING: Deed.DESTROY,
}


def foresee(state: NodeState) -> Mapping[str, Outlook]:
    """The outlook of every guest of STATE."""
    imagined = _Imagined(state)
    imagined.run()
    found = {
        guest: imagined.found.get(guest) or imagined.judge(guest, Fate.NOT)
        for guest in state.guests
    }
    return {guest: _if_it_fits(state, guest, outlook) for guest, outlook in found.items()}


def _if_it_fits(state: NodeState, guest: str, outlook: Outlook) -> Outlook:
    """The rules go on trying a start that Xen refuses; a person would wait for it in vain."""
    why = fitting.in_words(state, state.me, guest) if outlook.fate is Fate.STARTS else None
    return outlook if why is None else replace(outlook, fate=Fate.NOT, missing=(why,))


class _Imagined:
    """This node from now on, with a dead peer and a machine that does at once what it is told."""

    def __init__(self, state: NodeState) -> None:
        self.found: dict[str, Outlook] = {}
        self._first = state
        self._state = state
        self._at = state.now
        self._answers = proofs.has_referee(state)
        self._is_over = state.left is not None or state.is_fenced
        self._waiting: deque[Event] = deque()

    def run(self) -> None:
        timing = self._state.timing
        longest = max(timing.take, proofs.take_after(self._state) or 0.0)
        end = self._at + LOOKS_AHEAD * longest + sum(self._state.pair.pauses.values())
        lost_at = self._at + timing.drbd_notices
        self._begin()
        while not self._is_over and self._at < end and len(self.found) < len(self._state.guests):
            self._at += timing.keepalive
            if self._at >= lost_at:
                self._lose_peer()
            self._waiting.append(events.Tick(self._at))
            self._settle()

    def judge(self, guest: str, fate: Fate) -> Outlook:
        found = self._missing(guest) if fate is Fate.NOT else ()
        why = tuple(lacking.in_words(self._state, guest, blocker) for blocker in found)
        first = self._first
        return Outlook(fate, first.guests[guest].phase, first.now, self._at - first.now, why)

    def _missing(self, guest: str) -> tuple[Blocker, ...]:
        state = self._state
        if state.left is not None:
            return (Blocker.LEAVING,)
        if self._first.is_fenced:
            return (Blocker.GIVEN_UP,)
        found = lacking.blockers(state, guest)
        # That it will have given up tells less than what makes it.
        if rest := tuple(blocker for blocker in found if blocker is not Blocker.GIVEN_UP):
            for disk in (Blocker.NO_DISK, Blocker.DISK_HANGS):
                if disk in rest:
                    return (disk,)
            # Who holds it has the newest copy: what is left is whether the peer is off, said last.
            return rest[-1:] if self._first.guests[guest].phase in HELD else rest
        return found or (Blocker.UNSETTLED,)

    def _begin(self) -> None:
        """What is under way now comes to its end."""
        self._hear_last_words()
        for guest, mine in self._state.guests.items():
            if mine.phase in PENDING:
                self._end(guest, PENDING[mine.phase])
            if mine.resource is not None and mine.resource.is_suspended and not mine.fence_asked:
                self._waiting.append(events.FenceAsked(self._at, guest))
        self._settle()

    def _hear_last_words(self) -> None:
        """The newest hello arrives on every path that had the one before it.

        A hello takes its paths one after the other; between the two a healthy pair looks like one
        that has just lost a cable.
        """
        peer, hello = self._state.peer, self._state.peer.hello
        if hello is None or self._at - peer.hello_at > self._state.timing.keepalive:
            return
        for path, heard in peer.paths.items():
            if heard.number == hello.number - 1:
                self._waiting.append(events.HelloHeard(peer.hello_at, path, hello, peer.format))

    def _lose_peer(self) -> None:
        for guest, mine in self._state.guests.items():
            if mine.resource is not None and mine.resource.is_connected:
                lost = _without_peer(mine.resource)
                self._waiting.append(events.ResourceChanged(self._at, guest, lost))
                if lost.is_suspended:
                    self._waiting.append(events.FenceAsked(self._at, guest))

    def _settle(self) -> None:
        """Takes in what happens at this moment, and all that follows from it at once."""
        while self._waiting and not self._is_over:
            decision = decide(self._state, self._waiting.popleft())
            self._state = decision.state
            for action in decision.actions:
                self._do(action)
        for guest, mine in self._state.guests.items():
            is_lone = mine.phase is Phase.HOLDING and mine.resource and not mine.is_connected
            if is_lone and not hanging.is_hung(self._state, guest):
                held = self._first.guests[guest].phase in HELD
                self._find(guest, Fate.GOES_ON if held else Fate.STARTS)
        if self._is_over or self._state.is_fenced:
            # The whole machine ends its boot, and every guest that went on so far with it.
            self._is_over = True
            self.found.clear()

    def _find(self, guest: str, fate: Fate) -> None:
        if guest not in self.found:
            self.found[guest] = self.judge(guest, fate)

    def _do(self, action: actions.Action) -> None:
        match action:
            case actions.ProbeReferee() if self._answers:
                self._waiting.append(events.RefereeAnswered(self._at, self._at))
            case actions.AnswerFence(guest, answer):
                self._answered(guest, answer)
            case actions.Promote(guest, _):
                self._find(guest, Fate.STARTS)
                self._end(guest, Deed.PROMOTE)
            case actions.Outdate(guest):
                self._end(guest, Deed.OUTDATE)
            case actions.Create(guest):
                self._end(guest, Deed.CREATE)
            case actions.Shutdown(guest):
                self._end(guest, Deed.SHUTDOWN)
            case actions.Destroy(guest):
                self._end(guest, Deed.DESTROY)
            case actions.Connect(guest):
                self._end(guest, Deed.CONNECT)
            case actions.Reset():
                self._is_over = True

    def _answered(self, guest: str, answer: FenceAnswer) -> None:
        resource = self._state.guests[guest].resource
        if resource is not None and answer is not FenceAnswer.UNPROVEN:
            known = replace(resource, is_suspended=False, peer_disk=Disk.OUTDATED)
            self._waiting.append(events.ResourceChanged(self._at, guest, known))

    def _end(self, guest: str, deed: Deed) -> None:
        """DEED succeeds: what the machine shows then, and that it is done."""
        resource = self._state.guests[guest].resource
        if resource is not None:
            now = _after(resource, deed)
            if now != resource:
                self._waiting.append(events.ResourceChanged(self._at, guest, now))
        if deed in (Deed.CREATE, Deed.SHUTDOWN, Deed.DESTROY):
            is_running = deed is Deed.CREATE
            self._waiting.append(events.DomainSeen(self._at, guest, is_running))
        self._waiting.append(events.Done(self._at, guest, deed))


def _without_peer(resource: Resource) -> Resource:
    """RESOURCE as DRBD shows it when the connection is lost (sanitize_state in drbd_state.c)."""
    peer_disk = resource.peer_disk if resource.peer_disk in STALE else Disk.UNKNOWN
    waits = resource.role is Role.PRIMARY and peer_disk is Disk.UNKNOWN
    return replace(
        resource,
        link=Link.CONNECTING,
        peer_disk=peer_disk,
        is_suspended=resource.is_suspended or waits,
    )


def _after(resource: Resource, deed: Deed) -> Resource:
    """RESOURCE when DEED has been done, without a peer."""
    match deed:
        case Deed.OUTDATE:
            disk = resource.disk if resource.disk is Disk.INCONSISTENT else Disk.OUTDATED
            return replace(_without_peer(resource), link=Link.STANDALONE, disk=disk)
        case Deed.PROMOTE if not resource.is_connected:
            return replace(
                resource, role=Role.PRIMARY, disk=Disk.UP_TO_DATE, peer_disk=Disk.OUTDATED
            )
        case Deed.PROMOTE:
            return replace(resource, role=Role.PRIMARY)
        case Deed.SHUTDOWN | Deed.DESTROY:
            return replace(resource, role=Role.SECONDARY, is_suspended=False)
        case Deed.CONNECT if resource.link is Link.STANDALONE:
            return replace(resource, link=Link.CONNECTING)
    return resource
