# SPDX-License-Identifier: MIT
"""Which guests are not to stay on this machine and go to the other one by themselves: all of them
in maintenance, and each whose disk here has failed.

Without a disk here a guest needs both machines and the crossover between them, and where its disk
works it needs one: it is away for one move instead of until somebody sees to it. Nothing comes back
by itself.
"""

from haagent.core import fitting, moving, proofs, wishing
from haagent.core.model import HELD, NodeState, Phase
from haagent.core.together import names
from haagent.core.turn import Turn


def announce_maintenance(turn: Turn) -> None:
    """Says what the change means, and which guests have to stay."""
    state = turn.state
    if not state.durable.in_maintenance:
        turn.say("", "the maintenance is over")
        return
    turn.say("", "in maintenance: guests go to the peer, and nothing starts here by itself")
    for guest, mine in state.guests.items():
        if mine.phase in HELD and (why := moving.blocker(state, guest)) is not None:
            turn.say(guest, f"it stays here: {why}")


def depart(turn: Turn, guest: str) -> None:
    """GUEST, if it is not to stay, goes as soon as it can, and as the one before runs."""
    state = turn.state
    why = _why_not_to_stay(state, guest)
    if why is None or moving.blocker(state, guest) is not None:
        return
    if not any(_is_on_its_way(state, other) for other in state.guests):
        moving.let_go(turn, guest, why)


def _why_not_to_stay(state: NodeState, guest: str) -> str | None:
    me, peer = names(state)
    if state.durable.in_maintenance:
        return f"{me} is in maintenance"
    resource = state.guests[guest].resource
    if resource is None or not resource.is_served_by_peer:
        return None
    # safety: it cannot come back to where it has no disk, so it goes only where it surely starts.
    if not fitting.surely_fits(state, guest):
        return None
    return f"its disk on {me} has failed, and the one on {peer} has all"


def _is_on_its_way(state: NodeState, guest: str) -> bool:
    mine, hello = state.guests[guest], proofs.hello_of(state, guest)
    is_there = hello is not None and hello.phase is Phase.HOLDING
    is_awaited = mine.farewell is not None and wishing.is_wanted(state, guest)
    return mine.phase is Phase.STOPPING or (is_awaited and not is_there)
