# SPDX-License-Identifier: MIT
"""What is left of a node's promises when its peer is another machine; what the old one is told."""

from dataclasses import replace

import pytest

from haagent.core import actions, events
from haagent.core.decide import decide, first_state
from haagent.core.model import (
    Durable,
    Evidence,
    Farewell,
    Figures,
    Hello,
    Ledger,
    NodeState,
    Pair,
    Path,
    Phase,
    owner,
)
from haagent.core.replacing import renewed, verdict

FIGURES = Figures(is_armed=True, self_fence=8.0, watchdog=5.0, feed=1.0)
OLD = Durable(
    {
        "g": Ledger(
            term=1006,
            theirs=7,
            alone=Evidence.TAKEOVER,
            by_operator=True,
            promise=3,
            stands_down=True,
            evidence=2,
            returned=1,
            farewell=Farewell("b1", 7, is_leaving=True),
            held_in="a9",
        )
    },
    FIGURES,
    in_maintenance=True,
    mark="first",
)


def start(node: int, durable: Durable | None, mark: str, boot: str = "a9") -> NodeState:
    pair = Pair(me=node, names=("a", "b"), guests={"g": 0}, mark=mark)
    return first_state(pair, boot, durable, 1000.0)


def test_the_same_pair_keeps_everything() -> None:
    assert renewed(OLD, "first") == OLD


def test_a_state_without_a_mark_belongs_to_the_pair_that_finds_it() -> None:
    assert renewed(replace(OLD, mark=""), "first") == OLD


def test_nothing_that_the_old_peer_promised_counts_with_another_one() -> None:
    ledger = renewed(OLD, "second").ledgers["g"]
    assert (ledger.evidence, ledger.farewell, ledger.stands_down) == (0, None, False)
    assert ledger.returned == 0, "the new one's first promise would not be taken"
    assert not ledger.by_operator and ledger.is_parted


def test_what_a_survivor_serves_by_is_kept() -> None:
    after = renewed(OLD, "second")
    ledger = after.ledgers["g"]
    assert (ledger.term, ledger.theirs) == (1006, 7), "terms never fall"
    assert ledger.alone is Evidence.TAKEOVER and ledger.held_in == "a9"
    assert ledger.promise == 3, "promises are numbered upwards"
    assert after.peer_figures == FIGURES and after.in_maintenance


def test_it_is_done_once_however_often_the_agent_starts() -> None:
    once = renewed(OLD, "second")
    assert renewed(once, "second") == once
    assert renewed(OLD, "second") == once, "nothing newer was saved, and the agent starts again"


@pytest.mark.parametrize("durable", [None, OLD])
def test_an_agent_starts_with_its_pairs_mark(durable: Durable | None) -> None:
    assert start(0, durable, "second").durable.mark == "second"


def heard_by_the_old_one(ledger: Ledger, phase: Phase = Phase.RELEASED) -> tuple[NodeState, Hello]:
    """The replaced machine, node 1, after it was told."""
    said = verdict(start(0, OLD, "second"))
    before = start(1, Durable({"g": ledger}, FIGURES, mark="first"), "first", "b2")
    mine = replace(before.guests["g"], phase=phase)
    before = replace(before, guests={"g": mine})
    return decide(before, events.HelloHeard(1001.0, Path.LAN, said)).state, said


def test_the_old_one_writes_down_a_term_above_all_that_it_has() -> None:
    own = Ledger(term=1201, alone=Evidence.OPERATOR, by_operator=True)
    after, said = heard_by_the_old_one(own)
    ledger = after.durable.ledgers["g"]
    assert owner(said.guests["g"].term) == said.node
    assert ledger.theirs == said.guests["g"].term > ledger.term


def test_what_runs_on_the_old_one_ends() -> None:
    after, _ = heard_by_the_old_one(Ledger(term=9, held_in="b2"), Phase.HOLDING)
    assert after.guests["g"].phase is Phase.DESTROYING


def test_the_old_one_is_answered_and_told_of_once() -> None:
    state = start(0, OLD, "second")
    first = decide(state, events.ReplacedHeard(1001.0))
    again = decide(first.state, events.ReplacedHeard(1001.5))
    for decision in (first, again):
        [action] = decision.actions
        assert isinstance(action, actions.TellReplaced) and action.hello.has_replaced
        assert decision.state.durable == state.durable, "anybody may replay what it said"
    assert len(first.reasons) == 1 and again.reasons == ()
    late = decide(again.state, events.ReplacedHeard(1060.0))
    assert len(late.reasons) == 1
