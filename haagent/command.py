# SPDX-License-Identifier: MIT
"""What our two command lines share: exit codes, parsing, and the one place where errors end.

It must not know any command.
"""

import argparse
import contextlib
import json
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
from typing import Any, NoReturn, Protocol

from haagent import __version__, client, config, control, state
from haagent.answering import Answer, answering
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

JSON = "for programs: one answer on standard output, and all else on standard error"


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


class Add(Protocol):
    """How a command is added, as CommandLine.add."""

    def __call__(
        self, name: str, run: Command, help: str, example: str, *, has_json: bool | None = None
    ) -> Parser: ...


class CommandLine:
    """A program of several commands."""

    def __init__(
        self, name: str, description: str, codes: str = CODES, *, has_json: bool = True
    ) -> None:
        """HAS_JSON: whether its commands take --json, but for those that are added otherwise."""
        self._name, self._codes, self._has_json = name, codes, has_json
        self._parser = Parser(prog=name, description=description, epilog=codes)
        self._parser.add_argument("--version", action="version", version=f"{name} {__version__}")
        self._commands = self._parser.add_subparsers(
            dest="command", required=True, metavar="COMMAND"
        )

    def add(
        self, name: str, run: Command, help: str, example: str = "", *, has_json: bool | None = None
    ) -> Parser:
        return self._add(self._commands, name, run, help, example, has_json=has_json)

    def group(self, name: str, help: str) -> Add:
        """What adds a command `NAME VERB`, as `add` does."""
        parser = self._commands.add_parser(name, help=help, description=help, epilog=self._codes)
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        return partial(self._add, verbs)

    def _add(
        self,
        to: Any,
        name: str,
        run: Command,
        help: str,
        example: str,
        *,
        has_json: bool | None = None,
    ) -> Parser:
        shown = f"example: {example}  --  " if example else ""
        command: Parser = to.add_parser(
            name, help=help, description=help, epilog=f"{shown}{self._codes}"
        )
        command.set_defaults(run=run, json=False)
        if self._has_json if has_json is None else has_json:
            command.add_argument("--json", action="store_true", help=JSON)
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
        try:
            if not arguments.json:
                return self._run(arguments, places or Places(), Answer())
            with answering() as answer:
                code = self._run(arguments, places or Places(), answer)
            print(json.dumps(answer.ended_with(code), indent=2), flush=True)
        except BrokenPipeError:
            # Whoever read it has seen enough; the rest goes nowhere, also at the interpreter's end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return Exit.FAILED
        return code

    def _run(self, arguments: argparse.Namespace, places: Places, answer: Answer) -> Exit:
        command: Command = arguments.run
        try:
            code = command(arguments, places)
            sys.stdout.flush()
        except AgentSilent as error:
            return self._complain(error, Exit.SILENT, answer)
        except Interrupted as error:
            return self._complain(error, Exit.INTERRUPTED, answer)
        except KeyboardInterrupt:
            print()
            answer.error = "It was interrupted."
            return Exit.INTERRUPTED
        except (ShoestringError, TimingError) as error:
            return self._complain(error, Exit.FAILED, answer)
        return code

    def _complain(self, error: Exception, code: Exit, answer: Answer) -> Exit:
        sys.stdout.flush()
        answer.error = str(error)
        said = [f"{self._name}: {error}"]
        if isinstance(error, OperatorError):
            answer.hint = error.hint
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
