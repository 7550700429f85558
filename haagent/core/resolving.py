# SPDX-License-Identifier: MIT
"""Two copies of a guest's disk went apart, and a person says which one counts.

Owns the way from that word to copies that are one again; it never chooses. The word travels in
four steps, each a field of the hello: it is proposed; the other machine writes it down; we write
it down as agreed; so does the other. Until then anything that goes wrong drops it, and nothing was
done. From then on both keep to it, over any power cut: the machine whose copy is given up ends the
guest if it runs there, keeps a copy of its volume if that was asked for, and tells DRBD to give its
data up. DRBD's own account of the resync says when it is over.
"""

from haagent.core import moving, proofs, stateless, together
from haagent.core.actions import Connect, Discard, KeepCopy
from haagent.core.copying import replace
from haagent.core.events import ChoiceAsked, Deed
from haagent.core.model import (
    Choice,
    Disk,
    GuestHello,
    Link,
    NodeState,
    Phase,
    next_term,
)
from haagent.core.together import names
from haagent.core.turn import Turn

RESTING = frozenset({Phase.RELEASED, Phase.HOLDING})  # nothing is under way on that machine
USABLE = frozenset({Disk.UP_TO_DATE, Disk.CONSISTENT, Disk.OUTDATED})
LONGEST_TROUBLE = 200  # characters


def blocker(state: NodeState, guest: str, node: int) -> str | None:
    """Why it cannot be agreed now that NODE's copy of GUEST counts; None if nothing forbids it."""
    for why_not in (_not_there, _not_apart, _not_at_rest):
        if (why := why_not(state, guest)) is not None:
            return why
    return _not_usable(state, guest, node)


def _not_there(state: NodeState, guest: str) -> str | None:
    if (why := together.blocker(state)) is not None:
        return why
    _, peer = names(state)
    return None if proofs.hello_of(state, guest) else f"{peer} does not tell of {guest}"


def _not_apart(state: NodeState, guest: str) -> str | None:
    mine, ledger = state.guests[guest], state.durable.ledgers[guest]
    words = proofs.hello_of(state, guest)
    if ledger.choice.is_open:
        counts = state.pair.names[ledger.choice.node]
        return f"it is being carried out already that the copy on {counts} counts"
    if mine.is_connected or (words is not None and words.is_connected):
        return "its two copies are connected: there is nothing to choose"
    if words is None or not (proofs.is_refused(mine, ledger) or words.is_refused):
        return "DRBD has not refused to connect the two copies"
    if not proofs.wrote_apart(state, guest):
        # safety: DRBD may refuse for other reasons. Of two copies of which one is simply older it
        # would then bring the older one up to date, whichever was chosen.
        return "nothing shows that both copies were written without the other"
    return None


def _not_at_rest(state: NodeState, guest: str) -> str | None:
    me, peer = names(state)
    mine, words = state.guests[guest], proofs.hello_of(state, guest)
    assert words is not None
    if mine.phase not in RESTING or words.phase not in RESTING:
        busy, phase = (me, mine.phase) if mine.phase not in RESTING else (peer, words.phase)
        return f"it is {phase} on {busy}"
    if mine.phase is words.phase is Phase.HOLDING:
        return "it runs on both machines, and the older one is about to end"
    return None


def _not_usable(state: NodeState, guest: str, node: int) -> str | None:
    mine, words = state.guests[guest], proofs.hello_of(state, guest)
    assert words is not None
    if mine.resource is None:
        return "DRBD has not told yet what our copy is"
    disks = {state.me: mine.resource.disk, 1 - state.me: words.disk}
    for which, disk in disks.items():
        name = state.pair.names[which]
        if disk in (Disk.DISKLESS, Disk.UNKNOWN, Disk.FAILED):
            return f"its disk on {name} does not work: DRBD calls it {disk}"
    if disks[node] not in USABLE:
        return f"the copy on {state.pair.names[node]} is {disks[node]}, and no whole disk"
    return None


def propose(turn: Turn, event: ChoiceAsked) -> str | None:
    """Takes a person's word. Why not, in a sentence; None if it is on its way to the peer."""
    guest, state = event.guest, turn.state
    ledger = turn.ledger(guest)
    if (lost := stateless.refusal(state)) is not None:
        return lost
    if event.about:
        return _go_without(turn, event)
    if turn.mine(guest).proposal is not None:
        # Its number is not on any disk yet: a second word would get the same one.
        return f"another choice is on its way to {names(state)[1]}"
    why = blocker(state, guest, event.node)
    if why is not None:
        return why
    words = proofs.hello_of(state, guest)
    highest = max(ledger.choice.number, words.choice.number if words else 0)
    choice = Choice(next_term(state.me, highest), event.node, event.stamp, is_open=True)
    turn.set_guest(guest, proposal=choice, proposed=state.now, trouble="")
    turn.say(guest, f"a person says that the copy on {state.pair.names[event.node]} counts")
    return None


def _go_without(turn: Turn, event: ChoiceAsked) -> str | None:
    """Nothing is kept of what the open choice gives up. Why not, in a sentence."""
    choice = turn.ledger(event.guest).choice
    # safety: the person may have thought for minutes about a choice that was taken back meanwhile.
    # What they say about that one must give up nothing that was written since.
    if not choice.is_open or (choice.number, choice.node) != (event.about, event.node):
        return "that choice is over, and nothing is given up by it any more: look again"
    _write(turn, event.guest, replace(choice, stamp=""))
    turn.set_guest(event.guest, trouble="")
    turn.say(event.guest, "a person goes on without a copy of what is given up")
    return None


def hear(turn: Turn, guest: str, words: GuestHello) -> None:
    """Takes in what the peer proposes, has written down, or has dropped."""
    ours, proposal = turn.ledger(guest).choice, turn.mine(guest).proposal
    if turn.state.is_stateless:
        return
    if proposal is not None and proposal.number <= ours.number:
        turn.set_guest(guest, proposal=None, trouble="another choice came first")
        turn.say(guest, "the choice is dropped: another one came first")
    elif proposal is not None and _is_same(words.choice, proposal):
        turn.set_guest(guest, proposal=None)
        if words.choice.is_open and blocker(turn.state, guest, proposal.node) is None:
            # safety: on disk before the peer hears of it; only then may either act on it.
            _write(turn, guest, replace(proposal, is_agreed=True))
    elif ours.is_open and _is_same(words.choice, ours):
        _compare(turn, guest, words.choice)
    elif ours.is_open and ours.is_agreed:
        _close(turn, guest, "the other machine does not know of the choice any more")
    elif words.proposal is not None and words.proposal.number > ours.number:
        _consider(turn, guest, words.proposal)


def _compare(turn: Turn, guest: str, theirs: Choice) -> None:
    ours = turn.ledger(guest).choice
    if not theirs.is_open:
        _close(turn, guest, "the choice is carried out, or dropped")
        return
    if not ours.is_agreed:
        turn.say(guest, f"agreed: the copy on {turn.state.pair.names[ours.node]} counts")
    stamp = ours.stamp if theirs.stamp else ""  # once a person does without, both do
    _write(turn, guest, replace(ours, is_agreed=True, stamp=stamp))


def _consider(turn: Turn, guest: str, proposal: Choice) -> None:
    state = turn.state
    if proposal.node not in (0, 1) or not proposal.is_open:
        return
    why = blocker(state, guest, proposal.node)
    if why is None:
        _write(turn, guest, replace(proposal, is_agreed=False, is_kept=False))
        turn.set_guest(guest, trouble="")
    elif turn.mine(guest).trouble != why:
        turn.set_guest(guest, trouble=why)
        turn.say(guest, f"a person's choice is refused: {why}")


def look(turn: Turn, guest: str) -> None:
    """Takes the next step of what was chosen, or finds that it is over. Once a turn."""
    if turn.state.is_stateless:
        return
    _forget_proposal(turn, guest)
    state, mine, choice = turn.state, turn.mine(guest), turn.ledger(guest).choice
    if not choice.is_open:
        return
    if not choice.is_agreed:
        words = proofs.hello_of(state, guest)
        is_known = words is not None and (
            _is_same(words.choice, choice) or _is_same(words.proposal, choice)
        )
        if not is_known or not proofs.is_talking(state):
            _close(turn, guest, "the choice was not agreed to in time")
    elif mine.is_in_sync:
        turn.write(guest, by_operator=False)
        _close(turn, guest, "the two copies are one again")
    elif choice.node == state.me:
        _serve(turn, guest)
    else:
        _give_up(turn, guest)


def _forget_proposal(turn: Turn, guest: str) -> None:
    state, mine = turn.state, turn.mine(guest)
    if mine.proposal is None or state.now - mine.proposed <= state.timing.dead:
        return
    troubles = state.peer.hello.troubles if state.peer.hello else {}
    why = troubles.get(guest) or "the other machine did not answer"
    turn.set_guest(guest, proposal=None, trouble=_short(why))
    turn.say(guest, f"the choice was not agreed to: {why}")


def _serve(turn: Turn, guest: str) -> None:
    """Our copy counts: the peer gives up its own, and DRBD brings it up to date from ours."""
    state, mine, ledger = turn.state, turn.mine(guest), turn.ledger(guest)
    words, resource = proofs.hello_of(state, guest), mine.resource
    if resource is None or words is None:
        return
    is_source = resource.link is Link.SYNC_SOURCE and resource.disk is Disk.UP_TO_DATE
    if is_source and ledger.theirs > ledger.term and mine.phase is Phase.RELEASED:
        # safety: DRBD is writing our data over the peer's; from here on no copy is newer than ours.
        term = next_term(state.me, max(ledger.theirs, words.term))
        turn.write(guest, term=term)
        turn.say(guest, f"ours is the copy that counts, in term {term}")
    is_wanted = words.has_dropped and proofs.is_talking(state)
    is_idle = resource.link is Link.STANDALONE and mine.phase in RESTING
    if is_wanted and is_idle and state.now >= mine.reconnect_at:
        turn.act(Connect(guest))
        turn.set_guest(guest, reconnect_at=state.now + state.timing.dead)


def _give_up(turn: Turn, guest: str) -> None:
    """The peer's copy counts: ours is kept aside if that was asked for, and then given up."""
    state, mine, choice = turn.state, turn.mine(guest), turn.ledger(guest).choice
    if not _is_confirmed_now(state, guest):
        return
    if mine.phase is Phase.HOLDING:
        moving.let_go(turn, guest, f"a person chose the copy on {names(state)[1]}")
        return
    if (
        mine.phase is not Phase.RELEASED
        or not proofs.is_settled(state, guest)
        or mine.is_connected
        or mine.is_stepping
        or mine.has_dropped
        or mine.is_confirmed
        or state.now < mine.reconnect_at
    ):
        return
    turn.set_guest(guest, is_stepping=True)
    if choice.stamp and not choice.is_kept:
        turn.act(KeepCopy(guest, choice.stamp, choice.number))
        turn.say(guest, "keeping a copy of what is given up")
    else:
        turn.act(Discard(guest))
        turn.say(guest, f"giving up our copy for that on {names(state)[1]}, as a person chose")


def _is_confirmed_now(state: NodeState, guest: str) -> bool:
    """The peer is there, and says that it has the same choice on disk, as agreed."""
    ours, words = state.durable.ledgers[guest].choice, proofs.hello_of(state, guest)
    return (
        words is not None
        and _is_same(words.choice, ours)
        and words.choice.is_open
        and words.choice.is_agreed
        and words.phase in RESTING
        and proofs.is_talking(state)
        and not proofs.is_doubting(state)
        and state.left is None
        and not state.is_fenced
    )


def done(turn: Turn, guest: str, deed: Deed) -> None:
    """A step of the choice ended well."""
    choice = turn.ledger(guest).choice
    turn.set_guest(guest, is_stepping=False, trouble="")
    if deed is Deed.KEEP:
        if choice.is_open and not turn.state.is_stateless:
            _write(turn, guest, replace(choice, is_kept=True))
            turn.say(guest, "a copy of what is given up is kept")
        return
    # It may take the peer a moment to connect; only if nothing comes of that it is done again.
    retry = turn.state.now + turn.state.timing.dead
    turn.set_guest(guest, has_dropped=True, reconnect_at=retry)
    turn.write(guest, is_parted=False)


def failed(turn: Turn, guest: str, why: str) -> None:
    """A step of the choice ended badly; it is tried again, until a person does without."""
    retry = turn.state.now + turn.state.timing.dead
    turn.set_guest(guest, is_stepping=False, reconnect_at=retry, trouble=_short(why))


def is_giving_up(state: NodeState, guest: str) -> bool:
    """Our copy is to be given up: nothing may be started on it, and nothing else connects it."""
    choice = state.durable.ledgers[guest].choice
    return choice.is_open and choice.node != state.me


def overruled(state: NodeState, guest: str) -> Choice:
    """What remains of the choice when a person starts GUEST here in spite of all."""
    choice = state.durable.ledgers[guest].choice
    return replace(choice, is_open=choice.is_open and choice.node == state.me)


def _is_same(one: Choice | None, other: Choice) -> bool:
    """Of one number there should be one choice alone; two that differ are never taken for it."""
    return one is not None and (one.number, one.node) == (other.number, other.node)


def _write(turn: Turn, guest: str, choice: Choice) -> None:
    turn.write(guest, choice=choice)


def _close(turn: Turn, guest: str, why: str) -> None:
    _write(turn, guest, replace(turn.ledger(guest).choice, is_open=False))
    turn.say(guest, why)


def _short(text: str) -> str:
    """TEXT as a hello carries it: one printable line."""
    line = " ".join(text.split())
    return "".join(c for c in line if c.isprintable())[:LONGEST_TROUBLE]
