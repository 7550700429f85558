# SPDX-License-Identifier: MIT
"""What the Rescue entry of the boot menu shows on each screen: the password, then a root shell.

It must give no shell where nobody can be asked: without the state partition there is no password.
Where none was ever chosen, one is chosen here: whoever can start a machine into this can also edit
its boot menu, or take the stick.
"""

import os
import socket
from collections.abc import Callable
from pathlib import Path

from haagent import password
from haagent.console.guard import Guard
from haagent.console.lines import Gone, Quiet
from haagent.console.programs import SHELL, shell_environment
from haagent.console.visit import Runner, Terminal
from haagent.errors import OperatorError, ShoestringError
from haagent.folding import folded

STATE = Path("/state")
REBOOT = ("systemctl", "reboot")

TITLE = (
    "RESCUE: this machine runs nothing of the pair, and shows nothing of it. No guest runs here."
)
WAYS = "Enter: a root shell, after the password. reboot: restart as usual. > "
NO_STATE = (
    "The state partition of the stick is not there, and with it everything that this machine knows,"
    " the password too. So there is no shell. Restart with another USB port; if this stays, the"
    " stick is dead: flash a new one, and set this machine up again."
)
NO_PASSWORD = (
    "No password was ever chosen on this machine. Choose one now: it counts at its screens from now"
    " on. It keeps passers-by out, and nobody who may open the case or edit the boot menu."
)


class Rescue:
    """On one terminal."""

    def __init__(
        self,
        terminal: Terminal,
        runner: Runner,
        guard: Guard,
        has_state: Callable[[], bool] = lambda: os.path.ismount(STATE),
    ) -> None:
        self._terminal = terminal
        self._runner = runner
        self._guard = guard
        self._has_state = has_state

    def run(self) -> None:
        """Until the terminal is gone."""
        while True:
            try:
                self.turn()
            except Quiet:
                continue
            except Gone:
                return
            except ShoestringError as error:
                hint = f" {error.hint}" if isinstance(error, OperatorError) else ""
                self._tell(f"{error}{hint}")

    def turn(self) -> None:
        """One question, and what comes of it. Raises ShoestringError."""
        self._tell(TITLE)
        if not self._has_state():
            self._tell(NO_STATE)
        if self._terminal.ask(WAYS).strip().lower() == REBOOT[-1]:
            self._runner.run(REBOOT)
            return
        if self._has_state() and self._admit():
            self._terminal.say("A root shell: it does what you type. `exit` comes back here.")
            self._runner.run(SHELL, shell_environment(socket.gethostname()))

    def _admit(self) -> bool:
        if not self._guard.has_password:
            self._choose()
            return True
        self._guard.check_wait()
        typed = self._terminal.ask("Password (unseen; Enter alone goes back): ", is_unseen=True)
        if not typed:
            return False
        if self._guard.admits(typed):
            return True
        self._tell("That is not the password.")
        return False

    def _choose(self) -> None:
        """Raises OperatorError: nothing was kept."""
        self._tell(NO_PASSWORD)
        new = self._terminal.ask(
            f"The new password, at least {password.LEAST} characters: ", is_unseen=True
        )
        flaw = password.flaw(new)
        if flaw is not None:
            raise OperatorError(flaw, "Nothing was changed.")
        if self._terminal.ask("The same password again: ", is_unseen=True) != new:
            raise OperatorError("These two are not the same.", "Nothing was changed.")
        self._guard.keep(new)

    def _tell(self, text: str) -> None:
        self._terminal.say("", *folded(text))
