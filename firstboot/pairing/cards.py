# SPDX-License-Identifier: MIT
"""This machine's own Ethernet cards, as the kernel shows them now; and switches one on.

Reads sysfs and procfs below a root directory. Gives no card an address: the kernel makes a
link-local one by itself as soon as a card is on.
"""

import fcntl
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path

# netdevice(7) and linux/sockios.h
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP = 1
_REQUEST = struct.Struct("16sH22x")  # struct ifreq: name, flags

_ARPHRD_ETHER = "1"  # linux/if_arp.h
# linux/if_addr.h, and linux/ipv6.h for the scope
_SCOPE_LINK = 0x20
_IS_UNUSABLE = 0x40 | 0x08  # tentative, and found to be used twice


@dataclass(frozen=True, slots=True)
class Card:
    name: str
    index: int  # another one each time that it comes, also under its old name
    mac: str
    is_on: bool
    has_carrier: bool
    speed: int | None = None  # Mbit/s
    address: IPv6Address | None = None  # link-local


def ethernet_cards(root: Path = Path("/")) -> tuple[Card, ...]:
    """The real ones: no bridge, no wireless. Those that vanish meanwhile are left out."""
    addresses = link_local_addresses(_text(root / "proc/net/if_inet6"))
    return tuple(
        card
        for entry in _entries(root / "sys/class/net")
        if (entry / "device").exists() and not (entry / "phy80211").exists()
        if (card := read_card(entry, addresses)) is not None
    )


def read_card(entry: Path, addresses: Mapping[str, IPv6Address]) -> Card | None:
    """From its folder in sysfs; None if it is no Ethernet card, or gone."""
    index, mac, carrier = (_text(entry / name) for name in ("ifindex", "address", "carrier"))
    speed = _text(entry / "speed")
    if _text(entry / "type") != _ARPHRD_ETHER or not index.isdigit() or not mac:
        return None
    return Card(
        name=entry.name,
        index=int(index),
        mac=mac.lower(),
        is_on=bool(carrier),  # a card that is off answers EINVAL
        has_carrier=carrier == "1",
        speed=int(speed) if speed.isdigit() else None,  # an unknown speed reads -1
        address=addresses.get(entry.name),
    )


def link_local_addresses(text: str) -> dict[str, IPv6Address]:
    """By card, from /proc/net/if_inet6: address, index, prefix, scope, flags and name, in hex."""
    found: dict[str, IPv6Address] = {}
    for line in text.splitlines():
        address, _, _, scope, flags, name = line.split()
        if int(scope, 16) == _SCOPE_LINK and not int(flags, 16) & _IS_UNUSABLE:
            one = IPv6Address(bytes.fromhex(address))
            found[name] = min(one, found.get(name, one))
    return found


def switch_on(name: str) -> None:
    """So that it looks for a cable. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as any_socket:
        request = _REQUEST.pack(name.encode(), 0)
        answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request)
        flags = _REQUEST.unpack(answer)[1] | _IFF_UP
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, _REQUEST.pack(name.encode(), flags))


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:  # gone, or the driver answers a read with EINVAL
        return ""


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
