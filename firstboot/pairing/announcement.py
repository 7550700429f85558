# SPDX-License-Identifier: MIT
"""What a machine says of itself on every cable, as bytes and back. Pure; sends nothing.

Anybody can hear it and anybody can forge it: it finds a machine, and proves nothing.

One JSON object. Machines of different versions must still be able to tell each other so: who, and
which version, are said in the same words for ever; the rest is read only from our own protocol.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Any

from firstboot.agreement import Stage, Word
from firstboot.pairing.objects import pack, unpack
from haagent.errors import PeerError

PROTOCOL = 1  # of everything that two machines say to each other until they are a pair
LARGEST = 1400  # bytes: it travels in one Ethernet frame
LONGEST_TEXT = 64  # characters of a version or a name
LONGEST_WAIT = 3600  # seconds
FASTEST = 10_000_000  # Mbit/s

_NOTHING_AGREED = Word(Stage.BLANK)
_IDENTITY_LABEL = b"shoestring identity\0"
_NONCE_LABEL = b"shoestring boot\0"
_IDENTITY = re.compile(r"[0-9a-f]{64}")
_NONCE = re.compile(r"[0-9a-f]{32}")
_NAME = re.compile(r"[0-9a-f]{0,64}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


@dataclass(frozen=True, slots=True, order=True)
class Party:
    """One machine, for as long as it is switched on."""

    identity: str  # of the stick, hex; the same after every start
    nonce: str  # of this start, hex
    image: str  # version of the image
    protocol: int = PROTOCOL
    pair: str = ""  # that it belongs to; empty: it was never set up


@dataclass(frozen=True, slots=True)
class Announcement:
    """A party, seen through one of its network cards."""

    party: Party
    mac: str  # of the card, lower case, colons
    address: IPv6Address | None = None  # link-local, of the card; None: it has none yet
    speed: int = 0  # Mbit/s of the card; 0: nobody knows
    # Seconds until the sender counts this cable as quiet; None: it has other devices on it.
    quiet_in: int | None = None
    word: Word = _NOTHING_AGREED


def party(machine_id: str, boot_id: str, image: str, pair: str = "") -> Party:
    """This machine. Neither of the two identities can be told from it (machine-id(5) asks for
    that, and boot_id counts as random only while nobody knows it).
    """
    return Party(
        identity=hashlib.sha256(_IDENTITY_LABEL + machine_id.encode()).hexdigest(),
        nonce=hashlib.sha256(_NONCE_LABEL + boot_id.encode()).hexdigest()[:32],
        image=image,
        pair=pair,
    )


def encode(announcement: Announcement) -> bytes:
    """Raises BugError if it is too long."""
    who, word = announcement.party, announcement.word
    content = {
        "identity": who.identity,
        "nonce": who.nonce,
        "image": who.image,
        "protocol": who.protocol,
        "pair": who.pair,
        "mac": announcement.mac,
        "address": None if announcement.address is None else str(announcement.address),
        "speed": announcement.speed,
        "quiet_in": announcement.quiet_in,
        "stage": word.stage.value,
        "agreement": word.name,
        "proof": word.proof,
    }
    return pack(content, LARGEST)


def decode(data: bytes) -> Announcement:
    """Raises PeerError. Fields that we do not know are not looked at."""
    content = unpack(data, LARGEST)
    who = Party(
        identity=_text(content, "identity", _IDENTITY.fullmatch),
        nonce=_text(content, "nonce", _NONCE.fullmatch),
        image=_text(content, "image", _is_title),
        protocol=_number(content, "protocol", 2**31),
        pair=_text(content, "pair", lambda text: not text or _is_title(text)),
    )
    mac = _text(content, "mac", _MAC.fullmatch)
    if who.protocol != PROTOCOL:
        return Announcement(who, mac)
    return Announcement(
        party=who,
        mac=mac,
        address=_address(content),
        speed=_number(content, "speed", FASTEST),
        quiet_in=_or_none(content, "quiet_in", LONGEST_WAIT),
        word=Word(
            stage=Stage(_text(content, "stage", _is_stage)),
            name=_text(content, "agreement", _NAME.fullmatch),
            proof=_text(content, "proof", _NAME.fullmatch),
        ),
    )


def _text(content: Mapping[str, Any], name: str, check: Callable[[str], object]) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not check(value):
        raise PeerError(f"an announcement whose {name} is {value!r:.80}")
    return value


def _number(content: Mapping[str, Any], name: str, most: int) -> int:
    value = content.get(name)
    # type(), not isinstance(): True is an int.
    if type(value) is not int or not 0 <= value <= most:
        raise PeerError(f"an announcement whose {name} is {value!r:.80}")
    return value


def _or_none(content: Mapping[str, Any], name: str, most: int) -> int | None:
    missing = name in content and content[name] is None
    return None if missing else _number(content, name, most)


def _is_title(text: str) -> bool:
    """Whether TEXT may be shown on a screen."""
    return 0 < len(text) <= LONGEST_TEXT and text.isascii() and text.isprintable()


def _is_stage(text: str) -> bool:
    return text in Stage.__members__.values()


def _address(content: Mapping[str, Any]) -> IPv6Address | None:
    if "address" in content and content["address"] is None:
        return None
    text = _text(content, "address", lambda text: len(text) <= LONGEST_TEXT)
    try:
        address = IPv6Address(text)
    except ValueError:
        raise PeerError(f"an announcement whose address is {text!r:.80}") from None
    # safety: nothing beyond the cable may be named here, and the scope is our own business.
    if not address.is_link_local or address.scope_id is not None:
        raise PeerError(f"an announcement whose address is {text!r:.80}, which is not link-local")
    return address
