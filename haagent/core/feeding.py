# SPDX-License-Identifier: MIT
"""What the watchdog is fed for: whether this machine has proof that it may live on.

T_self is the machine's, and not the agent's: what an agent leaves to the next one in its boot is
said here as well. Nothing in here changes anything.
"""

from haagent.core import proofs
from haagent.core.model import PRESENT, NodeState, Phase, Predecessor


def may_feed(state: NodeState) -> bool:
    """Whether this node has proof that it may live on, for every guest that is or may be here."""
    return not starves_because(state)


def starves_because(state: NodeState) -> str:
    """What the proof that this node may live on lacks; "" if it has one."""
    if state.is_fenced:
        return "this machine has given up"
    timing = state.timing
    confirmed = max(state.peer.confirmed, state.referee.answered)
    for guest, mine in state.guests.items():
        ledger, may_be_here = state.durable.ledgers[guest], proofs.may_be_here(state, guest)
        if mine.phase not in PRESENT and not may_be_here:
            continue
        # safety: these three hold for a lone one as well. Else what hangs here keeps a guest down.
        if mine.phase is Phase.DESTROYING and state.now - mine.since >= timing.watchdog:
            return f"{guest} does not end"
        if may_be_here and ledger.theirs > ledger.term:
            return f"{guest} may be here, and is the other machine's by now"
        if may_be_here and is_blind(state):
            return f"{guest} may be here, and nothing tells"
        if ledger.alone is None and state.now - confirmed >= timing.self_fence:
            return f"{guest} is here, and nobody confirms this machine"
    return ""


def is_blind(state: NodeState) -> bool:
    """It has had all the time that there is to find out what runs here."""
    return state.now - state.blind_since >= state.timing.take


def may_open(state: NodeState) -> bool:
    """Whether an agent that starts in STATE may open the watchdog at once, which feeds it.

    safety: else one that dies again and again would have T_self begin anew each time. Of a watchdog
    that no agent before it armed nothing is known, and it is to be armed.
    """
    return not state.is_armed or may_feed(state)


def is_overdue(state: NodeState) -> bool:
    """The watchdog, which is not to be fed, should have reset this machine by now.

    safety: Linux feeds it when it is closed and does not stop, as for an agent that dies
    (watchdog_release in drivers/watchdog/watchdog_dev.c).
    """
    is_here = any(
        mine.phase in PRESENT or proofs.may_be_here(state, guest)
        for guest, mine in state.guests.items()
    )
    limit = state.timing.watchdog + state.timing.feed
    return state.is_armed and is_here and state.now - state.fed >= limit


def left_by(state: NodeState) -> Predecessor | None:
    """What the next agent of this boot has to know, should this one end now."""
    if not state.is_armed:
        return None
    is_unseen = any(proofs.may_be_here(state, guest) for guest in state.guests)
    return Predecessor(
        confirmed=state.peer.confirmed,
        answered=state.referee.answered,
        fed=state.fed,
        blind_since=state.blind_since if is_unseen else None,
    )
