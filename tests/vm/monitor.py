# SPDX-License-Identifier: MIT
"""Somebody who sits at the monitor and the keyboard of a machine: reads tty1, presses keys."""

import re
import string

from tests.vm.machine import Machine
from tests.vm.person import PAGE
from tests.vm.wait import wait_until

# The text that tty1 shows (vcs(4)): rows and columns first, then every character.
READ = "od -An -tu1 -N2 /dev/vcsa1 | tr -s ' '; cat /dev/vcs1"
KEYS = {  # qemu-qmp-ref(7), QKeyCode, for the keyboard of the United States
    **{key: [key] for key in string.ascii_lowercase + string.digits},
    **{key: ["shift", key.lower()] for key in string.ascii_uppercase},
    " ": ["spc"],
    ".": ["dot"],
    "/": ["slash"],
    "-": ["minus"],
    "?": ["shift", "slash"],
}


class Viewer:
    """At the monitor of MACHINE, while its tty1 is what the monitor shows."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._read = ""  # what was on the screen when the last key was pressed
        self.prompts = 0  # that were answered

    def screen(self) -> str:
        """What tty1 shows now, a line each, without what is blank."""
        # A cell that was never written to is a NUL there.
        told, _, text = self._machine.run(READ).replace("\0", " ").partition("\n")
        columns = int(told.split()[1])
        rows = (text[at : at + columns] for at in range(0, len(text), columns))
        return "\n".join(row.rstrip() for row in rows).rstrip()

    def reads(self, *patterns: str, within: float = PAGE) -> re.Match[str]:
        """Waits for a text that matches one of PATTERNS, on a screen that changed since a key was
        pressed.
        """

        def look() -> re.Match[str] | None:
            text = self.screen()
            if text == self._read:
                return None
            return next(filter(None, (re.search(pattern, text) for pattern in patterns)), None)

        return wait_until(f"one of {patterns} on {self._machine.name}'s monitor", look, within)

    def types(self, text: str = "", *, is_hidden: bool = False) -> None:
        """Types TEXT and Enter. A PC's keyboard keeps 16 bytes for a machine that is busy, three
        for a key, so that what was typed is waited for on the screen.
        """
        for at, key in enumerate(text, 1):
            self._press(KEYS[key])
            if at % 4 == 0 and not is_hidden:
                self._awaits_echo(text[:at])
        if not is_hidden:
            self._awaits_echo(text)
        self._read = self.screen()
        self._press(["ret"])
        self.prompts += 1

    def answers(self, question: str, text: str = "", *, is_hidden: bool = False) -> None:
        """Waits for QUESTION with a prompt below it, and types TEXT."""
        self.reads(rf"(?s){question}.*> ?$")
        self.types(text, is_hidden=is_hidden)

    def _awaits_echo(self, text: str) -> None:
        wait_until(
            f"{text!r} on {self._machine.name}'s monitor",
            lambda: self.screen().endswith(text.rstrip()),
            60,
        )

    def _press(self, keys: list[str]) -> None:
        self._machine.qmp("send-key", keys=[{"type": "qcode", "data": key} for key in keys])
