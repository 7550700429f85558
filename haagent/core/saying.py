# SPDX-License-Identifier: MIT
"""What a node says of itself, in every hello. Changes nothing."""

from collections.abc import Iterator, Mapping
from itertools import islice

from haagent.core import proofs, stateless
from haagent.core.model import (
    Disk,
    Figures,
    GuestHello,
    GuestState,
    Hello,
    Ledger,
    Link,
    NodeState,
    Path,
    Phase,
)

TOLD = 3  # troubles; a hello must not grow beyond what can be sent


def hello(state: NodeState) -> Hello:
    """Our public state."""
    timing = state.timing
    heard_boot, heard = _heard(state)
    return Hello(
        node=state.me,
        boot=state.boot,
        number=state.number,
        heard_boot=heard_boot,
        heard=heard,
        scale=state.pair.scale,
        figures=Figures(state.is_armed, timing.self_fence, timing.watchdog, timing.feed),
        has_referee=proofs.has_referee(state),
        guests={
            guest: _about(state, guest, mine, state.durable.ledgers[guest])
            for guest, mine in state.guests.items()
        },
        is_leaving=state.left is not None,
        in_maintenance=state.durable.in_maintenance,
        is_stateless=state.is_stateless,
        room=state.measured.room,
        troubles=dict(islice(_troubles(state), TOLD)),
        lan=state.durable.lan,
        lan_runs=state.pair.lan,
        lan_trouble=state.lan_trouble,
        release=state.pair.release,
        memory=state.measured.memory,
    )


def _heard(state: NodeState) -> tuple[str, Mapping[Path, int]]:
    """The boot that we answer, and what we heard of it: the known one, or else one that we met."""
    peer = state.peer
    if peer.met and not proofs.is_talking(state):
        return peer.met, dict(peer.met_numbers)
    numbers = {path: heard.number for path, heard in peer.paths.items()}
    return peer.hello.boot if peer.hello else "", numbers


def _troubles(state: NodeState) -> Iterator[tuple[str, str]]:
    return ((guest, mine.trouble) for guest, mine in state.guests.items() if mine.trouble)


def _about(state: NodeState, guest: str, mine: GuestState, ledger: Ledger) -> GuestHello:
    resource = mine.resource
    is_answered = mine.phase is Phase.RELEASED  # not while our copy is being marked
    if state.is_stateless and not stateless.is_marked(state, guest):
        is_answered = False
    return GuestHello(
        term=ledger.term,
        theirs=ledger.theirs,
        phase=mine.phase,
        disk=resource.disk if resource else Disk.UNKNOWN,
        is_connected=mine.is_connected and not _is_source(mine),
        is_alone=ledger.alone is not None,
        request=mine.request,
        grant=mine.grant if is_answered else None,
        promise=ledger.promise,
        stands_down=ledger.stands_down,
        evidence=ledger.evidence,
        returned=ledger.returned,
        farewell=mine.farewell,
        keeps_farewell=ledger.farewell is not None,
        choice=ledger.choice,
        proposal=mine.proposal,
        is_refused=proofs.is_refused(mine, ledger),
        has_dropped=mine.has_dropped,
        differs=state.measured.differs.get(guest, -1),
        wish=ledger.wish,
    )


def _is_source(mine: GuestState) -> bool:
    """Our DRBD brings the peer's copy up to date.

    safety: it would not freeze us without a peer whose copy is not whole: we would write alone at
    once. The peer sees the end of a resync before we do, and we may miss it. So by our last word
    the two are not one, whatever the peer sees.
    """
    return mine.resource is not None and mine.resource.link is Link.SYNC_SOURCE
