# SPDX-License-Identifier: MIT
"""Gives a guest to the other machine while both are well: why it cannot be done now, and doing it.

Proves nothing: whoever starts a guest answers both questions for itself. What is judged here is
whether a person may count on it that the other machine will.
"""

from haagent.core import proofs, stateless
from haagent.core.actions import Shutdown
from haagent.core.model import HELD, Disk, NodeState, Path, Phase, owner
from haagent.core.together import NO_SECOND, names
from haagent.core.turn import Turn

WHY_NOT_HERE = {
    Phase.PROMOTING: "it is being started on {me}",
    Phase.CREATING: "it is being started on {me}",
    Phase.FROZEN: "it is frozen: what it writes waits until it is known what became of {peer}",
    Phase.STOPPING: "it is being shut down on {me} already",
    Phase.DESTROYING: "it is being ended on {me}",
}


def blocker(state: NodeState, guest: str) -> str | None:
    """Why GUEST cannot go from here to the peer now, in a sentence; None if it surely can."""
    for why_not in (_not_here, _not_from_us, _not_to_peer, _not_in_sync, _not_by_its_word):
        if (why := why_not(state, guest)) is not None:
            return why
    return None


def _not_here(state: NodeState, guest: str) -> str | None:
    me, peer = names(state)
    phase, hello = state.guests[guest].phase, proofs.hello_of(state, guest)
    if phase is Phase.HOLDING:
        return None
    if phase in WHY_NOT_HERE:
        return WHY_NOT_HERE[phase].format(me=me, peer=peer)
    if hello is not None and hello.phase in HELD and proofs.is_talking(state):
        return f"it runs on {peer}, which is where to ask for it"
    return f"it does not run on {me}"


def _not_from_us(state: NodeState, guest: str) -> str | None:
    me, _ = names(state)
    if state.left is not None:
        return f"{me} is shutting down"
    if state.is_fenced:
        return f"{me} has given up"
    if proofs.is_doubting(state):
        return f"{me} stood still a moment ago"
    return None


def _not_to_peer(state: NodeState, guest: str) -> str | None:
    me, peer = names(state)
    hello, words = state.peer.hello, proofs.hello_of(state, guest)
    if proofs.is_vacant(state):
        return NO_SECOND
    if hello is None or words is None or not proofs.is_talking(state):
        return f"{peer} is silent"
    if hello.is_leaving:
        return f"{peer} is shutting down"
    if hello.in_maintenance:
        return f"{peer} is in maintenance"
    if hello.is_stateless:
        return stateless.in_words(peer)
    if not hello.figures.is_armed:
        return f"the watchdog of {peer} is not armed"
    for path in (Path.CROSSOVER, Path.LAN):
        if not proofs.is_whole(state, path):
            return f"{me} and {peer} do not hear each other over the {path}"
    return None


def _not_in_sync(state: NodeState, guest: str) -> str | None:
    _, peer = names(state)
    resource = state.guests[guest].resource
    if resource is not None and (resource.is_in_sync or resource.is_served_by_peer):
        return None
    disk = resource.peer_disk if resource and resource.is_connected else "not connected"
    return f"its copy on {peer} is {disk}"


def _not_by_its_word(state: NodeState, guest: str) -> str | None:
    """What the peer says of the guest itself."""
    _, peer = names(state)
    words, ledger = proofs.hello_of(state, guest), state.durable.ledgers[guest]
    if words is None or not words.is_connected or words.disk is not Disk.UP_TO_DATE:
        return f"{peer} has not said yet that its copy is UpToDate"
    if words.stands_down or ledger.evidence:
        return f"{peer} promised not to start it while no gateway answers both machines"
    if words.phase is not Phase.RELEASED:
        return f"it is {words.phase} on {peer}"
    if not words.term == ledger.term >= ledger.theirs:
        return f"{peer} has not taken note yet of the guest's term {ledger.term}"
    return None


def is_handed_over(state: NodeState, guest: str) -> bool:
    """We signed it off for the peer to start, and it has not been anybody's since."""
    ledger = state.durable.ledgers[guest]
    return (
        state.guests[guest].farewell is not None
        and ledger.alone is None
        and owner(max(ledger.term, ledger.theirs)) == state.me
    )


def let_go(turn: Turn, guest: str, why: str) -> None:
    """Shuts the guest down in order; farewell follows."""
    turn.move(guest, Phase.STOPPING, why)
    turn.act(Shutdown(guest))
