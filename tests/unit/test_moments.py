# SPDX-License-Identifier: MIT
"""Each wait to its last moment: what is proven then, and not a moment before; or then for the last
time, and not a moment after.

safety: the other machine reckons with these moments, by the inequalities of core/timing.py.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from haagent.core import proofs
from haagent.core.model import Farewell, NodeState, Path
from tests.unit.states import (
    LATER,
    NOW,
    SILENT,
    frozen,
    survivor,
    with_guest,
    with_ledger,
    with_path,
    with_peer,
)


def heard(ago: float) -> NodeState:
    return with_peer(survivor(), hello_at=NOW - ago)


def path_heard(word: float, two_way: float) -> NodeState:
    state = with_path(survivor(), Path.LAN, last_word=NOW - word)
    return with_path(state, Path.LAN, two_way=NOW - two_way)


def gateway_answered(ago: float) -> NodeState:
    state = survivor()
    return replace(state, referee=replace(state.referee, answered=NOW - ago))


def usable(ago: float) -> NodeState:
    """Node 0 is heard, and the LAN was proven both ways so long AGO."""
    return with_path(with_peer(survivor(), hello_at=NOW), Path.LAN, two_way=NOW - ago)


def fell_silent(lan: float, crossover: float, two_way: float = 0.0) -> NodeState:
    """Each so many seconds before the last word."""
    state = with_path(survivor(), Path.LAN, last_word=SILENT - lan, two_way=SILENT - two_way)
    return with_path(state, Path.CROSSOVER, last_word=SILENT - crossover)


def waited(seconds: float) -> NodeState:
    """Since the last word, by which the peer's watchdog takes 16 s."""
    state = with_peer(fell_silent(0, 0), connected=SILENT)
    return replace(state, now=SILENT + seconds, referee=replace(state.referee, answered=NOW))


def gasping(seconds: float) -> NodeState:
    """A frozen holder that relies on its peer's promise, so long after the loss."""
    return with_guest(with_ledger(frozen(), evidence=1), since=NOW - seconds)


def resuming(lost: float, good: float) -> NodeState:
    state = with_guest(frozen(), since=NOW - lost)
    state = with_peer(state, connected=SILENT)
    return replace(state, referee=replace(state.referee, good_since=NOW - good))


Asked = Callable[[NodeState], object]

IN_TIME: dict[str, tuple[Asked, NodeState, NodeState]] = {
    "the peer is heard for T_dead": (proofs.is_talking, heard(5.0), heard(5.0 + LATER)),
    "a path is whole for T_dead after its last word": (
        lambda state: proofs.is_whole(state, Path.LAN),
        path_heard(5.0, 0.0),
        path_heard(5.0 + LATER, 0.0),
    ),
    "a path is whole for T_dead after it was proven both ways": (
        lambda state: proofs.is_whole(state, Path.LAN),
        path_heard(0.0, 5.0),
        path_heard(0.0, 5.0 + LATER),
    ),
    "the gateway answers for T_ref": (
        proofs.has_referee,
        gateway_answered(2.0),
        gateway_answered(2.0 + LATER),
    ),
    "a referee is usable for T_dead after the LAN was proven": (
        proofs.has_usable_referee,
        usable(5.0),
        usable(5.0 + LATER),
    ),
    "the LAN is silent two keepalives before the crossover": (
        proofs.fell_silent_together,
        fell_silent(1.0, 0.0),
        fell_silent(1.0 + LATER, 0.0),
    ),
    "the crossover is silent two keepalives before the LAN": (
        proofs.fell_silent_together,
        fell_silent(0.0, 1.0),
        fell_silent(0.0, 1.0 + LATER),
    ),
    "the LAN was proven two keepalives before the silence": (
        proofs.fell_silent_together,
        fell_silent(0.0, 0.0, 1.0),
        fell_silent(0.0, 0.0, 1.0 + LATER),
    ),
    "all that we sent before we stood still is confirmed, and nothing of after": (
        lambda state: not proofs.is_doubting(state),
        replace(survivor(), doubted=SILENT - 0.5),
        replace(survivor(), doubted=SILENT - 0.5 + LATER),
    ),
    "the peer's watchdog has reset it": (
        lambda state: proofs.has_waited(state, 0.0),
        waited(16.0),
        waited(16.0 - LATER),
    ),
    "the peer had time for its last word": (
        lambda state: proofs.evidence(state, "g"),
        gasping(2.5),
        gasping(2.5 - LATER),
    ),
    "a holder has waited until its peer has forfeited": (
        lambda state: proofs.evidence(state, "g"),
        resuming(7.0, 10.0),
        resuming(7.0 - LATER, 10.0),
    ),
    "its gateway answered all that time": (
        lambda state: proofs.evidence(state, "g"),
        resuming(9.0, 9.0),
        resuming(9.0, 9.0 - LATER),
    ),
    "a farewell is of the term that our copy has": (
        lambda state: proofs.has_farewell(state, "g"),
        with_ledger(survivor(), farewell=Farewell("a1", 2, True)),
        with_ledger(survivor(), farewell=Farewell("a1", 0, True)),
    ),
    "a farewell may be of a later term": (
        lambda state: proofs.has_farewell(state, "g"),
        with_ledger(survivor(), farewell=Farewell("a1", 4, True)),
        survivor(),
    ),
}


@pytest.mark.parametrize("moment", IN_TIME)
def test_it_holds_to_the_last_moment_and_no_longer(moment: str) -> None:
    asked, in_time, too_late = IN_TIME[moment]
    assert asked(in_time)
    assert not asked(too_late)
