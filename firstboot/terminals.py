# SPDX-License-Identifier: MIT
"""All screens that somebody may sit at, as one: what is said appears on each, any may answer.

Whole lines only: the kernel's own line editing works on a monitor, on a serial line and on a
terminal that nobody has heard of, so no TERM is ever asked for. A terminal that is gone, or that
nobody reads, holds nothing up.
"""

import contextlib
import os
import select
import termios
from collections.abc import Iterable, Sequence
from pathlib import Path

from haagent.folding import folded

ACTIVE = Path("/sys/class/tty/console/active")
DEV = Path("/dev")
LONGEST = 4096  # bytes of a line, termios(3)
ERASE = b"\x7f"
NO_KEY = b"\0"  # _POSIX_VDISABLE on Linux
BACKSPACES = "\b\x7f"  # terminals disagree on what their key sends

IFLAG, OFLAG, LFLAG, CC = 0, 1, 3, 6  # places in what termios.tcgetattr returns


def consoles(active: Path = ACTIVE, dev: Path = DEV) -> list[Path]:
    """The monitor and every console of this boot. The monitor always counts; tty0 stands for
    whatever it shows just now.
    """
    names = active.read_text().split() if active.exists() else []
    return [dev / name for name in dict.fromkeys(["tty1", *names]) if name != "tty0"]


class Terminals:
    """Opens the terminals at PATHS, as far as they are there, and looks after them until
    `close`.
    """

    def __init__(self, paths: Iterable[Path], has_journal: bool = True) -> None:
        """HAS_JOURNAL: what is said goes to standard output, too."""
        self._has_journal = has_journal
        self._open: dict[int, bytes] = {}  # descriptor: what came of its line so far
        for path in paths:
            # Not on this machine: it is none of ours. The journal has everything in any case.
            with contextlib.suppress(OSError):
                descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
                self._open[descriptor] = b""
                # A serial port that is not there can be opened, and nothing else.
                try:
                    _make_plain(descriptor, echo=True)
                except termios.error:
                    self._drop(descriptor)

    def tell(self, text: str) -> None:
        """Prints TEXT, wrapped, on all of them and in the journal."""
        lines = folded(text)
        if self._has_journal:
            print("\n".join(lines), flush=True)
        data = "".join(f"{line}\n" for line in lines).encode("ascii", "replace")
        for descriptor in list(self._open):
            self._write(descriptor, data)

    def prompt(self, text: str) -> None:
        """Prints TEXT without an end of line: what is typed stands behind it."""
        for descriptor in list(self._open):
            self._write(descriptor, text.encode("ascii", "replace"))

    def read(self, timeout: float | None, *others: int) -> str | int | None:
        """The next line from any of them, without its end and with its backspaces obeyed.

        Or one of OTHERS, descriptors that can be read before a line is there; or None after
        TIMEOUT seconds. With no terminal left it waits for OTHERS alone.
        """
        while True:
            watched: Sequence[int] = [*self._open, *others]
            ready, _, _ = select.select(watched, [], [], timeout)
            if not ready:
                return None
            for descriptor in ready:
                if descriptor not in self._open:
                    return descriptor
                line = self._line(descriptor)
                if line is not None:
                    return line

    def hide(self, is_hidden: bool) -> None:
        """Whether what is typed from now on stays unseen. What was typed ahead is forgotten."""
        for descriptor in list(self._open):
            with contextlib.suppress(OSError, termios.error):
                termios.tcflush(descriptor, termios.TCIFLUSH)
                _make_plain(descriptor, echo=not is_hidden)
            self._open[descriptor] = b""

    def close(self) -> None:
        for descriptor in list(self._open):
            self._drop(descriptor)

    def _line(self, descriptor: int) -> str | None:
        try:
            data = os.read(descriptor, LONGEST)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        if not data:
            self._drop(descriptor)
            return None
        so_far = self._open[descriptor] + data
        if not so_far.endswith(b"\n") and len(so_far) < LONGEST:
            self._open[descriptor] = so_far
            return None
        self._open[descriptor] = b""
        return typed(so_far)

    def _write(self, descriptor: int, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            pass  # a serial line that nobody reads must not hold us up
        except OSError:
            self._drop(descriptor)

    def _drop(self, descriptor: int) -> None:
        del self._open[descriptor]
        with contextlib.suppress(OSError):
            os.close(descriptor)


def typed(line: bytes) -> str:
    """LINE as its writer meant it: backspaces obeyed, and nothing in it that a terminal obeys."""
    text = ""
    for character in line.decode("utf-8", "replace").rstrip("\r\n"):
        if character in BACKSPACES:
            text = text[:-1]
        elif character.isprintable():
            text += character
    return text


def _make_plain(descriptor: int, *, echo: bool) -> None:
    """Whole lines, edited by the kernel, whatever was set before (termios(3))."""
    mode = termios.tcgetattr(descriptor)
    mode[IFLAG] |= termios.ICRNL
    mode[OFLAG] |= termios.OPOST | termios.ONLCR
    # Without ISIG no key ends us: there is nothing behind us that could take over.
    mode[LFLAG] &= ~(termios.ECHO | termios.ISIG)
    mode[LFLAG] |= termios.ICANON | termios.ECHOE | termios.ECHONL * (not echo)
    mode[LFLAG] |= termios.ECHO * echo
    mode[CC][termios.VERASE] = ERASE
    # Ctrl-D would look as if the terminal had gone, and it would be dead from then on.
    mode[CC][termios.VEOF] = NO_KEY
    termios.tcsetattr(descriptor, termios.TCSANOW, mode)
