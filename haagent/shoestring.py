# SPDX-License-Identifier: MIT
"""The command line of whoever owns the pair: what is, and the everyday acts.

It must not decide anything: it asks the agent, and tells what the agent shows.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from haagent import client, guest_verbs, handover, password, report, resolution, running, saving
from haagent.answering import give
from haagent.asking import ask, ask_unseen, new_password
from haagent.command import (
    VERDICTS,
    CommandLine,
    Exit,
    Places,
    ended_as_by_ctrl_c,
    is_at_a_terminal,
    look,
)
from haagent.console.render import guest_line, memory_line, render, verified
from haagent.console.snapshot import GuestView, Snapshot
from haagent.core.model import Disk
from haagent.errors import OperatorError
from haagent.handover import guest_of

WIDTH = 80


def main(argv: list[str], places: Places | None = None) -> int:
    """Runs one command; the exit code. Raises SystemExit for --help and wrong usage."""
    with ended_as_by_ctrl_c():
        return command_line().run(argv, places)


def command_line() -> CommandLine:
    """All of our commands."""
    program = CommandLine("shoestring", "What your pair does, and the everyday acts.")
    add_status(program)
    help = "list the guests, where each can go, and the memory for them"
    program.add("guests", guests, help, "shoestring guests")
    guest_verbs.add_guest(program, guests)
    guest_verbs.add_backup(program)
    help = "shut a guest down here and start it on the other"
    move = program.add("move", handover.move, help, "shoestring move web")
    move.add_argument("guest", metavar="GUEST")
    rest = program.add(
        "maintenance",
        handover.maintenance,
        "empty this machine and let nothing start on it by itself; or end that",
        "shoestring maintenance on",
    )
    rest.add_argument("switch", choices=("on", "off"))
    help = "hand the guests over, then switch this machine off"
    down = program.add("shutdown", handover.shutdown, help, "shoestring shutdown")
    help = "hand the guests over, then restart this machine"
    again = program.add("reboot", handover.reboot, help, "shoestring reboot")
    for act in (move, rest, down, again):
        act.add_argument("--yes", action="store_true", help="do not ask; for scripts")
    add_resolve(program)
    add_start(program)
    for name, at_a_terminal, help in (
        ("replace", replace, "give the place of the other machine, which died, to a new one"),
        ("install", install, "put the system on an internal disk; the stick is free then"),
        ("lan", lan, "give both machines other addresses on the LAN, and another gateway"),
    ):
        program.add(name, at_a_terminal, help, f"shoestring {name}", has_json=False)
    add_report(program)
    help = "write the report onto a USB stick"
    program.add("save-report", saving.save_report, help, "shoestring save-report")
    add_password(program)
    add_factory_reset(program)
    add_update(program)
    return program


def add_status(program: CommandLine) -> None:
    help = "say whether the pair is protected, and what is wrong"
    program.add("status", status, help, "shoestring status", has_json=True)


def add_resolve(program: CommandLine) -> None:
    help = "end a split brain: choose which of two copies counts, and keep the other aside"
    example = "shoestring resolve web"
    command = program.add("resolve", resolution.resolve, help, example, has_json=False)
    command.add_argument("guest", metavar="GUEST", nargs="?")


def add_start(program: CommandLine) -> None:
    help = "start a guest in spite of what the agent misses, or one that was stopped"
    example = "shoestring start web --anyway"
    command = program.add("start", start, help, example, has_json=False)
    command.add_argument("guest", metavar="GUEST")
    command.add_argument(
        "--anyway",
        action="store_true",
        required=True,
        help="needed: what is to run is started by itself as soon as that is safe",
    )


def add_report(program: CommandLine) -> None:
    help = "print all there is to know about this machine, without keys"
    example = "shoestring report /mnt/report.txt"
    command = program.add("report", tell_all, help, example, has_json=False)
    command.add_argument("file", metavar="FILE", nargs="?", type=Path, help="a new file to write")


def add_password(program: CommandLine) -> None:
    help = "change the password of this machine"
    example = "shoestring password"
    command = program.add("password", change_password, help, example, has_json=False)
    command.add_argument(
        "--print",
        action="store_true",
        help="change nothing, and print one as `password` of an answers.yaml holds it",
    )


def add_factory_reset(program: CommandLine) -> None:
    help = "make this machine leave the pair and forget it"
    example = "shoestring factory-reset"
    program.add("factory-reset", forget_the_pair, help, example, has_json=False)


def add_update(program: CommandLine) -> None:
    help = "install another release on both machines of the pair, one after the other"
    command = program.add("update", update, help, "shoestring update")
    help = "the file, or where it is (http://ADDRESS/...); without it, the one on a USB stick"
    command.add_argument("source", metavar="FILE|URL", nargs="?", help=help)
    command.add_argument("--here", action="store_true", help="only on this machine")
    command.add_argument("--older", action="store_true", help="also if it is no newer one")
    command.add_argument("--yes", action="store_true", help="do not ask; for scripts")
    command.add_argument("--status", action="store_true", help="only say what is on the stick")
    help = "stay with what runs, after an update that did not start; nobody tells of it then"
    command.add_argument("--dismiss", action="store_true", help=help)


def status(arguments: argparse.Namespace, places: Places) -> Exit:
    data, shown = look(places)
    if arguments.json:
        give(data)
    else:
        for line in render(shown, WIDTH, sys.maxsize, time.monotonic()):
            print(line)
    return VERDICTS[shown.verdict]


def guests(arguments: argparse.Namespace, places: Places) -> Exit:
    data, shown = look(places)
    if arguments.json:
        give({"guests": data["guests"], "nodes": data["nodes"]})
        return Exit.PROTECTED
    column = max((len(guest.name) for guest in shown.guests), default=0)
    for guest in shown.guests:
        print(guest_line(shown, guest, column))
        if guest.blocker is None:
            print(f"  can be moved to {shown.peer}")
        else:
            print(f"  cannot be moved from {shown.me}: {guest.blocker}")
        if not shown.is_vacant:
            print(f"  {verified(guest, shown.wall)}")
    for node in shown.nodes:
        print(memory_line(node))
    return Exit.PROTECTED


def start(arguments: argparse.Namespace, places: Places) -> Exit:
    """safety: the one way past the proofs. It takes a person who saw both histories. What its owner
    stopped lacks no proof, but a word.
    """
    _, shown = look(places)
    if not running.is_wanted(before := guest_of(shown, arguments.guest)):
        return running.start_again(shown, before, places)
    if not is_at_a_terminal():
        raise OperatorError(
            "A start in spite of all takes a person at a terminal.",
            "Log in, and type the command yourself; no script may do it.",
        )
    view = _startable(shown, arguments.guest)
    print("\n".join(_histories(shown, view)))
    if ask(f"Type the guest's name to start it on {shown.me}: ") != view.name:
        raise OperatorError(
            "The name was not typed: nothing was done.",
            "`shoestring status` tells what is missing.",
        )
    # The world may have moved while the person was reading.
    _, now = look(places)
    again = _startable(now, view.name)
    if (again.ours, again.theirs) != (view.ours, view.theirs):
        raise OperatorError(
            "The histories changed meanwhile: nothing was done.", "Look at them again."
        )
    client.confirm(view.name, places.socket)
    print("The agent took note. `shoestring status` shows what comes of it.")
    return Exit.PROTECTED


# Of a copy that DRBD would not start, by what it is.
_SAVED: dict[str, str] = {
    Disk.OUTDATED: "this copy",
    Disk.INCONSISTENT: "what this copy was before it began to be written over, if it had room",
}


def _startable(shown: Snapshot, guest: str) -> GuestView:
    """Raises OperatorError if there is no such guest, if it runs, or if DRBD would refuse."""
    view = guest_of(shown, guest)
    if view.runs_on:
        raise OperatorError(
            f"{guest} runs on {' and '.join(view.runs_on)}: nothing was done.",
            "A second one would destroy its data.",
        )
    if view.unstartable is not None:
        which = _SAVED.get(view.disk)
        saved = (
            f"`shoestring guest backup {guest} --older` saves {which}, and a machine that is set up"
            " alone restores it: docs/replace-a-machine.md."
            if which is not None
            else "ask for help before anything is done to the disks: what is left is in the copies."
        )
        raise OperatorError(
            f"{guest} cannot be started on {shown.me}: {view.unstartable}. Nothing was done.",
            f"Switch {shown.peer} on. If it is lost for good, {saved}",
        )
    return view


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


def replace(arguments: argparse.Namespace, places: Places) -> Exit:
    # Not above: nothing else here needs the set-up's part of the house.
    from firstboot import replacement

    return replacement.replace(places)


def lan(arguments: argparse.Namespace, places: Places) -> Exit:
    from firstboot import relocation  # as above

    return relocation.relocate(places)


def update(arguments: argparse.Namespace, places: Places) -> Exit:
    from haagent.update import act  # it needs cryptography, and no other command does

    return act.update(arguments, places)


def install(arguments: argparse.Namespace, places: Places) -> Exit:
    from firstboot.installing import on_a_pair  # as above

    return on_a_pair.install_here(arguments, places)


def change_password(arguments: argparse.Namespace, places: Places) -> Exit:
    if not is_at_a_terminal() and not (arguments.print and sys.stdin.isatty()):
        raise OperatorError(
            "A password is typed at a terminal, where nobody sees it.",
            "Nothing was changed. Type the command yourself; no script may do it.",
        )
    if arguments.print:
        print(f'password: "{password.kept(new_password(), os.urandom(16))}"')
        return Exit.PROTECTED
    guard = places.guard
    if guard.has_password:
        guard.check_wait()
        if not guard.admits(ask_unseen("The old password: ")):
            raise OperatorError("That is not the password.", "Nothing was changed.")
    guard.keep(new_password())
    print("The new password counts, on this machine only: the other one keeps its own.")
    return Exit.PROTECTED


def forget_the_pair(arguments: argparse.Namespace, places: Places) -> Exit:
    from firstboot import leaving  # the set-up knows what it made; no other command needs it

    leaving.leave_the_pair(places)
    return Exit.PROTECTED


def tell_all(arguments: argparse.Namespace, places: Places) -> Exit:
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
