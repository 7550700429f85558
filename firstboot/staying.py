# SPDX-License-Identifier: MIT
"""Carries out what a survivor agreed on with a new peer, or carries on with it after a power cut.

The agreement on the stick is the decision: as long as it is not there the old pair is whole, and
from then on every start makes the new one of it before anything reads the pair's files. The guests
run all the time; no disk is touched.
"""

import contextlib
from collections.abc import Callable
from typing import Protocol

from firstboot import agreement as agreements
from firstboot import answers as answer_file
from firstboot import journal as journal_file
from firstboot.agreement import Agreement, Stage
from firstboot.answers import MOST_KEYS, Answers, Part
from firstboot.hands import FAILING_STICK, put
from firstboot.rendering import KEY, REPLACED_KEYS, SECRET, File
from firstboot.steps import AwaitPeer, EraseSecret, Plan, Step, TakeUp, WriteFiles, plan
from haagent.core.model import Resource
from haagent.errors import BugError, OperatorError

Heralding = Callable[[Agreement, Answers], contextlib.AbstractContextManager[object]]


class Stays(Protocol):
    """What is done to a machine that serves. All may raise ShoestringError, and can be repeated."""

    def time_scale(self) -> float: ...
    def read(self, path: str) -> File | None: ...
    def write(self, file: File) -> None: ...
    def remove(self, path: str) -> None: ...
    def is_agent_running(self) -> bool: ...

    def adjust_mirror(self, guest: str) -> None:
        """DRBD has what is written down for GUEST, without hanging up."""

    def restart_services(self) -> None:
        """heartbeat and the agent, one after the other; guests run on."""

    def await_mirror(self, guest: str, is_enough: Callable[[Resource], bool]) -> Resource:
        """As in hands.py."""


def keep_key(hands: Stays) -> None:
    """Puts the pair's key where those of replaced machines are: the dead one has it, too.

    For the time before the agreement is there; until then the agent, which may read this file since
    an earlier replacement, leaves out the key that is its own.
    """
    key, kept = hands.read(KEY), hands.read(REPLACED_KEYS)
    if key is None:
        raise OperatorError(f"{KEY} is not there.", "Is this machine one half of a pair?")
    keys = keys_of_replaced(key.text, kept.text if kept else "")
    hands.write(File(REPLACED_KEYS, "".join(f"{one}\n" for one in keys), SECRET))


def keys_of_replaced(key: str, kept: str) -> tuple[str, ...]:
    """What machines sign with that have no place here any more once KEY, the pair's, is replaced,
    too; KEPT are the texts of those before. The newest first.
    """
    return tuple(dict.fromkeys([key.strip(), *kept.split()]))[:MOST_KEYS]


class Staying:
    """One replacement, from the agreement to its end."""

    def __init__(
        self,
        hands: Stays,
        tell: Callable[[str], None],
        ready: Callable[[], None],
        herald: Heralding,
    ) -> None:
        """READY is called when whatever waits for the files may start. HERALD says, as long as it
        is open, that this machine has committed.
        """
        self._hands = hands
        self._tell = tell
        self._ready = ready
        self._herald = herald

    def run(self) -> bool:
        """Until the new machine's copies are connected; whether there was anything to do."""
        agreed = agreements.from_file(self._hands.read(agreements.PATH))
        if agreed is None or agreed.stage is not Stage.COMMITTED:
            self._ready()
            return False
        answers = answer_file.read(agreed.answers)
        if answers.part is not Part.STAYS:
            raise OperatorError(
                f"{agreements.PATH} is not about this machine's pair.",
                "Nothing was changed. Delete it if this machine works.",
            )
        steps = plan(answers, self._hands.time_scale())
        for files in _files(steps):
            self._write(files)
        self._ready()
        for step in steps:
            if isinstance(step, TakeUp):
                self._take_up(step)
        # safety: not before DRBD has the new secret: who is answered with the old one hangs up.
        with self._herald(agreed, answers):
            self._meet(steps)
        return True

    def _write(self, step: WriteFiles) -> None:
        self._tell(f"{step.title}.")
        for file in step.files:
            put(self._hands, file, FAILING_STICK)

    def _take_up(self, step: TakeUp) -> None:
        journal = journal_file.load(self._hands.read(journal_file.PATH), self._hands.write)
        if journal.is_done(step):
            return
        # What was not started yet reads the files by itself.
        if self._hands.is_agent_running():
            self._tell(f"{step.title}.")
            for guest in step.guests:
                self._hands.adjust_mirror(guest)
            self._hands.restart_services()
        journal.finish(step)

    def _meet(self, steps: Plan) -> None:
        for step in steps:
            match step:
                case AwaitPeer():
                    self._tell(f"{step.title}.")
                    self._hands.await_mirror(step.guest, lambda now: now.is_connected)
                case EraseSecret():
                    self._hands.remove(agreements.PATH)
                case WriteFiles() | TakeUp():
                    pass
                case _:
                    raise BugError(f"a step for a new machine: {step.name}")


def _files(steps: tuple[Step, ...]) -> list[WriteFiles]:
    return [step for step in steps if isinstance(step, WriteFiles)]
