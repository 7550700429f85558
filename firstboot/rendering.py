# SPDX-License-Identifier: MIT
"""Renders the configuration of one node: answers in, files out. Pure but for reading templates.

Owns which file holds what. Everything that reaches a template was parsed by answers.py, so no value
can bring a line of its own.
"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

import haagent
from firstboot import keys
from firstboot.answers import Answers, Cable, Part
from haagent.config import Config
from haagent.core.timing import Timing
from haagent.password import KEPT

if TYPE_CHECKING:
    import jinja2

STATE = "/state/etc"
NETWORK = f"{STATE}/systemd/network"
KEY = f"{STATE}/shoestring/pair.key"
REPLACED_KEYS = f"{STATE}/shoestring/replaced.key"  # of machines that were replaced
SETTINGS = f"{STATE}/shoestring/pair.yaml"  # where it is, this machine belongs to a pair
FIRST_PORT = 7788  # of DRBD, one for each guest
LONGEST_PING_TIMEOUT = 300  # tenths of a second; linux/drbd_limits.h of 8.4
GROUP = "shoestring"  # the LVM volume group
CROSSOVER, LAN_CARD, LAN = "crossover", "lan0", "lan"  # what the interfaces are called here
PUBLIC, SECRET = 0o644, 0o600
COMMON = f"{STATE}/drbd.d/shoestring.conf"  # what DRBD does for all guests

# A name, and the address on the crossover, of node 0 and of node 1.
Nodes = tuple[tuple[str, IPv4Address], ...]


@dataclass(frozen=True, slots=True)
class File:
    """One file to be. Its text may hold a key, so it is not printed."""

    path: str
    text: str = field(repr=False)
    mode: int = PUBLIC


def render(template: str, **values: object) -> str:
    return _templates().get_template(template).render(values)


@functools.cache
def _templates() -> "jinja2.Environment":
    import jinja2  # the first page of a machine must not wait for what is needed after the last

    folders = (Path(__file__).parent / "templates", Path(haagent.__file__).parent / "templates")
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # what is written is no HTML
    )


def host_name(answers: Answers) -> tuple[File, ...]:
    return (File(f"{STATE}/hostname", f"{answers.names[answers.me]}\n"),)


def network(answers: Answers) -> tuple[File, ...]:
    """The LAN's own file is the last: systemd-networkd is not started without it."""
    return (
        _card(CROSSOVER, "The card with the crossover cable", answers.crossover),
        _card(LAN_CARD, "The LAN's card", answers.lan),
        File(f"{NETWORK}/20-lan.netdev", render("lan.netdev.j2", mac=answers.lan.mac)),
        File(
            f"{NETWORK}/30-crossover.network",
            render(
                "address.network.j2",
                title="The crossover cable",
                name=CROSSOVER,
                address=answers.crossover.address,
                gateway=None,
            ),
        ),
        File(f"{NETWORK}/30-lan0.network", render("lan0.network.j2")),
        File(
            f"{NETWORK}/30-lan.network",
            render(
                "address.network.j2",
                title="The LAN",
                name=LAN,
                address=answers.lan.address,
                gateway=answers.gateway,
            ),
        ),
    )


def _card(name: str, title: str, cable: Cable) -> File:
    text = render("card.link.j2", name=name, title=title, mac=cable.mac)
    return File(f"{NETWORK}/10-{name}.link", text)


def clock(answers: Answers) -> tuple[File, ...]:
    """What systemd-timesyncd reads. Names of servers are looked up at the gateway, by nobody else:
    what the pair does must not wait for a name.
    """
    servers = " ".join(map(str, answers.time_servers))
    return (
        File(f"{STATE}/systemd/timesyncd.conf", render("timesyncd.conf.j2", servers=servers)),
        File(f"{STATE}/timesyncd-resolv.conf", f"nameserver {answers.gateway}\n"),
    )


def mirror(answers: Answers, timing: Timing) -> tuple[File, ...]:
    """DRBD's configuration: what is common, and one file for each guest."""
    common = render(
        "shoestring.conf.j2",
        ping=math.ceil(timing.drbd_ping),
        # drbd.conf(5): both in tenths of a second. A peer that is asked and says nothing is lost
        # as soon as one that leaves a request unanswered.
        ping_timeout=min(math.ceil(timing.drbd_timeout * 10), LONGEST_PING_TIMEOUT),
        timeout=math.ceil(timing.drbd_timeout * 10),
        connect=math.ceil(timing.drbd_timeout) + 1,  # drbd.conf(5): more than timeout
        # A disconnect waits for a peer that does not answer; drbdadm's own limit is 5 s.
        patience=math.ceil(timing.drbd_notices + timing.drbd_timeout),
        # The writes of the other machine wait for it, which hangs up in the end.
        limit=math.ceil(timing.drbd_expels / 2),
    )
    addresses = _by_node(answers, answers.crossover)
    nodes = tuple(zip(answers.names, addresses, strict=True))
    return (
        File(COMMON, common),
        *(resource(guest.name, guest.number, nodes, answers.secret) for guest in answers.guests),
    )


def resource(guest: str, number: int, nodes: Nodes, secret: str) -> File:
    """What DRBD reads about GUEST."""
    return File(resource_path(guest), resource_text(guest, number, nodes, secret), SECRET)


def resource_path(guest: str) -> str:
    return f"{STATE}/drbd.d/{guest}.res"


def resource_text(
    guest: str, number: int, nodes: Nodes, secret: str, *, passes: bool = False
) -> str:
    """With PASSES, a mirror that no agent knows: whoever loses the other machine writes on."""
    return render(
        "guest.res.j2",
        guest=guest,
        device=device(number),
        minor=number,
        volume=volume(guest),
        nodes=nodes,
        port=FIRST_PORT + number,
        secret=keys.mirror(secret, guest),
        passes=passes,
    )


def heartbeat(answers: Answers, timing: Timing) -> tuple[File, ...]:
    """heartbeat refuses authkeys that others may read."""
    text = render(
        "ha.cf.j2",
        keepalive=_milliseconds(timing.keepalive),
        dead=_milliseconds(timing.dead),
        warn=_milliseconds(timing.dead / 2),
        initdead=_milliseconds(timing.dead * 2),
        interfaces=(CROSSOVER, LAN),
        names=answers.names,
    )
    key = keys.heartbeat(answers.secret)
    return (
        File(f"{STATE}/ha.d/authkeys", f"auth 1\n1 sha1 {key}\n", SECRET),
        File(f"{STATE}/ha.d/ha.cf", text),
    )


def agent(answers: Answers) -> tuple[File, ...]:
    """The agent's own. Its settings come last: they say that this machine belongs to a pair."""
    replaced = "".join(f"{key}\n" for key in answers.replaced_keys)
    text = render(
        "pair.yaml.j2",
        me=answers.me,
        names=answers.names,
        is_vacant=answers.part is Part.ALONE,
        policy=answers.policy.value,
        crossover=_path(CROSSOVER, answers.crossover),
        lan=_path(LAN, answers.lan),
        bridge=LAN,
        referees=answers.referees,
        key_file=KEY,
        replaced_keys=REPLACED_KEYS if replaced or answers.part is Part.STAYS else "",
        list=answers.list,
        guests={
            guest.name: {
                "first_node": guest.first_node,
                "mac": guest.mac,
                "address": guest.address.ip if guest.address else None,
                "memory": guest.memory,
                "vcpus": guest.vcpus,
                "place": guest.place,
                "pause": guest.pause,
                "kind": guest.kind,
                "disks": (("xvda", device(guest.number)),),
                "slices": guest.slices,
            }
            for guest in answers.guests
        },
    )
    return (
        File(KEY, f"{keys.agent(answers.secret)}\n", SECRET),
        *((File(REPLACED_KEYS, replaced, SECRET),) if replaced else ()),
        *((File(KEPT, f"{answers.password}\n", SECRET),) if answers.password else ()),
        File(SETTINGS, text),
    )


def settings(config: Config) -> str:
    """The agent's settings as a file has them that says CONFIG."""
    return render(
        "pair.yaml.j2",
        me=config.pair.me,
        names=config.pair.names,
        is_vacant=config.pair.is_vacant,
        policy=config.pair.policy.value,
        crossover=config.crossover,
        lan=config.lan,
        change=config.pair.lan,
        bridge=config.bridge,
        referees=config.referees,
        key_file=config.key_file,
        replaced_keys=config.replaced_file or "",
        list=config.list,
        removed=config.removed,
        guests=config.guests,
    )


def device(number: int) -> str:
    """What dom0 calls the mirrored disk of guest NUMBER."""
    return f"/dev/drbd{number}"


def volume(guest: str) -> str:
    """The logical volume below it."""
    return f"/dev/{GROUP}/{guest}"


def _by_node(answers: Answers, cable: Cable) -> tuple[IPv4Address, IPv4Address]:
    """The two addresses on CABLE, node 0's first."""
    both = (cable.address.ip, cable.peer)
    return both if answers.me == 0 else both[::-1]


def _path(interface: str, cable: Cable) -> Mapping[str, object]:
    return {
        "interface": interface,
        "address": cable.address.ip,
        "peer_address": cable.peer,
        "peer_mac": cable.peer_mac,
    }


def _milliseconds(seconds: float) -> int:
    return math.ceil(seconds * 1000)
