# SPDX-License-Identifier: MIT
"""One visit to the menu, from the key on the status page until the page comes back.

It runs the commands of the command line and has no act of its own. What was admitted by the
password is forgotten with the visit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from haagent.console import menu
from haagent.console.guard import Guard, TooSoon
from haagent.console.lines import Gone, Quiet
from haagent.console.menu import Asked, Chosen, Refusal, Wish
from haagent.console.programs import SHELL, SHELL_QUIET, shell_environment
from haagent.errors import OperatorError, ShoestringError
from haagent.folding import folded

TRIES = 3  # of the password at one time


@dataclass(frozen=True, slots=True)
class View:
    """What is known of the pair just now."""

    first_line: str  # of the status page
    me: str
    peer: str
    guests: tuple[str, ...]


class Terminal(Protocol):
    """As console/lines.py has it."""

    def say(self, *lines: str) -> None: ...

    def ask(
        self, prompt: str, *, is_unseen: bool = False, news: Callable[[], str | None] | None = None
    ) -> str: ...

    def show(self, lines: Sequence[str]) -> bool: ...


class Runner(Protocol):
    """As console/programs.py has it."""

    def run(self, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> int: ...

    def lines(self, argv: Sequence[str]) -> list[str]: ...


class Visit:
    """LOOK tells what is known of the pair, at once or nearly so."""

    def __init__(
        self, terminal: Terminal, runner: Runner, guard: Guard, look: Callable[[], View]
    ) -> None:
        self._terminal = terminal
        self._runner = runner
        self._guard = guard
        self._look = look
        self._view = look()
        self._is_admitted = False

    def spend(self) -> None:
        """Returns when the status page may come back."""
        try:
            self._terminal.say("", *menu.page(self._has_password()))
            while self._turn():
                pass
        except (Quiet, Gone):
            return

    def _has_password(self) -> bool:
        try:
            return self._guard.has_password
        except OperatorError as error:
            self._tell(f"{error.message} {error.hint}")
            return False

    def _tell(self, text: str) -> None:
        self._terminal.say("", *folded(text))

    def _turn(self) -> bool:
        """One question and what comes of it. Whether there is a next one."""
        line = self._ask(menu.QUESTION)
        match menu.understand(line):
            case Wish.BACK:
                return False
            case Wish.EXPLAIN:
                self._terminal.show(menu.explanation(self._view.me, self._view.peer))
            case Refusal(words):
                self._tell(words)
            case Chosen() as chosen:
                return self._carry_out(chosen)
        return True

    def _ask(self, prompt: str, *, is_unseen: bool = False) -> str:
        """The answer; above the question stands whether the pair is protected, and it is said anew
        when that changes.
        """
        self._view = self._look()
        self._terminal.say(self._view.first_line)
        return self._terminal.ask(prompt, is_unseen=is_unseen, news=self._news)

    def _news(self) -> str | None:
        before, self._view = self._view, self._look()
        return None if self._view.first_line == before.first_line else self._view.first_line

    def _carry_out(self, chosen: Chosen) -> bool:
        if chosen.act.is_guarded and not self._admit():
            return True
        try:
            if chosen.act.word == menu.SHELL:
                return self._shell()
            if not chosen.act.is_guarded:
                self._terminal.say("", "One moment; Ctrl-C stops it.")
                if self._terminal.show(self._runner.lines(chosen.command())):
                    self._terminal.say("")
                return True
            answers = self._ask_for(chosen)
            if answers is not None:
                self._terminal.say("")
                self._runner.run(chosen.command(*answers))
        except ShoestringError as error:
            if isinstance(error, Quiet | Gone):
                raise
            self._tell(str(error))
        self._terminal.say("")
        return True

    def _ask_for(self, chosen: Chosen) -> tuple[str, ...] | None:
        """What CHOSEN still needs; None: it is not wanted any more."""
        match chosen.needs:
            case None:
                return ()
            case Asked.SWITCH:
                answer = self._ask("on or off? Enter alone goes back: ").split()
            case Asked.VERB:
                asked = "start, stop, restart, backup or verify? Enter alone goes back: "
                verb = self._ask(asked).split()
                guest = self._which_guest() if len(verb) == 1 else ()
                return (*verb, *guest) if verb and guest is not None else None
            case Asked.GUEST:
                return self._which_guest()
        return tuple(answer) or None

    def _which_guest(self) -> tuple[str, ...] | None:
        """A guest; None: none is wanted."""
        if len(self._view.guests) == 1:
            return self._view.guests
        names = ", ".join(self._view.guests) or "none is known just now"
        self._tell(f"The guests: {names}.")
        return tuple(self._ask("Which guest? Enter alone goes back: ").split()) or None

    def _admit(self) -> bool:
        """Whether the password was typed in this visit."""
        if self._is_admitted:
            return True
        if not self._has_password():
            self._terminal.say(*menu.NO_PASSWORD, "")
            return False
        try:
            for _ in range(TRIES):
                self._guard.check_wait()
                typed = self._ask("Password (unseen; Enter alone goes back): ", is_unseen=True)
                if not typed:
                    return False
                self._is_admitted = self._guard.admits(typed)
                if self._is_admitted:
                    return True
                self._terminal.say("That is not the password.")
        except TooSoon as error:
            self._tell(f"{error.message} {error.hint}")
        return False

    def _shell(self) -> bool:
        self._terminal.say(
            "",
            f"A root shell on {self._view.me}: it does what you type, and asks nothing.",
            f"`exit` comes back to the status page, and so do {SHELL_QUIET // 60} minutes without"
            " a key.",
        )
        self._runner.run(SHELL, shell_environment(self._view.me))
        return False
