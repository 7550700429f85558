# SPDX-License-Identifier: MIT
"""Makes the backups that are due on this machine, one after the other, and notes what became of it.

systemd has it look every few minutes (shoestring-backup.timer). Whatever goes wrong with a backup
is told on the screens of this machine, and no failure of a part of the system; it is tried again.
It reads this machine's copy wherever the guest runs: the disk that it goes onto is here.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import tzinfo
from pathlib import Path

from haagent.backup import act, news, schedule
from haagent.backup.news import News
from haagent.backup.schedule import Schedule, Schedules
from haagent.client import AgentSilent
from haagent.command import Exit, Interrupted, Places
from haagent.elsewhere.share import Reach
from haagent.errors import OperatorError, ShoestringError
from haagent.storage.sysfs import SYSFS

LONGEST = 400  # characters of what is kept of a trouble


class Nightly:
    """Of the machine in PLACES, by the clock WALL in its ZONE."""

    def __init__(
        self,
        places: Places,
        wall: Callable[[], float] = time.time,
        zone: tzinfo | None = None,
        sysfs: Path = SYSFS,
    ) -> None:
        self._places = places
        self._wall = wall
        self._zone = zone or schedule.local_zone()
        self._sysfs = sysfs
        # Nobody is there to be asked anything.
        self._reach = Reach(places.run, may_ask=False)
        self._schedules = Schedules(places.file.parent)
        self._note = places.socket.with_name(news.NAME)
        self._news = dict(news.read(self._note))

    def look(self) -> list[Schedule]:
        """Those that are due. What is known of all is noted for the screens. Raises OSError."""
        before, self._news, found = self._news, {}, []
        for guest in self._schedules.guests():
            known = before.get(guest, News())
            try:
                one = self._schedules.read(guest)
            except OperatorError as error:
                self._news[guest] = News(trouble=f"{error} {error.hint}")
                continue
            if one is None:
                continue
            if known.done is not None and known.done > (one.done or 0.0):
                # A stick that takes nothing any more must not have it made again and again.
                one = replace(one, done=known.done)
            now = self._wall()
            self._news[guest] = schedule.news(one, now, self._zone, known.tried)
            if schedule.is_due(one, now, self._zone, known.tried):
                found.append(one)
        news.write(self._news, self._note)
        return found

    def run(self) -> Exit:
        try:
            # After each one anew: it may take hours, and a person may say something meanwhile.
            while due := self.look():
                self._back_up(min(due, key=lambda one: one.done or 0.0))
        except AgentSilent as error:
            print(error)  # it may have only just started; the next look is soon
        except OSError as error:
            print(f"What is due is not known: {error}")  # the screens say that the stick is lost
        return Exit.PROTECTED

    def _back_up(self, one: Schedule) -> None:
        job = act.Job(one.guest, one.to, one.policy, is_here_meant=True)
        began = self._wall()
        tried: float | None = None
        try:
            told = act.make(job, self._places, self._reach, self._sysfs)
        except (AgentSilent, Interrupted):
            raise  # nothing is known that a person could put right
        except (ShoestringError, OSError) as error:
            print(f"{one.guest} is not backed up: {error}", flush=True)
            after = replace(one, trouble=" ".join(str(error).split())[:LONGEST])
            tried = self._wall()
        else:
            print(*act.sentences(told), sep="\n", flush=True)
            after = one.succeeded(began, Path(str(told["file"])).name)
        self._news[one.guest] = schedule.news(after, self._wall(), self._zone, tried)
        try:
            self._schedules.change(after)
        except OperatorError as error:
            print(error, flush=True)
