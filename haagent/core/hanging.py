# SPDX-License-Identifier: MIT
"""A data disk that hangs: neither an answer nor an error comes, and DRBD waits for ever, on both
machines, for a write is done when it is on both disks. When this machine gives up because of that.

Without its disk it can mark nothing and end nothing in order. A reset it can always have, and the
other machine has its own evidence for what follows.
"""

from haagent.core import proofs
from haagent.core.model import ATTACHED, HELD, Disk, NodeState
from haagent.core.turn import Turn


def look(turn: Turn) -> None:
    """Gives up where the other machine can go on when this one is off, and nowhere else."""
    state = turn.state
    hung = hung_below(state)
    if state.is_fenced or not any(can_peer_go_on(state, guest) for guest in hung):
        return
    # safety: what runs here on a disk that answers, and nowhere else could, is not given up.
    if any(
        mine.phase in HELD and guest not in hung and not can_peer_go_on(state, guest)
        for guest, mine in state.guests.items()
    ):
        return
    turn.set(is_fenced=True)
    turn.say("", f"the disk below {' and '.join(hung)} does not answer: giving up")


def hung_below(state: NodeState) -> list[str]:
    """The guests whose disk here hangs."""
    return [guest for guest in state.guests if is_hung(state, guest)]


def is_hung(state: NodeState, guest: str) -> bool:
    """DRBD has GUEST's disk here, and that does not answer. One that hangs still after a reset is
    never attached, so that no machine gives up again and again.
    """
    mine = state.guests[guest]
    return mine.is_disk_hanging and mine.resource is not None and mine.resource.disk in ATTACHED


def can_peer_go_on(state: NodeState, guest: str) -> bool:
    """The other machine is there and has a whole copy, and we did not write without it."""
    hello = proofs.hello_of(state, guest)
    return (
        proofs.is_talking(state)
        and hello is not None
        and hello.disk is Disk.UP_TO_DATE
        and state.durable.ledgers[guest].alone is None
    )
