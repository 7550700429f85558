# SPDX-License-Identifier: MIT
"""The terminal that a command was typed at, as a screen of a meeting. Ctrl-C works as ever: it
raises KeyboardInterrupt in whoever reads.
"""

import os
import select
import sys

from firstboot.terminals import LONGEST, typed
from haagent.errors import OperatorError
from haagent.folding import folded


class Seat:
    """Standard input and output; the kernel edits the lines."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._lines: list[str] = []
        self._rest = b""

    def tell(self, text: str) -> None:
        print("\n".join(folded(text)), flush=True)

    def prompt(self, text: str) -> None:
        print(text, end="", flush=True)

    def hide(self, is_hidden: bool) -> None:
        """Nothing secret is typed at it but a code that is used once."""

    def read(self, timeout: float | None, *others: int) -> str | int | None:
        """The next line; or one of OTHERS that can be read, or None after TIMEOUT seconds.

        Raises OperatorError when nobody is there any more.
        """
        if self._lines:
            return self._lines.pop(0)
        sys.stdout.flush()
        ready, _, _ = select.select([self._descriptor, *others], [], [], timeout)
        if self._descriptor not in ready:
            return ready[0] if ready else None
        data = os.read(self._descriptor, LONGEST)
        if not data:
            raise OperatorError(
                "The terminal is gone: nothing was changed.", "Type the command again."
            )
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._lines = [typed(line) for line in lines]
        return self._lines.pop(0) if self._lines else None
