# SPDX-License-Identifier: MIT
"""Makes the two answer files of a pair out of what was asked and what was found. Pure.

What a person typed ends as the very text that could have been on the stick: from there on, a set-up
by hand and one from a file are the same.
"""

import secrets
from dataclasses import dataclass, field
from ipaddress import IPv4Interface

import yaml

from firstboot.answers import ARM, MOST_TIME_SERVERS, VERSION
from firstboot.interview import Interview
from firstboot.question import Lan, Names, Topic
from firstboot.values import SECTOR
from haagent.password import kept

BUILT_IN = {"memory": "192", "disk": "256M"}
GUEST_MAC = "00:16:3e"  # Xen's, xl-network-configuration(5)


@dataclass(frozen=True, slots=True)
class Side:
    """What was found on one machine: the cards that were chosen."""

    crossover_mac: str
    lan_mac: str


@dataclass(frozen=True, slots=True)
class Made:
    """What was made up at random for this pair."""

    guest_mac: str
    secret: str = field(repr=False)  # hex
    salt: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found on both; node 0 first."""

    sides: tuple[Side, Side]
    crossover: tuple[IPv4Interface, IPv4Interface]  # a network that nobody else uses


def compose(interview: Interview, found: Found, made: Made) -> tuple[str, str]:
    """The text of answers.yaml for node 0, and for node 1. INTERVIEW is answered to its end."""
    first, second = (_answers(me, interview, found, made) for me in (0, 1))
    return first, second


def guest_mac() -> str:
    """One of Xen's (xl-network-configuration(5)), at random."""
    return f"{GUEST_MAC}:{secrets.token_bytes(3).hex(':')}"


def _answers(me: int, interview: Interview, found: Found, made: Made) -> str:
    given = interview.given
    lan: Lan = given[Topic.LAN]
    names: Names = given[Topic.NAMES]
    ours, theirs = found.sides[me], found.sides[1 - me]
    content = {
        "version": str(VERSION),
        "arm": ARM,
        "me": str(me),
        "names": list(names.machines),
        "data-disk": _disk(me, interview),
        "crossover": {
            "mac": ours.crossover_mac,
            "address": str(found.crossover[me]),
            "peer": str(found.crossover[1 - me].ip),
            "peer-mac": theirs.crossover_mac,
        },
        "lan": {
            "mac": ours.lan_mac,
            "address": str(lan.addresses[me]),
            "gateway": str(lan.gateway),
            "peer": str(lan.addresses[1 - me].ip),
            "peer-mac": theirs.lan_mac,
        },
        "policy": str(given[Topic.POLICY]),
        "time-zone": names.zone,
        **_time_servers(interview),
        "secret": made.secret,
        "password": kept(given[Topic.PASSWORD], made.salt),
        "guests": _guests(lan, made.guest_mac),
    }
    return yaml.safe_dump(content, sort_keys=False)


def _disk(me: int, interview: Interview) -> dict[str, str]:
    serial: str = interview.given[Topic.DISKS][me]
    disk = next(one for one in interview.facts.disks[me] if one.serial == serial)
    # What was shown, and consented to; of a blank disk nothing may be erased.
    return {
        "serial": serial,
        **({"erase": "true"} if disk.holds else {}),
        **({"sector": str(disk.sector)} if disk.sector != SECTOR else {}),
    }


def _time_servers(interview: Interview) -> dict[str, list[str]]:
    servers = interview.facts.time_servers[:MOST_TIME_SERVERS]
    return {"time-servers": list(map(str, servers))} if servers else {}


def _guests(lan: Lan, mac: str) -> dict[str, dict[str, str]]:
    counter = {"built-in": "true", "first-node": "0", "mac": mac, **BUILT_IN}
    if lan.guest is not None:
        counter["address"] = f"{lan.guest}/{lan.addresses[0].network.prefixlen}"
    return {"counter": counter}
