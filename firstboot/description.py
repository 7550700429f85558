# SPDX-License-Identifier: MIT
"""What one machine tells the other about itself, once both are sure of each other. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from firstboot import machine_json
from firstboot.leases import Lease
from firstboot.probe import Machine
from haagent.errors import PeerError

MOST = 16  # of anything


@dataclass(frozen=True, slots=True)
class Description:
    """One machine, with what DHCP gave to its cards."""

    machine: Machine
    leases: tuple[Lease, ...]
    scale: float = 1.0  # of the timers
    time_servers: tuple[IPv4Address, ...] = ()  # that DHCP named

    def lan(self, crossover: str) -> Lease | None:
        """The lease on a card that is not the CROSSOVER's; one with a gateway first."""
        others = [lease for lease in self.leases if lease.card != crossover]
        return min(others, key=lambda lease: lease.gateway is None, default=None)

    def lan_mac(self, crossover: str) -> str | None:
        """The card for the LAN: the one with the lease, else the only other one with a cable."""
        lease = self.lan(crossover)
        others = [nic for nic in self.machine.nics if nic.name != crossover]
        if lease is not None:
            return next((nic.mac for nic in others if nic.name == lease.card), None)
        plugged = [nic for nic in others if nic.has_carrier] or others
        return plugged[0].mac if len(plugged) == 1 else None


def to_message(description: Description) -> dict[str, Any]:
    return {
        "machine": machine_json.dumps(description.machine),
        "scale": description.scale,
        "time-servers": list(map(str, description.time_servers)),
        "leases": [
            {
                "card": lease.card,
                "address": str(lease.address),
                "gateway": "" if lease.gateway is None else str(lease.gateway),
            }
            for lease in description.leases
        ],
    }


def from_message(message: Mapping[str, Any]) -> Description:
    """The reverse. Raises PeerError."""
    try:
        leases = _list(message, "leases")
        return Description(
            machine_json.loads(message["machine"]),
            tuple(map(_lease, leases)),
            float(message["scale"]),
            tuple(map(IPv4Address, _list(message, "time-servers"))),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PeerError(f"the other machine described itself badly: {error!r:.120}") from error


def _list(message: Mapping[str, Any], name: str) -> list[Any]:
    found = message[name]
    if not isinstance(found, list) or len(found) > MOST:
        raise ValueError(f"its {name} are no list")
    return found


def _lease(content: Mapping[str, str]) -> Lease:
    gateway = content["gateway"]
    card = content["card"]
    if not card.isascii() or not card.isprintable() or len(card) > 15:  # IFNAMSIZ, linux/if.h
        raise ValueError("a card's name")
    return Lease(card, IPv4Interface(content["address"]), IPv4Address(gateway) if gateway else None)
