# SPDX-License-Identifier: MIT
"""Says what a set-up does on every screen that somebody may sit at, and in the journal.

It only speaks. The greeting, which owns the screens otherwise, is not there yet.
"""

import os
import textwrap
from pathlib import Path

ACTIVE = Path("/sys/class/tty/console/active")
DEV = Path("/dev")
WIDTH = 78


class Screen:
    """All consoles of this boot."""

    def __init__(self, active: Path | None = None, dev: Path | None = None) -> None:
        active, dev = active or ACTIVE, dev or DEV
        names = active.read_text().split() if active.exists() else []
        # The monitor always counts; tty0 stands for whatever it shows just now.
        self._terminals = [dev / name for name in dict.fromkeys(["tty1", *names]) if name != "tty0"]

    def tell(self, text: str) -> None:
        """Prints TEXT, wrapped; a terminal that is gone, or full, does not stop anything."""
        lines = [
            part
            for line in text.splitlines()
            for part in textwrap.wrap(line, WIDTH, subsequent_indent="  ") or [""]
        ]
        words = "\n".join(lines)
        print(words, flush=True)
        for terminal in self._terminals:
            try:
                # A serial line that nobody reads must not hold us up.
                descriptor = os.open(terminal, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
            except OSError:
                continue  # not on this machine; the journal has it in any case
            try:
                os.write(descriptor, words.replace("\n", "\r\n").encode() + b"\r\n")
            except OSError:
                continue
            finally:
                os.close(descriptor)
