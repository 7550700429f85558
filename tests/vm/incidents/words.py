# SPDX-License-Identifier: MIT
"""What can be said on a cable by somebody who has no key: what others said before, and lies. Pure.

A machine's own words are recorded where it says them (`Cables.record`), and said again by `say`.
"""

import hmac
import json
import zlib
from collections.abc import Sequence
from ipaddress import IPv4Address

from haagent.core.model import Phase, next_term
from haagent.network.frames import arp_request, mac_bytes
from tests.vm.cables import Said
from tests.vm.frames import ETHERNET, carrying, packet

NO_KEY = bytes(32)  # of a stranger, who does not have the pair's
ANOTHER_KEY = b"another pair's".ljust(32)
STRANGER = mac_bytes("02:00:00:00:00:99")  # locally administered, IEEE 802c: nobody's card
SIGNATURE = 32  # bytes before what is signed, as cluster/wire.py has it
LABEL = b"shoestring hello\0"
AHEAD = 1_000_000  # of all numbers that a machine says until a test ends
ABOVE = 1000  # of all terms


def again(said: Sequence[Said], seconds: float, every: float = 0.5) -> list[Said]:
    """SAID over and over in its order, for so many SECONDS, a frame EVERY so many."""
    assert said, "nothing was said"
    times = int(seconds / every)
    return [Said(number * every, said[number % len(said)].frame) for number in range(times)]


def forged(said: Said) -> Said:
    """SAID as its speaker would never say it: it is far ahead, has had every guest in a term above
    all, and signs them off as it leaves.

    A holder that believed it would end its guest, and the other machine start one.
    """
    found = packet(said.frame)
    assert found is not None
    content = json.loads(zlib.decompress(said.frame[found.payload + SIGNATURE : found.end]))
    hello = content["hello"]
    hello["number"] += AHEAD
    hello["is_leaving"] = True
    for words in hello["guests"].values():
        term = next_term(hello["node"], max(words["term"], words["theirs"]) + ABOVE)
        words |= {"term": term, "farewell": term, "phase": Phase.RELEASED}
    body = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    packed = zlib.compress(body)
    return Said(said.seconds, carrying(said.frame, sign(packed, NO_KEY) + packed))


def of_another_pair(said: Said) -> Said:
    """SAID as a machine of another pair says it, from a card of its own. It has the same address as
    SAID's speaker: pairs that were set up alike have chosen alike.
    """
    found = packet(said.frame)
    assert found is not None
    frame = said.frame[:6] + STRANGER + said.frame[12:]
    packed = said.frame[found.payload + SIGNATURE : found.end]
    return Said(said.seconds, carrying(frame, sign(packed, ANOTHER_KEY) + packed))


def speaker(said: Said) -> str:
    """The address that SAID comes from (RFC 791)."""
    return str(IPv4Address(said.frame[ETHERNET + 12 : ETHERNET + 16]))


def sign(packed: bytes, key: bytes) -> bytes:
    return hmac.digest(key, LABEL + packed, "sha256")


def claims(address: str, seconds: float, every: float = 0.5) -> list[Said]:
    """A stranger has ADDRESS, and tells everybody, as whoever begins to use one does (RFC 5227)."""
    ours = IPv4Address(address)
    return again([Said(0.0, arp_request(STRANGER, ours, ours))], seconds, every)
