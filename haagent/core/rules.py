# SPDX-License-Identifier: MIT
"""What a node does with what it knows: the rules that change a turn.

`turn_over` is the judgement of one turn of the loop; the rest is called by core/decide.py and
core/hearing.py when an event cannot wait for it. Whether something is proven is core/proofs.py's to
say.
"""

from haagent.core import (
    agreeing,
    departing,
    doubting,
    feeding,
    hanging,
    lacking,
    moving,
    proofs,
    relocating,
    resolving,
    saying,
    speaking,
    starting,
    stateless,
    wishing,
)
from haagent.core.actions import (
    AnswerFence,
    Connect,
    Destroy,
    Feed,
    FinishLeaving,
    Outdate,
    ProbePeer,
    ProbeReferee,
    Reset,
    SendHello,
)
from haagent.core.copying import replace
from haagent.core.model import (
    GONE,
    PRESENT,
    Disk,
    Evidence,
    FenceAnswer,
    Phase,
    Role,
    next_term,
    owner,
)
from haagent.core.turn import Turn

REMEMBERED = 64  # of our own hellos, to know when the one that the peer confirms was sent


def turn_over(turn: Turn) -> None:
    """Judges everything once; called when the loop's queue is empty."""
    state = turn.state
    stalled = state.now - state.ticked > state.timing.stall
    is_connected = any(mine.is_connected for mine in state.guests.values())
    peer = replace(state.peer, connected=state.now) if is_connected else state.peer
    turn.set(ticked=state.now, peer=peer)
    if stalled:
        doubting.doubt(turn, f"our loop stood still for {state.now - state.ticked:.1f} s")
    if not proofs.has_referee(state):
        doubting.break_chains(turn, "the gateway does not answer us")
    _watch_peer(turn)
    _watch_referee(turn)
    for guest in turn.state.guests:
        _settle(turn, guest)
        stand_in(turn, guest)
        _adopt(turn, guest)
        agreeing.stand_down(turn, guest)
        _hold(turn, guest)
        _leave(turn, guest)
        wishing.look(turn, guest)
        departing.depart(turn, guest)
        _revive(turn, guest)
        resolving.look(turn, guest)
        agreeing.ask(turn, guest)
        starting.start(turn, guest)
        _reconnect(turn, guest)
        _repeat(turn, guest)
    relocating.look(turn)
    hanging.look(turn)
    for guest in turn.state.guests:
        lacking.tell(turn, guest)
    _feed(turn)
    _send(turn)
    _finish_leaving(turn)


def yield_to_higher_term(turn: Turn, guest: str) -> None:
    """The peer owns the guest now: whatever runs here ends at once."""
    mine, ledger = turn.mine(guest), turn.ledger(guest)
    may_be_here = mine.phase is Phase.PROMOTING or mine.phase in PRESENT - {Phase.DESTROYING}
    if ledger.theirs > ledger.term and may_be_here:
        destroy(turn, guest, f"the peer took it in term {ledger.theirs}")


def _watch_peer(turn: Turn) -> None:
    hears = proofs.is_talking(turn.state)
    if hears != turn.state.hears_peer:
        turn.set(hears_peer=hears)
        peer = turn.state.pair.names[1 - turn.state.me]
        turn.say("", f"{peer} is heard" if hears else f"{peer} is silent on every path")


def _watch_referee(turn: Turn) -> None:
    state = turn.state
    if not proofs.has_usable_referee(state):
        if state.usable_since is not None:
            turn.set(usable_since=None, unusable_since=state.now)
    elif state.usable_since is None:
        turn.set(usable_since=state.now)


def _settle(turn: Turn, guest: str) -> None:
    """A freshly started agent finds out what is here, and then answers who asked meanwhile."""
    mine = turn.mine(guest)
    if mine.phase is not Phase.RELEASED:
        return
    if mine.resource is None or mine.is_running is None:
        _wait_to_see(turn, guest)
        return
    _take_up(turn, guest)
    if mine.fence_asked and turn.mine(guest).phase is not Phase.FROZEN:
        turn.set_guest(guest, fence_asked=False)
        turn.act(AnswerFence(guest, FenceAnswer.UNPROVEN))


def _wait_to_see(turn: Turn, guest: str) -> None:
    state, mine = turn.state, turn.mine(guest)
    if state.is_fenced or not proofs.may_be_here(state, guest) or not feeding.is_blind(state):
        return
    # safety: nobody could end it here, and nobody knows whether that is to be done.
    turn.set(is_fenced=True)
    who = "DRBD" if mine.resource is None else "Xen"
    turn.say(guest, f"{who} does not tell what is here of it: giving up")


def _take_up(turn: Turn, guest: str) -> None:
    """What was held in this boot is taken up, and anything else ended."""
    state, mine, ledger = turn.state, turn.mine(guest), turn.ledger(guest)
    if mine.resource is None or proofs.is_settled(state, guest):
        return
    is_ours = ledger.held_in == state.boot and ledger.theirs <= ledger.term
    if is_ours and mine.is_running and mine.resource.role is Role.PRIMARY:
        if mine.resource.is_suspended:
            # safety: the agent before us may have ended before it said so to DRBD. But the two may
            # have met meanwhile as well, and parted again.
            turn.write(guest, alone=None)
        turn.move(guest, Phase.HOLDING, "the agent is back")
        notice_loss(turn, guest)
    else:
        destroy(turn, guest, "it is here, and not ours")


def stand_in(turn: Turn, guest: str) -> None:
    """The peer's disk failed, and ours serves both: it has all as long as it works itself."""
    mine, hello = turn.mine(guest), proofs.hello_of(turn.state, guest)
    resource = mine.resource
    if resource is None or resource.disk is not Disk.UP_TO_DATE or mine.is_in_sync:
        if mine.is_only_copy:
            turn.set_guest(guest, is_only_copy=False)
        if resource is not None and resource.disk in GONE and mine.is_unbroken:
            turn.set_guest(guest, is_unbroken=False)  # what it has misses all from here on
        return
    # Who dies of it may be gone before DRBD is read again; its last word is as good.
    by_word = hello is not None and hello.is_connected and hello.disk in GONE
    if mine.is_unbroken and (by_word or (resource.is_connected and resource.peer_disk in GONE)):
        turn.set_guest(guest, is_only_copy=True)
    if not proofs.is_met_without_disk(turn.state, guest) or hello is None:
        return
    # A Primary without a disk is connected to nobody but who has what it wrote to: receive_uuids,
    # drbd_adm_attach in drivers/block/drbd of Linux 6.12.
    is_served = hello.phase is Phase.HOLDING and hello.term == turn.ledger(guest).term
    if turn.mine(guest).is_only_copy or is_served:
        turn.set_guest(guest, is_only_copy=True, is_unbroken=True)
        if mine.phase is Phase.FORFEITING:
            turn.move(guest, Phase.RELEASED, "the peer has no disk but ours")


def _adopt(turn: Turn, guest: str) -> None:
    """In sync, both copies are one: ours belongs to the highest term."""
    mine, ledger = turn.mine(guest), turn.ledger(guest)
    hello = proofs.hello_of(turn.state, guest)
    if (
        not mine.is_in_sync
        or hello is None
        or not hello.is_connected
        or hello.disk is not Disk.UP_TO_DATE
        or not proofs.is_talking(turn.state)
        or proofs.is_doubting(turn.state)
    ):
        return
    if not mine.is_unbroken:
        turn.set_guest(guest, is_unbroken=True)
    if hello.term == ledger.term and mine.failed_from is not None:
        turn.set_guest(guest, failed_from=None)  # the other one has taken note
    if turn.state.is_stateless:
        return
    term = max(ledger.theirs, hello.term)
    # safety: what may run here, unseen yet, runs in the term that it was started in.
    is_idle = mine.phase is Phase.RELEASED and not proofs.may_be_here(turn.state, guest)
    is_holders = mine.phase is Phase.HOLDING and owner(term) == turn.state.me
    if term > ledger.term and (is_idle or is_holders):
        turn.write(guest, term=term, by_operator=False)
        turn.say(guest, f"in sync: our copy is of term {turn.ledger(guest).term}")


def notice_loss(turn: Turn, guest: str) -> None:
    """DRBD lost the peer of a guest that runs here, or found it again."""
    mine, resource = turn.mine(guest), turn.mine(guest).resource
    if resource is None:
        return
    if mine.phase is Phase.HOLDING and not resource.is_connected:
        if turn.ledger(guest).alone is None:
            turn.move(guest, Phase.FROZEN, "DRBD lost the peer")
    elif proofs.has_peer_back(turn.state, guest):
        turn.set_guest(guest, request=None, fence_asked=False)
        if mine.phase is Phase.FROZEN:
            turn.move(guest, Phase.HOLDING, "DRBD is connected again")


def _hold(turn: Turn, guest: str) -> None:
    """A holder without its peer goes on alone with evidence, or gives up in time."""
    state, mine = turn.state, turn.mine(guest)
    if mine.resource is None or not proofs.is_waiting(state, guest):
        return
    found = proofs.evidence(state, guest)
    if found is not None and (mine.fence_asked or not mine.resource.is_suspended):
        _go_on_alone(turn, guest, found)
        return
    lost, timing = proofs.lost_since(state, guest), state.timing
    deadline = min(lost, state.peer.confirmed) + timing.self_fence + timing.resume
    if state.now >= deadline:
        # safety: the peer may take over soon; nothing of ours may be left by then.
        turn.set(is_fenced=True)
        why = stateless.refusal(state) or "nothing proves that the peer is off"
        destroy(turn, guest, f"{why}: giving up")


def _go_on_alone(turn: Turn, guest: str, found: Evidence) -> None:
    mine, ledger = turn.mine(guest), turn.ledger(guest)
    term = next_term(turn.state.me, max(ledger.term, ledger.theirs))
    if found is Evidence.PEER_OUTDATED and mine.request is not None:
        term = mine.request.term
    # safety: the term rises on disk before the handler answers and one more write is acknowledged.
    turn.write(guest, term=term, alone=found)
    if mine.fence_asked:
        is_outdated = found is Evidence.PEER_OUTDATED
        answer = FenceAnswer.PEER_OUTDATED if is_outdated else FenceAnswer.PEER_OFF
        turn.act(AnswerFence(guest, answer))
    turn.set_guest(guest, fence_asked=False, request=None)
    if mine.phase is Phase.FROZEN:
        turn.move(guest, Phase.HOLDING, f"alone in term {term}: {found}")
    else:
        turn.say(guest, f"it goes on stopping, alone in term {term}: {found}")


def _revive(turn: Turn, guest: str) -> None:
    """Xen tells once that a domain ended: that may have been while its writes waited."""
    state, mine = turn.state, turn.mine(guest)
    is_away = mine.phase is Phase.HOLDING and mine.is_running is False
    if is_away and state.now - mine.since >= state.timing.dead:  # no news of its start on the way
        wishing.again(turn, guest, "it ended by itself")


def destroy(turn: Turn, guest: str, why: str) -> None:
    turn.set_guest(guest, request=None, taking=None, is_confirmed=False, fence_asked=False)
    turn.move(guest, Phase.DESTROYING, why)
    turn.act(Destroy(guest))


def _feed(turn: Turn) -> None:
    """Feeds the watchdog. What is said when that ends may be the last of this boot."""
    lacks = feeding.starves_because(turn.state)
    if not lacks:
        turn.set(fed=turn.state.now)
        turn.act(Feed())
    elif feeding.is_overdue(turn.state):
        turn.say("", "the watchdog has not reset this machine, which must not go on")
        turn.act(Reset(is_overdue=True))
    is_fed = not lacks
    if is_fed != turn.state.is_fed:
        turn.set(is_fed=is_fed)
        ended = f"the watchdog is not fed: {lacks}"
        turn.say("", "the watchdog is fed again" if is_fed else ended)


def _leave(turn: Turn, guest: str) -> None:
    if turn.state.left is None:
        return
    match turn.mine(guest).phase:
        case Phase.HOLDING:
            moving.let_go(turn, guest, "this machine leaves")
        case Phase.FROZEN:
            destroy(turn, guest, "this machine leaves")


def _finish_leaving(turn: Turn) -> None:
    state = turn.state
    if state.left is None:
        return
    if any(
        mine.phase is not Phase.RELEASED or proofs.may_be_here(state, guest)
        for guest, mine in state.guests.items()
    ):
        return
    signed_off = [
        guest
        for guest, mine in state.guests.items()
        if mine.farewell is not None and wishing.is_wanted(state, guest)
    ]
    taken = all(
        (hello := proofs.hello_of(state, guest)) is not None and hello.phase is Phase.HOLDING
        for guest in signed_off
    )
    if taken or not proofs.is_talking(state) or state.now - state.left > state.timing.take:
        turn.act(FinishLeaving())


def _reconnect(turn: Turn, guest: str) -> None:
    """Takes DRBD's connection up again where we took it down, and where it hung up on a stranger.

    safety: a split brain is left to a person; and should this be one that we do not know of, DRBD
    hangs up again, for every after-sb-* of its configuration is `disconnect`.
    """
    mine, resource = turn.mine(guest), turn.mine(guest).resource
    is_calm = mine.phase in (Phase.RELEASED, Phase.HOLDING)
    is_ours = turn.ledger(guest).is_parted and not resolving.is_giving_up(turn.state, guest)
    is_to_try = is_ours or proofs.has_hung_up(turn.state, guest)
    if stateless.is_bound_by_its_disk(turn.state, guest):
        return
    if is_to_try and is_calm and resource is not None and turn.state.now >= mine.reconnect_at:
        turn.act(Connect(guest))
        turn.set_guest(guest, reconnect_at=turn.state.now + turn.state.timing.dead)


def _repeat(turn: Turn, guest: str) -> None:
    """Tries again what failed and must not stay undone."""
    mine = turn.mine(guest)
    if turn.state.now < mine.retry_at or mine.retry_at <= mine.since:
        return
    match mine.phase:
        case Phase.FORFEITING:
            turn.act(Outdate(guest))
        case Phase.DESTROYING:
            turn.act(Destroy(guest))
        case _:
            return
    turn.set_guest(guest, retry_at=turn.state.now + turn.state.timing.dead)


def _send(turn: Turn) -> None:
    state = turn.state
    is_vacant = proofs.is_vacant(state)  # then the peer's addresses are nobody's
    if not is_vacant:
        turn.set(number=state.number + 1, sent=(*state.sent[-REMEMBERED + 1 :], state.now))
        turn.act(SendHello(saying.hello(turn.state), speaking.formats(turn.state)))
    turn.act(ProbeReferee())
    if not is_vacant and state.now - proofs.last_word(state) > 2 * state.timing.keepalive:
        turn.act(ProbePeer())
