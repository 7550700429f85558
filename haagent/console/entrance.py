# SPDX-License-Identifier: MIT
"""Puts the menu together for one terminal: what it looks at, whom it lets in, what it runs.

It must not wait for an agent that hangs: whoever comes to look may come because of that.
"""

import socket
import time
from contextlib import suppress
from typing import Any

from haagent import client, config
from haagent.client import AgentSilent
from haagent.command import Places
from haagent.console.lines import Lines
from haagent.console.programs import Programs
from haagent.console.render import NOT_KNOWN, render
from haagent.console.snapshot import from_dict, is_stale
from haagent.console.times import age
from haagent.console.tty import Menu
from haagent.console.visit import View, Visit
from haagent.core.timing import TimingError
from haagent.errors import OperatorError, ShoestringError
from haagent.folding import WIDTH

PATIENCE = 4.0  # seconds for the agent's answer; longer than a busy machine looks at a password
EVERY_LINE = 1000
NOBODY = "the other machine"  # one whose name is not known, or that there is not


def menu(places: Places, usual: list[Any] | None) -> Menu:
    """For console/tty.py. USUAL is how the terminal is for programs."""
    with suppress(OperatorError):  # whoever then asks for the password is told
        _ = places.guard.has_password  # while the stick is there: a copy of it is kept in memory

    def spend(keys: int, screen: int) -> None:
        runner = Programs(keys, screen, usual)
        Visit(Lines(keys, screen), runner, places.guard, lambda: look(places)).spend()

    return spend


def look(places: Places) -> View:
    """The pair as it is just now. Raises nothing of ours: what is not known is said to be so."""
    try:
        shown, now = from_dict(client.snapshot(places.socket, PATIENCE)), time.monotonic()
        if is_stale(shown, now):
            raise AgentSilent(f"what it says is {age(shown.at, now)} old")
    except ShoestringError as error:
        return _without_agent(places, f"{NOT_KNOWN}: {error}"[:WIDTH])
    first = render(shown, WIDTH, EVERY_LINE, now)[0]
    peer = NOBODY if shown.is_vacant else shown.peer
    return View(first, shown.me, peer, tuple(guest.name for guest in shown.guests))


def _without_agent(places: Places, first: str) -> View:
    try:
        found = config.load(places.file, places.cmdline)
    except (ShoestringError, TimingError):
        return View(first, socket.gethostname(), NOBODY, ())
    pair = found.pair
    peer = NOBODY if pair.is_vacant else pair.names[1 - pair.me]
    return View(first, pair.names[pair.me], peer, tuple(found.guests))
