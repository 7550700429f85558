# SPDX-License-Identifier: MIT
"""Other addresses on the LAN for a pair that serves: whether they will do, what they mean, and the
files of one machine with them. Pure: text and values in, text out.

It takes over nothing that it does not understand, and leaves the guests' addresses alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from firstboot.question import Lan
from firstboot.rendering import LAN, NETWORK, SETTINGS, STATE, File, render, settings
from haagent.config import ON_TRIAL, Config
from haagent.core.model import LanChange
from haagent.errors import OperatorError
from haagent.settings import MAX_REFEREES

NETWORK_FILE = f"{NETWORK}/30-lan.network"
# systemd.network(5): the first file that matches counts, by name, in whatever folder it is. This
# one is on the run file system: a start of the machine does not find it.
TRIAL_NETWORK = "/run/systemd/network/25-lan.network"
TRIAL_SETTINGS = str(ON_TRIAL)
RESOLVER = f"{STATE}/timesyncd-resolv.conf"
CLOCK = f"{STATE}/systemd/timesyncd.conf"
BY_HAND = "Its settings were changed by hand. Put them back as the set-up made them, and try again."


@dataclass(frozen=True, slots=True)
class Present:
    """A pair's LAN as it is; pairs are node 0's first."""

    me: int
    names: tuple[str, str]
    addresses: tuple[IPv4Interface, IPv4Interface]
    gateway: IPv4Address
    crossover: tuple[IPv4Interface, ...]  # this machine's addresses on it
    guests: Mapping[str, IPv4Address]  # those whose address is known


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person wants instead; the pair is node 0's first."""

    addresses: tuple[IPv4Interface, IPv4Interface]
    gateway: IPv4Address

    @property
    def network(self) -> IPv4Network:
        return self.addresses[0].network


def present(config: Config, text: str, crossover: tuple[IPv4Interface, ...]) -> Present:
    """TEXT is the LAN's .network file. Raises OperatorError for what the set-up did not make."""
    gateways = re.findall(r"(?m)^Gateway=(\S+)$", text)
    mine = address_in(text)
    if len(gateways) != 1 or mine.ip != config.lan.address:
        raise OperatorError("The LAN's files of this machine do not fit together.", BY_HAND)
    other = IPv4Interface((config.lan.peer_address, mine.network.prefixlen))
    return Present(
        me=config.pair.me,
        names=config.pair.names,
        addresses=(mine, other) if config.pair.me == 0 else (other, mine),
        gateway=IPv4Address(gateways[0]),
        crossover=crossover,
        guests={
            name: guest.address
            for name, guest in config.guests.items()
            if guest.address is not None
        },
    )


def address_in(text: str) -> IPv4Interface:
    """The only address in TEXT, a .network file. Raises OperatorError."""
    found = re.findall(r"(?m)^Address=(\S+)$", text)
    if len(found) != 1:
        raise OperatorError("The LAN of this machine has not one address.", BY_HAND)
    return IPv4Interface(found[0])


def wanted(now: Present, typed: Lan) -> Wanted:
    """TYPED names this machine first, as at the set-up."""
    ours, theirs = typed.addresses
    return Wanted((ours, theirs) if now.me == 0 else (theirs, ours), typed.gateway)


def flaw(now: Present, new: Wanted) -> str | None:
    """Why NEW will not do, in a sentence; None if nothing that is known forbids it."""
    if new == Wanted(now.addresses, now.gateway):
        return "These are the addresses that the two have now."
    for one in now.crossover:
        if one.network.overlaps(new.network):
            return (
                f"{new.network} overlaps with the crossover's network {one.network}: the kernel"
                " could not tell which cable to use."
            )
    for node, name in enumerate(now.names):
        if new.addresses[node].ip == now.addresses[1 - node].ip:
            return (
                f"{new.addresses[node].ip} is the present address of {now.names[1 - node]}: for a"
                f" moment both would have it. Give {name} a third one; then change once more."
            )
        if new.gateway == now.addresses[node].ip:
            return f"{new.gateway} is the present address of {name}, and no gateway."
    for name, address in now.guests.items():
        if address in (new.addresses[0].ip, new.addresses[1].ip, new.gateway):
            return f"{address} is the address of the guest {name}."
    return None


def guests_left_behind(now: Present, new: Wanted) -> list[str]:
    """Names with addresses of the guests that would not be in the new network any more."""
    return [f"{name} ({ip})" for name, ip in now.guests.items() if ip not in new.network]


def ours(change: LanChange, me: int) -> IPv4Interface:
    """This machine's address by CHANGE. Raises OperatorError."""
    return _understood(change).addresses[me]


def on_trial(config: Config, change: LanChange) -> tuple[File, File]:
    """The files that count until the next start: settings and network. CONFIG is the settings that
    last. Raises OperatorError.
    """
    settings, network = _settings(config, change), _network(change, config.pair.me)
    return File(TRIAL_SETTINGS, settings), File(TRIAL_NETWORK, network)


def for_good(config: Config, change: LanChange, old: str, clock: str) -> tuple[File, ...]:
    """The files that last, in the order in which a power cut among them does no harm: CLOCK, what
    systemd-timesyncd reads, before OLD, the LAN's .network file, which knows the old gateway; the
    agent's settings at the end, for they say that the others are there. Raises OperatorError.
    """
    new, was = _understood(change), _gateway_in(old)
    return (
        File(CLOCK, re.sub(rf"(?<![\d.]){re.escape(was)}(?![\d.])", str(new.gateway), clock)),
        File(RESOLVER, f"nameserver {new.gateway}\n"),
        File(NETWORK_FILE, _network(change, config.pair.me)),
        File(SETTINGS, _settings(config, change)),
    )


def _understood(change: LanChange) -> Wanted:
    try:
        pair = IPv4Interface(change.first), IPv4Interface(change.second)
        return Wanted(pair, IPv4Address(change.gateway))
    except ValueError as error:
        raise OperatorError(
            f"The addresses that were agreed on cannot be understood: {error}.",
            "Nothing was changed. Type `shoestring lan` again.",
        ) from error


def _gateway_in(text: str) -> str:
    found = re.findall(r"(?m)^Gateway=(\S+)$", text)
    if len(found) != 1:
        raise OperatorError("The LAN of this machine has no gateway of its own.", BY_HAND)
    return str(found[0])


def _network(change: LanChange, me: int) -> str:
    new = _understood(change)
    address, gateway = new.addresses[me], new.gateway
    return render("address.network.j2", title="The LAN", name=LAN, address=address, gateway=gateway)


def _settings(config: Config, change: LanChange) -> str:
    new, me = _understood(change), config.pair.me
    ours, theirs = new.addresses[me].ip, new.addresses[1 - me].ip
    return settings(
        replace(
            config,
            pair=replace(config.pair, lan=change.number),
            lan=replace(config.lan, address=ours, peer_address=theirs),
            referees=_referees(config, new),
        )
    )


def _referees(config: Config, new: Wanted) -> tuple[IPv4Address, ...]:
    """The new gateway, and of the others those that were not on the old LAN."""
    old = IPv4Network((config.lan.address, new.network.prefixlen), strict=False)
    others = (one for one in config.referees if one not in old)
    return tuple(dict.fromkeys((new.gateway, *others)))[:MAX_REFEREES]
