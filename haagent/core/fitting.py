# SPDX-License-Identifier: MIT
"""Which guests a machine has no memory for, if it is left alone with all of them.

No start waits for it: a guest is started where the proofs allow it, whatever is found here. The
figures may be of another moment, and Xen knows best. But no guest is sent by itself to a machine
that may not have the memory.
"""

from collections.abc import Mapping

from haagent.core import proofs, wishing
from haagent.core.model import HELD, NodeState


def memory(state: NodeState, node: int) -> int | None:
    """MiB that NODE has for guests, as it said last; None: not known."""
    hello = state.peer.hello
    told = state.measured.memory if node == state.me else hello.memory if hello else -1
    return None if told < 0 else told


def used(state: NodeState, node: int) -> int:
    """MiB of it that the guests on NODE have."""
    return sum(_takes(state, guest) for guest in state.guests if _is_on(state, node, guest))


def short(state: NodeState, node: int) -> Mapping[str, int]:
    """The guests that NODE could not start without the other one, and what each would find, in MiB.

    They are started in the order of the guests, beside what is there; one that does not fit leaves
    its room to the next.
    """
    has = memory(state, node)
    if has is None:
        return {}
    left = has - used(state, node)
    found = {}
    for guest in state.guests:
        if _is_on(state, node, guest) or not wishing.is_wanted(state, guest):
            continue
        if _takes(state, guest) > left:
            found[guest] = max(0, left)
        else:
            left -= _takes(state, guest)
    return found


def surely_fits(state: NodeState, guest: str) -> bool:
    """Whether the other machine has memory for GUEST and for all that come before it. False as well
    if nobody knows.
    """
    peer = 1 - state.me
    is_known = memory(state, peer) is not None and guest in state.measured.takes
    return is_known and guest not in short(state, peer)


def in_words(state: NodeState, node: int, guest: str) -> str | None:
    """Why NODE could not start GUEST without the other one; None if it could, for all we know."""
    left = short(state, node).get(guest)
    if left is None:
        return None
    name, has, takes = state.pair.names[node], memory(state, node), _takes(state, guest)
    if left == has:
        return f"{name} has {has} MiB for guests, and {guest} needs {takes}"
    return f"{name} has {left} of {has} MiB left for {guest}, which needs {takes}"


def _takes(state: NodeState, guest: str) -> int:
    """MiB; a size that is not known takes nothing, and fits."""
    return state.measured.takes.get(guest, 0)


def _is_on(state: NodeState, node: int, guest: str) -> bool:
    if node == state.me:
        return state.guests[guest].phase in HELD
    words = proofs.hello_of(state, guest)
    return words is not None and words.phase in HELD
