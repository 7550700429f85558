# SPDX-License-Identifier: MIT
"""What our two command lines share: exit codes, parsing, and the one place where errors end.

It must not know any command.
"""

import argparse
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from haagent import __version__, client, config, control, state
from haagent.client import AgentSilent
from haagent.console.guard import Guard
from haagent.console.snapshot import Snapshot, Verdict, from_dict, is_stale
from haagent.console.times import age
from haagent.core.timing import TimingError
from haagent.errors import OperatorError, ShoestringError
from haagent.folding import folded
from haagent.run import Run, run


class Exit(IntEnum):
    """What every command ends with."""

    PROTECTED = 0  # or: done
    NOT_PROTECTED = 1
    STOPPED = 2
    SILENT = 3  # the agent does not answer
    USAGE = 64  # EX_USAGE of sysexits.h
    FAILED = 70  # anything else; what and why is on standard error
    INTERRUPTED = 130  # by Ctrl-C, as a shell has it; what goes on anyway was said


class Interrupted(OperatorError):
    """A person pressed Ctrl-C; the message is what goes on anyway."""


VERDICTS = {
    Verdict.PROTECTED: Exit.PROTECTED,
    Verdict.NOT_PROTECTED: Exit.NOT_PROTECTED,
    Verdict.STOPPED: Exit.STOPPED,
}
CODES = (
    "exit codes: 0 PROTECTED, or done; 1 NOT PROTECTED; 2 STOPPED; 3 the agent does not answer; "
    "64 wrong usage; 70 anything else failed, or did not come about; 130 interrupted."
)


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is, and how other programs are run."""

    file: Path = config.FILE
    cmdline: Path = config.CMDLINE
    folder: Path = state.FOLDER
    socket: Path = control.SOCKET
    run: Run = run
    guard: Guard = field(default_factory=Guard)


Command = Callable[[argparse.Namespace, Places], Exit]


class Parser(argparse.ArgumentParser):
    """Ends with our code for wrong usage: argparse's own 2 would say STOPPED."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n")


@contextlib.contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """A terminal that goes away, and `kill`, end a command as a person does: it takes back what it
    began, or says what goes on.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = [(one, signal.signal(one, interrupt)) for one in (signal.SIGHUP, signal.SIGTERM)]
    try:
        yield
    finally:
        for one, handler in before:
            signal.signal(one, handler)


class CommandLine:
    """A program of several commands."""

    def __init__(self, name: str, description: str, codes: str = CODES) -> None:
        self._name, self._codes = name, codes
        self._parser = Parser(prog=name, description=description, epilog=codes)
        self._parser.add_argument("--version", action="version", version=f"{name} {__version__}")
        self._commands = self._parser.add_subparsers(
            dest="command", required=True, metavar="COMMAND"
        )

    def add(self, name: str, run: Command, help: str, example: str = "") -> Parser:
        return self._add(self._commands, name, run, help, example)

    def group(self, name: str, help: str) -> Callable[[str, Command, str, str], Parser]:
        """What adds a command `NAME VERB`, as `add` does."""
        parser = self._commands.add_parser(name, help=help, description=help, epilog=self._codes)
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        return partial(self._add, verbs)

    def _add(self, to: Any, name: str, run: Command, help: str, example: str) -> Parser:
        shown = f"example: {example}  --  " if example else ""
        command: Parser = to.add_parser(
            name, help=help, description=help, epilog=f"{shown}{self._codes}"
        )
        command.set_defaults(run=run)
        return command

    def all(self) -> Iterator[tuple[str, argparse.ArgumentParser]]:
        """Each command as it is typed, and its parser; the program itself comes first."""
        return _with_those_below(self._name, self._parser)

    def parse(self, argv: list[str]) -> argparse.Namespace:
        """Raises SystemExit for --help and wrong usage."""
        return self._parser.parse_args(argv)

    def run(self, argv: list[str], places: Places | None = None) -> int:
        """Runs one command; the exit code. Raises SystemExit for --help and wrong usage."""
        arguments = self.parse(argv)
        command: Command = arguments.run
        try:
            code = command(arguments, places or Places())
            sys.stdout.flush()
        except AgentSilent as error:
            return self._complain(error, Exit.SILENT)
        except Interrupted as error:
            return self._complain(error, Exit.INTERRUPTED)
        except KeyboardInterrupt:
            print()
            return Exit.INTERRUPTED
        except (ShoestringError, TimingError) as error:
            return self._complain(error, Exit.FAILED)
        except BrokenPipeError:
            # Whoever read it has seen enough; the rest goes nowhere, also at the interpreter's end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return Exit.FAILED
        return code

    def _complain(self, error: Exception, code: Exit) -> Exit:
        sys.stdout.flush()
        said = [f"{self._name}: {error}"]
        if isinstance(error, OperatorError):
            said.append(f"  {error.hint}")
        for text in said:
            print("\n".join(folded(text)) if sys.stderr.isatty() else text, file=sys.stderr)
        return code


def _with_those_below(
    typed: str, parser: argparse.ArgumentParser
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    yield typed, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb, below in action.choices.items():
                yield from _with_those_below(f"{typed} {verb}", below)


def look(places: Places) -> tuple[dict[str, Any], Snapshot]:
    """The newest snapshot, raw and understood. Raises AgentSilent if it is an old one."""
    data = client.snapshot(places.socket)
    shown, now = from_dict(data), time.monotonic()
    if is_stale(shown, now):
        raise AgentSilent(f"what it says is {age(shown.at, now)} old")
    return data, shown


def is_at_a_terminal() -> bool:
    """A person can read what we say, and answer it."""
    return sys.stdin.isatty() and sys.stdout.isatty()
