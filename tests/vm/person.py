# SPDX-License-Identifier: MIT
"""Somebody who sits at the serial line of a machine: reads what it says, and types."""

import re

from tests.vm.machine import Machine

MENU = "Enter alone goes back: "
PAGE = 900  # seconds; generous, for an emulated machine on a busy host


class Person:
    """At the console of MACHINE."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.prompts = 0  # that were answered

    def reads(self, *patterns: str, within: float = PAGE) -> re.Match[str]:
        """Waits for the first text that matches one of PATTERNS, below what was read before."""
        self._machine.console.expect(list(patterns), timeout=within)
        found = self._machine.console.match
        assert isinstance(found, re.Match)
        return found

    def types(self, text: str = "", *, is_hidden: bool = False) -> None:
        """Types TEXT and Enter. Each key is waited for on the screen, as a serial line loses part
        of what comes in a burst; a hidden text is short enough for the line's own buffer.
        """
        console = self._machine.console
        if is_hidden:
            assert len(text) < 16, "the UART of a PC has 16 bytes (16550A)"
            console.send(text)
        else:
            for key in text:
                console.send(key)
                console.expect_exact(key, timeout=60)
        console.send("\r")
        console.expect_exact("\r\n", timeout=60)
        self.prompts += 1

    def answers(self, question: str, text: str = "", *, is_hidden: bool = False) -> None:
        """Waits for QUESTION and its prompt, and types TEXT."""
        self.reads(question)
        self.reads(r"> ")
        self.types(text, is_hidden=is_hidden)

    def opens_menu(self) -> None:
        """From the status page, which echoes nothing."""
        self._machine.console.send("\r")
        self.reads(MENU)

    def commands(self, words: str, password: str, *, is_admitted: bool = False) -> None:
        """In the menu: WORDS, which take the password, unless it IS_ADMITTED in this visit."""
        self.types(words)
        if not is_admitted:
            self.reads(r"Password \(unseen")
            self.types(password, is_hidden=True)
