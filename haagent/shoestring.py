# SPDX-License-Identifier: MIT
"""The command line of whoever owns the pair: what is, and the everyday acts.

It must not decide anything: it asks the agent, and tells what the agent shows.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from haagent import (
    client,
    describing,
    handover,
    password,
    report,
    resolution,
    running,
    saving,
    verifying,
)
from haagent.asking import ask, ask_unseen, new_password
from haagent.command import (
    VERDICTS,
    Command,
    CommandLine,
    Exit,
    Parser,
    Places,
    ended_as_by_ctrl_c,
    is_at_a_terminal,
    look,
)
from haagent.console.render import guest_line, memory_line, render, verified
from haagent.console.snapshot import GuestView, Snapshot
from haagent.core.ordering import USUAL
from haagent.errors import OperatorError
from haagent.handover import guest_of

WIDTH = 80
BACKUP = "a file; or what is on the one USB disk: its name, or the guest's for the newest"


def main(argv: list[str], places: Places | None = None) -> int:
    """Runs one command; the exit code. Raises SystemExit for --help and wrong usage."""
    with ended_as_by_ctrl_c():
        return command_line().run(argv, places)


def command_line() -> CommandLine:
    """All of our commands."""
    program = CommandLine("shoestring", "What your pair does, and the everyday acts.")
    add_status(program)
    program.add("guests", guests, "list the guests, where each can go, and the memory for them")
    add_guest(program)
    add_backup(program)
    move = program.add("move", handover.move, "shut a guest down here and start it on the other")
    move.add_argument("guest", metavar="GUEST")
    rest = program.add(
        "maintenance",
        handover.maintenance,
        "empty this machine and let nothing start on it by itself; or end that",
    )
    rest.add_argument("switch", choices=("on", "off"))
    down = program.add(
        "shutdown", handover.shutdown, "hand the guests over, then switch this machine off"
    )
    again = program.add(
        "reboot", handover.reboot, "hand the guests over, then restart this machine"
    )
    for act in (move, rest, down, again):
        act.add_argument("--yes", action="store_true", help="do not ask; for scripts")
    add_resolve(program)
    add_start(program)
    program.add("replace", replace, "give the place of the other machine, which died, to a new one")
    program.add("install", install, "put the system on an internal disk; the stick is free then")
    program.add("lan", lan, "give both machines other addresses on the LAN, and another gateway")
    add_report(program)
    program.add("save-report", saving.save_report, "write the report onto a USB stick")
    add_password(program)
    add_factory_reset(program)
    add_update(program)
    return program


def add_status(program: CommandLine) -> None:
    command = program.add("status", status, "say whether the pair is protected, and what is wrong")
    command.add_argument("--json", action="store_true", help="everything there is, for programs")


def add_guest(program: CommandLine) -> None:
    add = program.group("guest", "start, stop, move and verify guests, one at a time")
    add("list", guests, "list the guests, as `shoestring guests`", "shoestring guest list")
    help = "say all that is set about a guest, and how it is"
    command = add("show", describing.show, help, "shoestring guest show web")
    command.add_argument("guest", metavar="GUEST")
    command.add_argument("--json", action="store_true", help="for programs")
    help = "its text console, where it runs; Ctrl-] ends it"
    add("console", describing.console, help, "shoestring guest console web").add_argument(
        "guest", metavar="GUEST"
    )
    for verb, act, help in (
        ("start", running.start, "start a guest that is off, on this machine if it can"),
        ("stop", running.stop, "shut a guest down, on either machine, and leave it off"),
        ("restart", running.restart, "shut a guest down and start it anew, where it runs"),
        ("move", handover.move, "shut a guest down here and start it on the other machine"),
    ):
        command = add(verb, act, help, f"shoestring guest {verb} web")
        command.add_argument("guest", metavar="GUEST")
        if verb != "start":
            command.add_argument("--yes", action="store_true", help="do not ask; for scripts")
    help = "compare a guest's two copies block by block, now; they are compared once a week anyway"
    add("verify", verifying.verify, help, "shoestring guest verify web").add_argument(
        "guest", metavar="GUEST"
    )
    help = "say that you have taken note of what differed between a guest's two copies"
    noted = add("verified", verifying.verified, help, "shoestring guest verified web")
    noted.add_argument("guest", metavar="GUEST")
    noted.add_argument("--yes", action="store_true", help="do not ask; for scripts")

    add_backup_of(add)
    add_list_of(add)


def add_list_of(add: Callable[[str, Command, str, str], Parser]) -> None:
    help = "bring a virtual machine in: an image (raw, qcow2, vmdk, vdi, OVA) becomes a guest here"
    command = add("import", bring, help, "shoestring guest import web.qcow2 --memory 2048")
    help = "a file, a disk (/dev/...), or a name on a USB stick; without it, the only image there"
    command.add_argument("source", metavar="IMAGE", nargs="?", help=help)
    add_properties(command, "as the image says")
    help = "make a guest of a backup, on this pair or on another: all of it as it was then"
    command = add("restore", restore, help, "shoestring guest restore web")
    command.add_argument("file", metavar="FILE|GUEST", help=f"{BACKUP}; or a plain one's folder")
    add_properties(command, "as in the backup")
    help = "make another guest of a guest's disk as it is now; it stays off until you start it"
    command = add("clone", clone, help, "shoestring guest clone web --name web-2")
    command.add_argument("guest", metavar="GUEST")
    command.add_argument("--here", action="store_true", help="also where the guest runs")
    add_properties(command, "as of GUEST", is_off=True)
    help = "change what is set about a guest, on both machines"
    command = add("edit", edit, help, "shoestring guest edit web --memory 4096")
    command.add_argument("guest", metavar="GUEST")
    add_numbers(command, "")
    help = "its own address on the LAN, which is asked before a takeover; or none"
    command.add_argument("--address", help=help)
    command.add_argument("--yes", action="store_true", help="do not ask; for scripts")
    help = "remove a guest and its disk from both machines, for good"
    command = add("remove", remove, help, "shoestring guest remove web")
    command.add_argument("guest", metavar="GUEST")


def add_properties(command: Parser, otherwise: str, *, is_off: bool = False) -> None:
    """Of a guest that comes. What is not said is OTHERWISE."""
    command.add_argument(
        "--name",
        required=is_off,
        help="what the guest is called" + f"; else {otherwise}" * (not is_off),
    )
    if is_off:
        command.set_defaults(off=True)
    else:
        help = "it stays off until you start it, as does one whose addresses another guest has"
        command.add_argument("--off", action="store_true", help=help)
    help = f"how large its disk is at least, as 20G; else {otherwise}"
    command.add_argument("--disk", metavar="SIZE", help=help)
    add_numbers(command, f"; else {otherwise}, or {{}}")
    help = "its own address on the LAN, if you know it: it is asked before a takeover"
    command.add_argument("--address", help=help)
    command.add_argument("--yes", action="store_true", help="do not ask; for scripts")


def add_numbers(command: Parser, otherwise: str) -> None:
    """What is set about a guest. What is not said is OTHERWISE, which has a place for what is
    usual.
    """
    for option, unit, what, usual in (
        ("--memory", "MIB", "its memory", "asked for"),
        ("--vcpus", "N", "its processors", "1"),
        ("--type", "TYPE", "pvh or pv: how Xen runs it", "pvh where the processor can"),
        ("--mac", "ADDRESS", "its card's address, 00:16:3e:...", "a new one"),
        ("--on", "NODE", "where it starts when nothing speaks for the other", "this machine"),
        ("--place", "N", "0 to 99: guests of a lower place start before it", str(USUAL)),
        ("--pause", "SECONDS", "how long guests of a higher place wait for it", "0"),
    ):
        command.add_argument(option, metavar=unit, help=what + otherwise.format(usual))
    help = "also if one machine, left alone, has no memory for all guests"
    command.add_argument("--more-than-one-machine-can-hold", action="store_true", help=help)


def add_backup_of(add: Callable[[str, Command, str, str], Parser]) -> None:
    help = "write a guest's disk into a file, from this machine's copy, while it runs on"
    command = add("backup", back_up, help, "shoestring guest backup web --to /mnt --daily 7")
    command.add_argument("guest", metavar="GUEST")
    help = "a folder that is there; without it, the one USB disk that is plugged in"
    command.add_argument("--to", metavar="FOLDER", help=help)
    help = "all of it; else what changed since the newest one there, and all of it after seven"
    command.add_argument("--full", action="store_true", help=help)
    help = "a folder with raw disks and SHA256SUMS, for whoever has nothing of ours"
    command.add_argument("--plain", action="store_true", help=help)
    command.add_argument("--here", action="store_true", help="also where the guest runs")
    help = "then remove what is neither among the last N"
    command.add_argument("--keep", metavar="N", type=int, help=help)
    for period, of in (("daily", "days"), ("weekly", "weeks"), ("monthly", "months")):
        help = f"nor the newest of one of the last N {of}"
        command.add_argument(f"--{period}", metavar="N", type=int, help=help)
    command.add_argument("--json", action="store_true", help="what was done, for programs")
    help = "write a guest's disk into one file for another hypervisor, while it runs on"
    command = add("export", export, help, "shoestring guest export web --format vmdk")
    command.add_argument("guest", metavar="GUEST")
    help = "a folder that is there; without it, the one USB disk that is plugged in"
    command.add_argument("--to", metavar="FOLDER", help=help)
    help = "qcow2 (KVM), vmdk (VMware), vdi (VirtualBox) or raw; qcow2"
    kinds = ("qcow2", "vmdk", "vdi", "raw")
    command.add_argument("--format", choices=kinds, default="qcow2", help=help)
    command.add_argument("--here", action="store_true", help="also where the guest runs")


def add_backup(program: CommandLine) -> None:
    add = program.group("backup", "what a backup's file is: show, verify or unpack it")
    file = "/mnt/web-2026-11-30T0200Z.full.shoestring"
    command = add("show", show_backup, "say what is in it", f"shoestring backup show {file}")
    command.add_argument("file", metavar="FILE|GUEST", help=BACKUP)
    command.add_argument("--json", action="store_true", help="for programs")
    help = "read every byte of it, and of what it builds on"
    command = add("verify", verify_backup, help, f"shoestring backup verify {file}")
    command.add_argument("file", metavar="FILE|GUEST", help=BACKUP)
    help = "write its disks as raw files, and its definition as YAML, into a folder"
    command = add("unpack", unpack_backup, help, f"shoestring backup unpack {file} /mnt/web")
    command.add_argument("file", metavar="FILE|GUEST", help=BACKUP)
    command.add_argument("folder", metavar="FOLDER")


def add_resolve(program: CommandLine) -> None:
    help = "end a split brain: choose which of two copies counts, and keep the other aside"
    command = program.add("resolve", resolution.resolve, help)
    command.add_argument("guest", metavar="GUEST", nargs="?")


def add_start(program: CommandLine) -> None:
    help = "start a guest in spite of what the agent misses, or one that was stopped"
    command = program.add("start", start, help)
    command.add_argument("guest", metavar="GUEST")
    command.add_argument(
        "--anyway",
        action="store_true",
        required=True,
        help="needed: what is to run is started by itself as soon as that is safe",
    )


def add_report(program: CommandLine) -> None:
    help = "print all there is to know about this machine, without keys"
    command = program.add("report", tell_all, help)
    command.add_argument("file", metavar="FILE", nargs="?", type=Path, help="a new file to write")


def add_password(program: CommandLine) -> None:
    command = program.add("password", change_password, "change the password of this machine")
    command.add_argument(
        "--print",
        action="store_true",
        help="change nothing, and print one as `password` of an answers.yaml holds it",
    )


def add_factory_reset(program: CommandLine) -> None:
    help = "make this machine leave the pair and forget it"
    program.add("factory-reset", forget_the_pair, help)


def add_update(program: CommandLine) -> None:
    help = "install another release on both machines of the pair, one after the other"
    command = program.add("update", update, help)
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
        print(json.dumps(data, indent=2))
    else:
        for line in render(shown, WIDTH, sys.maxsize, time.monotonic()):
            print(line)
    return VERDICTS[shown.verdict]


def guests(arguments: argparse.Namespace, places: Places) -> Exit:
    _, shown = look(places)
    column = max((len(guest.name) for guest in shown.guests), default=0)
    for guest in shown.guests:
        print(guest_line(guest, column))
        if guest.blocker is None:
            print(f"  can be moved to {shown.peer}")
        else:
            print(f"  cannot be moved from {shown.me}: {guest.blocker}")
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


def _startable(shown: Snapshot, guest: str) -> GuestView:
    """Raises OperatorError if there is no such guest, if it runs, or if DRBD would refuse."""
    view = guest_of(shown, guest)
    if view.runs_on:
        raise OperatorError(
            f"{guest} runs on {' and '.join(view.runs_on)}: nothing was done.",
            "A second one would destroy its data.",
        )
    if view.unstartable is not None:
        raise OperatorError(
            f"{guest} cannot be started on {shown.me}: {view.unstartable}. Nothing was done.",
            f"Switch {shown.peer} on. If it is lost for good, ask for help before anything is done "
            "to the disks: what is left is in the copies.",
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


def back_up(arguments: argparse.Namespace, places: Places) -> Exit:
    from haagent.backup import act  # it needs zstandard, and no other command does

    return act.back_up(arguments, places)


def export(arguments: argparse.Namespace, places: Places) -> Exit:
    from haagent.images import export  # as above

    return export.export(arguments, places)


def bring(arguments: argparse.Namespace, places: Places) -> Exit:
    from firstboot.roster import coming  # as above

    return coming.bring(arguments, places)


def restore(arguments: argparse.Namespace, places: Places) -> Exit:
    from firstboot.roster import coming  # as above

    return coming.restore(arguments, places)


def clone(arguments: argparse.Namespace, places: Places) -> Exit:
    from firstboot.roster import coming  # as above

    return coming.clone(arguments, places)


def edit(arguments: argparse.Namespace, places: Places) -> Exit:
    from firstboot.roster import editing  # as above

    return editing.edit(arguments, places)


def remove(arguments: argparse.Namespace, places: Places) -> Exit:
    from firstboot.roster import going  # as above

    return going.remove(arguments, places)


def show_backup(arguments: argparse.Namespace, places: Places) -> Exit:
    from haagent.backup import act  # as above

    return act.show(arguments, places)


def verify_backup(arguments: argparse.Namespace, places: Places) -> Exit:
    from haagent.backup import act  # as above

    return act.verify(arguments, places)


def unpack_backup(arguments: argparse.Namespace, places: Places) -> Exit:
    from haagent.backup import act  # as above

    return act.unpack(arguments, places)


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
