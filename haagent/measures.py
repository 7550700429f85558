# SPDX-License-Identifier: MIT
"""Finds out how much memory there is for guests; and what a person wants to know who has to choose
between two copies of a disk: how far they differ, and whether there is room to keep the one that is
given up.

It only looks. No rule depends on what it finds; both machines tell it each other in their hellos.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from haagent.config import GuestConfig
from haagent.console.facts import is_split_brain
from haagent.core.events import Event, MeasuresTaken
from haagent.core.model import Measured, NodeState
from haagent.errors import ToolError
from haagent.guests.footprint import footprint
from haagent.guests.xen import Memory
from haagent.lookout import PROC_DRBD
from haagent.storage.resync import out_of_sync

PAUSE = 15.0  # seconds between two looks while something is apart
SELDOM = 60.0  # seconds between two looks at the memory: it changes when a person does something

log = logging.getLogger(__name__)


class Room(Protocol):
    """What storage/kept.py tells."""

    def room(self) -> int: ...
    def needs(self) -> dict[str, int]: ...


class Giver(Protocol):
    """What guests/xen.py tells."""

    def memory(self) -> Memory: ...


class Measures:
    """Of GUESTS. `seen` never blocks."""

    def __init__(
        self,
        guests: Mapping[str, GuestConfig],
        kept: Room,
        xen: Giver,
        proc: Path = PROC_DRBD,
    ) -> None:
        self._guests = guests
        self._minors = {name: guest.minors for name, guest in guests.items()}
        self._takes = {
            name: footprint(guest.memory, guest.vcpus, guest.kind) for name, guest in guests.items()
        }
        self._memory = -1
        self._kept = kept
        self._xen = xen
        self._proc = proc
        self._is_apart = threading.Event()

    def seen(self, state: NodeState) -> None:
        """STATE is the newest."""
        if any(
            is_split_brain(state, guest) or state.durable.ledgers[guest].choice.is_open
            for guest in state.guests
        ):
            self._is_apart.set()
        else:
            self._is_apart.clear()

    def watch(self, post: Callable[[Event], None]) -> None:
        """Posts what it finds: soon when copies come apart, and often while they are. Blocks for
        ever.
        """
        looked = -math.inf
        while True:
            is_apart = self._is_apart.is_set()
            if time.monotonic() - looked >= SELDOM:
                looked = time.monotonic()
                self.look_at_memory()
            measured = self.take() if is_apart else Measured()
            measured = replace(measured, memory=self._memory, takes=self._takes)
            post(MeasuresTaken(time.monotonic(), measured))
            # None of DRBD, LVM and Xen tells anybody.
            if is_apart:
                time.sleep(PAUSE)
            else:
                self._is_apart.wait(SELDOM)

    def look_at_memory(self) -> None:
        """What Xen does not tell now is what it was: a machine does not lose memory as it runs."""
        try:
            found = self._xen.memory()
        except ToolError as error:
            log.warning("the memory for guests is not known: %s", error)
            return
        self._memory = found.free + sum(
            held + self._takes[guest] - self._guests[guest].memory
            for guest, held in found.guests.items()
        )

    def take(self) -> Measured:
        """Once. What cannot be found out is not known, and is no error."""
        room, needs = -1, {}
        try:
            room, needs = self._kept.room(), self._kept.needs()
        except ToolError as error:
            log.warning("the room for copies is not known: %s", error)
        try:
            devices = out_of_sync(self._proc.read_text(errors="replace"))
        except OSError as error:
            log.warning("%s cannot be read: %s", self._proc, error)
            devices = {}
        differs = {
            guest: sum(devices[n] for n in numbers)
            for guest, numbers in self._minors.items()
            if numbers and all(n in devices for n in numbers)
        }
        return Measured(room, needs, differs)
