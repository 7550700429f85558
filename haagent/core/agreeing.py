# SPDX-License-Identifier: MIT
"""What the two machines agree on about a guest: who has its next term, and who will not start it.

A request is answered, and a promise relied on, only when that is on disk. Whether something is
proven is core/proofs.py's to say; what a node may start is core/starting.py's.
"""

from haagent.core import doubting, moving, proofs, starting, stateless, wishing
from haagent.core.model import (
    GONE,
    PRESENT,
    STALE,
    Disk,
    GuestHello,
    NodeState,
    Phase,
    Request,
    next_term,
    owner,
)
from haagent.core.turn import Turn


def consider_request(turn: Turn, guest: str, words: GuestHello) -> None:
    """Answers the peer's request for a term, once what we promise by it is on disk."""
    state, asked = turn.state, words.request
    mine, ledger = turn.mine(guest), turn.ledger(guest)
    if asked is None:
        if mine.grant is not None:
            turn.set_guest(guest, grant=None)
        return
    if mine.grant is not None and mine.grant.nonce == asked.nonce:
        return
    if _refusal(state, guest, words, asked) or stateless.has_no_say(state, guest, words):
        return
    # Both may ask at once, and agree to each other: then neither starts. The pauses differ.
    pause = state.timing.dead * (1 + state.me)
    turn.set_guest(guest, request=None, retry_at=state.now + pause)
    # safety: first the promise, on disk; then our copy, marked and read back; then the answer.
    turn.write(guest, theirs=asked.term, evidence=0, returned=max(ledger.returned, words.promise))
    turn.set_guest(guest, grant=asked, is_unbroken=False)
    resource = mine.resource
    is_usable = resource is not None and resource.disk not in STALE | GONE
    is_to_be_marked = is_usable and not (mine.is_connected and words.is_connected)
    if state.is_stateless:
        # safety: without a stick it is DRBD that writes the promise down, on the data disk.
        is_to_be_marked = not stateless.is_marked(state, guest)
    if is_to_be_marked:
        doubting.forfeit(turn, guest, f"the peer asks for term {asked.term}")
        return
    turn.say(guest, f"agreed: term {asked.term} is the peer's")


def _refusal(state: NodeState, guest: str, words: GuestHello, asked: Request) -> str | None:
    """Why the peer may not have the term it asks for; None if it may."""
    mine, ledger = state.guests[guest], state.durable.ledgers[guest]
    if mine.phase is not Phase.RELEASED or not proofs.is_settled(state, guest):
        return "we have it, or are at it"
    if owner(asked.term) == state.me or asked.term <= ledger.term or asked.term < ledger.theirs:
        return "the term is not above all that we know"
    if mine.request is not None and owner(max(ledger.term, ledger.theirs)) == state.me:
        return "we ask for it ourselves, and held it last"
    if words.disk in GONE or mine.is_only_copy:
        # safety: our copy would be marked Outdated, and there may be no other whole one.
        return "the peer's disk has failed"
    is_newest_known = ledger.theirs <= ledger.term
    if mine.resource is not None and mine.resource.has_left_peer_behind and is_newest_known:
        return "the peer's copy is older than ours"
    return None


def keep_promise_of_peer(turn: Turn, guest: str, words: GuestHello) -> None:
    """Relies on a promise of the peer not to start the guest, or gives it back."""
    ledger = turn.ledger(guest)
    if not words.stands_down or words.promise <= ledger.returned or turn.state.is_stateless:
        return
    mine = turn.mine(guest)
    # Without a disk it is of no use to us: who has none goes on alone on no promise.
    is_served = mine.resource is not None and mine.resource.is_served_by_peer
    if _is_steady(turn.state) and (mine.is_in_sync or is_served):
        # safety: given back on disk before the peer hears of it; only then it may start again.
        turn.write(guest, evidence=0, returned=words.promise)
        turn.say(guest, "the gateway answers both again: the peer may take over")
    elif ledger.evidence != words.promise:
        turn.write(guest, evidence=words.promise)
        turn.say(guest, "the peer promised not to start it: no gateway answers both of us")


def stand_down(turn: Turn, guest: str) -> None:
    """Without a usable referee, whoever does not hold the guest promises not to start it."""
    state, mine, ledger = turn.state, turn.mine(guest), turn.ledger(guest)
    hello = proofs.hello_of(state, guest)
    if state.is_stateless:
        return
    if stateless.has_peer_lost_it(state):
        # It can go alone on no promise of ours any more, and nobody else could give it back.
        if ledger.stands_down:
            turn.write(guest, stands_down=False)
            turn.say(guest, "our promise not to start it is void: the peer can rely on none")
        return
    if (
        not ledger.stands_down
        and mine.phase is Phase.RELEASED
        and hello is not None
        and hello.phase in PRESENT
        and proofs.is_talking(state)
        and state.usable_since is None
        and state.now - state.unusable_since >= state.timing.referee
    ):
        turn.write(guest, stands_down=True, promise=ledger.promise + 1)
        turn.say(guest, "standing down: no gateway answers both of us")


def ask(turn: Turn, guest: str) -> None:
    """Asks the peer for the next term where its consent is all that is missing."""
    state, mine, ledger = turn.state, turn.mine(guest), turn.ledger(guest)
    if mine.request is not None:
        if state.now - mine.request.at < state.timing.dead or mine.phase is Phase.PROMOTING:
            return
        turn.set_guest(guest, request=None)  # an old question must not find a new answer
    if not proofs.is_talking(state) or not _has_reason_to_ask(state, guest):
        return
    term = next_term(state.me, max(ledger.term, ledger.theirs))
    nonce = state.number + 1  # of our next hello: never used before in this boot
    turn.set_guest(guest, request=Request(nonce, term, state.now))


def _has_reason_to_ask(state: NodeState, guest: str) -> bool:
    mine, ledger, hello = (
        state.guests[guest],
        state.durable.ledgers[guest],
        proofs.hello_of(state, guest),
    )
    if hello is None or proofs.is_present(hello) or state.is_stateless:
        return False
    if proofs.is_waiting(state, guest):
        is_whole = mine.resource is not None and mine.resource.disk is Disk.UP_TO_DATE
        return is_whole and state.now - proofs.lost_since(state, guest) >= state.timing.gasp
    if not starting.may_start(state, guest) or not proofs.may_ask(state, guest):
        return False
    # The last holder goes first, or whom it was handed to; the other if nothing comes of it.
    is_last_holder = owner(max(ledger.term, ledger.theirs)) == state.me
    goes_first = is_last_holder and not moving.is_handed_over(state, guest)
    goes_first = goes_first or wishing.is_our_turn(state, guest)
    return goes_first or state.now - max(mine.since, state.started) >= state.timing.take


def _is_steady(state: NodeState) -> bool:
    """The referee has been usable long enough to rely on it."""
    return state.usable_since is not None and state.now - state.usable_since >= state.timing.referee
