# SPDX-License-Identifier: MIT
"""One terminal in whole lines: what is said on it, and what is typed.

The kernel's own line editing works on a monitor, on a serial line and on a terminal that nobody has
heard of, so no TERM is ever asked for. It must not wait longer than it is told, and no key that is
typed here ends us.
"""

import os
import select
import termios
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from haagent.console.menu import pages
from haagent.errors import ShoestringError
from haagent.folding import WIDTH

QUIET = 180.0  # seconds without an answer, until the status page comes back
LOOK = 2.0  # seconds between two looks whether the pair's first line has changed
SLOW = 5.0  # seconds that a serial line may hold up what is said
CROWDED = 0.01  # seconds until a full terminal is tried again
ROOM = 22  # lines at once; two are left, for what was above and for the question
MORE = "-- Enter for more, q to stop -- "
STOP = ("q", "quit", "back", "exit")

IFLAG, OFLAG, LFLAG, CC = 0, 1, 3, 6  # places in what termios.tcgetattr returns
NO_KEY = b"\0"  # _POSIX_VDISABLE on Linux
ERASE = b"\x7f"
BACKSPACES = "\b\x7f"  # terminals disagree on what their key sends
INTERRUPT, END = "\x03", "\x04"  # Ctrl-C, Ctrl-D


class Quiet(ShoestringError):
    """Nobody has typed anything for long."""


class Gone(ShoestringError):
    """The terminal takes nothing any more, or nobody can type on it."""


class Lines:
    """The terminal open as KEYS and SCREEN, which may be one descriptor."""

    def __init__(self, keys: int, screen: int, quiet: float = QUIET) -> None:
        self._keys = keys
        self._screen = screen
        self._quiet = quiet

    def say(self, *lines: str) -> None:
        """Raises Gone."""
        self._write("".join(f"{line[:WIDTH]}\n" for line in lines))

    def ask(
        self, prompt: str, *, is_unseen: bool = False, news: Callable[[], str | None] | None = None
    ) -> str:
        """The line that is typed; "" also for Ctrl-C and Ctrl-D.

        NEWS is called every few seconds; what it returns is said, and PROMPT once more. Raises
        Quiet, or Gone.
        """
        self._listen(is_unseen)
        if is_unseen:
            self.forget()  # what came too early was seen
        self._write(prompt)
        deadline = time.monotonic() + self._quiet
        typed = b""
        while not typed.endswith((b"\n", INTERRUPT.encode(), END.encode())):
            left = deadline - time.monotonic()
            if left <= 0:
                self._write("\n")
                raise Quiet("nobody typed anything")
            if select.select([self._keys], [], [], min(left, LOOK))[0]:
                typed += self._read()
            elif news is not None and (told := news()) is not None:
                self._write(f"\n{told[:WIDTH]}\n{prompt}")
        line = understood(typed)
        if line.endswith((INTERRUPT, END)):
            self._write("\n")
            return ""
        return line

    def show(self, lines: Sequence[str], room: int = ROOM) -> bool:
        """LINES, a screen at a time. False if somebody had enough. Raises as `ask`."""
        parts = pages(lines, room)
        for part in parts[:-1]:
            self.say(*part)
            if self.ask(MORE).strip().lower() in STOP:
                return False
        self.say(*parts[-1])
        return True

    def forget(self) -> None:
        """What was typed and not read yet is lost: it was meant for something else."""
        with suppress(termios.error):
            termios.tcflush(self._keys, termios.TCIFLUSH)

    def _listen(self, is_unseen: bool) -> None:
        try:
            mode = _whole_lines(termios.tcgetattr(self._keys), is_unseen)
            # Now: a serial line that takes nothing would never have written what was said before.
            termios.tcsetattr(self._keys, termios.TCSANOW, mode)
        except termios.error as error:
            raise Gone("no terminal") from error

    def _read(self) -> bytes:
        try:
            data = os.read(self._keys, 4096)
        except OSError:
            data = b""
        if not data:
            raise Gone("the terminal was hung up")
        return data

    def _write(self, text: str) -> None:
        data = text.encode("ascii", "replace")
        # Only meanwhile: a program that is run here has the same open terminal.
        os.set_blocking(self._screen, False)
        try:
            while data:
                data = data[self._write_some(data) :]
        except OSError as error:
            raise Gone("the terminal was hung up") from error
        finally:
            os.set_blocking(self._screen, True)

    def _write_some(self, data: bytes) -> int:
        """How many bytes of DATA were taken. Raises OSError, or Gone after a while without any: a
        serial line that nobody reads must not hold us up for ever.
        """
        deadline = time.monotonic() + SLOW
        while (left := deadline - time.monotonic()) > 0:
            if select.select([], [self._screen], [], left)[1]:
                try:
                    return os.write(self._screen, data)
                except BlockingIOError:
                    # There was room, and too little for a line's end with its carriage return.
                    # Nobody tells when there is more.
                    select.select([], [], [], CROWDED)
        raise Gone("the terminal takes nothing")


def understood(line: bytes) -> str:
    """LINE as its writer meant it: backspaces obeyed, and nothing in it that a terminal obeys, but
    for the keys that end it.
    """
    text = ""
    for character in line.decode("utf-8", "replace").rstrip("\r\n"):
        if character in BACKSPACES:
            text = text[:-1]
        elif character.isprintable() or character in (INTERRUPT, END):
            text += character
    return text


def _whole_lines(mode: list[Any], is_unseen: bool) -> list[Any]:
    """MODE of termios(3), with whole lines, edited by the kernel, whatever was set before."""
    mode[IFLAG] |= termios.ICRNL
    # Ctrl-S would stop the screen, and nothing on it would say so.
    mode[IFLAG] &= ~termios.IXON
    mode[OFLAG] |= termios.OPOST | termios.ONLCR
    # Without ISIG no key is a signal. Ctrl-C and Ctrl-D end a line instead, and mean: back.
    mode[LFLAG] &= ~(termios.ISIG | termios.ECHO | termios.ECHONL)
    mode[LFLAG] |= termios.ICANON | termios.ECHOE | termios.IEXTEN  # the last one is for VEOL2
    mode[LFLAG] |= termios.ECHONL if is_unseen else termios.ECHO
    for place, key in (
        (termios.VERASE, ERASE),
        (termios.VEOF, NO_KEY),  # it would look as if the terminal had gone
        (termios.VEOL, INTERRUPT.encode()),
        (termios.VEOL2, END.encode()),
    ):
        mode[CC][place] = key
    return mode
