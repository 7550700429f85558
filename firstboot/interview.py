# SPDX-License-Identifier: MIT
"""The questions of a set-up by hand, in their order. Pure: a line of text in, the next state out.

Knows nothing of screens: a face shows `question` and hands over what was typed. Enter takes the
default, `back` goes to the question before, `?` explains. Whatever is refused changes nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from firstboot.answers import HOST_NAME
from firstboot.validate import LARGEST_PREFIX
from haagent.core.model import Policy

LEAST_PASSWORD = 6  # characters; it guards a console that somebody has to stand at
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


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known before anybody is asked; in pairs, this machine first."""

    names: tuple[str, str]  # proposals
    leases: tuple[IPv4Interface | None, IPv4Interface | None]  # what DHCP gave on the LAN
    gateway: IPv4Address | None
    disks: tuple[tuple[DiskChoice, ...], tuple[DiskChoice, ...]]  # the proposed one first


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


class Refused(ValueError):
    """What was typed will not do; the text is a sentence that says why and what would."""


@dataclass(frozen=True, slots=True)
class Interview:
    """Everything that was answered so far. GIVEN is in the order of the topics."""

    facts: Facts
    given: Mapping[Topic, Any] = field(default_factory=dict, repr=False)

    @property
    def question(self) -> Question | None:
        """The next one; None when everything is answered."""
        topic = next((topic for topic in Topic if topic not in self.given), None)
        return None if topic is None else _question(topic, self)

    def answer(self, text: str) -> "Interview":
        """The interview after TEXT, which is neither a word for `back` nor for help. Raises
        Refused.
        """
        question = self.question
        if question is None:
            raise Refused("Everything is answered.")
        typed = text if question.is_secret else text.strip()
        typed = typed or question.default
        if not typed:
            raise Refused("Something has to be typed here. `?` explains.")
        if question.topic is Topic.AGAIN and typed != self.given[Topic.PASSWORD]:
            raise Refused("The two are not the same. Type it again, or `back` for a new one.")
        value = PARSERS[question.topic](typed, self)
        return replace(self, given={**self.given, question.topic: value})

    def back(self) -> "Interview":
        """Without the last answer; the same if there is none."""
        given = dict(self.given)
        if given:
            given.popitem()
        if list(given)[-1:] == [Topic.PASSWORD]:  # typed blind: it is asked for anew
            given.popitem()
        return replace(self, given=given)

    def change(self, topic: Topic) -> "Interview":
        """As it was before TOPIC was answered, the earlier answers kept."""
        kept = [earlier for earlier in Topic if earlier in self.given]
        until = kept.index(topic) if topic in kept else len(kept)
        return replace(self, given={earlier: self.given[earlier] for earlier in kept[:until]})


def _names(text: str, interview: Interview) -> tuple[str, str]:
    names = re.split(r"[\s,]+", text.strip().lower())
    if len(names) != 2:
        raise Refused("Two names are needed, with a space between them, such as: anna berta")
    for name in names:
        if not HOST_NAME.fullmatch(name) or name == "localhost":
            raise Refused(f"{name} will not do: a name has letters a to z, digits and hyphens.")
    if names[0] == names[1]:
        raise Refused("The two machines need different names.")
    return names[0], names[1]


def _lan(text: str, interview: Interview) -> Lan:
    words = re.split(r"[\s,]+", text.strip())
    if len(words) not in (2, 3, 4):
        raise Refused(
            "Two addresses and the gateway are needed, such as:"
            " 192.168.1.11/24 192.168.1.12 192.168.1.1"
        )
    first = _interface(words[0])
    second = IPv4Interface((_address(words[1].partition("/")[0]), first.network.prefixlen))
    known = interview.facts.gateway
    gateway = _address(words[2]) if len(words) > 2 else known
    if gateway is None:
        raise Refused("The gateway's address is needed as well, at the end.")
    guest = _address(words[3]) if len(words) > 3 else None
    all_of_them = [first.ip, second.ip, gateway, *([guest] if guest else [])]
    for address in all_of_them:
        if address not in first.network:
            raise Refused(f"{address} is not in the network {first.network} of {first.ip}.")
        if address in (first.network.network_address, first.network.broadcast_address):
            raise Refused(f"{address} cannot be the address of a machine in {first.network}.")
    if len(set(all_of_them)) < len(all_of_them):
        raise Refused("All of them need different addresses.")
    return Lan((first, second), gateway, guest)


def _interface(text: str) -> IPv4Interface:
    address, slash, prefix = text.partition("/")
    if not slash or not prefix.isdigit() or int(prefix) > LARGEST_PREFIX:
        raise Refused(f"{text} needs its prefix, such as {address or '192.168.1.11'}/24")
    return IPv4Interface((_address(address), int(prefix)))


def _address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError:
        raise Refused(f"{text} is not an IPv4 address, such as 192.168.1.11") from None


def _disks(text: str, interview: Interview) -> tuple[str, str]:
    words = text.split()
    if len(words) != 2:
        raise Refused("Two numbers are needed, one for each machine, such as: 1 1")
    chosen = []
    for word, disks, name in zip(words, interview.facts.disks, machines(interview), strict=True):
        if not word.isdigit() or not 1 <= int(word) <= len(disks):
            raise Refused(f"{word} is none of the disks of {name}.")
        chosen.append(disks[int(word) - 1].serial)
    return chosen[0], chosen[1]


def _policy(text: str, interview: Interview) -> Policy:
    for policy, words in POLICY_WORDS.items():
        if text.lower() in words:
            return policy
    raise Refused("Type 1 for automatic, or 2 for: wait for me.")


POLICY_WORDS = {Policy.AUTOMATIC: ("1", "automatic"), Policy.WAIT: ("2", "wait", "wait for me")}


def _password(text: str, interview: Interview) -> str:
    if len(text) < LEAST_PASSWORD:
        raise Refused(f"At least {LEAST_PASSWORD} characters or digits are needed.")
    if not text.isascii() or not text.isprintable():
        # A console's keyboard may be another one on the day it is needed.
        raise Refused("Only plain letters, digits and signs, without accents, can be used.")
    return text


def _consent(text: str, interview: Interview) -> bool:
    typed = [word.upper() for word in text.split()]
    for serial, name in zip(interview.given[Topic.DISKS], machines(interview), strict=True):
        if telling(serial) in typed:
            typed.remove(telling(serial))
        else:
            raise Refused(
                f"Nothing is erased: the last {TELLING} characters of the disk of {name} were not"
                " typed. `back` leads to the question before."
            )
    return True


def telling(serial: str) -> str:
    """What has to be typed for the disk with SERIAL."""
    return serial[-TELLING:].upper()


PARSERS = {
    Topic.NAMES: _names,
    Topic.LAN: _lan,
    Topic.DISKS: _disks,
    Topic.POLICY: _policy,
    Topic.PASSWORD: _password,
    Topic.AGAIN: _password,
    Topic.CONSENT: _consent,
}


def machines(interview: Interview) -> tuple[str, str]:
    """What the two machines are called by now."""
    names: tuple[str, str] = interview.given.get(Topic.NAMES, interview.facts.names)
    return names


def _question(topic: Topic, interview: Interview) -> Question:
    facts = interview.facts
    this, other = machines(interview)
    match topic:
        case Topic.NAMES:
            return Question(
                topic,
                "What shall the two machines be called?",
                "The first name is for this machine, the second for the other one.",
                (),
                " ".join(facts.names),
                "The names appear on the screens and in every message. A label on each case with"
                " its name helps at night.",
            )
        case Topic.LAN:
            return Question(
                topic,
                f"Which addresses shall {this} and {other} have on the LAN?",
                "They do not change any more, so reserve them in your router. The gateway is asked"
                " all the time: it tells a machine that is cut off from one whose peer is dead.",
                (),
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
                _disk_lines(interview),
                "1 1",
                "Everything is written to both disks at once: when a machine dies, the other one"
                " has it all. The stick or disk that the system runs from cannot be one of them.",
            )
        case Topic.POLICY:
            return Question(
                topic,
                "What if both cables fail in the same moment?",
                "Then neither machine can tell whether the other is dead or only out of reach.",
                (
                    "1  automatic: after half a minute the other machine takes the guests over."
                    " If really only both cables were cut, both machines run them for a while,"
                    " and you choose later which data to keep.",
                    "2  wait for me: the guests stop, nothing is started, until you say so at the"
                    " console. Nothing can be written twice.",
                ),
                "1",
                "One cable alone is never a problem, and neither is a machine that dies. This is"
                " about both cables within a second, while both machines still see the gateway.",
            )
        case Topic.PASSWORD:
            return Question(
                topic,
                "Choose a password for the consoles of both machines.",
                "It is asked for before anything that destroys something, and for a shell. There"
                " is no other one, and nobody can tell it to you later.",
                (),
                "",
                f"At least {LEAST_PASSWORD} characters; digits will do. It does not appear while"
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
            return _consent_question(interview)


def _lan_default(facts: Facts) -> str:
    first, second = facts.leases
    if first is None or second is None or facts.gateway is None:
        return ""
    if first.network != second.network or first.ip == second.ip:
        return ""
    return f"{first} {second.ip} {facts.gateway}"


def _disk_lines(interview: Interview) -> tuple[str, ...]:
    lines = []
    for name, disks in zip(machines(interview), interview.facts.disks, strict=True):
        lines.append(f"{name}:")
        lines += [f"  {number}  {disk.words}" for number, disk in enumerate(disks, 1)]
    return tuple(lines)


def _consent_question(interview: Interview) -> Question:
    serials = interview.given[Topic.DISKS]
    lines = []
    for name, serial, disks in zip(
        machines(interview), serials, interview.facts.disks, strict=True
    ):
        words = next(disk.words for disk in disks if disk.serial == serial)
        lines.append(f"ERASED on {name}:  {words}")
    asked = " ".join("?" * TELLING for _ in serials)
    return Question(
        Topic.CONSENT,
        "This will be erased on both machines, and cannot be brought back.",
        f"To go on, type the last {TELLING} characters of both serial numbers: {asked}",
        tuple(lines),
        "",
        "The serial numbers are printed on the disks, too. Typing them is the proof that you mean"
        " these disks and no others. `back` leads to the question before; nothing was written yet.",
    )
