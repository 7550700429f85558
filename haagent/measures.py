# SPDX-License-Identifier: MIT
"""Finds out what a person wants to know who has to choose between two copies of a disk: how far
they differ, and whether there is room to keep the one that is given up.

It only looks. No rule depends on what it finds; both machines tell it each other in their hellos.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from haagent.config import GuestConfig
from haagent.console.facts import is_split_brain
from haagent.core.events import Event, MeasuresTaken
from haagent.core.model import Measured, NodeState
from haagent.errors import ToolError
from haagent.lookout import PROC_DRBD, minors
from haagent.storage.resync import out_of_sync

PAUSE = 15.0  # seconds between two looks while something is apart

log = logging.getLogger(__name__)


class Room(Protocol):
    """What storage/kept.py tells."""

    def room(self) -> int: ...
    def needs(self) -> dict[str, int]: ...


class Measures:
    """Of GUESTS, while copies of one of them are apart. `seen` never blocks."""

    def __init__(
        self, guests: Mapping[str, GuestConfig], kept: Room, proc: Path = PROC_DRBD
    ) -> None:
        self._minors = {name: minors(guest) for name, guest in guests.items()}
        self._kept = kept
        self._proc = proc
        self._is_wanted = threading.Event()

    def seen(self, state: NodeState) -> None:
        """STATE is the newest."""
        if any(
            is_split_brain(state, guest) or state.durable.ledgers[guest].choice.is_open
            for guest in state.guests
        ):
            self._is_wanted.set()
        else:
            self._is_wanted.clear()

    def watch(self, post: Callable[[Event], None]) -> None:
        """Posts what it finds, for as long as it is wanted. Blocks for ever."""
        while True:
            self._is_wanted.wait()
            post(MeasuresTaken(time.monotonic(), self.take()))
            time.sleep(PAUSE)  # neither DRBD nor LVM tells anybody

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
