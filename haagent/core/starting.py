# SPDX-License-Identifier: MIT
"""Starting a guest: when one may be started here, and the step from the two proofs to DRBD.

Whether something is proven is core/proofs.py's to say.
"""

from haagent.core import hanging, lacking, ordering, proofs, resolving, wishing
from haagent.core.actions import Promote
from haagent.core.model import Evidence, Newest, NodeState, PeerOff, Phase, Taking, next_term
from haagent.core.turn import Turn

OPERATORS_LEAP = 1000  # terms


def may_start(state: NodeState, guest: str) -> bool:
    """Whether nothing of our own forbids it; the proofs are another matter."""
    mine = state.guests[guest]
    return (
        mine.phase is Phase.RELEASED
        and proofs.is_settled(state, guest)
        and state.now >= mine.retry_at
        and state.left is None
        and not state.is_fenced
        and not state.is_stateless
        and not hanging.is_hung(state, guest)
        and (mine.is_confirmed or not state.durable.ledgers[guest].stands_down)
        and (mine.is_confirmed or not state.durable.in_maintenance)
        and wishing.is_wanted(state, guest)
        and (mine.is_confirmed or ordering.waits_for(state, guest) is None)
        and (mine.is_confirmed or not resolving.is_giving_up(state, guest))
    )


def start(turn: Turn, guest: str) -> None:
    """Starts the guest if, and only if, both questions have a proof."""
    state, ledger = turn.state, turn.ledger(guest)
    if not may_start(state, guest):
        return
    off, newest = proofs.peer_off(state, guest), proofs.newest(state, guest)
    if off is None or newest is None:
        return
    mine = turn.mine(guest)
    if off is PeerOff.OPERATOR and (why := lacking.unstartable(state, guest)) is not None:
        # safety: DRBD would refuse, and the risen term would keep the good copy from being started.
        turn.set_guest(guest, is_confirmed=False)
        turn.say(guest, f"it cannot be started here: {why}")
        return
    term = next_term(state.me, max(ledger.term, ledger.theirs))
    if off is PeerOff.OPERATOR:
        # safety: above every term that an absent peer may have taken without our knowledge.
        term = next_term(state.me, term + OPERATORS_LEAP)
    if off is PeerOff.AGREED and mine.request is not None:
        # Where it had to wait, both have adopted that term meanwhile: then it is the next one.
        is_new = mine.request.term > turn.before.durable.ledgers[guest].term
        term = mine.request.term if is_new else term
    is_alone = not mine.is_connected
    # safety: the term rises on disk before DRBD is asked.
    turn.write(
        guest,
        term=term,
        alone=Evidence.TAKEOVER if is_alone else None,
        by_operator=PeerOff.OPERATOR is off,
        evidence=ledger.evidence if off is PeerOff.ALONE else 0,
        held_in=state.boot,
        is_parted=is_alone,
        choice=resolving.overruled(state, guest) if off is PeerOff.OPERATOR else ledger.choice,
    )
    taking = Taking(off, newest, proofs.base_term(state, guest))
    turn.set_guest(guest, taking=taking, farewell=None, grant=None)
    turn.move(guest, Phase.PROMOTING, f"peer off: {off}; our copy: {newest}; term {term}")
    turn.act(Promote(guest, disconnect=is_alone))


def is_proven(state: NodeState, guest: str) -> bool:
    """While DRBD promotes: both proofs still stand."""
    taking = state.guests[guest].taking
    return (
        taking is not None
        and proofs.peer_off(state, guest) is taking.peer_off
        and (taking.newest is Newest.LEFT_BEHIND or proofs.newest(state, guest) is taking.newest)
    )
