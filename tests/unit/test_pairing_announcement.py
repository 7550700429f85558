# SPDX-License-Identifier: MIT
"""Announcements and the frames that carry them: there and back, and whatever else is on a cable."""

import json
import random
from dataclasses import replace
from ipaddress import IPv6Address
from typing import Any

import pytest

from firstboot.agreement import Stage, Word
from firstboot.pairing import frames
from firstboot.pairing.announcement import (
    LARGEST,
    PROTOCOL,
    Announcement,
    decode,
    encode,
    party,
)
from haagent.errors import BugError, PeerError

SEED = 20261123
MACHINE_ID, BOOT_ID = "5a" * 16, "0f45b9f5-3a41-4a3a-8b1c-000000000001"
MAC = "52:54:00:00:0a:01"
ME = party(MACHINE_ID, BOOT_ID, "0.1.0")
FULL = Announcement(
    party=replace(ME, pair="anna-berta"),
    mac=MAC,
    address=IPv6Address("fe80::5054:ff:fe00:a01"),
    speed=2500,
    quiet_in=7,
    word=Word(Stage.PREPARED, "ab" * 16, "cd" * 32),
)


def said(**changes: Any) -> bytes:
    return json.dumps({**json.loads(encode(FULL)), **changes}).encode()


@pytest.mark.parametrize("announcement", [FULL, Announcement(ME, MAC)])
def test_what_is_said_is_heard(announcement: Announcement) -> None:
    assert decode(encode(announcement)) == announcement
    assert frames.parse(frames.build(announcement)) == announcement


def test_the_identity_is_not_the_machine_id() -> None:
    assert MACHINE_ID not in repr(ME) and BOOT_ID not in repr(ME)
    assert party(MACHINE_ID, BOOT_ID, "0.1.0") == ME
    later = party(MACHINE_ID, BOOT_ID[:-1] + "2", "0.1.0")
    assert later.identity == ME.identity and later.nonce != ME.nonce
    assert party(MACHINE_ID[:-1] + "b", BOOT_ID, "0.1.0").identity != ME.identity


def test_what_a_newer_version_adds_is_not_looked_at() -> None:
    assert decode(said(colour="green")) == FULL


def test_another_protocol_is_understood_as_far_as_who_speaks_it() -> None:
    heard = decode(said(protocol=PROTOCOL + 1, image="9.0", stage="betrothed", speed="fast"))
    assert heard.party == replace(FULL.party, protocol=PROTOCOL + 1, image="9.0")
    assert heard.mac == MAC
    assert heard.address is None and heard.quiet_in is None


@pytest.mark.parametrize(
    "changes",
    [
        {"identity": "ab"},
        {"identity": ME.identity.upper()},
        {"nonce": 7},
        {"nonce": None},
        {"image": ""},
        {"image": "\x1b[2J"},
        {"image": "v" * 65},
        {"image": "\N{CYRILLIC SMALL LETTER A}"},
        {"protocol": True},
        {"protocol": -1},
        {"protocol": 2**40},
        {"protocol": 1.0},
        {"pair": ["a"]},
        {"pair": "a\nb"},
        {"mac": "52:54:00:00:0A:01"},
        {"mac": "52:54:00:00:0a"},
        {"address": "2001:db8::1"},
        {"address": "fe80::1%eth0"},
        {"address": "10.0.0.1"},
        {"address": 1},
        {"address": ":" * 500},
        {"speed": -1},
        {"speed": 10**9},
        {"quiet_in": False},
        {"quiet_in": -1},
        {"quiet_in": 10**6},
        {"stage": "betrothed"},
        {"stage": None},
        {"agreement": "x"},
        {"proof": "0" * 65},
    ],
)
def test_what_breaks_the_rules_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(PeerError):
        decode(said(**changes))


@pytest.mark.parametrize("name", sorted(json.loads(encode(FULL))))
def test_nothing_may_be_missing(name: str) -> None:
    content = json.loads(encode(FULL))
    del content[name]
    with pytest.raises(PeerError):
        decode(json.dumps(content).encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"\xff", b'{"a":1,"a":2}', b"[" * 1000, b" " * (LARGEST + 1)],
)
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(PeerError):
        decode(data)


def test_what_would_not_fit_into_a_frame_is_a_mistake_of_ours() -> None:
    with pytest.raises(BugError):
        encode(replace(FULL, party=replace(ME, image="v" * LARGEST)))


def test_the_longest_that_is_allowed_fits() -> None:
    longest = replace(
        FULL,
        party=replace(FULL.party, image="v" * 64, pair="p" * 64, protocol=PROTOCOL),
        address=IPv6Address("fe80:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        speed=10_000_000,
        quiet_in=3600,
        word=Word(Stage.COMMITTED, "0" * 64, "0" * 64),
    )
    assert decode(encode(longest)) == longest
    assert len(frames.build(longest)) <= 1514


def test_a_frame_that_was_changed_anywhere_raises_nothing_but_what_it_may() -> None:
    rng = random.Random(SEED)
    frame = frames.build(FULL)
    broken = 0
    for place in range(len(frame)):
        for cut in (frame[:place], changed(frame, place, rng.randrange(1, 256))):
            try:
                frames.parse(cut)
            except PeerError:
                broken += 1
    assert broken > len(frame), f"seed {SEED}"


def changed(data: bytes, place: int, by: int) -> bytes:
    return data[:place] + bytes([data[place] ^ by]) + data[place + 1 :]


def test_a_frame_that_speaks_for_another_card_is_refused() -> None:
    frame = bytearray(frames.build(FULL))
    frame[6:12] = bytes.fromhex("525400000a02")
    with pytest.raises(PeerError, match="came from 52:54:00:00:0a:02"):
        frames.parse(bytes(frame))


def test_what_others_try_with_the_same_ethertype_is_not_ours() -> None:
    head = frames.build(FULL)[:14]
    assert frames.parse(head) is None
    assert frames.parse(head + b"an experiment of somebody else's") is None
    assert frames.parse(head[:12] + b"\x08\x00" + frames.build(FULL)[14:]) is None


def test_padding_is_not_part_of_an_announcement() -> None:
    assert frames.parse(frames.build(FULL) + b"\0" * 20) == FULL


def test_the_source_of_a_frame() -> None:
    assert frames.source(frames.build(FULL)) == MAC
    assert frames.source(b"short") is None


ETHERNET = bytes.fromhex("ffffffffffff 525400123502")
# A DHCP offer of QEMU's user network, as far as its ports: 10.0.2.2 port 67 to port 68.
OFFER = ETHERNET + bytes.fromhex(
    "0800 4500012800020000401162c20a000202ffffffff 0043004401140000 0201"
)
# The same question that a client asks: port 68 to port 67.
DISCOVER = ETHERNET + bytes.fromhex(
    "0800 450001280001000040117880000000 00ffffffff 0044004301140000 0101"
)
# A router advertisement of the same network: ICMPv6 type 134.
ADVERTISEMENT = ETHERNET + bytes.fromhex(
    "86dd 6000000000383aff fe800000000000000000000000000002 ff020000000000000000000000000001"
    "8600 0000"
)


def test_a_router_gives_itself_away() -> None:
    assert frames.is_from_router(OFFER)
    assert frames.is_from_router(ADVERTISEMENT)


@pytest.mark.parametrize(
    "frame",
    [
        DISCOVER,
        OFFER[:23] + b"\x06" + OFFER[24:],  # TCP
        OFFER[:14] + b"\x42" + OFFER[15:],  # a header of 8 bytes
        OFFER[:20] + b"\x00\x01" + OFFER[22:],  # a later fragment has no ports
        OFFER[:12] + b"\x08\x06" + OFFER[14:],
        ADVERTISEMENT[:54] + b"\x87" + ADVERTISEMENT[55:],  # a neighbour solicitation
        frames.build(FULL),
    ],
)
def test_nobody_else_is_taken_for_one(frame: bytes) -> None:
    assert not frames.is_from_router(frame)


@pytest.mark.parametrize("frame", [OFFER, ADVERTISEMENT], ids=["offer", "advertisement"])
def test_a_frame_that_is_cut_off_anywhere_hurts_nobody(frame: bytes) -> None:
    for length in range(len(frame)):
        frames.is_from_router(frame[:length])
        assert frames.parse(frame[:length]) is None
