# SPDX-License-Identifier: MIT
"""Feels whether the volumes below DRBD answer: one read of each at a time, and what it owes.

DRBD finds out nothing about a disk that neither answers nor fails, but by its own `disk-timeout`,
which may corrupt memory when the answer comes after all (drbd.conf(5)). It must not judge what is
to be done about it; a read that fails has been answered, and is DRBD's business.

A read is a program of its own. Whoever waits for a disk in the kernel cannot be killed, and a
thread that does would keep the agent from ending, with the watchdog in its hands.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Protocol

from haagent.core.events import DiskHangs, Event
from haagent.core.model import ATTACHED, NodeState
from haagent.errors import ToolError
from haagent.run import Program
from haagent.storage.lvm import GROUP

log = logging.getLogger(__name__)


def read(guest: str) -> tuple[str, ...]:
    """Reads the first 4 KiB of GUEST's volume, from the disk and not from memory, in front of
    whatever else waits for that disk where Linux sorts requests: ionice(1), dd(1). Always the same
    place: no other one is worn, or found damaged, by looking.
    """
    volume = Path("/dev") / GROUP / guest
    what = (f"if={volume}", "of=/dev/null", "bs=4096", "count=1", "iflag=direct", "status=none")
    return ("ionice", "--class", "1", "dd", *what)


class Reading(Protocol):
    """What run.py's Program is."""

    def status(self) -> int | None: ...


class Pulse:
    """Of GUESTS' volumes. A read that was not answered for LIMIT seconds is told, and when it is;
    EVERY so many seconds there is a look. `seen` never blocks.
    """

    def __init__(
        self,
        guests: Iterable[str],
        limit: float,
        every: float,
        begin: Callable[[tuple[str, ...]], Reading] = Program,
    ) -> None:
        self._every = every
        self._patience = round(limit / every)  # looks
        self._begin = begin
        self._attached: Collection[str] = ()
        self._volumes = {guest: _Volume() for guest in guests}

    def seen(self, state: NodeState) -> None:
        """STATE is the newest."""
        self._attached = [
            guest
            for guest, mine in state.guests.items()
            if mine.resource is not None and mine.resource.disk in ATTACHED
        ]

    def watch(self, post: Callable[[Event], None]) -> None:
        """Looks for ever."""
        while True:
            self.look(post)
            time.sleep(self._every)  # there is no event to wait for: what is told is that none came

    def look(self, post: Callable[[Event], None]) -> None:
        """Once. What is owed is counted in looks: a machine that stood still meanwhile has not
        given its disk the time that went by.
        """
        for guest, volume in self._volumes.items():
            if volume.reading is not None and (status := volume.reading.status()) is not None:
                volume.reading = None
                if status != 0:
                    self._tell_once(volume, guest, f"a read of it ended with {status}")
                if volume.is_hanging:
                    volume.is_hanging = False
                    post(DiskHangs(time.monotonic(), guest, False))
            if volume.reading is not None:
                volume.looks += 1
                if volume.looks >= self._patience and not volume.is_hanging:
                    volume.is_hanging = True
                    post(DiskHangs(time.monotonic(), guest, True))
            elif guest in self._attached:
                volume.looks = 0
                try:
                    volume.reading = self._begin(read(guest))
                except ToolError as error:
                    self._tell_once(volume, guest, str(error))

    def _tell_once(self, volume: "_Volume", guest: str, why: str) -> None:
        if not volume.is_told:
            volume.is_told = True
            log.warning("whether the disk of %s answers is not known: %s", guest, why)


class _Volume:
    """One of them: the read that is under way, and for how many looks it has been."""

    def __init__(self) -> None:
        self.reading: Reading | None = None
        self.looks = 0
        self.is_hanging = False
        self.is_told = False  # that it could not be read: once is enough
