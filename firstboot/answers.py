# SPDX-License-Identifier: MIT
"""Reads answers.yaml: the text of the file in, `Answers` out, or everything that is wrong with it.

Owns the shape of the file. It looks at no hardware (validate.py does) and touches no disk. No
complaint ever quotes the secret.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

import yaml

from firstboot import values, zones
from haagent.core.model import Policy
from haagent.core.ordering import USUAL
from haagent.errors import OperatorError
from haagent.guests import disks
from haagent.guests.definition import Kind

FILE = "answers.yaml"
VERSION = 1
ARM = "erase the disks named here"
MOST_KEYS = 8  # of machines that were replaced; a pair that loses more is unlucky
LONGEST = 65536  # characters; a file of answers is a page or two
MOST_GUESTS = 20
SLICES = range(1, disks.most(is_pc=False))
MOST_REFEREES = 3
MOST_TIME_SERVERS = 3

# What stands for a machine that there is not: nobody ever has these, or speaks to them.
NOBODYS_NAMES = ("second", "other")
NOBODYS_ADDRESS = IPv4Address("192.0.2.2")  # RFC 5737, of examples alone
NOBODYS_MACS = {"crossover": "02:00:00:00:00:01", "lan": "02:00:00:00:00:02"}  # given by no maker

# Text in, value out. Raises ValueError with the rest of a sentence that begins with the key.
Parse = Callable[[str], Any]


class Part(StrEnum):
    """What this machine does in the making of its pair."""

    FOUNDS = "founds"  # both machines are new, and so are the guests
    JOINS = "joins"  # it is new, and the other one has the guests: all is copied from there
    STAYS = "stays"  # it has the guests, and gets another peer; nothing on its disk is touched
    ALONE = "alone"  # there is no other machine; one may come beside it later


@dataclass(frozen=True, slots=True)
class Cable:
    """One network as this node sees it: its own card and address, and the peer's."""

    mac: str  # lower case, colons
    address: IPv4Interface
    peer: IPv4Address
    peer_mac: str


@dataclass(frozen=True, slots=True)
class Guest:
    """One guest. The built-in one is made by the set-up; any other starts with an empty disk."""

    name: str
    is_built_in: bool
    first_node: int
    mac: str
    address: IPv4Interface | None  # None: it asks for one by DHCP
    memory: int  # MiB
    disk: int  # bytes
    vcpus: int = 1
    place: int = USUAL  # in the order of starts
    pause: int = 0  # seconds until guests of a higher place start
    kind: Kind = Kind.PV  # how Xen runs it
    number: int = 0  # of its device and of its port, the same on both machines; each has its own
    slices: tuple[int, ...] = ()  # MiB of each of its disks but the last, which has the rest


@dataclass(frozen=True, slots=True)
class Answers:
    """What a person decided, for this one of the two machines."""

    me: int  # 0 or 1
    names: tuple[str, str]
    disk: str  # the serial number of this machine's data disk
    crossover: Cable
    lan: Cable
    gateway: IPv4Address
    referees: tuple[IPv4Address, ...]
    policy: Policy
    secret: str = field(repr=False)  # lower case hex, the same on both machines
    guests: tuple[Guest, ...]
    password: str = field(default="", repr=False)  # as haagent/password.py keeps it; "": none
    erases: bool = False  # whether what is on the data disk may be lost
    system_disk: str = ""  # the serial number of the disk to install to; "": stay on the stick
    erases_system_disk: bool = False
    sector: int = values.SECTOR  # bytes; of the data disks of both machines
    zone: str = zones.UTC  # that times are shown in
    time_servers: tuple[IPv4Address, ...] = ()  # empty: Debian's own pool
    part: Part = Part.FOUNDS
    replaced_keys: tuple[str, ...] = field(default=(), repr=False)  # of who joins: the old pairs'
    list: int = 0  # the change that the guests are from; 0: they are those of a new pair


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong, and where. LINE counts from 1."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"{FILE}:{self.line}: {self.text}"


class AnswersError(OperatorError):
    """The file cannot be followed; COMPLAINTS, at least one, in the order of its lines."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        self.complaints = tuple(sorted(complaints, key=lambda complaint: complaint.line))
        super().__init__(
            "\n".join(map(str, self.complaints)),
            f"Nothing was changed. Correct {FILE} on the stick and start again.",
        )


def read(text: str) -> Answers:
    """The answers in TEXT. Raises AnswersError, with every complaint there is."""
    complaints: list[Complaint] = []
    answers = _answers(_Section(complaints, _root(text), "the file"))
    if complaints:
        raise AnswersError(complaints)
    return answers


def _root(text: str) -> yaml.Node:
    if len(text) > LONGEST:
        raise AnswersError([Complaint(1, f"the file is longer than {LONGEST} characters")])
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        # The rest of the error may quote the file, and the file holds the secret.
        mark = error.problem_mark or error.context_mark
        raise AnswersError(
            [Complaint(mark.line + 1 if mark else 1, f"this is not YAML: {error.problem}")]
        ) from None
    except yaml.YAMLError:
        raise AnswersError([Complaint(1, "this is not plain text in UTF-8")]) from None
    if root is None:
        raise AnswersError([Complaint(1, "the file is empty")])
    return root


class _Section:
    """One mapping of the file. Complaints are collected: what cannot be read becomes None, and
    nothing is made of it in the end.

    Values are taken as they were written, not as YAML resolves them: a MAC address of nothing but
    digits would become a number.
    """

    def __init__(self, complaints: list[Complaint], node: yaml.Node | None, name: str) -> None:
        self._complaints = complaints
        self._node = node  # None: it is missing, which was complained about once and is enough
        self._name = name
        self._entries: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        self._asked: list[str] = []
        if node is not None and not isinstance(node, yaml.MappingNode):
            self._complain(node, f"{name} should be a list of `key: value`")
            self._node = None
        elif node is not None:
            for key, value in node.value:
                word = key.value if isinstance(key, yaml.ScalarNode) else "?"
                if word in self._entries:
                    self._complain(key, f"{name} has {word!r} twice")
                self._entries[word] = key, value

    def take(self, key: str, parse: Parse, *, is_needed: bool = True, default: Any = None) -> Any:
        """The value of KEY, parsed. DEFAULT counts only if the key is not needed and not there."""
        node = self._find(key, is_needed)
        return default if node is None else self._parsed(key, node, parse)

    def take_list(
        self, key: str, parse: Parse, counts: range, *, is_needed: bool = True, default: Any = None
    ) -> Any:
        """The values of the list under KEY, as a tuple; COUNTS says how many there may be."""
        node = self._find(key, is_needed)
        if node is None:
            return default
        if not isinstance(node, yaml.SequenceNode):
            return self._complain(node, f"{key} should be a list, such as [one, two]")
        if len(node.value) not in counts:
            most = f" to {counts[-1]}" if len(counts) > 1 else ""
            self._complain(node, f"{key} should be a list of {counts[0]}{most}")
        return tuple(self._parsed(key, entry, parse) for entry in node.value)

    def section(self, key: str) -> "_Section":
        """The mapping under KEY."""
        return _Section(self._complaints, self._find(key, True), key)

    def section_if_there(self, key: str) -> "_Section | None":
        """The same, for one that may be left out."""
        node = self._find(key, False)
        return None if node is None else _Section(self._complaints, node, key)

    def named_sections(self, parse: Parse, counts: range) -> Mapping[str, "_Section"]:
        """Every entry as a section of its own, where the keys are names."""
        if self._node is not None and len(self._entries) not in counts:
            self._complain(
                self._node, f"{self._name} should have {counts[0]} to {counts[-1]} entries"
            )
        found = {}
        for key, (node, value) in self._entries.items():
            self._asked.append(key)
            self._parsed("the name", node, parse)
            found[key] = _Section(self._complaints, value, key)
        return found

    def finish(self) -> None:
        """Complains about every key that nobody asked for."""
        for key, (node, _) in self._entries.items():
            if key not in self._asked:
                near = difflib.get_close_matches(key, self._asked, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                self._complain(node, f"{self._name} has no {key!r}{hint}")

    def _find(self, key: str, is_needed: bool) -> yaml.Node | None:
        self._asked.append(key)
        if key in self._entries:
            return self._entries[key][1]
        if is_needed and self._node is not None:
            self._complain(self._node, f"{self._name} needs {key!r}")
        return None

    def _parsed(self, key: str, node: yaml.Node, parse: Parse) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            return self._complain(node, f"{key} should be one value")
        try:
            return parse(node.value)
        except ValueError as error:
            return self._complain(node, f"{key} {error}")

    def _complain(self, node: yaml.Node, text: str) -> None:
        self._complaints.append(Complaint(node.start_mark.line + 1, text))


def _answers(file: _Section) -> Answers:
    file.take("version", _version)
    file.take("arm", _armed)
    part = file.take("part", _part, is_needed=False, default=Part.FOUNDS)
    is_alone = part is Part.ALONE
    lan = file.section("lan")
    gateway = lan.take("gateway", values.address)
    disk = file.section("data-disk")
    system = file.section_if_there("system-disk")
    answers = Answers(
        me=0 if is_alone else file.take("me", values.node),
        names=_names(file, is_alone=is_alone),
        disk=disk.take("serial", values.serial),
        erases=disk.take("erase", values.yes_or_no, is_needed=False, default=False),
        system_disk=system.take("serial", values.serial, default="") if system else "",
        erases_system_disk=bool(
            system and system.take("erase", values.yes_or_no, is_needed=False, default=False)
        ),
        sector=disk.take("sector", values.sector, is_needed=False, default=values.SECTOR),
        crossover=_cable("crossover", file.section("crossover"), is_alone=is_alone),
        lan=_cable("lan", lan, is_alone=is_alone),
        gateway=gateway,
        referees=file.take_list(
            "referees",
            values.address,
            range(1, MOST_REFEREES + 1),
            is_needed=False,
            default=(gateway,),
        ),
        policy=file.take("policy", values.policy, is_needed=not is_alone, default=Policy.AUTOMATIC),
        secret=file.take("secret", values.secret),
        guests=_guests(file.section("guests"), is_alone=is_alone),
        password=file.take("password", values.password, is_needed=False, default=""),
        zone=file.take("time-zone", values.zone, is_needed=False, default=zones.UTC),
        time_servers=file.take_list(
            "time-servers",
            values.address,
            range(1, MOST_TIME_SERVERS + 1),
            is_needed=False,
            default=(),
        ),
        part=part,
        replaced_keys=file.take_list(
            "replaced-keys", values.key, range(1, MOST_KEYS + 1), is_needed=False, default=()
        ),
        list=file.take("list", values.change, is_needed=False, default=0),
    )
    disk.finish()
    if system:
        system.finish()
    file.finish()
    return answers


def _names(file: _Section, *, is_alone: bool) -> Any:
    """Both machines'; one that is alone has one, and what will stand for the other is made up."""
    names = file.take_list("names", values.host_name, range(1, 2) if is_alone else range(2, 3))
    if not is_alone or not names:
        return names
    return names[0], next(name for name in NOBODYS_NAMES if name != names[0])


def _cable(name: str, section: _Section, *, is_alone: bool) -> Cable:
    mac, address = section.take("mac", values.mac), section.take("address", values.interface)
    if is_alone:
        peer, peer_mac = _nobodys(name, address), NOBODYS_MACS[name]
    else:
        peer, peer_mac = section.take("peer", values.address), section.take("peer-mac", values.mac)
    section.finish()
    return Cable(mac, address, peer, peer_mac)


def _nobodys(name: str, address: IPv4Interface | None) -> IPv4Address:
    """What is free on the crossover is kept for a second machine. On the LAN it is anybody's."""
    if name == "lan" or address is None:
        return NOBODYS_ADDRESS
    hosts = (host for host in address.network.hosts() if host != address.ip)
    return next(hosts, NOBODYS_ADDRESS)


def _guests(section: _Section, *, is_alone: bool) -> tuple[Guest, ...]:
    """In the order of their names: that numbers those about which nothing is said, and both
    machines must count alike.
    """
    named = section.named_sections(values.guest_name, range(1, MOST_GUESTS + 1))
    return tuple(
        _guest(name, named[name], usual, is_alone=is_alone)
        for usual, name in enumerate(sorted(named))
    )


def _guest(name: str, section: _Section, usual: int, *, is_alone: bool) -> Guest:
    guest = Guest(
        name=name,
        is_built_in=section.take("built-in", values.yes_or_no, is_needed=False, default=False),
        first_node=section.take("first-node", values.node, is_needed=not is_alone, default=0),
        mac=section.take("mac", values.mac),
        address=section.take("address", values.interface, is_needed=False),
        memory=section.take("memory", values.memory),
        disk=section.take("disk", values.size),
        vcpus=section.take("vcpus", values.vcpus, is_needed=False, default=1),
        place=section.take("place", values.place, is_needed=False, default=USUAL),
        pause=section.take("pause", values.pause, is_needed=False, default=0),
        kind=section.take("type", values.kind, is_needed=False, default=Kind.PV),
        number=section.take("number", values.number, is_needed=False, default=usual),
        slices=section.take_list("slices", values.mebibytes, SLICES, is_needed=False, default=()),
    )
    section.finish()
    return guest


def _version(text: str) -> int:
    if text != str(VERSION):
        raise ValueError(f"should be {VERSION}: this appliance knows no other")
    return VERSION


def _armed(text: str) -> bool:
    if text != ARM:
        raise ValueError(f'should be exactly "{ARM}": without it nothing is done')
    return True


def _part(text: str) -> Part:
    try:
        return Part(text)
    except ValueError:
        raise ValueError(f"should be one of: {', '.join(Part)}") from None
