# SPDX-License-Identifier: MIT
"""Owns the table of settings, and reads a YAML file by it: every complaint has file and line.

It must not know what a setting is for; haagent/config.py makes sense of them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import TypeVar

import yaml

from haagent.core.model import Policy
from haagent.core.ordering import USUAL
from haagent.core.wish import BEGINS, Target
from haagent.errors import BugError, OperatorError
from haagent.guests import disks
from haagent.guests.definition import Kind

KEY_FILE = Path("/state/etc/shoestring/pair.key")
KEY_BYTES = 32  # at least; as many as SHA-256 gives
MAX_REFEREES = 3

T = TypeVar("T")


class ConfigError(OperatorError):
    """A setting is missing, unknown or wrong; the message begins with file and line."""


def _scalar(parse: Callable[[str], T]) -> Callable[[yaml.Node], T]:
    def read(node: yaml.Node) -> T:
        # The text itself counts, not YAML's idea of it: 00:16:3e:00:00:01 is no number in base 60.
        if not isinstance(node, yaml.ScalarNode):
            raise ValueError("it must be a single value")
        return parse(node.value)

    return read


def _list(parse: Callable[[str], T], least: int, most: int) -> Callable[[yaml.Node], tuple[T, ...]]:
    def read(node: yaml.Node) -> tuple[T, ...]:
        if not isinstance(node, yaml.SequenceNode):
            raise ValueError("it must be a list")
        if not least <= len(node.value) <= most:
            raise ValueError(f"it has {len(node.value)} entries")
        return tuple(_scalar(parse)(item) for item in node.value)

    return read


def _pairs(
    parse_key: Callable[[str], str], parse_value: Callable[[str], str]
) -> Callable[[yaml.Node], tuple[tuple[str, str], ...]]:
    def read(node: yaml.Node) -> tuple[tuple[str, str], ...]:
        if not isinstance(node, yaml.MappingNode) or not node.value:
            raise ValueError("it must be a list of `key: value`")
        pairs = tuple(
            (_scalar(parse_key)(key), _scalar(parse_value)(value)) for key, value in node.value
        )
        if len(dict(pairs)) != len(pairs):
            raise ValueError("one key is there twice")
        return pairs

    return read


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError(f"{text!r} is not {what}")
        return text

    return parse


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text, re.ASCII) or not least <= int(text) <= most:
            raise ValueError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return parse


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text == "true"


def _address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an IPv4 address") from None


def _mac(text: str) -> str:
    # An odd first byte would be a group of machines, not one.
    return _matching("[0-9a-f][02468ace](:[0-9a-f]{2}){5}", "a machine's MAC address")(text.lower())


def _policy(text: str) -> Policy:
    if text not in list(Policy):
        raise ValueError(f"{text!r} is not one of: {', '.join(Policy)}")
    return Policy(text)


def _path(text: str) -> Path:
    if not text.startswith("/"):
        raise ValueError(f"{text!r} does not begin with /")
    return Path(text)


def _kind(text: str) -> Kind:
    if text not in list(Kind):
        raise ValueError(f"{text!r} is not one of: {', '.join(Kind)}")
    return Kind(text)


def _begins(text: str) -> Target:
    if text not in BEGINS:
        raise ValueError(f"{text!r} is not one of: {', '.join(BEGINS)}")
    return Target(text)


_host = _matching("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", "a host name")
_guest = _matching("[a-z]([a-z0-9-]{0,30}[a-z0-9])?", "a guest's name")
_interface = _matching("[A-Za-z0-9_.-]{1,15}", "an interface's name")  # IFNAMSIZ, linux/if.h
_node = _number(0, 1)


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. In a name, NAME stands for a guest's."""

    name: str
    kind: str
    read: Callable[[yaml.Node], object]
    help: str
    default: object = ...  # ...: there is none, it must be given

    @property
    def is_needed(self) -> bool:
        return self.default is ...


SETTINGS = (
    Setting("me", "0 or 1", _scalar(_node), "Which of the two nodes this machine is."),
    Setting(
        "names",
        "two host names",
        _list(_host, 2, 2),
        "The names of node 0 and node 1, the same list on both machines.",
    ),
    Setting(
        "vacant",
        "true or false",
        _scalar(_flag),
        "Whether there is no second machine, and never was: what is set of one is made up then.",
        False,
    ),
    Setting(
        "policy",
        " or ".join(Policy),
        _scalar(_policy),
        "What to do if both cables fail in one moment: take over, or leave it to you.",
        Policy.AUTOMATIC,
    ),
    Setting(
        "crossover.interface",
        "an interface",
        _scalar(_interface),
        "The network card with the crossover cable.",
        "crossover",
    ),
    Setting("crossover.address", "an IPv4 address", _scalar(_address), "Ours on that cable."),
    Setting("crossover.peer-address", "an IPv4 address", _scalar(_address), "The peer's on it."),
    Setting("crossover.peer-mac", "a MAC address", _scalar(_mac), "The peer's card on it."),
    Setting(
        "lan.interface",
        "an interface",
        _scalar(_interface),
        "What carries our own address on the LAN; the bridge, as a rule.",
        "lan",
    ),
    Setting("lan.address", "an IPv4 address", _scalar(_address), "Ours on the LAN."),
    Setting("lan.peer-address", "an IPv4 address", _scalar(_address), "The peer's on the LAN."),
    Setting("lan.peer-mac", "a MAC address", _scalar(_mac), "What answers ARP for that address."),
    Setting(
        "lan.change",
        "a number",
        _scalar(_number(0, 999_999_999)),
        "The change that the LAN's addresses are from, as `shoestring lan` counts; 0: the set-up.",
        0,
    ),
    Setting(
        "list",
        "a number",
        _scalar(_number(0, 999_999_999)),
        "The change that the list of guests is from, as the two machines count; 0: the set-up.",
        0,
    ),
    Setting(
        "removed",
        "names",
        _list(_guest, 0, 1000),
        "Guests that there were once, and that the agent is to forget.",
        (),
    ),
    Setting(
        "bridge", "an interface", _scalar(_interface), "The bridge that guests are put on.", "lan"
    ),
    Setting(
        "referees",
        f"up to {MAX_REFEREES} IPv4 addresses",
        _list(_address, 0, MAX_REFEREES),
        "Gateways that tell a machine that it is not the one cut off. Never one of our guests. "
        "With none, the pair never takes over without the peer's word.",
        (),
    ),
    Setting(
        "key-file",
        "a path",
        _scalar(_path),
        f"The pair's key: at least {2 * KEY_BYTES} hexadecimal digits, mode 0600.",
        KEY_FILE,
    ),
    Setting(
        "replaced-keys",
        "a path",
        _scalar(_path),
        "The keys of machines whose place here was given to another: so that they are told.",
        None,
    ),
    Setting(
        "guests.NAME.first-node",
        "0 or 1",
        _scalar(_node),
        "The node that the guest starts on, the first time.",
    ),
    Setting("guests.NAME.mac", "a MAC address", _scalar(_mac), "The guest's network card."),
    Setting(
        "guests.NAME.address",
        "an IPv4 address",
        _scalar(_address),
        "The guest's own address, if it is known: it is probed before a takeover.",
        None,
    ),
    Setting("guests.NAME.memory", "MiB", _scalar(_number(16, 1 << 24)), "The guest's memory."),
    Setting("guests.NAME.vcpus", "a number", _scalar(_number(1, 512)), "Its processors.", 1),
    Setting(
        "guests.NAME.place",
        "0 to 99",
        _scalar(_number(0, 99)),
        "Where it comes when several guests start: those of a lower place are up before.",
        USUAL,
    ),
    Setting(
        "guests.NAME.pause",
        "seconds",
        _scalar(_number(0, 600)),
        "How long it is up before guests of a higher place start.",
        0,
    ),
    Setting(
        "guests.NAME.type",
        " or ".join(Kind),
        _scalar(_kind),
        "How Xen runs it; all but pv take a processor that helps with virtualization.",
        Kind.PV,
    ),
    Setting(
        "guests.NAME.begins",
        " or ".join(BEGINS),
        _scalar(_begins),
        "Whether it starts when it comes to the pair. From then on its owner's word counts.",
        Target.STARTED,
    ),
    Setting(
        "guests.NAME.disks",
        "names with devices",
        _pairs(
            _matching("xvd[a-z]|sd[a-z]|hd[a-d]", "a disk's name in the guest"),
            _matching("/dev/drbd[0-9]{1,7}", "a DRBD device"),
        ),
        "Its disks: what the guest calls them, and the DRBD device behind each.",
    ),
    Setting(
        "guests.NAME.slices",
        "a list of MiB",
        _list(_number(1, disks.LARGEST), 1, disks.most(is_pc=False) - 1),
        "Of several disks on its one device the size of each but the last, which has the rest.",
        (),
    ),
)
TABLE = {setting.name: setting for setting in SETTINGS}
SECTIONS = {name.rsplit(".", depth)[0] for name in TABLE for depth in (1, 2)} - TABLE.keys()
GUEST = "guests.NAME."


class Values:
    """The settings of the file PATH by name, read, each with the line it is on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[str, int] = {}
        self.guests: list[str] = []
        self._values: dict[str, object] = {}

    def collect(self, node: yaml.Node, name: str, generic: str) -> None:
        """Reads what is below NAME; GENERIC is the same name in the table's words."""
        if not isinstance(node, yaml.MappingNode):
            raise self.error(node, f"{name or 'the file'} must be a list of `key: value`")
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or "." in key.value:
                raise self.error(key, "a key must be a word without a dot")
            child = f"{name}.{key.value}".lstrip(".")
            child_generic = f"{generic}.{key.value}".lstrip(".")
            if generic == "guests":
                child_generic = "guests.NAME"
                self._add_guest(key)
            if child in self.lines:
                raise self.error(key, f"{child} is there twice")
            self.lines[child] = key.start_mark.line + 1
            if child_generic in TABLE:
                self._add(child, TABLE[child_generic], value)
            elif child_generic in SECTIONS:
                self.collect(value, child, child_generic)
            else:
                raise self.error(key, f"there is no setting {child}")

    def _add(self, name: str, setting: Setting, node: yaml.Node) -> None:
        try:
            self._values[name] = setting.read(node)
        except ValueError as error:
            hint = f"{name} is {setting.kind}. {setting.help}"
            raise self.error(node, f"{name}: {error}", hint) from None

    def _add_guest(self, key: yaml.ScalarNode) -> None:
        try:
            self.guests.append(_guest(key.value))
        except ValueError as error:
            raise self.error(key, str(error)) from None

    def complete(self) -> None:
        """Fills in defaults. Raises ConfigError for what has none."""
        for setting in SETTINGS:
            names = [setting.name]
            if setting.name.startswith(GUEST):
                names = [setting.name.replace("NAME", guest) for guest in self.guests]
            for name in names:
                if name not in self._values and setting.is_needed:
                    line = self.lines.get(name.rpartition(".")[0], 1)
                    raise self.fault(line, f"{name} is missing", setting.help)
                self._values.setdefault(name, setting.default)
        if not self.guests:
            raise self.fault(1, "guests are missing", "Name at least one guest under `guests:`.")

    def get(self, name: str, kind: type[T]) -> T:
        value = self._values[name]
        if not isinstance(value, kind):
            raise BugError(f"config: {name} was read as {type(value).__name__}")
        return value

    def error(self, node: yaml.Node, what: str, hint: str = "") -> ConfigError:
        return self.fault(node.start_mark.line + 1, what, hint)

    def fault(self, line: int, what: str, hint: str = "") -> ConfigError:
        hint = hint or "`haagent show-config --table` lists every setting."
        return ConfigError(f"{self.path}:{line}: {what}", hint)


def table() -> str:
    """Every setting there is, as text: name, kind, help, default."""
    lines = []
    for setting in SETTINGS:
        default = "must be given" if setting.is_needed else f"default: {in_words(setting.default)}"
        lines += [f"{setting.name}: {setting.kind}, {default}", f"    {setting.help}"]
    return "\n".join(lines) + "\n"


def in_words(value: object) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return str(value)
