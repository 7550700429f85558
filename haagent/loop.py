# SPDX-License-Identifier: MIT
"""The loop: one queue, one thread that decides.

Whatever happens becomes an event in the queue. The loop takes it, asks the core, checks the
decision, persists what must last, logs one line for each reason, and only then acts. What it acts
on is an `Outside`; it opens nothing itself.
"""

import contextlib
import logging
import queue
import time
from collections.abc import Callable
from typing import Protocol

from haagent.clocks import Clocks
from haagent.core import actions, events
from haagent.core.decide import decide
from haagent.core.events import Event
from haagent.core.invariants import check
from haagent.core.model import Durable, FenceAnswer, Hello, NodeState
from haagent.hands import GuestAction
from haagent.state import StateError

log = logging.getLogger(__name__)


class Outside(Protocol):
    """Everything that the loop does to the world. None of it blocks."""

    def save(self, durable: Durable) -> None:
        """On disk when it returns. Raises StateError."""

    def send(self, hello: Hello, formats: tuple[int, ...]) -> None: ...
    def tell_replaced(self, hello: Hello) -> None: ...
    def probe_referee(self) -> None: ...
    def probe_peer(self) -> None: ...
    def feed(self) -> None: ...
    def do(self, action: GuestAction) -> None: ...
    def answer_fence(self, guest: str, answer: FenceAnswer) -> None: ...
    def answer_operator(self, guest: str, refusal: str | None) -> None: ...
    def take_up_lan(self, order: actions.LanOrder) -> None: ...
    def reset(self, is_overdue: bool) -> None: ...
    def finish_leaving(self) -> None: ...
    def decided(self, reasons: tuple[str, ...]) -> None:
        """For people: the sentences are in the log as well."""

    def publish(self, state: NodeState) -> None: ...


class Loop:
    """Decides. Everything else only puts events into its queue."""

    def __init__(self, state: NodeState, outside: Outside) -> None:
        self.state = state
        self.events: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
        self._outside = outside

    def run(self, clocks: Clocks, now: Callable[[], float] = time.monotonic) -> None:
        """Turns until something raises: an adapter that cannot go on, or a bug."""
        next_turn = now()
        while True:
            with contextlib.suppress(queue.Empty):
                self.take(self.events.get(timeout=max(0.0, next_turn - now())))
            if now() < next_turn:
                continue
            # The turn judges what is known now: first everything that was waiting is taken in.
            for _ in range(self.events.qsize()):
                self.take(self.events.get())
            moment = now()
            gap = clocks.gap(moment)
            if gap is not None:
                self.take(events.ClockBroke(moment, gap))
            self.take(events.Tick(moment))
            self._outside.publish(self.state)
            next_turn = max(next_turn + self.state.timing.keepalive, now())

    def take(self, event: Event | BaseException) -> None:
        """One event. Raises InvariantBroken or what an adapter gave up with."""
        if isinstance(event, BaseException):
            raise event
        decision = decide(self.state, event)
        check(self.state, decision)
        is_to_be_saved = decision.state.durable != self.state.durable
        if is_to_be_saved and not decision.state.is_stateless:
            try:
                self._outside.save(decision.state.durable)
            except StateError as error:
                # safety: what is not on disk was not decided, and is not done. The event is judged
                # again, by a machine that knows that it cannot write: what it tells is not lost.
                log.error("%s %s", error, error.hint)
                self.take(events.StateLost(event.at, error.why))
                self.take(event)
                return
        # journald.conf(5), SyncIntervalSec: only what is critical is on the disk before a reset.
        before, self.state = self.state, decision.state
        has_given_up = self.state.is_fenced and not before.is_fenced
        is_last = has_given_up or (before.is_fed and not self.state.is_fed)
        for reason in decision.reasons:
            log.log(logging.CRITICAL if is_last else logging.INFO, "%s", reason)
        self._outside.decided(decision.reasons)
        for action in decision.actions:
            self._act(action)

    def _act(self, action: actions.Action) -> None:
        match action:
            case actions.SendHello(hello, formats):
                self._outside.send(hello, formats)
            case actions.TellReplaced(hello):
                self._outside.tell_replaced(hello)
            case actions.ProbeReferee():
                self._outside.probe_referee()
            case actions.ProbePeer():
                self._outside.probe_peer()
            case actions.Feed():
                self._outside.feed()
            case actions.AnswerFence(guest, answer):
                self._outside.answer_fence(guest, answer)
            case actions.AnswerOperator(guest, refusal):
                self._outside.answer_operator(guest, refusal)
            case actions.TakeUpLan(order):
                self._outside.take_up_lan(order)
            case actions.Reset(is_overdue):
                self._outside.reset(is_overdue)
            case actions.FinishLeaving():
                self._outside.finish_leaving()
            case _:
                self._outside.do(action)
