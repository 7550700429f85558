# SPDX-License-Identifier: MIT
"""The plain facts of a state that every page is made of. Pure; it words nothing."""

from collections.abc import Mapping

from haagent.core import proofs
from haagent.core.model import (
    HELD,
    NEVER,
    GuestHello,
    NodeState,
)
from haagent.core.together import names
from haagent.core.wish import Target


def moment(at: float) -> float | None:
    return None if at == NEVER else at


def is_recent(state: NodeState, at: float) -> bool:
    """Not longer ago than a path may be silent."""
    return state.now - at <= state.timing.dead


def is_talking(state: NodeState) -> bool:
    return is_recent(state, state.peer.hello_at)


def hello_of(state: NodeState, guest: str) -> GuestHello | None:
    """What the peer last said about GUEST, however long ago."""
    return state.peer.hello.guests.get(guest) if state.peer.hello else None


def runs_on(state: NodeState, guest: str) -> tuple[str, ...]:
    """The nodes that are known to run GUEST."""
    me, peer = names(state)
    mine, hello = state.guests[guest], hello_of(state, guest)
    here = mine.phase in HELD and mine.is_running is not False
    there = hello is not None and hello.phase in HELD and is_talking(state)
    return (me,) * here + (peer,) * there


def is_as_meant(state: NodeState, guest: str) -> bool:
    """GUEST runs, or is off because somebody wants it so."""
    target = state.durable.ledgers[guest].wish.target
    return target in (Target.STOPPED, Target.OFF) or bool(runs_on(state, guest))


def troubles_of_peer(state: NodeState) -> Mapping[str, str]:
    """Why a person's choice does not get on there, by guest."""
    return state.peer.hello.troubles if state.peer.hello else {}


def is_split_brain(state: NodeState, guest: str) -> bool:
    """Both copies were written without the other, so DRBD will not connect them.

    It goes StandAlone on at least one of the two; the other one may try for ever. DRBD goes
    StandAlone for other reasons, too: that alone is none.
    """
    resource = state.guests[guest].resource
    if resource is None or resource.is_connected:
        return False
    return proofs.wrote_apart(state, guest)


def is_answered(state: NodeState) -> bool:
    """By the gateway."""
    return state.now - state.referee.answered <= state.timing.referee
