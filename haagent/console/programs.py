# SPDX-License-Identifier: MIT
"""Gives one terminal to another program, and takes it back whatever became of that.

It must not end because of a key that was meant for the program, and knows no program.
"""

import os
import signal
import subprocess
import termios
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from haagent.errors import ToolError
from haagent.folding import WIDTH, folded
from haagent.run import KILLED_WITHIN

NOT_STARTED = 127  # what a shell says of a program that cannot be started
SHELL = ("bash", "--noprofile", "--norc", "-i")
SHELL_QUIET = 600  # seconds at the prompt without a key, until the shell ends by itself
# Seconds for what only tells something. A report asks many programs, each with a limit of its own.
LIMIT = 300.0
COMPLETION = "/usr/lib/shoestring/completion"  # made by haagent/completion.py
# A shell of systemd's knows none of these.
ENVIRONMENT = {
    "HISTFILE": "",
    "HOME": "/root",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
    # bash(1): before the first prompt, once. A file of its own would come with /etc/bash.bashrc.
    "PROMPT_COMMAND": f". {COMPLETION}; unset PROMPT_COMMAND",
    "TMOUT": str(SHELL_QUIET),  # bash(1)
}


def shell_environment(me: str) -> dict[str, str]:
    """Of a root shell on the machine ME."""
    return {**os.environ, **ENVIRONMENT, "PS1": f"root@{me}:\\w# "}


class Programs:
    """Runs programs on the terminal open as KEYS and SCREEN. USUAL is how that terminal is for
    them, as termios.tcgetattr returned it; None: it is no terminal. LIMIT: seconds for `lines`.
    """

    def __init__(
        self, keys: int, screen: int, usual: list[Any] | None, limit: float = LIMIT
    ) -> None:
        self._keys = keys
        self._screen = screen
        self._usual = usual
        self._limit = limit

    def run(self, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
        """Runs ARGV to its end, with the whole terminal; its exit status, or minus its signal."""
        self._make_usual()
        try:
            return subprocess.run(
                argv,
                stdin=self._keys,
                stdout=self._screen,
                stderr=self._screen,
                env=environment,
                cwd="/",
                check=False,
            ).returncode
        except OSError as error:
            raise ToolError(argv, NOT_STARTED, error.strerror or str(error)) from error
        finally:
            self._take_back()

    def lines(self, argv: Sequence[str]) -> list[str]:
        """What ARGV prints, with its complaints, as `readable`; if it was not done in time, what it
        had printed until then. Ctrl-C ends it early.
        """
        self._make_usual()
        # A file: whoever is left behind, or waits in the kernel, may keep a pipe open for ever.
        with os.fdopen(os.memfd_create("printed"), "w+b") as printed:
            try:
                process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=printed,
                    stderr=subprocess.STDOUT,
                    cwd="/",
                )
                is_done = self._ends(process)
            except OSError as error:
                raise ToolError(argv, NOT_STARTED, error.strerror or str(error)) from error
            finally:
                self._take_back()
            printed.seek(0)
            lines = readable(printed.read())
        return lines if is_done else [*lines, f"It was not done after {self._limit:g} s."]

    def _ends(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether it was done in time; it is killed if not, as far as it can be."""
        with suppress(subprocess.TimeoutExpired):
            process.wait(self._limit)
            return True
        process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(KILLED_WITHIN)
        return False

    def _make_usual(self) -> None:
        if self._usual is not None:
            with suppress(termios.error):
                termios.tcsetattr(self._keys, termios.TCSANOW, self._usual)

    def _take_back(self) -> None:
        """We are in front again. A shell that was killed has not given the terminal back, and
        whoever reads it from behind is stopped (termios(3), SIGTTIN).
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        try:
            with suppress(OSError):  # it is not the terminal that we belong to
                os.tcsetpgrp(self._keys, os.getpgrp())
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def readable(printed: bytes) -> list[str]:
    """PRINTED in lines that no terminal wraps, and without anything that one obeys: a log may hold
    whatever somebody wrote into it.
    """
    lines = []
    for line in printed.decode("utf-8", "replace").expandtabs().split("\n"):
        plain = "".join(c if " " <= c <= "~" else "?" for c in line.rstrip("\r"))
        lines += [plain] if len(plain) <= WIDTH else folded(plain)
    return lines[:-1] if lines[-1:] == [""] else lines
