# SPDX-License-Identifier: MIT
"""Tells how far something is that takes long."""

import contextlib
import sys
from collections.abc import Iterator

from haagent.command import Interrupted, is_at_a_terminal


class Line:
    """How far it is, in one line of a terminal; a line for each step where nobody watches."""

    def __init__(self) -> None:
        self._shown = ""
        self._is_drawn = is_at_a_terminal()

    def shows(self, what: str, share: float, more: str = "") -> None:
        """MORE is what changes all the time, for who watches."""
        text = f"{what} {int(share * 100):3d} %{more}" if self._is_drawn else f"{what} ..."
        if text != self._shown:
            print(f"\r{text:<30}" if self._is_drawn else text, end="" if self._is_drawn else "\n")
            sys.stdout.flush()
        self._shown = text

    def ends(self) -> None:
        """Something else is printed now."""
        if self._shown and self._is_drawn:
            print()
        self._shown = ""

    @contextlib.contextmanager
    def watched(self, interrupted: str, goes_on: str) -> Iterator[None]:
        """Ends the line in the end; Ctrl-C says what it has INTERRUPTED, and what GOES_ON or is to
        be done.
        """
        try:
            yield
        except KeyboardInterrupt:
            self.ends()
            raise Interrupted(interrupted, goes_on) from None
        finally:
            self.ends()
