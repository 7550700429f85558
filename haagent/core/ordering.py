# SPDX-License-Identifier: MIT
"""Which guests are started before which, and how long is waited between them.

Owns that rule and nothing of the proofs: a guest that has both is kept back for a while, and never
started sooner because of it. It is kept back for what is on its way on either machine, not for what
cannot be started: a mail server without its directory is more than no mail server.
"""

from collections.abc import Iterable

from haagent.core import proofs
from haagent.core.model import GuestState, NodeState, Pair, Phase

BEGINNING = frozenset({Phase.PROMOTING, Phase.CREATING})
USUAL = 50  # the place of a guest that nobody gave one


def sorted_by_place(pair: Pair, guests: Iterable[str]) -> list[str]:
    return sorted(guests, key=lambda guest: (place(pair, guest), guest))


def place(pair: Pair, guest: str) -> int:
    return pair.places.get(guest, USUAL)


def waits_for(state: NodeState, guest: str) -> str | None:
    """A guest that comes before GUEST and is not up yet, or not for long enough; None: none."""
    for other, mine in state.guests.items():
        if place(state.pair, other) >= place(state.pair, guest):
            continue
        if _is_on_its_way(state, other, mine) or _is_young(state, other, mine):
            return other
    return None


def _is_on_its_way(state: NodeState, other: str, mine: GuestState) -> bool:
    if mine.phase in BEGINNING:
        return True
    if mine.phase is Phase.RELEASED and mine.request is not None:
        return True  # the peer is about to agree, or to have it
    words = proofs.hello_of(state, other)
    if words is None or not proofs.is_talking(state):
        return False
    return words.phase in BEGINNING or (words.phase is Phase.RELEASED and bool(words.request))


def _is_young(state: NodeState, other: str, mine: GuestState) -> bool:
    """It was created here a moment ago, and what depends on it is to find it ready."""
    pause = state.pair.pauses.get(other, 0.0)
    return mine.phase is Phase.HOLDING and state.now - mine.created < pause
