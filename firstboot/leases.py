# SPDX-License-Identifier: MIT
"""What DHCP has given before the set-up: text of ip(8) and networkctl(1) in, values out. Pure.

A card with a lease is on a LAN and not on the crossover cable; what it was given is what the set-up
proposes.
"""

import json
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from haagent.errors import BugError

ADDRESSES = ("ip", "-json", "-4", "address", "show")
ROUTES = ("ip", "-json", "-4", "route", "show", "default")

# networkctl(1): the description of everything, org.freedesktop.network1(5).
TIME_SERVERS = ("networkctl", "--json=short", "list")

# systemd.network(5). It lives on the run file system: nothing of it outlasts this boot.
BEFORE_SET_UP = "/run/systemd/network/10-before-set-up.network"
NETWORK = """\
# Every card asks for an address until this machine belongs to a pair.
[Match]
Type=ether
Kind=!*

[Network]
DHCP=ipv4
LinkLocalAddressing=ipv6
IPv6AcceptRA=no
ConfigureWithoutCarrier=no

[DHCPv4]
UseDNS=no
UseNTP=yes
UseHostname=no
SendHostname=no
"""


@dataclass(frozen=True, slots=True)
class Lease:
    """What DHCP gave to a card."""

    card: str
    address: IPv4Interface
    gateway: IPv4Address | None


def parse_leases(addresses: str, routes: str) -> tuple[Lease, ...]:
    """The leases in what ADDRESSES and ROUTES printed. Raises BugError for anything else."""
    try:
        gateways = {
            route["dev"]: IPv4Address(route["gateway"])
            for route in _list(routes)
            if "gateway" in route
        }
        return tuple(
            Lease(
                link["ifname"],
                IPv4Interface(f"{given['local']}/{given['prefixlen']}"),
                gateways.get(link["ifname"]),
            )
            for link in _list(addresses)
            for given in link.get("addr_info", [])
            if given.get("family") == "inet" and given.get("dynamic")
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BugError(f"ip(8) printed something else than expected: {error!r}") from error


def parse_time_servers(text: str) -> tuple[IPv4Address, ...]:
    """The time servers that DHCP named, in what TIME_SERVERS printed; none if it is not understood:
    there are others, and a pair needs the right time less than anything else.
    """
    try:
        named = [
            IPv4Address(bytes(server["Address"]))
            for link in json.loads(text)["Interfaces"]
            for server in link.get("NTP", [])
            if server.get("ConfigSource") == "DHCPv4" and "Address" in server
        ]
    except (AttributeError, KeyError, TypeError, ValueError):
        return ()
    return tuple(dict.fromkeys(one for one in named if not _is_odd(one)))


def _is_odd(address: IPv4Address) -> bool:
    return address.is_multicast or address.is_loopback or address.is_unspecified


def _list(text: str) -> list[dict[str, Any]]:
    # Without anything to show, some versions print nothing at all.
    found = json.loads(text or "[]")
    return [entry for entry in found if entry]
