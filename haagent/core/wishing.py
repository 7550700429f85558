# SPDX-License-Identifier: MIT
"""Starting and stopping a guest for good: at its owner's word, at its own, and for its crashes.

A wish is a number and a target, on the disks of both machines; the higher number counts, whoever
said it. It proves nothing and starts nothing: a guest that is to run is started by the two proofs,
one that is not is shut down by whoever holds it, and started by nobody.

A guest that crashes is started again where it was, so many times within a while. Then the other
machine has a try, for what is broken may be this one; if it crashes there as well, it is the guest
that is broken, and it stays off until a person says otherwise.
"""

from haagent.core import moving, stateless
from haagent.core.actions import Create, Restart
from haagent.core.blockers import Blocker
from haagent.core.model import GuestHello, NodeState, Phase, next_term, owner
from haagent.core.turn import Turn
from haagent.core.wish import RUNS, End, Target, Wish

MOST_CRASHES = 3  # that are answered by another start on the same machine, within timing.crashes

SAYINGS = {
    Target.STARTED: "it is to run",
    Target.RETRIED: "it is to be tried on the other machine",
    Target.STOPPED: "a person stops it",
    Target.OFF: "it switched itself off",
    Target.FAILED: "it crashed too often, and stays off",
}


def is_wanted(state: NodeState, guest: str) -> bool:
    """It is to run, on either machine."""
    return state.durable.ledgers[guest].wish.target in RUNS


def blocker(state: NodeState, guest: str) -> Blocker | None:
    """What keeps whoever could from starting GUEST; None if it is wanted."""
    match state.durable.ledgers[guest].wish.target:
        case Target.STOPPED:
            return Blocker.STOPPED
        case Target.OFF:
            return Blocker.OFF
        case Target.FAILED:
            return Blocker.CRASHED
    return None


def is_our_turn(state: NodeState, guest: str) -> bool:
    """A person told this machine to start it, a moment ago. It starts where that is said: the other
    one hears of the wish and of our request at once.
    """
    wish = state.durable.ledgers[guest].wish
    is_fresh = state.now - state.guests[guest].wished < state.timing.take
    return wish.target is Target.STARTED and owner(wish.number) == state.me and is_fresh


def refusal(state: NodeState, target: Target) -> str | None:
    """Why a person's TARGET cannot be taken down now, in a sentence; None if it can."""
    peer = state.pair.names[1 - state.me]
    if not _is_understood(state):
        return f"{peer} runs a release that does not know of guests that are stopped"
    return stateless.refusal(state) if target in RUNS else None


def ask(turn: Turn, guest: str, target: Target) -> str | None:
    """A person wants GUEST to be TARGET. Why not, in a sentence; None if it is taken down."""
    if (why := refusal(turn.state, target)) is not None:
        return why
    if target in RUNS:
        turn.set_guest(guest, crashes=())
    if turn.ledger(guest).wish.target is not target:
        wish(turn, guest, target)
    return None


def ask_restart(turn: Turn, guest: str) -> str | None:
    """A person wants GUEST, which runs here, to start anew. Why not; None if it is asked to."""
    state = turn.state
    if state.guests[guest].phase is not Phase.HOLDING or not is_wanted(state, guest):
        return f"it does not run on {state.pair.names[state.me]}"
    turn.act(Restart(guest))
    return None


def wish(turn: Turn, guest: str, target: Target) -> None:
    """From now on GUEST is to be TARGET."""
    number = next_term(turn.state.me, turn.ledger(guest).wish.number)
    turn.write(guest, wish=Wish(number, target))
    turn.set_guest(guest, wished=turn.state.now)
    turn.say(guest, SAYINGS[target])


def hear(turn: Turn, guest: str, words: GuestHello) -> None:
    """A newer wish of the peer counts here, too.

    safety: before its farewell is looked at, for by that we could start what was just stopped.
    """
    ours = turn.ledger(guest).wish
    if words.wish.number > ours.number:
        turn.write(guest, wish=words.wish)
        if words.wish.target is not ours.target:
            turn.say(guest, f"{SAYINGS[words.wish.target]}: the other machine says so")


def look(turn: Turn, guest: str) -> None:
    """What runs here, and is not to, is shut down; what ended by itself is dealt with. Once a turn,
    and as soon as it ended.
    """
    state, mine = turn.state, turn.mine(guest)
    if mine.phase is not Phase.HOLDING or mine.since == state.now:
        return  # what is held since this very turn is acted on in the next one
    if mine.ended is not None:
        turn.set_guest(guest, buried=mine.ended.domain, ended=None)
        _end(turn, guest, mine.ended.how)
    elif not is_wanted(state, guest):
        moving.let_go(turn, guest, SAYINGS[turn.ledger(guest).wish.target])
    elif turn.ledger(guest).wish.target is Target.RETRIED and _is_stable(state, guest):
        wish(turn, guest, Target.STARTED)


def again(turn: Turn, guest: str, why: str) -> None:
    """It starts anew here, on the term that it has."""
    turn.move(guest, Phase.CREATING, why)
    turn.act(Create(guest))


def _end(turn: Turn, guest: str, how: End) -> None:
    if how is End.CRASH:
        _crashed(turn, guest)
    elif how is End.POWEROFF and _is_understood(turn.state):
        wish(turn, guest, Target.OFF)
        moving.let_go(turn, guest, "what is left of it is cleared away")
    else:
        again(turn, guest, "it ended by itself")


def _crashed(turn: Turn, guest: str) -> None:
    state, target = turn.state, turn.ledger(guest).wish.target
    since = state.now - state.timing.crashes
    crashes = (*(at for at in turn.mine(guest).crashes if at > since), state.now)
    turn.set_guest(guest, crashes=crashes)
    why = "it crashed" if len(crashes) == 1 else f"it crashed {len(crashes)} times of late"
    is_tried = len(crashes) > MOST_CRASHES or target is Target.RETRIED
    if not is_tried or not _is_understood(state):
        again(turn, guest, why)
    elif target is Target.STARTED and _could_go(state, guest):
        wish(turn, guest, Target.RETRIED)
        moving.let_go(turn, guest, why)
    else:
        wish(turn, guest, Target.FAILED)
        moving.let_go(turn, guest, why)


def _could_go(state: NodeState, guest: str) -> bool:
    return moving.blocker(state, guest) is None


def _is_stable(state: NodeState, guest: str) -> bool:
    mine = state.guests[guest]
    since = max((mine.since, *mine.crashes))
    return not state.is_stateless and state.now - since >= state.timing.crashes


def _is_understood(state: NodeState) -> bool:
    """The peer takes note of a wish: it speaks our newest format, or nothing was heard of it."""
    return state.peer.hello is None or state.peer.format == state.pair.formats[0]
