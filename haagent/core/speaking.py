# SPDX-License-Identifier: MIT
"""In which format our hellos are said, while the two machines may run different releases.

Owns that rule, and what is known of the peer's formats; what a format looks like, and what may be
left out of one, is cluster/wire.py's. No proof asks which format something came in.

A machine's release is that of its boot: what it once spoke in this boot it understands until the
next one. So a boot that was heard in our newest format is spoken to in that alone, and one that was
heard in the format before, in that. Whoever is silent is spoken to in both, for nobody knows what
is running there by now. Two machines that could both speak the newest, and happened to hear each
other's older words first, would stay with those: so the newest is offered again now and then.
"""

from haagent.core import proofs
from haagent.core.events import HelloHeard
from haagent.core.model import NodeState
from haagent.core.turn import Turn

OFFERED = 60  # hellos; one of so many is also said in a format that the peer was not heard in


def formats(state: NodeState) -> tuple[int, ...]:
    """Those that our newest hello is said in, the newest format first."""
    newest, *older = state.pair.formats
    if not older or not proofs.is_talking(state):
        return state.pair.formats
    if state.peer.format == newest:
        return (newest,)
    return state.pair.formats if state.number % OFFERED == 0 else tuple(older)


def is_told_better(state: NodeState, event: HelloHeard) -> bool:
    """It comes in an older format from a boot that says the same in a newer one."""
    hello = state.peer.hello
    is_known = hello is not None and hello.boot == event.hello.boot
    return is_known and event.format < state.peer.format


def hear(turn: Turn, event: HelloHeard) -> int:
    """The newest format of the boot that spoke, and a word about it where it is not ours."""
    state, hello = turn.state, turn.state.peer.hello
    is_known = hello is not None and hello.boot == event.hello.boot
    if is_known and event.format <= state.peer.format:
        return state.peer.format
    newest = state.pair.formats[0]
    if event.format < newest or is_known:
        peer = state.pair.names[1 - state.me]
        ours = "as we do" if event.format == newest else f"ours is {newest}"
        turn.say("", f"{peer} speaks format {event.format}, {ours}")
    return event.format
