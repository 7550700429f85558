# SPDX-License-Identifier: MIT
"""The command line of the agent's machine: what systemd, DRBD and whoever looks closer need.

It must not decide anything: it asks the agent, or reads what the agent would read.
"""

import argparse
import sys
from dataclasses import asdict
from functools import partial
from typing import Any

from haagent import config, handover, settings, shoestring, state
from haagent.command import CODES, CommandLine, Exit, Places, ended_as_by_ctrl_c
from haagent.console import entrance, screen, tty
from haagent.console.keys import deaf_to_keys
from haagent.console.lines import Lines
from haagent.console.programs import Programs
from haagent.console.rescue import Rescue
from haagent.console.snapshot import from_dict
from haagent.core.timing import Timing
from haagent.errors import OperatorError

FENCE_CODES = f"{CODES} `haagent fence-peer` has DRBD's: 4, 7, or 1."


def main(argv: list[str], places: Places | None = None) -> int:
    """Runs one command; the exit code. Raises SystemExit for --help and wrong usage."""
    program = CommandLine("haagent", "One half of a Shoestring pair.", FENCE_CODES, has_json=False)
    shoestring.add_status(program)
    shoestring.add_start(program)
    add = program.add
    add("check", _check, "read the settings, the key and the agent's state, and change nothing")
    show = add("show-config", _show_config, "print every setting and what it is for")
    show.add_argument("--table", action="store_true", help="every setting there is, without values")
    timers = add("timers", _timers, "print every timer, in seconds")
    timers.add_argument("--scale", type=float, default=1.0, help="stretch them all by this factor")
    shoestring.add_report(program)
    console = add("console", _console, "show the pair on this terminal, for ever")
    console.add_argument("--menu", action="store_true", help="with a menu; no key ends it then")
    add("rescue", _rescue, "a root shell on this terminal, after the password, for ever")
    leave = add("leave", _leave, "hand the guests over before this machine goes down")
    leave.add_argument("--limit", type=float, help="seconds to wait; stretched by the time scale")
    add("well", _well, "tell GRUB that what runs does well, once it does; systemd does")
    add("update-door", _update_door, "take an update from the other machine; systemd does")
    add("backups", _backups, "make the backups that are due; systemd does")
    add("daemon", _daemon, "run the agent; systemd does")
    for word in ("fence-peer", "before-resync-target", "after-resync-target"):
        add(word, _handler, f"DRBD's {word} handler; nobody else calls it")
    return program.run(argv, places)


def _check(arguments: argparse.Namespace, places: Places) -> Exit:
    found = config.load(places.file, places.cmdline)
    print(f"{places.file}: fine, {len(found.guests)} guest(s)")
    kept = state.examine(places.folder, found.guests, gone=found.removed)
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


def _console(arguments: argparse.Namespace, places: Places) -> Exit:
    menu_of = partial(entrance.menu, places) if arguments.menu else None
    screen.show(places.socket, menu_of)
    return Exit.PROTECTED


def _rescue(arguments: argparse.Namespace, places: Places) -> Exit:
    keys, terminal = sys.stdin.fileno(), sys.stdout.fileno()
    usual = tty.mode_of(keys)
    with deaf_to_keys():
        Rescue(Lines(keys, terminal), Programs(keys, terminal, usual), places.guard).run()
    return Exit.FAILED  # the terminal is gone; systemd opens it again


def _leave(arguments: argparse.Namespace, places: Places) -> Exit:
    limit = arguments.limit or handover.LEAVE_LIMIT
    said: set[str] = set()

    def progress(data: dict[str, Any]) -> None:
        shown = from_dict(data)
        for view in shown.guests:
            there = f", {view.peer_phase} on {shown.peer}" if view.peer_phase else ""
            line = f"{view.name}: {view.phase} on {shown.me}{there}"
            if line not in said:
                said.add(line)
                print(line, flush=True)

    handover.leave(progress, limit * config.time_scale(places.cmdline), places)
    print("Signed off: this machine may go down.")
    return Exit.PROTECTED


def _well(arguments: argparse.Namespace, places: Places) -> Exit:
    from haagent.update import well  # no other command looks at the stick

    return well.well(places)


def _update_door(arguments: argparse.Namespace, places: Places) -> Exit:
    from haagent.update import door  # as above

    return door.answer(places)


def _backups(arguments: argparse.Namespace, places: Places) -> Exit:
    from haagent.backup.nightly import Nightly  # as above

    with ended_as_by_ctrl_c():
        return Nightly(places).run()


def _daemon(arguments: argparse.Namespace, places: Places) -> Exit:
    from haagent import daemon  # it loads every adapter, and no other command needs one

    daemon.main()
    return Exit.FAILED  # it never ends well: something made it


def _handler(arguments: argparse.Namespace, places: Places) -> Exit:
    # haagent/__main__.py runs them before it comes here, and only without arguments.
    raise OperatorError("A handler takes no arguments.", "DRBD calls it; see its handlers section.")
