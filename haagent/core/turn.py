# SPDX-License-Identifier: MIT
"""The working copy of one decision: a state that changes, the actions it asks for, the reasons.

It knows the shape of the state and no rule.
"""

from dataclasses import dataclass
from typing import Any

from haagent.core import stateless
from haagent.core.actions import Action
from haagent.core.copying import replace
from haagent.core.model import GuestState, Ledger, NodeState, Phase
from haagent.core.phases import EDGES


class UnknownMove(Exception):
    """A guest was moved along an edge that is not in the table: a bug."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from one event. The state is persisted before the first action runs."""

    state: NodeState
    actions: tuple[Action, ...]
    reasons: tuple[str, ...]  # one sentence for each thing that changed, as the log shows it


class Turn:
    """A decision in the making."""

    __slots__ = ("actions", "before", "reasons", "state")

    def __init__(self, state: NodeState) -> None:
        self.before = self.state = state
        self.actions: list[Action] = []
        self.reasons: list[str] = []

    def decision(self) -> Decision:
        return Decision(self.state, tuple(self.actions), tuple(self.reasons))

    def mine(self, guest: str) -> GuestState:
        return self.state.guests[guest]

    def ledger(self, guest: str) -> Ledger:
        return self.state.durable.ledgers[guest]

    def act(self, action: Action) -> None:
        self.actions.append(action)

    def say(self, guest: str, sentence: str) -> None:
        node = self.state.pair.names[self.state.me]
        self.reasons.append(f"{node}: {guest}: {sentence}" if guest else f"{node}: {sentence}")

    def set(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)

    def set_guest(self, guest: str, **changes: Any) -> None:
        changed = replace(self.state.guests[guest], **changes)
        self.state = replace(self.state, guests={**self.state.guests, guest: changed})

    def write(self, guest: str, **changes: Any) -> None:
        """Changes what is persisted about GUEST; where nothing can be, only what binds us more."""
        durable = self.state.durable
        if self.state.is_stateless:
            changes = stateless.binding(durable.ledgers[guest], changes)
        changed = replace(durable.ledgers[guest], **changes)
        if changed != durable.ledgers[guest]:
            ledgers = {**durable.ledgers, guest: changed}
            self.state = replace(self.state, durable=replace(durable, ledgers=ledgers))

    def move(self, guest: str, to: Phase, why: str) -> None:
        """Puts GUEST into phase TO. Raises UnknownMove if the table has no such edge."""
        before = self.mine(guest).phase
        if (before, to) not in EDGES:
            raise UnknownMove(f"{guest}: {before} -> {to}: {why}")
        self.set_guest(guest, phase=to, since=self.state.now)
        self.say(guest, f"{before} -> {to}: {why}")
