# SPDX-License-Identifier: MIT
"""What a machine that lost its peer knows of its pair, and the answers for both halves of the new
one. Pure: text and values in, text out.

It takes over nothing that it does not understand: a pair that was changed by hand is refused, not
half copied.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface

import yaml

from firstboot import rendering
from firstboot.answers import ARM, MOST_TIME_SERVERS, VERSION, Guest, Part
from firstboot.hands import Interface
from firstboot.values import SECTOR
from haagent.config import Config, PathConfig
from haagent.core.model import Policy
from haagent.errors import OperatorError
from haagent.storage.lvm import Volume

NO_DISK = "not-named"  # this machine's own is not touched, so that it need not be named
MEBIBYTE = 1 << 20
BY_HAND = "Its settings were changed by hand. Put them back as the set-up made them, and try again."


@dataclass(frozen=True, slots=True)
class Card:
    """One of this machine's networks, and the peer that was there."""

    mac: str
    address: IPv4Interface
    peer: IPv4Address
    peer_mac: str


@dataclass(frozen=True, slots=True)
class Survivor:
    """This machine and its pair, as far as a new peer must be the same."""

    me: int
    names: tuple[str, str]
    crossover: Card
    lan: Card
    gateway: IPv4Address
    referees: tuple[IPv4Address, ...]
    policy: Policy
    guests: tuple[Guest, ...]  # their disks as large as the volumes here
    zone: str
    time_servers: tuple[str, ...]
    password: str = field(default="", repr=False)  # as haagent/password.py keeps it
    replaced_keys: tuple[str, ...] = field(default=(), repr=False)  # the dead one's is the first
    sector: int | None = None  # bytes; of the disk that the guests are on here, once it is known
    apart: tuple[str, ...] = ()  # guests of which the dead one wrote alone, too
    is_vacant: bool = False  # there never was another machine: none is dead
    list: int = 0  # the change that the guests are from

    @property
    def name(self) -> str:
        return self.names[self.me]

    @property
    def dead(self) -> str:
        """The name of the machine that is replaced."""
        return self.names[1 - self.me]

    @property
    def memory(self) -> int:
        """Bytes that all guests need together."""
        return sum(guest.memory for guest in self.guests) * MEBIBYTE


@dataclass(frozen=True, slots=True)
class Successor:
    """What was chosen for the new machine."""

    name: str
    address: IPv4Interface  # on the LAN
    disk: str  # the serial number
    erases: bool  # whether what is on it may be lost
    crossover_mac: str
    lan_mac: str
    sector: int = SECTOR  # bytes; of the disk


@dataclass(frozen=True, slots=True)
class Texts:
    """Files of this machine that the set-up wrote; "" where there is none."""

    lan: str  # the LAN's .network file
    time: str  # timesyncd.conf
    password: str = field(default="", repr=False)
    replaced_keys: tuple[str, ...] = field(default=(), repr=False)  # of all who have no place here


def understand(
    config: Config,
    interfaces: Mapping[str, Interface],
    volumes: Sequence[Volume],
    texts: Texts,
    zone: str,
) -> Survivor:
    """Raises OperatorError for a pair that this set-up could not have made."""
    sizes = {volume.name: volume.size for volume in volumes}
    lan = _card(config.lan, rendering.LAN, interfaces)
    gateway = re.findall(r"(?m)^Gateway=(\S+)$", texts.lan)
    if len(gateway) != 1:
        raise OperatorError("The LAN of this machine has no gateway of its own.", BY_HAND)
    servers = re.findall(r"(?m)^NTP=(.*)$", texts.time)
    return Survivor(
        me=config.pair.me,
        names=config.pair.names,
        crossover=_card(config.crossover, rendering.CROSSOVER, interfaces),
        lan=lan,
        gateway=IPv4Address(gateway[0]),
        referees=config.referees,
        policy=config.pair.policy,
        guests=tuple(_guest(config, name, sizes, lan.address) for name in sorted(config.guests)),
        zone=zone,
        time_servers=tuple(servers[0].split())[:MOST_TIME_SERVERS] if servers else (),
        password=texts.password.strip(),
        replaced_keys=texts.replaced_keys,
        is_vacant=config.pair.is_vacant,
        list=config.list,
    )


def _card(path: PathConfig, name: str, interfaces: Mapping[str, Interface]) -> Card:
    found = interfaces.get(path.interface)
    address = (
        next((one for one in found.addresses if one.ip == path.address), None) if found else None
    )
    if found is None or address is None or path.interface != name:
        raise OperatorError(f"No interface {name} has the address {path.address}.", BY_HAND)
    return Card(found.mac, address, path.peer_address, path.peer_mac)


def _guest(config: Config, name: str, sizes: Mapping[str, int], lan: IPv4Interface) -> Guest:
    guest = config.guests[name]
    if len(guest.disks) != 1 or guest.disks[0][0] != "xvda" or name not in sizes:
        raise OperatorError(
            f"The disks of the guest {name} are not those that the set-up made.", BY_HAND
        )
    if sizes[name] % MEBIBYTE:
        raise OperatorError(f"The volume of {name} has {sizes[name]} bytes.", BY_HAND)
    # One that `shoestring lan` left behind has another by now, which only the guest knows.
    address = None
    if guest.address is not None and guest.address in lan.network:
        address = IPv4Interface((guest.address, lan.network.prefixlen))
    return Guest(
        name=name,
        is_built_in=False,  # whatever is on its disk is copied, and never made again
        first_node=guest.first_node,
        mac=guest.mac,
        address=address,
        memory=guest.memory,
        disk=sizes[name],
        vcpus=guest.vcpus,
        place=guest.place,
        pause=guest.pause,
        kind=guest.kind,
        number=guest.minors[0],
        slices=guest.slices,
    )


def compose(survivor: Survivor, successor: Successor, secret: str) -> tuple[str, str]:
    """The texts of answers.yaml for the survivor, which stays, and for the new machine, which
    joins. SECRET is the new pair's, hex.
    """
    names = list(survivor.names)
    names[1 - survivor.me] = successor.name
    common = {
        "version": str(VERSION),
        "arm": ARM,
        "names": names,
        "policy": str(survivor.policy),
        "time-zone": survivor.zone,
        **({"time-servers": list(survivor.time_servers)} if survivor.time_servers else {}),
        **({"referees": list(map(str, survivor.referees))} if survivor.referees else {}),
        "secret": secret,
        # safety: a guest's number is that of the change it came with. None is given twice.
        **({"list": str(survivor.list)} if survivor.list else {}),
        "guests": {guest.name: _told(guest) for guest in survivor.guests},
    }
    lan, crossover = survivor.lan, survivor.crossover
    gateway = {"gateway": str(survivor.gateway)}
    new_crossover = IPv4Interface((crossover.peer, crossover.address.network.prefixlen))
    stays = {
        **common,
        "part": str(Part.STAYS),
        "me": str(survivor.me),
        "data-disk": {"serial": NO_DISK},
        "crossover": _cable(
            crossover.mac, crossover.address, new_crossover, successor.crossover_mac
        ),
        "lan": {**_cable(lan.mac, lan.address, successor.address, successor.lan_mac), **gateway},
    }
    joins = {
        **common,
        "part": str(Part.JOINS),
        "me": str(1 - survivor.me),
        "data-disk": {
            "serial": successor.disk,
            **({"erase": "true"} if successor.erases else {}),
            **({"sector": str(successor.sector)} if successor.sector != SECTOR else {}),
        },
        "crossover": _cable(
            successor.crossover_mac, new_crossover, crossover.address, crossover.mac
        ),
        "lan": {**_cable(successor.lan_mac, successor.address, lan.address, lan.mac), **gateway},
        **({"password": survivor.password} if survivor.password else {}),
        # safety: who takes this machine's place one day must know whom to tell, too.
        **({"replaced-keys": list(survivor.replaced_keys)} if survivor.replaced_keys else {}),
    }
    return yaml.safe_dump(stays, sort_keys=False), yaml.safe_dump(joins, sort_keys=False)


def _cable(mac: str, address: IPv4Interface, peer: IPv4Interface, peer_mac: str) -> dict[str, str]:
    return {"mac": mac, "address": str(address), "peer": str(peer.ip), "peer-mac": peer_mac}


def _told(guest: Guest) -> dict[str, object]:
    return {
        "first-node": str(guest.first_node),
        "mac": guest.mac,
        **({"address": str(guest.address)} if guest.address else {}),
        "memory": str(guest.memory),
        "vcpus": str(guest.vcpus),
        "place": str(guest.place),
        "pause": str(guest.pause),
        "type": str(guest.kind),
        "number": str(guest.number),
        "disk": f"{guest.disk // MEBIBYTE}M",
        **({"slices": [str(size) for size in guest.slices]} if guest.slices else {}),
    }
