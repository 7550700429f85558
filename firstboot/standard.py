# SPDX-License-Identifier: MIT
"""Standard input and output as a screen, for a rehearsal: terminals.py is for whole machines.

It works with a terminal as it is, and with a pipe: then what comes is echoed, so that the output
reads like a screen.
"""

import contextlib
import sys
import termios

from firstboot.terminals import typed
from haagent.errors import OperatorError
from haagent.folding import folded

LFLAG = 3  # place in what termios.tcgetattr returns


class Standard:
    """A screen with somebody, or a file, before it."""

    def __init__(self) -> None:
        self._is_hidden = False

    def tell(self, text: str) -> None:
        print("\n".join(folded(text)), flush=True)

    def prompt(self, text: str) -> None:
        print(text, end="", flush=True)

    def read(self, timeout: float | None, *others: int) -> str:
        """The next line. Raises OperatorError at the end of the input."""
        line = sys.stdin.buffer.readline()
        if not line:
            raise OperatorError(
                "The input ended before the rehearsal did.",
                "Run it in a terminal, or give it a line for each question.",
            )
        text = typed(line)
        if not sys.stdin.isatty():
            print("" if self._is_hidden else text, flush=True)
        return text

    def hide(self, is_hidden: bool) -> None:
        """Whether what is typed from now on stays unseen."""
        self._is_hidden = is_hidden
        if not sys.stdin.isatty():
            return
        with contextlib.suppress(termios.error):
            mode = termios.tcgetattr(sys.stdin)
            mode[LFLAG] &= ~(termios.ECHO | termios.ECHONL)
            mode[LFLAG] |= termios.ECHONL if is_hidden else termios.ECHO
            termios.tcsetattr(sys.stdin, termios.TCSAFLUSH if is_hidden else termios.TCSANOW, mode)
