# SPDX-License-Identifier: MIT
"""Owns one terminal: shows the agent's newest snapshot on it, for ever, and lends it to the menu.

It must not do anything else, and must not end because the agent, or the terminal, is gone: a dark
screen at night says nothing. The page never scrolls; only the lines that changed are written.
"""

import os
import select
import termios
import time
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from haagent.client import AgentSilent, Connection
from haagent.console.render import render, silence, starting
from haagent.console.snapshot import Snapshot, from_dict, is_stale
from haagent.control import SOCKET, Ask
from haagent.errors import OperatorError, PeerError, ShoestringError

SECOND = 1.0  # ages are shown in seconds, and a lost agent or terminal is looked for again
STARTING = 120.0  # seconds in which nobody need be alarmed that the agent is not there yet
REPAINT = 60.0  # seconds; the kernel may have written over the page
USUAL = (80, 24)  # of a terminal that does not tell its size, such as a serial line
ENTER = b"\r\n"  # what the key sends, by how the terminal is set
# The first line is read from the door: ECMA-48, SGR. A terminal without colours has its words.
GREEN, YELLOW, RED = "30;42", "30;43", "1;37;41"
COLOURS = {"PROTECTED": GREEN, "STOPPED": RED}
FOOT = "Enter: menu (1 shows all lines)"
NARROW = "Enter: menu"

Menu = Callable[[int, int], None]  # what is done on the terminal open as KEYS, SCREEN until it ends


class Console:
    """The agent at PATH, on the terminal open as KEYS and SCREEN. MENU is behind the Enter key."""

    def __init__(
        self,
        keys: int,
        screen: int,
        path: Path = SOCKET,
        clock: Callable[[], float] = time.monotonic,
        menu: Menu | None = None,
    ) -> None:
        self._menu = menu
        self._keys: int | None = keys
        self._screen = screen
        self._name = _terminal_name(screen)
        self._path = path
        self._clock = clock
        self._connection: Connection | None = None
        self._shown: Snapshot | None = None  # the newest of this connection
        self._last: Snapshot | None = None  # of the one before
        self._error: OperatorError = AgentSilent("it was not asked yet")
        self._drawn: list[str] = []
        self._size = (0, 0)
        self._repaint_at = 0.0
        self._began = clock()
        self._was_there = False  # the agent, ever

    def run(self) -> None:
        """Draws and waits, until it is interrupted."""
        while True:
            self.turn()

    def turn(self) -> None:
        """Draws what there is to draw, then waits for something new, a second at most."""
        if self._connection is None:
            self._connect()
        try:
            self._draw()
        except OSError:
            self._reopen()
        self._wait()

    def _connect(self) -> None:
        try:
            self._connection = Connection({"ask": Ask.WATCH}, self._path)
            self._was_there = True
        except AgentSilent as error:
            self._error = error

    def _lose(self, error: ShoestringError) -> None:
        if isinstance(error, OperatorError):
            self._error = error
        else:
            self._error = AgentSilent(str(error))
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._last, self._shown = self._shown or self._last, None

    def _wait(self) -> None:
        ears = [ear for ear in (self._connection, self._keys) if ear is not None]
        ready, _, _ = select.select(ears, [], [], SECOND)
        if self._keys in ready:
            self._read_key()
        if (
            self._connection is not None
            and self._connection in ready
            and not self._hear(self._connection)
        ):
            self._wait()  # whoever hangs up at once is not asked again at once

    def _hear(self, connection: Connection) -> bool:
        """Whether the agent is still there after what it said."""
        try:
            for answer in connection.read(0):
                self._shown = from_dict(answer.get("snapshot", {}))
        except (OperatorError, PeerError) as error:
            self._lose(error)
            return False
        return True

    def _read_key(self) -> None:
        """Enter leads to the menu. Any other key paints the page anew: somebody came to look."""
        assert self._keys is not None
        try:
            data = os.read(self._keys, 1024)
        except OSError:
            data = b""
        self._drawn = []
        if not data:
            self._keys = None  # nobody can type here any more; the page goes on
        elif self._menu is not None and any(key in ENTER for key in data):
            self._visit(self._keys)

    def _visit(self, keys: int) -> None:
        assert self._menu is not None
        # The agent drops whoever does not read what it says.
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._menu(keys, self._screen)
        quieten(keys)
        with suppress(OSError):
            # ECMA-48, ED: a terminal that did not tell its size may be longer than the page.
            _write(self._screen, b"\x1b[2J")
        # What it says now comes before the page does: that would show what was long ago.
        self._connect()
        if self._connection is not None and select.select([self._connection], [], [], SECOND)[0]:
            self._hear(self._connection)

    def _page(self, width: int, height: int) -> list[str]:
        now = self._clock()
        foot = self._foot(width)
        if not self._was_there and now - self._began < STARTING:
            return starting(width, height, foot)
        if self._shown is None:
            return silence(self._error, self._last, width, height, now, foot)
        if is_stale(self._shown, now):
            error = AgentSilent(f"it has said nothing new for {now - self._shown.at:.0f} s")
            return silence(error, self._shown, width, height, now, foot)
        return render(self._shown, width, height, now, foot)

    def _foot(self, width: int) -> str:
        """The way to the menu, if somebody can go it."""
        if self._menu is None or self._keys is None:
            return ""
        return FOOT if width >= len(FOOT) + len("(999 more lines)  ") else NARROW

    def _draw(self) -> None:
        """Raises OSError if the terminal is gone."""
        size = _size(self._screen)
        now = self._clock()
        if size != self._size or now >= self._repaint_at:
            self._size, self._drawn = size, []
            self._repaint_at = now + REPAINT
        width, height = size
        # One column is left free: after the last one, terminals differ in where they are.
        lines = self._page(width - 1, height)
        lines += [""] * (height - len(lines))
        text = "".join(
            # ECMA-48: CUP, then EL to the end of the line
            f"\x1b[{row};1H{_coloured(line) if row == 1 else line}\x1b[K"
            for row, line in enumerate(lines, start=1)
            if row > len(self._drawn) or self._drawn[row - 1] != line
        )
        if text:
            _write(self._screen, f"{text}\x1b[{height};1H".encode("ascii"))
        self._drawn = lines

    def _reopen(self) -> None:
        """A terminal that was hung up is opened again by its name, or tried again next time."""
        self._drawn = []
        if self._name is None:
            return
        with suppress(OSError):
            new = os.open(self._name, os.O_RDWR | os.O_NOCTTY)
            if self._screen > 2:
                os.close(self._screen)
            self._screen = self._keys = new
            quieten(new)


def _coloured(first_line: str) -> str:
    found = (colour for word, colour in COLOURS.items() if first_line.startswith(word))
    colour = next(found, YELLOW)
    return f"\x1b[{colour}m{first_line}\x1b[m"


def _terminal_name(descriptor: int) -> str | None:
    with suppress(OSError):
        return os.ttyname(descriptor)
    return None


def _size(descriptor: int) -> tuple[int, int]:
    """Columns and lines, by TIOCGWINSZ. Raises nothing: what is not told is USUAL."""
    with suppress(OSError):
        size = os.get_terminal_size(descriptor)
        if size.columns > 1 and size.lines > 0:
            return size.columns, size.lines
    return USUAL


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def mode_of(descriptor: int) -> list[Any] | None:
    """How the terminal is set, for `restore`; None: no terminal."""
    try:
        return termios.tcgetattr(descriptor)
    except termios.error:
        return None


def quieten(descriptor: int) -> list[Any] | None:
    """Keys are not shown and need no Enter. Returns what `restore` takes; None: no terminal."""
    try:
        before = termios.tcgetattr(descriptor)
        mode = termios.tcgetattr(descriptor)
        mode[0] &= ~termios.IXON  # Ctrl-S would stop the page, and nothing would say so
        # Now: a serial line that takes nothing would never have written what was said before.
        termios.tcsetattr(descriptor, termios.TCSANOW, mode)
        tty.setcbreak(descriptor, termios.TCSANOW)
        termios.tcflush(descriptor, termios.TCIFLUSH)
    except termios.error:
        return None
    return before


def restore(descriptor: int, before: list[Any] | None) -> None:
    """The terminal is as it was before `quieten`."""
    if before is not None:
        with suppress(termios.error):
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
