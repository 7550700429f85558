# SPDX-License-Identifier: MIT
"""A machine that cannot write its state down any more: its stick was pulled, died, or is full.

Owns what that means, from the first failed save to the end of the boot: a stick that is plugged in
again is another device, and does not have what was decided since. Such a machine takes no term,
makes no promise and relies on none. It goes on with what it holds, for which all was on disk
before. It yields, ends, and signs a guest off, for that only gives away; and what it learns of the
peer's claims it keeps in memory. Whoever comes back with the older state finds itself where a
machine finds itself that was dead meanwhile.

One promise it can still make, for DRBD writes that one down, on the data disk: a copy that is
marked Outdated is started by nobody before it has met the peer's again.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from haagent.core.blockers import Blocker
from haagent.core.model import GONE, NEVER, STALE, GuestHello, Ledger, NodeState, Phase
from haagent.core.wish import RUNS

if TYPE_CHECKING:
    from haagent.core.turn import Turn


def in_words(name: str) -> str:
    return Blocker.STATELESS.value.format(me=name)


def refusal(state: NodeState) -> str | None:
    """Why whatever must be written down is refused here, in a sentence; None if it is not."""
    return in_words(state.pair.names[state.me]) if state.is_stateless else None


def has_peer_lost_it(state: NodeState) -> bool:
    """The peer says so of itself, and it stays so for the rest of its boot."""
    hello = state.peer.hello
    is_recent = state.now - state.peer.hello_at <= state.timing.dead
    return hello is not None and hello.is_stateless and is_recent


def lose(turn: "Turn", why: str) -> None:
    """Takes note, once, and drops whatever would have to be written down to go on."""
    if turn.state.is_stateless:
        return
    turn.set(is_stateless=True, lost_because=why)
    turn.say("", f"the stick cannot be written any more: {why}")
    turn.say("", "from now on nothing is started here and nothing promised; what runs, runs on")
    for guest, mine in turn.state.guests.items():
        if mine.phase is Phase.PROMOTING:
            continue  # its term and its grounds were on disk when it began
        turn.set_guest(
            guest, request=None, grant=None, is_confirmed=False, proposal=None, proposed=NEVER
        )
        turn.write(guest, evidence=0)


def binding(ledger: Ledger, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Those of CHANGES that bind this machine more than LEDGER does, and may be kept in memory.

    safety: everything else would be a claim or a promise that a power cut forgets.
    """
    return {name: value for name, value in changes.items() if _binds(name, value, ledger)}


def _binds(name: str, value: Any, ledger: Ledger) -> bool:
    match name:
        case "theirs":
            return bool(value > ledger.theirs)
        case "alone" | "farewell":
            return value is None
        case "evidence":
            return bool(value == 0)
        case "held_in":
            return bool(value == "")
        case "wish":
            return value.target not in RUNS  # so we start it as little as without it
    return name == "is_parted"  # whether we look for the peer; it claims nothing


def is_marked(state: NodeState, guest: str) -> bool:
    """Our copy is of no use without the peer's, by DRBD's record on the data disk.

    safety: not while it is connected, for then it may be UpToDate again in the next moment.
    """
    resource = state.guests[guest].resource
    return resource is not None and not resource.is_connected and resource.disk in STALE


def has_no_say(state: NodeState, guest: str, words: GuestHello) -> str | None:
    """Why a machine that cannot write need not, or must not, consent to a term of the peer."""
    mine = state.guests[guest]
    if not state.is_stateless:
        return None
    if mine.resource is None or mine.resource.disk in GONE:
        return "nothing can be written down here"
    if words.phase in (Phase.PROMOTING, Phase.CREATING):
        return "the peer has begun, by another proof"
    if mine.farewell is not None and mine.is_in_sync and words.term <= mine.farewell:
        return "we signed it off: the peer may start it by that, and needs the connection"
    return None


def is_bound_by_its_disk(state: NodeState, guest: str) -> bool:
    """We consented to a term of the peer, and the mark on our copy is all that says so.

    It must not connect, which could take the mark away, before the peer has used our consent.
    """
    is_asked = state.guests[guest].grant is not None
    return state.is_stateless and is_asked and is_marked(state, guest)
