# SPDX-License-Identifier: MIT
"""What must survive a power cut is written down, field by field, and found again at a start."""

from dataclasses import fields
from typing import Any

import pytest

from haagent.core import events
from haagent.core.decide import decide, first_state
from haagent.core.model import (
    NEVER,
    Choice,
    Durable,
    Evidence,
    Farewell,
    Figures,
    LanChange,
    LanStage,
    Ledger,
    NodeState,
    Pair,
)
from haagent.core.turn import Turn
from haagent.core.wish import Target, Wish

FIRST = Ledger(term=0)
FULL = Ledger(
    term=5,
    theirs=4,
    alone=Evidence.GATEWAY,
    by_operator=True,
    promise=3,
    stands_down=True,
    evidence=2,
    returned=1,
    farewell=Farewell("a1", 4, True),
    is_parted=True,
    held_in="b1",
    choice=Choice(1, 0, "20260102-0304", True, True, True),
    wish=Wish(3, Target.STOPPED),
)
KEPT = Durable(
    {"g": FULL},
    peer_figures=Figures(True, 9.0, 6.0, 2.0),
    in_maintenance=True,
    mark="ours",
    lan=LanChange(1, "10.0.2.11/24", "10.0.2.12/24", "10.0.2.1", LanStage.DROPPED, "b1"),
)
PAIR = Pair(1, ("a", "b"), {"g": 0, "h": 1}, mark="ours")


def started(durable: Durable | None) -> NodeState:
    return first_state(PAIR, "b2", durable, 100.5)


@pytest.mark.parametrize("name", [field.name for field in fields(Ledger)])
def test_what_is_written_about_a_guest_is_found_at_the_next_start(name: str) -> None:
    value: Any = getattr(FULL, name)
    assert value != getattr(FIRST, name)
    turn = Turn(started(None))
    turn.write("g", **{name: value})
    assert getattr(turn.ledger("g"), name) == value
    assert getattr(started(KEPT).durable.ledgers["g"], name) == value


@pytest.mark.parametrize("name", [field.name for field in fields(Durable)][1:])
def test_what_is_written_about_the_machine_is_found_at_the_next_start(name: str) -> None:
    value = getattr(KEPT, name)
    assert value != getattr(Durable({}), name)
    turn = Turn(started(None))
    turn.set(durable=KEPT)
    assert getattr(turn.state.durable, name) == value
    assert getattr(started(KEPT).durable, name) == value


def test_a_guest_that_nothing_is_written_about_begins_where_the_set_up_put_it() -> None:
    ledgers = started(KEPT).durable.ledgers
    assert ledgers == {"g": FULL, "h": Ledger(term=1)}
    assert started(None).durable.ledgers == {"g": Ledger(term=0), "h": Ledger(term=1)}


def test_a_start_knows_nothing_of_the_peer_and_numbers_its_hellos_above_the_last_agents() -> None:
    state = started(KEPT)
    assert state.number == 100500
    assert state.started == state.now == state.ticked == state.unusable_since == 100.5
    assert state.lan_since == 100.5 and state.lan_files == PAIR.lan
    assert (state.peer.hello, state.peer.confirmed, state.referee.answered) == (None, NEVER, NEVER)
    assert first_state(PAIR, "b2", None, 100.5, lan_files=3).lan_files == 3


def test_maintenance_and_the_peers_figures_are_on_disk_when_they_are_heard_of() -> None:
    decision = decide(started(None), events.MaintenanceAsked(101.0, True))
    assert decision.state.durable.in_maintenance
