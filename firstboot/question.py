# SPDX-License-Identifier: MIT
"""What is asked in a set-up by hand: the topics in their order, and each question in words. Pure.

What is typed, and whether it will do, is interview.py's business.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from firstboot.prompts import Refused
from firstboot.values import SECTOR
from firstboot.wording import in_short
from firstboot.zones import UTC
from haagent import password

TELLING = 4  # characters of a serial number that are typed as consent


class Topic(StrEnum):
    """What is asked, in this order."""

    NAMES = "names"
    LAN = "lan"
    DISKS = "disks"
    POLICY = "policy"
    PASSWORD = "password"
    AGAIN = "password again"
    CONSENT = "consent"


@dataclass(frozen=True, slots=True)
class DiskChoice:
    """A disk that may become a data disk, in words."""

    serial: str
    words: str
    holds: tuple[str, ...] = ()  # what would be lost with it; empty: it is blank
    sector: int = SECTOR  # bytes


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known before anybody is asked; in pairs, this machine first."""

    names: tuple[str, str]  # proposals
    leases: tuple[IPv4Interface | None, IPv4Interface | None]  # what DHCP gave on the LAN
    gateway: IPv4Address | None
    disks: tuple[tuple[DiskChoice, ...], tuple[DiskChoice, ...]]  # the proposed one first
    has_proposal: bool = True  # whether the first of the disks are plainly right
    zones: frozenset[str] = frozenset({UTC})  # all that there are
    time_servers: tuple[IPv4Address, ...] = ()  # that DHCP named


@dataclass(frozen=True, slots=True)
class Names:
    """What the machines are called, this one first, and the time zone of both."""

    machines: tuple[str, str]
    zone: str


@dataclass(frozen=True, slots=True)
class Lan:
    """The LAN's addresses of both machines, the gateway that referees, and the built-in guest's;
    None: it asks for one by DHCP.
    """

    addresses: tuple[IPv4Interface, IPv4Interface]
    gateway: IPv4Address
    guest: IPv4Address | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What a face shows. DEFAULT is what Enter means, as it would be typed; "" if there is none."""

    topic: Topic
    title: str
    why: str
    choices: tuple[str, ...]
    default: str
    help: str
    is_secret: bool = False


Given = Mapping[Topic, Any]


def machines(facts: Facts, given: Given) -> tuple[str, str]:
    """What the two machines are called by now."""
    names: Names | None = given.get(Topic.NAMES)
    return facts.names if names is None else names.machines


def telling(serial: str) -> str:
    """What has to be typed for the disk with SERIAL."""
    return serial[-TELLING:].upper()


def consent(serial: str) -> Callable[[str], bool]:
    """What takes an answer for the consent to erase the disk with SERIAL. It raises Refused."""

    def take(text: str) -> bool:
        if text.upper() != telling(serial):
            raise Refused(
                f"Nothing is erased: those are not the last {TELLING} characters of the serial"
                " number."
            )
        return True

    return take


def ask(topic: Topic, facts: Facts, given: Given) -> Question:
    """The question about TOPIC, after all that was GIVEN before."""
    this, other = machines(facts, given)
    match topic:
        case Topic.NAMES:
            return Question(
                topic,
                "What shall the two machines be called?",
                "First the name of this machine, then that of the other one; and the time zone"
                " of both, such as Europe/Berlin, if it is not UTC.",
                (),
                f"{' '.join(facts.names)} {UTC}",
                "The names appear on the screens and in every message. A label on each case with"
                " its name helps at night. The time zone is that of all times on the screens"
                " and in the logs; the clocks are set over the LAN.",
            )
        case Topic.LAN:
            return Question(
                topic,
                f"Which addresses shall {this} and {other} have on the LAN?",
                "Reserve them in your router; later `shoestring lan` changes all three at once. The"
                " gateway is asked all the time: it tells a machine that is cut off from one whose"
                " peer is dead.",
                (
                    f"{this}'s with its prefix, {other}'s, the gateway's, such as:",
                    "    192.168.1.11/24 192.168.1.12 192.168.1.1",
                ),
                _lan_default(facts),
                f"Type the address of {this} with its prefix, that of {other}, and the gateway:"
                " 192.168.1.11/24 192.168.1.12 192.168.1.1. A fourth one is for the built-in"
                " guest, which asks your router for one otherwise.",
            )
        case Topic.DISKS:
            return Question(
                topic,
                "Which disks shall hold the guests? All that is on them will be erased.",
                f"One on each machine; the smaller one counts. First the number for {this}, then"
                f" that for {other}.",
                _disk_lines(facts, given),
                "1 1" if facts.has_proposal else "",
                "Everything is written to both disks at once: when a machine dies, the other one"
                " has it all. The stick or disk that the system runs from cannot be one of them.",
            )
        case Topic.POLICY:
            return _policy_question()
        case Topic.PASSWORD:
            return Question(
                topic,
                "Choose a password for the consoles of both machines.",
                "It is asked for before anything that destroys something, and for a shell. There"
                " is no other one, and nobody can tell it to you later.",
                (),
                "",
                f"At least {password.LEAST} characters; digits will do. It does not appear while"
                " you type it.",
                is_secret=True,
            )
        case Topic.AGAIN:
            return Question(
                topic,
                "The same password again.",
                "You did not see it, so a slip of the finger would lock you out.",
                (),
                "",
                "Type it once more, or `back` to choose another one.",
                is_secret=True,
            )
        case Topic.CONSENT:
            return _consent_question(facts, given)


def _lan_default(facts: Facts) -> str:
    first, second = facts.leases
    if first is None or second is None or facts.gateway is None:
        return ""
    if first.network != second.network or first.ip == second.ip:
        return ""
    return f"{first} {second.ip} {facts.gateway}"


def _disk_lines(facts: Facts, given: Given) -> tuple[str, ...]:
    lines = []
    for name, disks in zip(machines(facts, given), facts.disks, strict=True):
        lines.append(f"{name}:")
        for number, disk in enumerate(disks, 1):
            lines.append(f"  {number}  {disk.words}")
            if disk.holds:
                lines.append(f"     NOT BLANK: {in_short(disk.holds)}")
    return tuple(lines)


def _policy_question() -> Question:
    return Question(
        Topic.POLICY,
        "What if both cables fail in the same moment?",
        "To each machine that looks just like the death of the other one.",
        (
            "1  automatic: half a minute after a machine falls silent the other one takes its"
            " guests over. If really both cables were cut, both run them for a while, and you"
            " choose later which data to keep.",
            "2  wait for me: a guest goes on where it runs, and no machine takes over from a"
            " silent one, dead or not, until you say so at the console. Nothing can be written"
            " twice.",
        ),
        "1",
        "One cable alone is never a problem, and a machine that is shut down hands its guests over"
        " first, whatever you choose. This is about a machine that dies, and about both cables"
        " within a second while both machines still see the gateway.",
    )


def _consent_question(facts: Facts, given: Given) -> Question:
    lines = []
    for name, serial, disks in zip(
        machines(facts, given), given[Topic.DISKS], facts.disks, strict=True
    ):
        disk = next(disk for disk in disks if disk.serial == serial)
        # The number has a line of its own, so that its end is never cut off from its beginning.
        lines.append(f"ERASED on {name}:  {disk.words.removesuffix(f', serial {serial}')}")
        lost = f"LOST: {in_short(disk.holds)}" if disk.holds else "it is blank"
        lines.append(f"  serial {serial}; {lost}")
    asked = " ".join("?" * TELLING for _ in given[Topic.DISKS])
    return Question(
        Topic.CONSENT,
        "This will be erased on both machines, and cannot be brought back.",
        f"To go on, type the last {TELLING} characters of both serial numbers: {asked}",
        tuple(lines),
        "",
        "The serial numbers are printed on the disks, too. Typing them is the proof that you mean"
        " these disks and no others. `back` leads to the password, and from there to the disks;"
        " nothing was written yet.",
    )
