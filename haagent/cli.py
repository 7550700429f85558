# SPDX-License-Identifier: MIT
"""The command line of the agent's machine: every command, and the one place where errors end.

It must not decide anything: it asks the agent, or reads what the agent would read.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, NoReturn

from haagent import __version__, client, config, control, report, settings, state
from haagent.client import AgentSilent
from haagent.console import tty
from haagent.console.render import render
from haagent.console.snapshot import GuestView, Snapshot, Verdict, from_dict, is_stale
from haagent.console.times import age
from haagent.core.timing import Timing, TimingError
from haagent.errors import OperatorError, ShoestringError

WIDTH = 80
LEAVE_LIMIT = 120.0  # seconds, on real hardware: guests shut down, the peer takes them, disks close


class Exit(IntEnum):
    """What every command ends with."""

    PROTECTED = 0  # or: done
    NOT_PROTECTED = 1
    STOPPED = 2
    SILENT = 3  # the agent does not answer
    USAGE = 64  # EX_USAGE of sysexits.h
    FAILED = 70  # anything else; what and why is on standard error


VERDICTS = {
    Verdict.PROTECTED: Exit.PROTECTED,
    Verdict.NOT_PROTECTED: Exit.NOT_PROTECTED,
    Verdict.STOPPED: Exit.STOPPED,
}
CODES = (
    "exit codes: 0 PROTECTED, or done; 1 NOT PROTECTED; 2 STOPPED; 3 the agent does not answer; "
    "64 wrong usage; 70 anything else failed. `haagent fence-peer` has DRBD's: 4, 7, or 1."
)


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is."""

    file: Path = config.FILE
    cmdline: Path = config.CMDLINE
    folder: Path = state.FOLDER
    socket: Path = control.SOCKET


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse's own 2 would say STOPPED.
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n")


def main(argv: list[str], places: Places | None = None) -> int:
    """Runs one command; the exit code. Raises SystemExit for --help and wrong usage."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace, Places], Exit] = arguments.run
    try:
        code = command(arguments, places or Places())
        sys.stdout.flush()
    except AgentSilent as error:
        return _complain(error, Exit.SILENT)
    except (ShoestringError, TimingError) as error:
        return _complain(error, Exit.FAILED)
    except BrokenPipeError:
        # Whoever read it has seen enough; what is left goes nowhere, also at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    return code


def _complain(error: Exception, code: Exit) -> Exit:
    print(f"haagent: {error}", file=sys.stderr)
    if isinstance(error, OperatorError):
        print(f"  {error.hint}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="haagent", description="One half of a Shoestring pair.", epilog=CODES)
    parser.add_argument("--version", action="version", version=f"haagent {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[argparse.Namespace, Places], Exit], help: str) -> _Parser:
        command: _Parser = commands.add_parser(name, help=help, description=help, epilog=CODES)
        command.set_defaults(run=run)
        return command

    status = add("status", _status, "say whether the pair is protected, and what is wrong")
    status.add_argument("--json", action="store_true", help="everything there is, for programs")
    start = add("start", _start, "start a guest in spite of what the agent misses")
    start.add_argument("guest", metavar="GUEST")
    start.add_argument(
        "--anyway",
        action="store_true",
        required=True,
        help="needed: the agent starts a guest by itself as soon as that is safe",
    )
    add("check", _check, "read the settings, the key and the agent's state, and change nothing")
    show = add("show-config", _show_config, "print every setting and what it is for")
    show.add_argument("--table", action="store_true", help="every setting there is, without values")
    timers = add("timers", _timers, "print every timer, in seconds")
    timers.add_argument("--scale", type=float, default=1.0, help="stretch them all by this factor")
    told = add("report", _report, "print all there is to know about this machine, without keys")
    told.add_argument("file", metavar="FILE", nargs="?", type=Path, help="a new file to write")
    add("console", _console, "show the pair on this terminal, for ever")
    leave = add("leave", _leave, "hand the guests over before this machine goes down")
    leave.add_argument("--limit", type=float, help="seconds to wait; stretched by the time scale")
    add("daemon", _daemon, "run the agent; systemd does")
    add("fence-peer", _fence_peer, "DRBD's fence-peer handler; nobody else calls it")
    return parser


def _status(arguments: argparse.Namespace, places: Places) -> Exit:
    data, shown = _look(places)
    if arguments.json:
        print(json.dumps(data, indent=2))
    else:
        for line in render(shown, WIDTH, sys.maxsize, time.monotonic()):
            print(line)
    return VERDICTS[shown.verdict]


def _look(places: Places) -> tuple[dict[str, Any], Snapshot]:
    """The newest snapshot, raw and understood. Raises AgentSilent if it is an old one."""
    data = client.snapshot(places.socket)
    shown, now = from_dict(data), time.monotonic()
    if is_stale(shown, now):
        raise AgentSilent(f"what it says is {age(shown.at, now)} old")
    return data, shown


def _start(arguments: argparse.Namespace, places: Places) -> Exit:
    """safety: the one way past the proofs. It takes a person who saw both histories."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise OperatorError(
            "A start in spite of all takes a person at a terminal.",
            "Log in, and type the command yourself; no script may do it.",
        )
    _, shown = _look(places)
    view = _startable(shown, arguments.guest)
    print("\n".join(_histories(shown, view)))
    print(f"Type the guest's name to start it on {shown.me}: ", end="", flush=True)
    if sys.stdin.readline().strip() != view.name:
        raise OperatorError(
            "The name was not typed: nothing was done.", "`haagent status` tells what is missing."
        )
    # The world may have moved while the person was reading.
    _, now = _look(places)
    again = _startable(now, view.name)
    if (again.ours, again.theirs) != (view.ours, view.theirs):
        raise OperatorError(
            "The histories changed meanwhile: nothing was done.", "Look at them again."
        )
    client.confirm(view.name, places.socket)
    print("The agent took note. `haagent status` shows what comes of it.")
    return Exit.PROTECTED


def _startable(shown: Snapshot, guest: str) -> GuestView:
    """Raises OperatorError if there is no such guest, or if it runs."""
    for view in shown.guests:
        if view.name == guest:
            if view.runs_on:
                raise OperatorError(
                    f"{guest} runs on {' and '.join(view.runs_on)}: nothing was done.",
                    "A second one would destroy its data.",
                )
            return view
    names = ", ".join(view.name for view in shown.guests)
    raise OperatorError(f"There is no guest {guest}.", f"There are: {names}.")


def _histories(shown: Snapshot, view: GuestView) -> list[str]:
    there = f"{shown.peer} is there and talks. " if view.peer_phase else ""
    return [
        f"The copy of {view.name} on {shown.me}, the one that would run:",
        *(f"  - {sentence}" for sentence in view.ours),
        f"The copy on {shown.peer}:",
        *(f"  - {sentence}" for sentence in view.theirs),
        "What the agent misses:",
        *(f"  - {sentence}" for sentence in view.missing or ("nothing; it is about to start",)),
        "",
        f"{there}If {shown.peer} runs {view.name} now, both copies are written and one of them is",
        f"lost. Whatever {shown.peer} wrote last is given up. Make sure that {shown.peer} is off,",
        f"and do not power it up alone until it has met {shown.me} again.",
    ]


def _check(arguments: argparse.Namespace, places: Places) -> Exit:
    found = config.load(places.file, places.cmdline)
    print(f"{places.file}: fine, {len(found.guests)} guest(s)")
    kept = state.examine(places.folder, found.guests)
    for warning in kept.warnings:
        print(f"{places.folder}: {warning}")
    if kept.durable is None:
        print(f"{places.folder}: nothing was ever saved")
    elif kept.is_whole:
        print(f"{places.folder}: fine, save {kept.counter}, both copies")
    else:
        raise OperatorError(
            f"{places.folder}: only one copy of save {kept.counter} is whole.",
            "The agent mends it when it starts. If it comes back, replace the boot medium.",
        )
    return Exit.PROTECTED


def _show_config(arguments: argparse.Namespace, places: Places) -> Exit:
    if arguments.table:
        print(settings.table(), end="")
    else:
        print(config.show(config.load(places.file, places.cmdline)), end="")
    return Exit.PROTECTED


def _timers(arguments: argparse.Namespace, places: Places) -> Exit:
    for name, seconds in asdict(Timing().scaled(arguments.scale)).items():
        print(f"{name:<14}{seconds:8.2f}")
    return Exit.PROTECTED


def _report(arguments: argparse.Namespace, places: Places) -> Exit:
    sources = report.Sources(places.file, places.cmdline, places.folder, places.socket)
    if arguments.file is None:
        for part in report.report(sources):
            print(part, end="", flush=True)
        return Exit.PROTECTED
    try:
        # Never one that is there: a name that is mistyped may be that of a disk.
        with open(arguments.file, "x", encoding="utf-8", opener=_private) as file:
            file.writelines(report.report(sources))
    except OSError as error:
        raise OperatorError(
            f"{arguments.file} cannot be written: {error.strerror}.",
            "Name a file that does not exist yet, in a folder that does.",
        ) from error
    print(f"{arguments.file}: written. It holds no keys; read it before you give it away.")
    return Exit.PROTECTED


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _console(arguments: argparse.Namespace, places: Places) -> Exit:
    keys, screen = sys.stdin.fileno(), sys.stdout.fileno()
    before = tty.quieten(keys)
    try:
        tty.Console(keys, screen, places.socket).run()
    except KeyboardInterrupt:
        print()
    finally:
        tty.restore(keys, before)
    return Exit.PROTECTED


def _leave(arguments: argparse.Namespace, places: Places) -> Exit:
    limit = arguments.limit or LEAVE_LIMIT
    said: set[str] = set()

    def progress(data: dict[str, Any]) -> None:
        shown = from_dict(data)
        for view in shown.guests:
            there = f", {view.peer_phase} on {shown.peer}" if view.peer_phase else ""
            line = f"{view.name}: {view.phase} on {shown.me}{there}"
            if line not in said:
                said.add(line)
                print(line, flush=True)

    client.leave(progress, limit * config.time_scale(places.cmdline), places.socket)
    print("Signed off: this machine may go down.")
    return Exit.PROTECTED


def _daemon(arguments: argparse.Namespace, places: Places) -> Exit:
    from haagent import daemon  # it loads every adapter, and no other command needs one

    daemon.main()
    return Exit.FAILED  # it never ends well: something made it


def _fence_peer(arguments: argparse.Namespace, places: Places) -> Exit:
    # haagent/__main__.py runs the handler before it comes here, and only without arguments.
    raise OperatorError(
        "fence-peer takes no arguments.", "DRBD calls it; see its handlers section."
    )
