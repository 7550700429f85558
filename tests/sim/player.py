# SPDX-License-Identifier: MIT
"""Plays a sequence of steps on the simulator's DRBD, and reads it after each."""

from haagent.core.model import Disk, Link, Role
from tests.sim.drbd import Mirror, Refused
from tests.sim.readings import Both, Reading, Row, is_restless, left_trying, row
from tests.sim.sequences import Step, steps

TURN = 0.25  # seconds between two looks of the kernels
DETECT, SYNC, HELD = 1.0, 1.0, 1e6  # seconds
PATIENCE = 100  # turns

# drbdsetup's exit code for what the kernel refuses, by its text: user/v84/drbdsetup.c of
# drbd-utils 9.22, print_config_error.
EXITS = {
    "Multiple primaries not allowed by config": 11,
    "Refusing to be Primary while peer is not outdated": 11,
    "State change failed: Device is held open by someone": 11,
    "Need a connection to start verify or resync": 11,
    "Need access to UpToDate data": 17,
    "State change was refused by peer node": 11,
    "--discard-my-data not allowed when primary": 10,
    "Can only attach to the data we lost last": 10,
}
NOBODY_ASKED = "124"  # there was no handler to answer


class Player:
    """Two simulated copies and a cable."""

    def __init__(self) -> None:
        self.now = 0.0
        self.deaf: set[int] = set()  # nodes whose frames are lost
        self.held: set[int] = set()  # nodes that pause a resync
        self.asked: list[int] = []  # nodes whose handler was called in this step
        self.waiting: set[int] = set()  # nodes whose handler was not answered yet
        self.writes = 0
        self.mirror = Mirror(self._carries, lambda _: None, self._ask, lambda *_: None)
        for copy in self.mirror.copies:
            copy.attach()
            copy.link, copy.disk = Link.CONNECTED, Disk.UP_TO_DATE

    def play(self, name: str) -> list[Row]:
        """Raises AssertionError if the model does not come to rest."""
        return [self.take(step) for step in steps(name)]

    def take(self, step: Step) -> Row:
        self.asked.clear()
        before = self.read()
        if step.verb != "answer":  # a handler whose device is not frozen is let go
            self.waiting -= {node for node in (0, 1) if not before[node].is_suspended}
        ended = self._do(step)
        self._settle()
        trying = left_trying(step, before, self.read())
        if trying is not None:
            self.mirror.disconnect(trying)
            self._settle()
        return row(step, ended, self.asked, self.read())

    def read(self) -> Both:
        return self._read(0), self._read(1)

    def _read(self, node: int) -> Reading:
        copy = self.mirror.copies[node]
        resource = self.mirror.show(node) if copy.is_attached else None
        return Reading(resource, tuple(sorted(copy.data)), copy.pending is not None)

    def _carries(self, source: int, target: int) -> bool:
        is_there = all(copy.is_attached for copy in self.mirror.copies)
        return is_there and source not in self.deaf

    def _ask(self, node: int) -> None:
        self.asked.append(node)
        self.waiting.add(node)

    def _settle(self) -> None:
        for _ in range(PATIENCE):
            self.now += TURN
            self.mirror.step(self.now, DETECT, HELD if self.held else SYNC)
            is_whole = self._carries(0, 1) and self._carries(1, 0)
            if not is_restless(self.read(), is_whole, bool(self.held)):
                break
        else:
            raise AssertionError(f"no rest: {self.read()}")
        for node, copy in enumerate(self.mirror.copies):
            if copy.pending is not None:
                self.mirror.write(node, copy.pending)

    def _do(self, step: Step) -> str:
        """How it ended: an exit code, or what became of a write."""
        if step.node is None or step.verb == "cut":
            if step.verb == "cut":
                self.deaf |= {0, 1} if step.node is None else {step.node}
            else:
                self.deaf.clear()
            return "0"
        if step.verb == "write":
            self.writes += 1
            is_done = self.mirror.write(step.node, self.writes)
            return "acknowledged" if is_done else "waits"
        return self.attempt(step)

    def attempt(self, step: Step) -> str:
        """The exit code of what is done on a node."""
        assert step.node is not None
        if step.verb == "answer" and step.node not in self.waiting:
            return NOBODY_ASKED
        copy = self.mirror.copies[step.node]
        is_stale = copy.is_inconsistent or not copy.has_disk
        try:
            self._act(step.node, step.verb, step.code)
        except Refused as refused:
            return str(EXITS[str(refused)])
        return "5" if step.verb == "outdate" and is_stale else "0"

    def _act(self, node: int, verb: str, code: int) -> None:
        """Raises Refused."""
        mirror, copy = self.mirror, self.mirror.copies[node]
        match verb:
            case "primary" | "rushes":
                if verb == "rushes":
                    self.deaf |= {0, 1}
                if mirror.waits_for_peer(node):
                    self._settle()
                if copy.role is not Role.PRIMARY and mirror.needs_handler(node):
                    self.asked.append(node)
                mirror.promote(node, code)
            case "answer":
                self.waiting.discard(node)
                mirror.answer(node, code)
            case "secondary":
                mirror.demote(node)
            case "disconnect":
                mirror.disconnect(node)
            case "connect":
                mirror.connect(node)
            case "discard":
                mirror.discard(node)
            case "outdate":
                mirror.outdate(node)
            case "invalidate":
                mirror.invalidate(node, self.now + (HELD if self.held else SYNC))
            case "detach":
                mirror.detach(node)
            case "attach":
                mirror.take_disk(node, self.now + (HELD if self.held else SYNC))
            case "hold":
                self.held.add(node)
            case "let":
                self.held.discard(node)
                self.now += HELD  # by now a resync that was held is done
            case "down" | "dies":
                if verb == "down":
                    mirror.demote(node)
                    mirror.disconnect(node)
                copy.pending = None
                copy.detach()
                self.held.discard(node)
            case "up":
                copy.attach()
            case _:
                raise ValueError(verb)
