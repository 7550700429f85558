# SPDX-License-Identifier: MIT
"""The commands about one guest and its backups: how each is typed, and who carries it out.

What carries it out is loaded when it is wanted: much of it needs libraries that no other command
does.
"""

import argparse

from haagent import describing, handover, running, verifying
from haagent.command import Add, Command, CommandLine, Exit, Parser, Places
from haagent.core.ordering import USUAL

CD = "for this start of a PC: an image of a CD, here or on a USB stick"
BACKUP = (
    "a file, here or at an address; or what is on the one USB disk: its name, or the guest's for"
    " the newest"
)
FOLDER = "a folder that is there, or nfs://HOST/FOLDER or ssh://USER@HOST/FOLDER; else the USB disk"


def add_guest(program: CommandLine, listed: Command) -> None:
    add = program.group("guest", "start, stop, move and verify guests, one at a time")
    add("list", listed, "list the guests, as `shoestring guests`", "shoestring guest list")
    help = "say all that is set about a guest, and how it is"
    command = add("show", describing.show, help, "shoestring guest show web")
    command.add_argument("guest", metavar="GUEST")
    help = "its text console, where it runs; Ctrl-] ends it"
    example = "shoestring guest console web"
    command = add("console", describing.console, help, example, has_json=False)
    command.add_argument("guest", metavar="GUEST")
    help = "the screen of a PC, for one viewer of VNC's on the LAN, with a password for this once"
    example = "shoestring guest screen web"
    command = add("screen", view_screen, help, example, has_json=False)
    command.add_argument("guest", metavar="GUEST")
    for verb, act, help in (
        ("start", running.start, "start a guest that is off, on this machine if it can"),
        ("stop", running.stop, "shut a guest down, on either machine, and leave it off"),
        ("restart", running.restart, "shut a guest down and start it anew, where it runs"),
        ("move", handover.move, "shut a guest down here and start it on the other machine"),
    ):
        command = add(verb, act, help, f"shoestring guest {verb} web")
        command.add_argument("guest", metavar="GUEST")
        if verb == "start":
            command.add_argument("--cdrom", metavar="FILE", help=CD)
        else:
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


def add_list_of(add: Add) -> None:
    help = "bring a virtual machine in: an image (raw, qcow2, vmdk, vdi, OVA) becomes a guest here"
    command = add("import", bring, help, "shoestring guest import web.qcow2 --memory 2048")
    help = (
        "a file, a disk (/dev/...), an address (http, https, nfs, ssh) or a name on a USB stick;"
        " without it, the only image there"
    )
    command.add_argument("source", metavar="IMAGE", nargs="?", help=help)
    help = "of what is fetched over HTTP, as its maker tells it"
    command.add_argument("--sha256", metavar="SUM", help=help)
    add_host_key(command)
    add_properties(command, "as the image says")
    help = "make a guest with a blank disk: a PC, for a system to be installed on"
    example = "shoestring guest create web --memory 2048 --disk 20G --cdrom debian.iso"
    command = add("create", create, help, example)
    command.add_argument("name", metavar="GUEST")
    help = "how large its disk is; said again, the next one's size"
    command.add_argument("--disk", metavar="SIZE", required=True, action="append", help=help)
    command.add_argument("--cdrom", metavar="FILE", help="start it now; " + CD)
    command.add_argument("--address", help="its own address on the LAN, if you know it")
    add_numbers(command, "; else {}", is_pc=True)
    command.add_argument("--yes", action="store_true", help="do not ask; for scripts")
    help = "make a guest of a backup, on this pair or on another: all of it as it was then"
    command = add("restore", restore, help, "shoestring guest restore web")
    command.add_argument("file", metavar="FILE|GUEST", help=f"{BACKUP}; or a plain one's folder")
    add_host_key(command)
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
    help = "call a guest otherwise, on both machines; it must be off"
    command = add("rename", rename, help, "shoestring guest rename web shop")
    command.add_argument("guest", metavar="GUEST")
    command.add_argument("name", metavar="NAME", help="what it is called from then on")
    command.add_argument("--yes", action="store_true", help="do not ask; for scripts")
    help = "make a guest's disk, or its last one, larger on both machines, while it runs on"
    command = add("resize", resize, help, "shoestring guest resize web --disk 40G")
    command.add_argument("guest", metavar="GUEST")
    help = "how large it is from then on, as 20G; it never becomes smaller"
    command.add_argument("--disk", metavar="SIZE", required=True, help=help)
    command.add_argument("--yes", action="store_true", help="do not ask; for scripts")
    help = "remove a guest and its disk from both machines, for good"
    command = add("remove", remove, help, "shoestring guest remove web")
    command.add_argument("guest", metavar="GUEST")


def add_host_key(command: Parser) -> None:
    help = "with ssh://: the key of that computer (SHA256:...), which you are asked about else"
    command.add_argument("--host-key", metavar="SUM", help=help)


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
    help = f"how large its disk is at least, as 20G, the last of several; else {otherwise}"
    command.add_argument("--disk", metavar="SIZE", help=help)
    add_numbers(command, f"; else {otherwise}, or {{}}")
    help = "its own address on the LAN, if you know it: it is asked before a takeover"
    command.add_argument("--address", help=help)
    command.add_argument("--yes", action="store_true", help="do not ask; for scripts")


def add_numbers(command: Parser, otherwise: str, *, is_pc: bool = False) -> None:
    """What is set about a guest. What is not said is OTHERWISE, which has a place for what is
    usual. Of what IS_PC nobody says the type.
    """
    if is_pc:
        command.set_defaults(type="hvm")
    else:
        usual = otherwise.format("pvh where the processor can")
        help = "pvh, pv or hvm: how Xen runs it" + usual
        command.add_argument("--type", metavar="TYPE", help=help)
    for option, unit, what, usual in (
        ("--memory", "MIB", "its memory", "asked for"),
        ("--vcpus", "N", "its processors", "1"),
        ("--mac", "ADDRESS", "its card's address, 00:16:3e:...", "a new one"),
        ("--on", "NODE", "where it starts when nothing speaks for the other", "this machine"),
        ("--place", "N", "0 to 99: guests of a lower place start before it", str(USUAL)),
        ("--pause", "SECONDS", "how long guests of a higher place wait for it", "0"),
    ):
        command.add_argument(option, metavar=unit, help=what + otherwise.format(usual))
    help = "also if one machine, left alone, has no memory for all guests"
    command.add_argument("--more-than-one-machine-can-hold", action="store_true", help=help)


def add_backup_of(add: Add) -> None:
    help = "write a guest's disk into a file, from this machine's copy, while it runs on"
    command = add("backup", back_up, help, "shoestring guest backup web --to /mnt --daily 7")
    command.add_argument("guest", metavar="GUEST")
    command.add_argument("--to", metavar="FOLDER", help=FOLDER)
    add_host_key(command)
    help = "all of it; else what changed since the newest one there, and all of it after seven"
    command.add_argument("--full", action="store_true", help=help)
    help = "a folder with raw disks and SHA256SUMS, for whoever has nothing of ours"
    command.add_argument("--plain", action="store_true", help=help)
    add_reading(command)
    add_retention(command)
    add_schedule_of(add)
    help = "write each of a guest's disks into a file for another hypervisor, while it runs on"
    command = add("export", export, help, "shoestring guest export web --format vmdk")
    command.add_argument("guest", metavar="GUEST")
    command.add_argument("--to", metavar="FOLDER", help=FOLDER)
    add_host_key(command)
    help = "qcow2 (KVM), vmdk (VMware), vdi (VirtualBox) or raw; qcow2"
    kinds = ("qcow2", "vmdk", "vdi", "raw")
    command.add_argument("--format", choices=kinds, default="qcow2", help=help)
    add_reading(command)


def add_reading(command: Parser) -> None:
    command.add_argument("--here", action="store_true", help="also where the guest runs")
    help = "also a copy that is not the newest; if what the other machine has is lost for good"
    command.add_argument("--older", action="store_true", help=help)


def add_retention(command: Parser) -> None:
    help = "then remove what is neither among the last N"
    command.add_argument("--keep", metavar="N", type=int, help=help)
    for period, of in (("daily", "days"), ("weekly", "weeks"), ("monthly", "months")):
        help = f"nor the newest of one of the last N {of} of UTC"
        command.add_argument(f"--{period}", metavar="N", type=int, help=help)


def add_schedule_of(add: Add) -> None:
    help = "have this machine back a guest up by itself; without a guest: say what it does"
    example = "shoestring guest schedule web --at 02:30 --daily 7 --weekly 4"
    command = add("schedule", schedule, help, example)
    command.add_argument("guest", metavar="GUEST", nargs="?")
    either = command.add_mutually_exclusive_group()
    help = "the time of the day, in the time zone of this machine"
    either.add_argument("--at", metavar="HH:MM", help=help)
    either.add_argument("--off", action="store_true", help="not any more; what there is stays")
    help = "the days of the week, as in mon,thu; else each day"
    command.add_argument("--days", metavar="DAYS", help=help)
    help = "a folder, or nfs://HOST/FOLDER; without it, the one USB disk that is plugged in then"
    command.add_argument("--to", metavar="FOLDER", help=help)
    add_retention(command)


def add_backup(program: CommandLine) -> None:
    add = program.group("backup", "what a backup's file is: show, verify or unpack it")
    file = "/mnt/web-2026-11-30T0200Z.full.shoestring"
    command = add("show", show_backup, "say what is in it", f"shoestring backup show {file}")
    command.add_argument("file", metavar="FILE|GUEST", help=BACKUP)
    add_host_key(command)
    help = "read every byte of it, and of what it builds on"
    command = add("verify", verify_backup, help, f"shoestring backup verify {file}")
    command.add_argument("file", metavar="FILE|GUEST", help=BACKUP)
    add_host_key(command)
    help = "write its disks as raw files, and its definition as YAML, into a folder"
    command = add("unpack", unpack_backup, help, f"shoestring backup unpack {file} /mnt/web")
    command.add_argument("file", metavar="FILE|GUEST", help=BACKUP)
    add_host_key(command)
    command.add_argument("folder", metavar="FOLDER")


def view_screen(arguments: argparse.Namespace, places: Places) -> Exit:
    from haagent import viewing

    return viewing.screen(arguments, places)


def back_up(arguments: argparse.Namespace, places: Places) -> Exit:
    from haagent.backup import act

    return act.back_up(arguments, places)


def schedule(arguments: argparse.Namespace, places: Places) -> Exit:
    from haagent.backup import scheduling

    return scheduling.plan(arguments, places)


def export(arguments: argparse.Namespace, places: Places) -> Exit:
    from haagent.images import export

    return export.export(arguments, places)


def bring(arguments: argparse.Namespace, places: Places) -> Exit:
    from firstboot.roster import coming

    return coming.bring(arguments, places)


def create(arguments: argparse.Namespace, places: Places) -> Exit:
    from firstboot.roster import coming

    return coming.create(arguments, places)


def restore(arguments: argparse.Namespace, places: Places) -> Exit:
    from firstboot.roster import coming

    return coming.restore(arguments, places)


def clone(arguments: argparse.Namespace, places: Places) -> Exit:
    from firstboot.roster import coming

    return coming.clone(arguments, places)


def edit(arguments: argparse.Namespace, places: Places) -> Exit:
    from firstboot.roster import editing

    return editing.edit(arguments, places)


def rename(arguments: argparse.Namespace, places: Places) -> Exit:
    from firstboot.roster import renaming

    return renaming.rename(arguments, places)


def resize(arguments: argparse.Namespace, places: Places) -> Exit:
    from firstboot.roster import resizing

    return resizing.resize(arguments, places)


def remove(arguments: argparse.Namespace, places: Places) -> Exit:
    from firstboot.roster import going

    return going.remove(arguments, places)


def show_backup(arguments: argparse.Namespace, places: Places) -> Exit:
    from haagent.backup import act

    return act.show(arguments, places)


def verify_backup(arguments: argparse.Namespace, places: Places) -> Exit:
    from haagent.backup import act

    return act.verify(arguments, places)


def unpack_backup(arguments: argparse.Namespace, places: Places) -> Exit:
    from haagent.backup import act

    return act.unpack(arguments, places)
