# SPDX-License-Identifier: MIT
"""The files of a machine that a change of the list of guests writes. Pure: values in, text out."""

from dataclasses import replace
from ipaddress import IPv4Address

from firstboot import rendering
from firstboot.rendering import COMMON, SECRET, SETTINGS, File
from firstboot.roster.change import Change, Kind
from haagent.config import Config

TAKES_AWAY = frozenset({Kind.REMOVED, Kind.RENAMED})  # a name from the list
# On the run file system: a start of the machine does not find it, and DRBD reads it only if told.
PASSING = "/run/shoestring/passing-{guest}.conf"


def settings(config: Config, change: Change) -> File:
    """The agent's, with CHANGE made."""
    name, guests = change.guest.name, dict(config.guests)
    guests.pop(change.listed_as, None)
    removed = {one for one in config.removed if one != name}
    if change.kind in TAKES_AWAY:
        removed.add(change.listed_as)
    if change.kind is not Kind.REMOVED:
        guests[name] = change.guest.config
    return File(
        SETTINGS,
        rendering.settings(
            replace(config, guests=guests, removed=tuple(sorted(removed)), list=change.number)
        ),
    )


def mirror(config: Config, change: Change, key: bytes) -> File:
    """What every start of the machine gives DRBD. KEY is the pair's."""
    return rendering.resource(change.guest.name, change.guest.number, nodes(config), key.hex())


def passing_mirror(config: Config, change: Change, key: bytes) -> File:
    """What DRBD is given while the change is not decided."""
    guest = change.guest
    text = rendering.resource_text(guest.name, guest.number, nodes(config), key.hex(), passes=True)
    path = PASSING.format(guest=guest.name)
    return File(path, f'include "{COMMON}";\n{text}', SECRET)


def nodes(config: Config) -> rendering.Nodes:
    ours, theirs = config.crossover.address, config.crossover.peer_address
    both: tuple[IPv4Address, IPv4Address] = (ours, theirs)
    return tuple(zip(config.pair.names, both if config.pair.me == 0 else both[::-1], strict=True))
