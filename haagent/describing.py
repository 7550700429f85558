# SPDX-License-Identifier: MIT
"""`shoestring guest show` and `shoestring guest console`: one guest, looked at closely.

It must not decide anything, and changes nothing.
"""

import argparse
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from haagent import config
from haagent.answering import give
from haagent.asking import tell
from haagent.command import Exit, Places, is_at_a_terminal, look
from haagent.config import Config, GuestConfig
from haagent.console.render import guest_line, verified
from haagent.console.sizes import size
from haagent.console.snapshot import GuestView, Snapshot
from haagent.errors import OperatorError, ToolError
from haagent.guests.filter import dropped
from haagent.handover import guest_of
from haagent.run import Run
from haagent.storage.sysfs import SYSFS, disk_size


def show(arguments: argparse.Namespace, places: Places, sysfs: Path = SYSFS) -> Exit:
    """Raises ShoestringError."""
    data, shown = look(places)
    view = guest_of(shown, arguments.guest)
    found = config.load(places.file, places.cmdline)
    if arguments.json:
        [state] = [one for one in data["guests"] if one["name"] == view.name]
        give({"settings": settings(found, view.name, sysfs), "state": state})
    else:
        said = misnamed(view.name, places.run) if shown.me in view.runs_on else []
        print("\n".join([*lines(shown, view, found, sysfs), *said]))
    return Exit.PROTECTED


def settings(found: Config, name: str, sysfs: Path) -> dict[str, object]:
    """What is set about the guest NAME, in plain values."""
    guest = found.guests[name]
    return {
        "memory": guest.memory,
        "vcpus": guest.vcpus,
        "type": guest.kind,
        "mac": guest.mac,
        "address": None if guest.address is None else str(guest.address),
        "first_node": found.pair.names[guest.first_node],
        "place": guest.place,
        "pause": guest.pause,
        "disks": sizes(guest, sysfs),
    }


def lines(shown: Snapshot, view: GuestView, found: Config, sysfs: Path) -> list[str]:
    guest = found.guests[view.name]
    return [
        guest_line(shown, view, 0),
        f"  memory: {guest.memory} MiB; processors: {guest.vcpus}; type: {guest.kind}",
        *(
            f"  disk {disk}: {'its size is not known' if n is None else size(n >> 10)}"
            for disk, n in sizes(guest, sysfs).items()
        ),
        f"  MAC address: {guest.mac}",
        f"  starts first on {found.pair.names[guest.first_node]}, at place {guest.place}, with a"
        f" pause of {guest.pause} s after it",
        f"  can be moved to {shown.peer}"
        if view.blocker is None
        else f"  cannot be moved from {shown.me}: {view.blocker}",
        *(f"  does not start here: {sentence}" for sentence in view.missing),
        *([] if shown.is_vacant else [f"  {verified(view, shown.wall)}"]),
    ]


def sizes(guest: GuestConfig, sysfs: Path) -> dict[str, int | None]:
    """Bytes of each of its disks, in its order; None: not known now."""
    known = {disk: disk_size(device, sysfs) for disk, device in guest.disks}
    if not guest.slices:
        return known
    [whole] = known.values()
    if whole is None:
        return dict.fromkeys(guest.names)
    return {part.disk: part.size for part in guest.cut(whole)}


def misnamed(name: str, run: Run) -> list[str]:
    """That the guest NAME, which runs here, says what nobody hears."""
    try:
        unheard = dropped(name, run)
    except ToolError as error:
        return [f"  whether it speaks under its own MAC address alone is not known: {error}"]
    if not unheard:
        return []
    return [
        f"  {unheard} frames that it sent under another MAC address were kept off the LAN.",
        "    Let its card keep its own inside the guest; or give it that one, while it is off:",
        f"    `shoestring guest edit {name} --mac ADDRESS`.",
    ]


def console(
    arguments: argparse.Namespace,
    places: Places,
    call: Callable[[Sequence[str]], int] = subprocess.call,
) -> Exit:
    """Its text console, until Ctrl-]. Raises OperatorError if there is none here."""
    _, shown = look(places)
    view = guest_of(shown, arguments.guest)
    if shown.me not in view.runs_on:
        where = f" It runs on {view.runs_on[0]}: say it there." if view.runs_on else ""
        raise OperatorError(
            f"{view.name} does not run on {shown.me}.",
            f"{where} `shoestring guest show {view.name}` tells how it is.".strip(),
        )
    if not is_at_a_terminal():
        raise OperatorError(
            "A console needs a terminal, and there is none.",
            "Log in, and type the command yourself.",
        )
    tell(f"The console of {view.name}. Ctrl-] ends this; the guest runs on. Enter may wake it.")
    began = time.monotonic()
    code = call(("xl", "console", view.name))
    if code and time.monotonic() - began < 1:
        raise OperatorError(
            f"Xen does not give the console of {view.name}.",
            "It may have ended this moment: `shoestring status` tells.",
        )
    return Exit.PROTECTED
