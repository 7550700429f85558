# SPDX-License-Identifier: MIT
"""One machine's part in a change of the list of guests. It decides nothing: leading.py says what
comes next, on both machines alike; but one of the two has DRBD take a larger disk.

All of it can be repeated from wherever a power cut ended it. What is made for a guest before the
change is decided is known to nobody else: its mirror runs from a file of its own, which a start of
the machine does not find, and no agent has heard of it.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from firstboot.hands import FAILING_STICK, Files, put
from firstboot.rendering import SECRET, File
from firstboot.roster import change as changes
from firstboot.roster.change import Change, Kind, Stage
from haagent.backup import schedule
from haagent.errors import BugError, OperatorError
from haagent.storage.growth import Progress

Tell = Callable[[str], None]


class Busy(OperatorError):
    """Another change is open."""


class Hands(Files, Protocol):
    """What is done to a machine that serves. All may raise ShoestringError, and can be repeated."""

    def list_number(self) -> int:
        """Of the list of guests that lasts."""

    def lists(self, guest: str) -> bool:
        """Whether GUEST is on it."""

    def obstacle(self, change: Change) -> str | None:
        """What of this machine is in the way of CHANGE, in a sentence."""

    def remove(self, path: str) -> None: ...

    def make_disk(self, change: Change) -> None:
        """A volume for the guest, with DRBD's metadata of one that was never used. What is left of
        an earlier try is made anew.
        """

    def start_passing_mirror(self, change: Change) -> None:
        """DRBD has the guest's volume, by a file that the next start does not find, and looks for
        the other machine.
        """

    def stop_mirror(self, guest: str) -> None:
        """DRBD does not have GUEST any more, by whatever file it had."""

    def remove_disk(self, guest: str) -> None:
        """Nothing of GUEST is on the data disk any more."""

    def rename_disk(self, change: Change) -> None:
        """The volume that DRBD does not have any more by the name that it had has the new one."""

    def disk_size(self, guest: str) -> int | None:
        """Bytes of GUEST's disk, as it sees it; None if DRBD does not have it."""

    def grow_disk(self, change: Change, show: Progress) -> None:
        """The guest's volume is as large as CHANGE has it, what is new of it is blank, and DRBD
        does not have that yet. May take hours.
        """

    def take_disk(self, change: Change, *, waits: bool) -> None:
        """DRBD has what was grown on both machines: it WAITS for that if both are there."""

    def write_list(self, change: Change) -> None:
        """The files of the list with CHANGE in it: the guest's mirror is written before the list,
        and goes after it.
        """

    def start_mirror(self, guest: str) -> None:
        """DRBD has it as every start of the machine will have it."""

    def restart_agent(self) -> None:
        """It takes up the list; guests run on."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a machine's part begins from."""

    number: int  # of its list
    change: Change | None  # that is open


class Part:
    """This machine's."""

    def __init__(self, hands: Hands, tell: Tell, show: Progress = lambda what, share: None) -> None:
        self._hands = hands
        self._tell = tell
        self._show = show

    def standing(self) -> Standing:
        return Standing(self._hands.list_number(), self._open())

    def disk_size(self, guest: str) -> int | None:
        return self._hands.disk_size(guest)

    def begin(self, change: Change) -> None:
        """CHANGE is open here. Raises OperatorError if it cannot be, and has changed nothing."""
        found = self._open()
        if found is not None and not (found.leads or change.leads) and found.stage is Stage.BEGUN:
            # The other machine leads both, and has one at a time: what it left is not decided.
            self.drop(found.number)
            found = None
        if found is not None:
            raise Busy(f"Nothing was begun: {found}.", "Wait until that is done, and say it again.")
        if self._hands.list_number() >= change.number:
            raise OperatorError(
                "Nothing was begun: the list of guests has changed meanwhile.", "Say it again."
            )
        if (why := self._hands.obstacle(change)) is not None:
            raise OperatorError(f"Nothing was begun: {why}", "Put that right, and say it again.")
        self._write(change.at(Stage.BEGUN))

    def prepare(self, number: int) -> None:
        """All that can be done before it counts."""
        change = self._opened(number, Stage.BEGUN)
        if change.kind is Kind.ADDED:
            self._hands.make_disk(change)
            self._hands.start_passing_mirror(change)

    def decide(self, change: Change) -> None:
        """safety: from here on it is never taken back."""
        found = self._open()
        if found is None and self._hands.list_number() >= change.number:
            return  # it is carried out already
        if found is None or not found.is_same_as(change) or found.stage is Stage.DROPPED:
            raise BugError(f"what was never begun here is decided: {change}")
        if found.stage is Stage.BEGUN:
            self._write(found.at(Stage.DECIDED))

    def carry_out(self, *, keeps_word: bool = False, is_alone: bool = False) -> None:
        """The list has the change, and the agent knows; then it is open no more, but to tell the
        other machine of it, with KEEPS_WORD. If this one IS ALONE, that one is not waited for.
        """
        change = self._open()
        if change is None:
            return
        if change.stage is not Stage.DECIDED:
            raise BugError(f"what is not decided is carried out: {change}")
        match change.kind:
            case Kind.ADDED:
                self._add(change)
            case Kind.REMOVED:
                self._remove(change)
            case Kind.RENAMED:
                self._rename(change)
            case Kind.EDITED:
                # safety: nor has what was started since a card with other addresses than are told.
                self._wait_for(change)
                self._hands.write_list(change)
                self._hands.restart_agent()
            case Kind.RESIZED:
                self._resize(change, is_alone=is_alone)
        if not keeps_word:
            self._hands.remove(changes.PATH)

    def drop(self, number: int, *, keeps_word: bool = False) -> None:
        """What was made for the change NUMBER is gone. With KEEPS_WORD it is open still."""
        change = self._open()
        if change is None or change.number != number:
            return
        if change.stage is Stage.DECIDED:
            raise BugError(f"what is decided is taken back: {change}")
        if change.kind is Kind.ADDED:
            self._hands.stop_mirror(change.guest.name)
            self._hands.remove_disk(change.guest.name)
        if keeps_word:
            self._write(change.at(Stage.DROPPED))
        else:
            self._hands.remove(changes.PATH)

    def _add(self, change: Change) -> None:
        guest = change.guest.name
        if not self._hands.lists(guest):
            # safety: never below an agent that knows it. The list says that it does.
            self._hands.stop_mirror(guest)
        self._hands.write_list(change)
        self._hands.start_mirror(guest)
        self._hands.restart_agent()

    def _remove(self, change: Change) -> None:
        guest = change.guest.name
        # safety: a person may have started it since. What runs is never cut off its agent.
        self._wait_for(change)
        self._hands.write_list(change)
        self._hands.remove(str(schedule.path(guest)))
        self._hands.restart_agent()
        # safety: not before the agent has let go of it for good. DRBD refuses what is in use.
        self._hands.stop_mirror(guest)
        self._hands.remove_disk(guest)

    def _rename(self, change: Change) -> None:
        # safety: what runs has its name from the old list, with Xen and with its agent.
        self._wait_for(change)
        self._hands.write_list(change)
        self._rename_schedule(change)
        self._hands.restart_agent()
        # The agent knows the new one, whose disk is away for a moment.
        self._hands.stop_mirror(change.was)
        self._hands.rename_disk(change)
        self._hands.start_mirror(change.guest.name)

    def _rename_schedule(self, change: Change) -> None:
        was, name = str(schedule.path(change.was)), change.guest.name
        if (file := self._hands.read(was)) is None:
            return
        with contextlib.suppress(ValueError):  # one that cannot be read was told on the screen
            text = schedule.to_text(replace(schedule.from_text(file.text), guest=name))
            self._hands.write(File(str(schedule.path(name)), text, SECRET))
        self._hands.remove(was)

    def _resize(self, change: Change, *, is_alone: bool) -> None:
        if not is_alone:
            self._wait_for(change)
        self._hands.grow_disk(change, self._show)
        if change.leads or is_alone:
            # safety: who leads comes last, so that what both have is blank. It may have taken
            # hours, in which the guest was stopped.
            if not is_alone:
                self._wait_for(change)
            self._hands.take_disk(change, waits=not is_alone)
        self._hands.write_list(change)

    def _wait_for(self, change: Change) -> None:
        """Raises OperatorError while something is in the way of what is decided."""
        if self._hands.lists(change.listed_as) and (why := self._hands.obstacle(change)):
            raise OperatorError(f"It waits: {why}", "It goes on by itself when that is so.")

    def _open(self) -> Change | None:
        return changes.from_file(self._hands.read(changes.PATH))

    def _opened(self, number: int, stage: Stage) -> Change:
        change = self._open()
        if change is None or change.number != number or change.stage is not stage:
            raise BugError(f"the change {number} is not {stage} here")
        return change

    def _write(self, change: Change) -> None:
        put(self._hands, changes.to_file(change), FAILING_STICK)
