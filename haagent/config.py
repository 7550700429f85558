# SPDX-License-Identifier: MIT
"""Owns what is set for this node: the settings of its file, the time scale and the key, checked.

It must not look at the machine beyond its files, and must not hand out settings that are half
right: everything is checked before the agent starts. haagent/settings.py says what the file holds.
"""

import hashlib
import math
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import yaml

from haagent.core.model import Pair, Policy
from haagent.core.ordering import USUAL
from haagent.core.timing import Timing
from haagent.core.wish import Target
from haagent.guests import disks
from haagent.guests.definition import Kind
from haagent.guests.disks import Slice
from haagent.settings import GUEST, KEY_BYTES, TABLE, ConfigError, Values, in_words

FILE = Path("/state/etc/shoestring/pair.yaml")
ON_TRIAL = Path("/run/shoestring/pair.yaml")  # the same with other addresses, until the next start
CMDLINE = Path("/proc/cmdline")
SCALE = "shoestring.timescale"
DEVICE = "/dev/drbd"  # and a number; haagent/settings.py takes no other
GUEST_FIELDS = (
    "first-node",
    "mac",
    "address",
    "memory",
    "vcpus",
    "place",
    "pause",
    "begins",
    "slices",
)
KEY_HINT = "Copy the key from the other machine, owned by root and with mode 0600."


@dataclass(frozen=True, slots=True)
class PathConfig:
    """One of our own ways to the peer."""

    interface: str
    address: IPv4Address
    peer_address: IPv4Address
    peer_mac: str  # lower case, with colons


@dataclass(frozen=True, slots=True)
class GuestConfig:
    """One guest, the same on both nodes."""

    first_node: int
    mac: str
    address: IPv4Address | None
    memory: int  # MiB
    vcpus: int
    disks: tuple[tuple[str, str], ...]  # (xvda, /dev/drbd0), in the guest's order
    place: int = USUAL  # in the order of starts
    pause: int = 0  # seconds until guests of a higher place start
    kind: Kind = Kind.PV  # how Xen runs it
    begins: Target = Target.STARTED  # what is to become of it before anybody said anything
    slices: tuple[int, ...] = ()  # MiB of each disk but the last, where one device has several

    @property
    def names(self) -> tuple[str, ...]:
        """Of its disks, as it calls them."""
        if self.slices:
            return disks.names(self.slices, is_pc=self.kind is Kind.HVM)
        return tuple(name for name, _ in self.disks)

    def cut(self, whole: int) -> tuple[Slice, ...]:
        """Its disks, on its one device of WHOLE bytes. Raises OperatorError."""
        return disks.cut(self.names, self.slices, whole)

    @property
    def minors(self) -> tuple[int, ...]:
        """The numbers N of its devices /dev/drbdN."""
        return tuple(int(device.removeprefix(DEVICE)) for _, device in self.disks)


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that is set, checked."""

    pair: Pair
    crossover: PathConfig
    lan: PathConfig
    bridge: str
    referees: tuple[IPv4Address, ...]
    guests: Mapping[str, GuestConfig]
    key_file: Path
    replaced_file: Path | None = None  # a key in each line, of machines that were replaced
    list: int = 0  # the change that the guests are from; 0: the set-up
    removed: tuple[str, ...] = ()  # guests that there were once


def load(path: Path = FILE, cmdline: Path = CMDLINE) -> Config:
    """Reads and checks everything. Raises ConfigError."""
    values = Values(path)
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}",
            "It is written when the machine is set up. Set it up, or put the file back.",
        ) from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise values.fault(line, f"it is not YAML: {error.problem}") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise values.fault(1, "it is not text in UTF-8") from error
    if node is None:
        raise values.fault(1, "the file is empty")
    values.collect(node, "", "")
    values.complete()
    config = _build(values, time_scale(cmdline))
    _check(config, values)
    read_replaced_keys(config.replaced_file, read_key(config.key_file))
    return config


def _build(values: Values, scale: float) -> Config:
    first, second = values.get("names", tuple)
    guests = {name: _build_guest(values, f"guests.{name}") for name in values.guests}
    return Config(
        pair=Pair(
            me=values.get("me", int),
            names=(first, second),
            guests={name: guest.first_node for name, guest in guests.items()},
            places={name: one.place for name, one in guests.items() if one.place != USUAL},
            pauses={name: one.pause * scale for name, one in guests.items() if one.pause},
            off=frozenset(n for n, one in guests.items() if one.begins is Target.STOPPED),
            policy=values.get("policy", Policy),
            scale=scale,
            timing=Timing().scaled(scale),
            lan=values.get("lan.change", int),
            is_vacant=values.get("vacant", bool),
        ),
        crossover=_build_path(values, "crossover"),
        lan=_build_path(values, "lan"),
        bridge=values.get("bridge", str),
        referees=values.get("referees", tuple),
        guests=guests,
        key_file=values.get("key-file", Path),
        replaced_file=_path_or_none(values.get("replaced-keys", object)),
        list=values.get("list", int),
        removed=values.get("removed", tuple),
    )


def _path_or_none(value: object) -> Path | None:
    return value if isinstance(value, Path) else None


def _build_path(values: Values, name: str) -> PathConfig:
    return PathConfig(
        interface=values.get(f"{name}.interface", str),
        address=values.get(f"{name}.address", IPv4Address),
        peer_address=values.get(f"{name}.peer-address", IPv4Address),
        peer_mac=values.get(f"{name}.peer-mac", str),
    )


def _build_guest(values: Values, name: str) -> GuestConfig:
    address = values.get(f"{name}.address", object)
    return GuestConfig(
        first_node=values.get(f"{name}.first-node", int),
        mac=values.get(f"{name}.mac", str),
        address=address if isinstance(address, IPv4Address) else None,
        memory=values.get(f"{name}.memory", int),
        vcpus=values.get(f"{name}.vcpus", int),
        disks=values.get(f"{name}.disks", tuple),
        place=values.get(f"{name}.place", int),
        pause=values.get(f"{name}.pause", int),
        kind=values.get(f"{name}.type", Kind),
        begins=values.get(f"{name}.begins", Target),
        slices=values.get(f"{name}.slices", tuple),
    )


def _check(config: Config, values: Values) -> None:
    """What no single line shows: the same thing used twice. Raises ConfigError."""
    taken: dict[object, str] = {}

    def take(thing: object, name: str) -> None:
        if thing in taken:
            line = values.lines.get(name, 1)
            raise values.fault(line, f"{thing} is used twice: as {taken[thing]} and as {name}")
        taken[thing] = name

    for name in config.pair.names:
        take(f"host {name}", "names")
    for section, path in (("crossover", config.crossover), ("lan", config.lan)):
        take(f"interface {path.interface}", f"{section}.interface")
        take(path.address, f"{section}.address")
        take(path.peer_address, f"{section}.peer-address")
        take(path.peer_mac, f"{section}.peer-mac")
    for name in config.removed:
        take(f"guest {name}", "removed")
    for name, guest in config.guests.items():
        # safety: what the agent knows of a guest that is there is never forgotten.
        take(f"guest {name}", f"guests.{name}")
        take(guest.mac, f"guests.{name}.mac")
        if guest.address is not None:
            take(guest.address, f"guests.{name}.address")
        for _, device in guest.disks:
            take(device, f"guests.{name}.disks")
        most = disks.most(is_pc=guest.kind is Kind.HVM) if len(guest.disks) == 1 else 1
        if len(guest.slices) >= most:
            raise values.fault(
                values.lines.get(f"guests.{name}.slices", 1),
                f"guest {name} has {len(guest.slices) + 1} disks on a device, and can have {most}",
            )
    # safety: a referee that is one of us would answer a node that is cut off.
    for address in config.referees:
        take(address, "referees")


def time_scale(cmdline: Path = CMDLINE) -> float:
    """The factor on the kernel's command line; 1 if there is none. Raises ConfigError."""
    try:
        words = cmdline.read_text(encoding="ascii", errors="replace").split()
    except OSError as error:
        raise ConfigError(
            f"{cmdline} cannot be read: {error.strerror}", "Is /proc mounted?"
        ) from error
    given = [word.partition("=")[2] for word in words if word.partition("=")[0] == SCALE]
    if not given:
        return 1.0
    try:
        scale = float(given[-1])  # as the kernel does: the last one counts
    except ValueError:
        scale = math.nan
    if not (math.isfinite(scale) and scale >= 1):
        raise ConfigError(
            f"{cmdline}: {SCALE}={given[-1]} is not a number from 1 on",
            "It only stretches the timers of emulated machines. Leave it out on real ones.",
        )
    return scale


def mark_of(key: bytes) -> str:
    """Tells the pair with KEY from every other one; nothing of the key can be told from it."""
    return hashlib.sha256(b"shoestring pair\0" + key).hexdigest()[:16]


def read_replaced_keys(path: Path | None, ours: bytes) -> tuple[bytes, ...]:
    """Of machines that were replaced, the newest first; none without PATH. Raises ConfigError.

    Never OURS, the key of the pair that lives.
    """
    if path is None:
        return ()
    keys = (_key(line, path) for line in _read_private(path).split())
    # safety: a replacement writes it there before it is agreed to. Should that be as far as it
    # came, the peer that lives would be taken for one that was replaced.
    return tuple(key for key in keys if key != ours)


def read_key(path: Path) -> bytes:
    """The pair's key. Raises ConfigError, which never tells any of it."""
    return _key(_read_private(path), path)


def _key(digits: bytes, path: Path) -> bytes:
    try:
        key = bytes.fromhex(digits.decode("ascii").strip())
    except ValueError:
        key = b""
    if len(key) < KEY_BYTES:
        raise ConfigError(
            f"{path} does not hold a key of at least {2 * KEY_BYTES} hexadecimal digits", KEY_HINT
        )
    return key


def _read_private(path: Path) -> bytes:
    """The text of a file that only root can read. Raises ConfigError."""
    hint = KEY_HINT
    try:
        with open(path, "rb", opener=lambda p, flags: os.open(p, flags | os.O_NOFOLLOW)) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError(f"{path} is not a file", hint)
            # safety: whoever reads it can speak as the peer.
            if stat.S_IMODE(status.st_mode) != 0o600 or status.st_uid != os.geteuid():
                mode = f"{stat.S_IMODE(status.st_mode):04o}"
                raise ConfigError(
                    f"{path} has mode {mode} and owner {status.st_uid}; others could read it",
                    "If nobody else can have read it: chown root, chmod 0600. Else make a new "
                    "key on both machines.",
                )
            return file.read(4096)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint) from error


def show(config: Config) -> str:
    """Every setting, its value and what it is for, as text; the key itself is not in it."""
    lines = []
    values = _shown(config)
    for name, value in values.items():
        setting = TABLE[re.sub(r"^guests\.[^.]+\.", GUEST, name)]
        default = "" if setting.is_needed else f" (default: {in_words(setting.default)})"
        lines += [f"{name}: {value}", f"    {setting.help}{default}"]
    lines += [
        f"{SCALE}: {config.pair.scale:g}",
        "    On the kernel's command line, not in the file: stretches every timer. (default: 1)",
    ]
    return "\n".join(lines) + "\n"


def _shown(config: Config) -> dict[str, str]:
    """The value of each setting, by its name in the file."""
    values: dict[str, object] = {
        "me": config.pair.me,
        "names": config.pair.names,
        "vacant": config.pair.is_vacant,
        "policy": config.pair.policy,
        "list": config.list,
        "removed": config.removed,
        "bridge": config.bridge,
        "referees": config.referees,
        "key-file": config.key_file,
        "replaced-keys": config.replaced_file,
    }
    for section, path in (("crossover", config.crossover), ("lan", config.lan)):
        values[f"{section}.interface"] = path.interface
        values[f"{section}.address"] = path.address
        values[f"{section}.peer-address"] = path.peer_address
        values[f"{section}.peer-mac"] = path.peer_mac
    values["lan.change"] = config.pair.lan
    for name, guest in config.guests.items():
        values[f"guests.{name}.type"] = guest.kind
        for field in GUEST_FIELDS:
            values[f"guests.{name}.{field}"] = getattr(guest, field.replace("-", "_"))
        values[f"guests.{name}.disks"] = tuple(f"{disk}: {dev}" for disk, dev in guest.disks)
    return {name: in_words(value) for name, value in values.items()}
