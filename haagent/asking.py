# SPDX-License-Identifier: MIT
"""Tells and asks the person at the terminal of a command.

It must not wait for ever: a question that nobody answers would keep the status page off a screen.
What is typed unseen is never printed.
"""

import io
import select
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from haagent import password
from haagent.answering import note
from haagent.errors import OperatorError
from haagent.folding import folded

PATIENCE = 300.0  # seconds
LFLAG = 3  # its place in what termios.tcgetattr returns


class NobodyThere(OperatorError):
    """The question was not answered in time."""

    def __init__(self) -> None:
        super().__init__(
            f"Nothing was done: nobody answered for {PATIENCE / 60:.0f} minutes.",
            "Say it again if you want it.",
        )


def tell(*lines: str) -> None:
    """LINES, folded as a terminal shows them best; they are what a program is answered, too."""
    for line in lines:
        note(line)
        print("\n".join(folded(line)))
    sys.stdout.flush()


def ask(prompt: str) -> str:
    """What is typed behind PROMPT, without blanks around it. Raises NobodyThere."""
    print(prompt, end="", flush=True)
    _await_line()
    return sys.stdin.readline().strip()


def ask_unseen(prompt: str) -> str:
    """The same, for a password: it does not appear, and its blanks count."""
    with _unseen():
        # Not before: who answers at once would be seen, and not be heard.
        print(prompt, end="", flush=True)
        _await_line()
        line = sys.stdin.readline()
    print()
    return line.rstrip("\r\n")


def new_password() -> str:
    """One that was typed twice and will do. Raises OperatorError: nothing was changed."""
    new = ask_unseen(f"The new password, at least {password.LEAST} characters: ")
    flaw = password.flaw(new)
    if flaw is not None:
        raise OperatorError(f"{flaw} Nothing was changed.", "Say it again with another one.")
    if ask_unseen("The same password again: ") != new:
        raise OperatorError("These two are not the same. Nothing was changed.", "Say it again.")
    return new


def _await_line() -> None:
    with suppress(io.UnsupportedOperation):  # a text in memory: it is there already
        # termios(3): a terminal can be read when a whole line is there.
        if not select.select([sys.stdin.fileno()], [], [], PATIENCE)[0]:
            print()
            raise NobodyThere


@contextmanager
def _unseen() -> Iterator[None]:
    try:
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
    except (io.UnsupportedOperation, termios.error):
        yield  # no terminal shows what comes from here
        return
    mode = termios.tcgetattr(descriptor)
    mode[LFLAG] &= ~(termios.ECHO | termios.ECHONL)
    # What was typed before the question would be taken for the answer, and was seen.
    termios.tcsetattr(descriptor, termios.TCSAFLUSH, mode)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
