# SPDX-License-Identifier: MIT
"""Whether the two machines can agree on something now: what everything that takes both asks first.

It knows nothing of what is to be agreed on; that has its own conditions.
"""

from haagent.core import proofs, stateless
from haagent.core.model import NodeState, Path

NO_SECOND = "there is no second machine"


def names(state: NodeState) -> tuple[str, str]:
    """Of this machine, and of the other one."""
    return state.pair.names[state.me], state.pair.names[1 - state.me]


def blocker(state: NodeState) -> str | None:
    """Why nothing that takes both can be agreed on now, in a sentence; None if it can."""
    me, peer = names(state)
    hello = state.peer.hello
    if proofs.is_vacant(state):
        return NO_SECOND
    if hello is None or not proofs.is_talking(state):
        return f"{peer} is silent, and it takes both machines"
    if hello.is_leaving or state.left is not None:
        return f"{peer if hello.is_leaving else me} is shutting down"
    if hello.has_replaced or state.is_fenced:
        return f"{me} has given up"
    if state.is_stateless or hello.is_stateless:
        return stateless.in_words(me if state.is_stateless else peer)
    if proofs.is_doubting(state):
        return f"{me} stood still a moment ago"
    if not proofs.is_whole(state, Path.CROSSOVER):
        return f"{me} and {peer} do not hear each other over the crossover"
    return None
