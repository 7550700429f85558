# SPDX-License-Identifier: MIT
"""The questions of a set-up by hand, in their order. Pure: a line of text in, the next state out.

Knows nothing of screens: a face shows `question` and hands over what was typed. Enter takes the
default, `back` goes to the question before, `?` explains. Whatever is refused changes nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Interface

from firstboot import zones
from firstboot.prompts import Refused
from firstboot.question import (
    TELLING,
    Facts,
    Given,
    Lan,
    Names,
    Question,
    Topic,
    ask,
    machines,
    telling,
)
from firstboot.validate import LARGEST_PREFIX
from firstboot.values import HOST_NAME
from haagent import password
from haagent.core.model import Policy


@dataclass(frozen=True, slots=True)
class Interview:
    """Everything that was answered so far. GIVEN is in the order of the topics."""

    facts: Facts
    given: Given = field(default_factory=dict, repr=False)
    # How it was put, also after a way back: then Enter means the same once more.
    typed: Mapping[Topic, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def question(self) -> Question | None:
        """The next one; None when everything is answered."""
        topic = next((topic for topic in Topic if topic not in self.given), None)
        if topic is None:
            return None
        question = ask(topic, self.facts, self.given)
        return replace(question, default=self.typed.get(topic, question.default))

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
        is_kept = not question.is_secret and question.topic is not Topic.CONSENT
        return replace(
            self,
            given={**self.given, question.topic: value},
            typed={**self.typed, **({question.topic: typed} if is_kept else {})},
        )

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


def _names(text: str, interview: Interview) -> Names:
    first, second, *rest = [*re.split(r"[\s,]+", text.strip()), "", ""]
    if not second:
        raise Refused("Two names are needed, with a space between them, such as: anna berta")
    names = first.lower(), second.lower()
    for name in names:
        if not HOST_NAME.fullmatch(name) or name == "localhost":
            raise Refused(f"{name} will not do: a name has letters a to z, digits and hyphens.")
    if names[0] == names[1]:
        raise Refused("The two machines need different names.")
    try:
        zone = zones.find(" ".join(rest).strip() or zones.UTC, interview.facts.zones)
    except ValueError as error:
        raise Refused(str(error)) from None
    return Names(names, zone)


def _lan(text: str, interview: Interview) -> Lan:
    return lan_of(text, interview.facts.gateway)


def lan_of(text: str, known: IPv4Address | None = None) -> Lan:
    """What was typed about the LAN; KNOWN is the gateway if none was typed. Raises Refused."""
    words = re.split(r"[\s,]+", text.strip())
    if len(words) not in (2, 3, 4):
        raise Refused(
            "Two addresses and the gateway are needed, such as:"
            " 192.168.1.11/24 192.168.1.12 192.168.1.1"
        )
    first = interface_of(words[0])
    second = IPv4Interface((address_of(words[1].partition("/")[0]), first.network.prefixlen))
    gateway = address_of(words[2]) if len(words) > 2 else known
    if gateway is None:
        raise Refused("The gateway's address is needed as well, at the end.")
    guest = address_of(words[3]) if len(words) > 3 else None
    all_of_them = [first.ip, second.ip, gateway, *([guest] if guest else [])]
    for address in all_of_them:
        if address not in first.network:
            raise Refused(f"{address} is not in the network {first.network} of {first.ip}.")
        if address in (first.network.network_address, first.network.broadcast_address):
            raise Refused(f"{address} cannot be the address of a machine in {first.network}.")
    if len(set(all_of_them)) < len(all_of_them):
        raise Refused("All of them need different addresses.")
    return Lan((first, second), gateway, guest)


def interface_of(text: str) -> IPv4Interface:
    address, slash, prefix = text.partition("/")
    if not slash or not prefix.isdigit() or int(prefix) > LARGEST_PREFIX:
        raise Refused(f"{text} needs its prefix, such as {address or '192.168.1.11'}/24")
    return IPv4Interface((address_of(address), int(prefix)))


def address_of(text: str) -> IPv4Address:
    try:
        address = IPv4Address(text)
    except ValueError:
        raise Refused(f"{text} is not an IPv4 address, such as 192.168.1.11") from None
    if address.is_multicast or address.is_loopback or address.is_unspecified:
        raise Refused(f"{text} is not the address of a machine.")
    return address


def _disks(text: str, interview: Interview) -> tuple[str, str]:
    words = text.split()
    if len(words) != 2:
        raise Refused("Two numbers are needed, one for each machine, such as: 1 1")
    chosen = []
    for word, disks, name in zip(words, interview.facts.disks, _machines(interview), strict=True):
        if not word.isdigit() or not 1 <= int(word) <= len(disks):
            raise Refused(f"{word} is none of the disks of {name}.")
        chosen.append(disks[int(word) - 1])
    first, second = chosen
    if first.sector != second.sector:
        raise Refused(
            f"These two do not go together: their sectors have {first.sector} and {second.sector}"
            " bytes. Choose two with the same."
        )
    return first.serial, second.serial


def _machines(interview: Interview) -> tuple[str, str]:
    return machines(interview.facts, interview.given)


def _policy(text: str, interview: Interview) -> Policy:
    for policy, words in POLICY_WORDS.items():
        if text.lower() in words:
            return policy
    raise Refused("Type 1 for automatic, or 2 for: wait for me.")


POLICY_WORDS = {Policy.AUTOMATIC: ("1", "automatic"), Policy.WAIT: ("2", "wait", "wait for me")}


def _password(text: str, interview: Interview) -> str:
    flaw = password.flaw(text)
    if flaw is not None:
        raise Refused(flaw)
    return text


def _consent(text: str, interview: Interview) -> bool:
    typed = [word.upper() for word in text.split()]
    for serial, name in zip(interview.given[Topic.DISKS], _machines(interview), strict=True):
        if telling(serial) in typed:
            typed.remove(telling(serial))
        else:
            raise Refused(
                f"Nothing is erased: the last {TELLING} characters of the disk of {name} were not"
                " typed. `back` leads to the questions before."
            )
    return True


PARSERS = {
    Topic.NAMES: _names,
    Topic.LAN: _lan,
    Topic.DISKS: _disks,
    Topic.POLICY: _policy,
    Topic.PASSWORD: _password,
    Topic.AGAIN: _password,
    Topic.CONSENT: _consent,
}
