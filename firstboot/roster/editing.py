# SPDX-License-Identifier: MIT
"""`shoestring guest edit`: what is set about a guest changes, on both machines or on neither."""

import argparse
from collections.abc import Callable
from dataclasses import replace

from firstboot import values
from firstboot.roster import properties
from firstboot.roster.change import Change, Kind, NewGuest
from firstboot.roster.pair import Pair, meet, next_number, refuse
from haagent import config
from haagent.asking import tell
from haagent.command import Exit, Places, look
from haagent.config import Config
from haagent.console.snapshot import GuestView
from haagent.errors import OperatorError
from haagent.handover import agree, guest_of

# safety: a guest that runs is announced on the LAN by what is set. It has its old ones until it is
# started anew, and who asks for its address would be sent to a card that is not there.
ONLY_WHEN_OFF = ("mac", "address")


def edit(
    arguments: argparse.Namespace, places: Places, meet: Callable[[Places], Pair] = meet
) -> Exit:
    """Raises ShoestringError."""
    _, shown = look(places)
    refuse(shown)
    view = guest_of(shown, arguments.guest)
    found, pair = config.load(places.file, places.cmdline), meet(places)
    before = properties.as_it_is(view.name, found)
    after = _edited(before, arguments, found)
    lines = _lines(before, after, found)
    if not lines:
        raise OperatorError(
            f"Nothing of {view.name} would change. Nothing was done.",
            f"`shoestring guest show {view.name}` has what is set; `shoestring guest edit --help`"
            " has the options.",
        )
    _refuse_while_it_runs(view, before, after)
    cramped: list[str] = []
    if _is_for_its_next_start(before, after):
        is_meant = arguments.more_than_one_machine_can_hold
        cramped = properties.refuse_cramped(shown, after, is_meant=is_meant)
    number = next_number(pair, shown)
    tell(*lines, *cramped)
    agree(arguments)
    pair.lead(Change(number, Kind.EDITED, after), lambda: None)
    tell(f"That is set for {view.name}, {pair.where}.")
    if view.runs_on and _is_for_its_next_start(before, after):
        tell(
            "It goes on as it is until it is started anew: `shoestring guest restart"
            f" {view.name}`. A takeover and a move start it anew as well."
        )
    return Exit.PROTECTED


def _edited(before: NewGuest, arguments: argparse.Namespace, found: Config) -> NewGuest:
    options = [option for option in properties.SPOKEN if option != "name"]
    said = {o: getattr(arguments, o) for o in options if getattr(arguments, o) is not None}
    after = properties.numbered(before, said, "--{}".format)
    if "mac" in said:
        after = replace(after, mac=properties.given("--mac", values.mac, said["mac"]))
    if "address" in said:
        is_given = said["address"] != "none"
        new = properties.given("--address", values.address, said["address"]) if is_given else ""
        after = replace(after, address=str(new))
    if "type" in said:
        after = replace(after, kind=properties.given("--type", values.kind, said["type"]).value)
    if arguments.on is not None:
        after = replace(after, first_node=properties.node(arguments.on, found))
    return after


def _lines(before: NewGuest, after: NewGuest, found: Config) -> list[str]:
    names = found.pair.names
    of = (
        ("memory", f"{before.memory} MiB", f"{after.memory} MiB"),
        ("processors", str(before.vcpus), str(after.vcpus)),
        ("type", before.kind, after.kind),
        ("MAC address", before.mac, after.mac),
        ("address", before.address or "none", after.address or "none"),
        ("place in the order of starts", str(before.place), str(after.place)),
        ("pause after it", f"{before.pause} s", f"{after.pause} s"),
        ("starts first on", names[before.first_node], names[after.first_node]),
    )
    return [
        f"{after.name}, {what}: {old}, from now on {new}." for what, old, new in of if old != new
    ]


def _is_for_its_next_start(before: NewGuest, after: NewGuest) -> bool:
    """Of what may change while it runs: the rest of that holds at once."""
    return (after.memory, after.vcpus, after.kind) != (before.memory, before.vcpus, before.kind)


def _refuse_while_it_runs(view: GuestView, before: NewGuest, after: NewGuest) -> None:
    changed = [o for o in ONLY_WHEN_OFF if getattr(before, o) != getattr(after, o)]
    if changed and view.runs_on:
        raise OperatorError(
            f"{view.name} runs, and its {' and '.join(changed)} can change only while it is off."
            " Nothing was changed.",
            f"`shoestring guest stop {view.name}`, then say it again, then start it.",
        )
