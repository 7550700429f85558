# SPDX-License-Identifier: MIT
"""What is set about a guest, as a person says it with options; and what one machine can hold."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from firstboot import values
from firstboot.roster.change import NewGuest
from haagent import running
from haagent.config import Config
from haagent.console.snapshot import Snapshot
from haagent.errors import OperatorError
from haagent.guests.footprint import footprint

# Options, by their names.
SPOKEN = ("name", "memory", "vcpus", "type", "mac", "address", "place", "pause")
T = TypeVar("T")


def given(where: str, parse: Callable[[str], T], text: str) -> T:
    """What TEXT says; WHERE it stands, for a person. Raises OperatorError."""
    try:
        return parse(text)
    except ValueError as error:
        raise OperatorError(
            f"{where} {error}. Nothing was changed.",
            "Say it with its option; --help behind the command has them.",
        ) from error


def numbered(guest: NewGuest, said: Mapping[str, str], where: Callable[[str], str]) -> NewGuest:
    """GUEST with those of its numbers that are SAID, by their options. Raises OperatorError."""

    def number(option: str, parse: Callable[[str], int], now: int) -> int:
        return given(where(option), parse, said[option]) if option in said else now

    return replace(
        guest,
        memory=number("memory", values.memory, guest.memory),
        vcpus=number("vcpus", values.vcpus, guest.vcpus),
        place=number("place", values.place, guest.place),
        pause=number("pause", values.pause, guest.pause),
    )


def node(name: str, found: Config) -> int:
    """The machine that a person calls NAME. Raises OperatorError."""
    pair = found.pair
    there = pair.names[pair.me : pair.me + 1] if pair.is_vacant else pair.names
    if name not in there:
        raise OperatorError(
            f"No machine of this pair is called {name}. Nothing was changed.",
            f"There is {' and '.join(there)}.",
        )
    return pair.names.index(name)


def as_it_is(name: str, found: Config) -> NewGuest:
    """The guest NAME, of which no disk is to be made."""
    guest = found.guests[name]
    return NewGuest(
        name=name,
        number=guest.minors[0],
        size=0,
        first_node=guest.first_node,
        mac=guest.mac,
        memory=guest.memory,
        vcpus=guest.vcpus,
        place=guest.place,
        pause=guest.pause,
        kind=guest.kind.value,
        begins=guest.begins.value,
        slices=guest.slices,
        address="" if guest.address is None else str(guest.address),
    )


def refuse_cramped(shown: Snapshot, guest: NewGuest, *, is_meant: bool) -> list[str]:
    """What becomes of it if one machine is left alone with all guests and GUEST, as the screens
    reckon it. Raises OperatorError unless that IS_MEANT.
    """
    others = sum(
        max(0, view.takes)
        for view in shown.guests
        if running.is_wanted(view) and view.name != guest.name
    )
    needed = others + footprint(guest.memory, guest.vcpus, guest.config.kind)
    found = [
        f"{node.name} has {node.memory} MiB for guests, and all of them take {needed} MiB with"
        f" {guest.name}: {node.name} alone could not run them all."
        for node in shown.nodes
        if 0 <= node.memory < needed
    ]
    if found and not is_meant:
        raise OperatorError(
            f"{' '.join(found)} Nothing was changed.",
            "Give it less memory, or make room. --more-than-one-machine-can-hold has it all the"
            " same: then not every guest is taken over.",
        )
    return found
