# SPDX-License-Identifier: MIT
"""States of one node that tests of the core begin with, and what makes others of them.

Node 1 is ours in all of them; the peer is node 0, and what it says is made of HELLO and WORDS.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from haagent.core.decide import first_state
from haagent.core.model import (
    Disk,
    Evidence,
    Farewell,
    Figures,
    GuestHello,
    GuestState,
    Hello,
    Ledger,
    Link,
    NodeState,
    Pair,
    Path,
    PathState,
    Phase,
    Request,
    Resource,
    Role,
)

SILENT = 100.0  # when the peer was last heard
NOW = 120.0
LATER = 1 / 1024  # seconds
LOST = Resource(Role.PRIMARY, Link.CONNECTING, Disk.UP_TO_DATE, Disk.UNKNOWN, True)
IN_SYNC = Resource(Role.SECONDARY, Link.CONNECTED, Disk.UP_TO_DATE, Disk.UP_TO_DATE)
WORDS = GuestHello(
    term=2,
    theirs=-1,
    phase=Phase.HOLDING,
    disk=Disk.UP_TO_DATE,
    is_connected=True,
    is_alone=False,
    request=None,
    grant=None,
    promise=0,
    stands_down=False,
    evidence=0,
    returned=0,
    farewell=None,
    keeps_farewell=False,
)
HELLO = Hello(0, "a1", 7, "b1", {}, 1.0, Figures(True, 8.0, 5.0, 1.0), True, {"g": WORDS})

Change = Callable[[NodeState], NodeState]


def survivor() -> NodeState:
    """Node 1, in sync until node 0 fell silent on both paths at once; the gateway answers."""
    state = first_state(Pair(1, ("a", "b"), {"g": 0}), "b1", None, 0.0)
    lan = PathState(SILENT, SILENT - 0.5, 7)
    peer = replace(
        state.peer,
        hello=HELLO,
        hello_at=SILENT,
        format=1,
        paths={Path.LAN: lan, Path.CROSSOVER: replace(lan, last_word=SILENT + 0.1)},
        confirmed=SILENT - 0.5,
        connected=SILENT + 3,
    )
    lost = Resource(Role.SECONDARY, Link.CONNECTING, Disk.UP_TO_DATE, Disk.UNKNOWN)
    return replace(
        state,
        now=NOW,
        ticked=NOW,
        peer=peer,
        durable=replace(state.durable, ledgers={"g": Ledger(2, 2)}, peer_figures=HELLO.figures),
        referee=replace(state.referee, answered=NOW, good_since=1.0),
        guests={"g": GuestState(resource=lost, is_running=False, is_unbroken=True)},
    )


def lone() -> NodeState:
    """Node 1, rebooted: it wrote alone in its term 3, and nothing is heard since its boot."""
    state = first_state(Pair(1, ("a", "b"), {"g": 0}), "b2", None, 0.0)
    behind = Resource(Role.SECONDARY, Link.CONNECTING, Disk.UP_TO_DATE, Disk.OUTDATED)
    return replace(
        state,
        now=NOW,
        ticked=NOW,
        durable=replace(
            state.durable,
            ledgers={"g": Ledger(3, 2, alone=Evidence.GATEWAY)},
            peer_figures=HELLO.figures,
        ),
        referee=replace(state.referee, answered=NOW, good_since=1.0),
        guests={"g": GuestState(resource=behind, is_running=False)},
    )


def asked() -> NodeState:
    """Node 1 asked for term 3, in sync, and node 0 has answered just now."""
    request = Request(9, 3, NOW - 1)
    state = with_resource(survivor(), link=Link.CONNECTED, peer_disk=Disk.UP_TO_DATE)
    state = with_guest(state, request=request)
    state = with_words(state, phase=Phase.RELEASED, grant=request)
    return with_peer(state, hello_at=NOW)


def handed_over() -> NodeState:
    """Node 0 signed the guest off for us to start, stays, and says so; the copies are one."""
    state = with_ledger(survivor(), farewell=Farewell("a1", 2, is_leaving=False))
    state = with_words(state, phase=Phase.RELEASED, farewell=2)
    state = with_peer(state, hello_at=NOW, confirmed=NOW - 0.5)
    return with_resource(state, link=Link.CONNECTED, peer_disk=Disk.UP_TO_DATE)


def frozen() -> NodeState:
    """Node 1 holds the guest in term 3 and lost node 0 nine seconds ago."""
    state = with_ledger(survivor(), term=3)
    return with_guest(state, phase=Phase.FROZEN, since=NOW - 9, resource=LOST)


def holding(**changes: Any) -> NodeState:
    """Node 1 holds the guest in term 3; node 0 is heard, and its copy is in sync."""
    state = with_ledger(survivor(), term=3, held_in="b1")
    state = with_words(state, phase=Phase.RELEASED, theirs=3)
    state = with_peer(state, hello_at=NOW, confirmed=NOW)
    mine: dict[str, Any] = {"phase": Phase.HOLDING, "is_running": True, "since": NOW - 50}
    return with_guest(state, **mine | {"resource": replace(IN_SYNC, role=Role.PRIMARY)} | changes)


def with_guest(state: NodeState, **changes: Any) -> NodeState:
    return replace(state, guests={"g": replace(state.guests["g"], **changes)})


def with_resource(state: NodeState, **changes: Any) -> NodeState:
    resource = state.guests["g"].resource
    assert resource is not None
    return with_guest(state, resource=replace(resource, **changes))


def with_ledger(state: NodeState, **changes: Any) -> NodeState:
    return with_durable(state, ledgers={"g": replace(state.durable.ledgers["g"], **changes)})


def with_durable(state: NodeState, **changes: Any) -> NodeState:
    return replace(state, durable=replace(state.durable, **changes))


def with_words(state: NodeState, **changes: Any) -> NodeState:
    """The peer says WORDS, but for these CHANGES, whatever it said before."""
    return with_peer(state, hello=replace(HELLO, guests={"g": replace(WORDS, **changes)}))


def with_hello(state: NodeState, **changes: Any) -> NodeState:
    """The peer says what it said, but for these CHANGES."""
    assert state.peer.hello is not None
    return with_peer(state, hello=replace(state.peer.hello, **changes))


def with_peer(state: NodeState, **changes: Any) -> NodeState:
    return replace(state, peer=replace(state.peer, **changes))


def with_path(state: NodeState, path: Path, **changes: Any) -> NodeState:
    paths = {**state.peer.paths, path: replace(state.peer.paths[path], **changes)}
    return with_peer(state, paths=paths)


def in_maintenance(state: NodeState) -> NodeState:
    return with_durable(state, in_maintenance=True)


def confirmed(state: NodeState, peer: float, referee: float) -> NodeState:
    """It was confirmed by each so many seconds ago."""
    state = with_peer(state, confirmed=NOW - peer)
    return replace(state, referee=replace(state.referee, answered=NOW - referee))
