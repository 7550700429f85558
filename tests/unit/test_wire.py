# SPDX-License-Identifier: MIT
import hashlib
import hmac
import json
import random
import zlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from haagent.cluster import wire
from haagent.cluster.wire import (
    LARGEST,
    LONGEST_RELEASE,
    VERSION,
    Message,
    decode,
    encode,
    is_of_another,
)
from haagent.core.model import (
    NEVER,
    Choice,
    Disk,
    Figures,
    GuestHello,
    Hello,
    Path,
    Phase,
    Request,
)
from haagent.core.resolving import LONGEST_TROUBLE
from haagent.core.saying import TOLD
from haagent.core.wish import Target, Wish
from haagent.errors import BugError, PeerError
from tests.wire_golden import FULL, RESTING

KEY = b"k" * 32
FIGURES = Figures(is_armed=True, self_fence=8.0, watchdog=5.0, feed=1.0)
PLAIN = Hello(
    node=1,
    boot="b1",
    number=7,
    heard_boot="",
    heard={Path.LAN: 3},
    scale=1.0,
    figures=FIGURES,
    has_referee=False,
    guests={},
)


def random_value(kind: Any, rng: random.Random) -> Any:
    """Any value of KIND, found by its type hints, so that a new field of a hello is tried too."""
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{f.name: random_value(hints[f.name], rng) for f in fields(kind)})
    if get_origin(kind) is UnionType:
        return random_value(rng.choice(get_args(kind)), rng)
    if get_origin(kind) is Mapping:
        names, items = get_args(kind)
        count = rng.randrange(4)
        return {random_value(names, rng): random_value(items, rng) for _ in range(count)}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return rng.choice(list(kind))
    made = {
        bool: rng.random() < 0.5,
        int: rng.choice([0, 1, -1, rng.getrandbits(63), -rng.getrandbits(63)]),
        float: rng.choice([0.0, 0.1, 1e300, rng.random()]),
        str: rng.choice(["", "mail-1", "Gäste", "x" * 255]),
        NoneType: None,
    }
    return made[kind]


def random_hello(rng: random.Random) -> Hello:
    hello: Hello = replace(random_value(Hello, rng), node=rng.randrange(2))
    return replace(hello, release=hello.release[:LONGEST_RELEASE])


def without_times(hello: Hello) -> Hello:
    """HELLO as the peer must see it: a request's time, and a start, are the sender's own."""

    def bare(request: Request | None) -> Request | None:
        return request and replace(request, at=NEVER)

    return replace(
        hello,
        lan=replace(hello.lan, boot=""),
        guests={
            name: replace(guest, request=bare(guest.request), grant=bare(guest.grant))
            for name, guest in hello.guests.items()
        },
    )


def sealed(packed: bytes) -> bytes:
    """PACKED with a signature that holds, made as the format says, not by the code under test."""
    return hmac.new(KEY, b"shoestring hello\0" + packed, hashlib.sha256).digest() + packed


def signed(body: bytes) -> bytes:
    """BODY, packed, with such a signature."""
    return sealed(zlib.compress(body))


def content(hello: Hello = PLAIN) -> Any:
    """The JSON of HELLO, to be spoiled."""
    return json.loads(zlib.decompress(encode(hello, KEY)[32:]))


def resigned(spoiled: Any) -> bytes:
    body = json.dumps(spoiled).encode()
    return sealed(body) if spoiled.get("version") == 3 else signed(body)


@pytest.mark.parametrize("seed", range(100))
def test_what_is_said_is_what_is_heard(seed: int) -> None:
    rng = random.Random(seed)
    hello = random_hello(rng)
    assert decode(encode(hello, KEY), KEY) == Message(VERSION, without_times(hello))


def test_the_format_is_fixed() -> None:
    """Two nodes with different releases of us must read each other, or refuse by version."""
    assert encode(PLAIN, KEY) == signed(
        b'{"hello":{"boot":"b1","figures":{"feed":1.0,"is_armed":true,"self_fence":8.0,'
        b'"watchdog":5.0},"guests":{},"has_referee":false,"has_replaced":false,'
        b'"heard":{"LAN":3},"heard_boot":"",'
        b'"in_maintenance":false,"is_leaving":false,"is_stateless":false,"lan":{"first":"","gateway":"","number":0,'
        b'"second":"","stage":"kept"},"lan_runs":0,"lan_trouble":"","memory":-1,'
        b'"node":1,"number":7,"release":"","room":-1,"scale":1.0,'
        b'"troubles":{}},"version":4}'
    )


def largest_guest() -> GuestHello:
    """Every field as long as it gets."""
    largest: dict[Any, Any] = {bool: False, int: -(2**63) + 1}
    largest |= {Phase: max(Phase, key=len), Disk: max(Disk, key=len)}
    largest[Choice] = Choice(2**63 - 1, 1, "20260102-0304")
    largest[Wish] = Wish(2**63 - 1, max(Target, key=len))
    request = Request(2**63 - 1, 2**63 - 1)
    values: dict[str, Any] = {}
    for name, kind in get_type_hints(GuestHello).items():
        but_none = next((k for k in get_args(kind) if k is not NoneType), kind)
        values[name] = request if but_none is Request else largest[but_none]
    return GuestHello(**values)


def test_twenty_guests_fit() -> None:
    guest = largest_guest()
    troubles = {"g" * 32 + str(n): "x" * LONGEST_TROUBLE for n in range(TOLD)}
    guests = {f"{n:02}" + "g" * 61: guest for n in range(20)}
    release = "r" * LONGEST_RELEASE
    twenty = replace(PLAIN, troubles=troubles, guests=guests, release=release)
    assert decode(encode(twenty, KEY), KEY).hello == twenty
    for many, version in ((100, VERSION), (40, VERSION - 1)):
        more = replace(PLAIN, guests={f"{n:02}" + "g" * 61: guest for n in range(many)})
        with pytest.raises(BugError, match="too large"):
            encode(more, KEY, version)


def test_a_hello_of_twenty_usual_guests_fits_into_a_frame() -> None:
    """1500 bytes of Ethernet, without the headers of IP and UDP."""
    usual = {f"guest-{n}": replace(RESTING, term=n, theirs=n + 1) for n in range(20)}
    assert len(encode(replace(FULL, guests=usual), KEY)) <= 1500 - 20 - 8


def test_what_is_packed_is_bounded() -> None:
    """Also of who has the key: an agent is not to be ended by its peer's mistake."""
    bomb = zlib.compress(b'{"hello":{' + b" " * (1 << 24))
    assert len(bomb) < wire.LARGEST
    for packed, why in (
        (bomb, "too long, or not whole"),
        (zlib.compress(b"{}")[:-1], "too long, or not whole"),
        (zlib.compress(b"{}") + b"more", "too long, or not whole"),
        (b"x" + zlib.compress(b"{}"), "not JSON"),
    ):
        with pytest.raises(PeerError, match=why):
            decode(sealed(packed), KEY)


def test_each_format_is_packed_as_it_is() -> None:
    newer, older = encode(PLAIN, KEY)[32:], encode(PLAIN, KEY, VERSION - 1)[32:]
    for packed in (zlib.decompress(newer), zlib.compress(older)):
        with pytest.raises(PeerError, match="packed as another one is"):
            decode(sealed(packed), KEY)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), NEVER])
def test_no_time_without_end_is_sent(number: float) -> None:
    with pytest.raises(BugError, match=r"hello\.scale is out of bounds"):
        encode(replace(PLAIN, scale=number), KEY)


def test_a_type_that_is_not_listed_does_not_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_WORDS", wire._WORDS - {Path})
    with pytest.raises(BugError, match=r"Path.*, which the wire does not carry"):
        encode(PLAIN, KEY)


def test_every_flipped_bit_is_noticed() -> None:
    genuine = encode(PLAIN, KEY)
    for position in range(len(genuine) * 8):
        spoiled = bytearray(genuine)
        spoiled[position // 8] ^= 1 << position % 8
        with pytest.raises(PeerError, match="not signed"):
            decode(bytes(spoiled), KEY)


def test_every_truncation_is_noticed() -> None:
    genuine = encode(PLAIN, KEY)
    for length in range(len(genuine)):
        with pytest.raises(PeerError, match="not signed" if length > 32 else "no hello"):
            decode(genuine[:length], KEY)
    with pytest.raises(PeerError, match="no hello"):
        decode(genuine + b" " * LARGEST, KEY)


def test_another_pair_is_not_understood() -> None:
    with pytest.raises(PeerError, match="not signed") as caught:
        decode(encode(PLAIN, KEY), b"j" * 32)
    assert "jjj" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"version":3,"version":3,"hello":{}}', "twice"),
        (b'{"version":3,"hello":NaN}', "NaN is no number"),
        (b'{"version":3,"hello":-Infinity}', "-Infinity is no number"),
        (b"[" * 10000, "not JSON"),
        (b"1" * 5000, "not JSON"),
        (b"[]", "version None"),
        (b'{"version":1,"hello":{}}', "version 1, we speak 4 and 3"),
        (b'{"version":2,"hello":{}}', "version 2, we speak 4 and 3"),
        (b'{"version":5,"hello":{}}', "version 5, we speak 4 and 3"),
        (b'{"version":true,"hello":{}}', "version True"),
        (b'{"version":4}', "message lacks hello"),
        (b'{"version":4,"hello":[]}', "hello is not an object"),
        (b'{"version":4,"hello":{},"more":1}', "message has unknown fields"),
    ],
)
def test_a_signature_does_not_make_it_a_hello(body: bytes, why: str) -> None:
    with pytest.raises(PeerError, match=why):
        decode(signed(body), KEY)


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("number", "7", "hello.number is '7', which is no int"),
        ("number", True, "hello.number is True, which is no int"),
        ("number", 7.0, "hello.number is 7.0, which is no int"),
        ("number", 2**63, "hello.number is out of bounds"),
        ("number", None, "hello.number is None"),
        ("scale", 1, "hello.scale is 1, which is no float"),
        ("has_referee", 0, "hello.has_referee is 0, which is no bool"),
        ("in_maintenance", None, "hello.in_maintenance is None, which is no bool"),
        ("is_leaving", "no", "hello.is_leaving is 'no', which is no bool"),
        ("boot", "b\n1", "hello.boot is out of bounds"),
        ("boot", "\ud800", "hello.boot is out of bounds"),
        ("boot", "x" * 256, "hello.boot is out of bounds"),
        ("heard", [], "hello.heard is not an object"),
        ("heard", {"carrier pigeon": 1}, "is 'carrier pigeon', which is no Path"),
        ("heard", {"LAN": "1"}, "hello.heard.LAN. is '1', which is no int"),
        ("figures", None, "hello.figures is not an object"),
        ("node", 2, "hello.node is 2"),
        ("release", "r" * 33, "hello.release is out of bounds"),
        ("release", "0.2\n", "hello.release is out of bounds"),
        ("release", None, "hello.release is None"),
    ],
)
def test_each_field_is_what_it_says(field: str, value: Any, why: str) -> None:
    spoiled = content()
    spoiled["hello"][field] = value
    with pytest.raises(PeerError, match=why):
        decode(resigned(spoiled), KEY)


def test_a_number_that_overflows_is_refused() -> None:
    body = json.dumps(content()).replace('"scale": 1.0', '"scale": 1e999').encode()
    assert b"1e999" in body
    with pytest.raises(PeerError, match=r"hello\.scale is out of bounds: inf"):
        decode(signed(body), KEY)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"disk": None}, r"guests\[mail\]\.disk is None, which is no Disk"),
        ({"mood": "good"}, r"guests\[mail\] has unknown fields: .*mood"),
        ({"phase": "asleep"}, r"\.phase is 'asleep', which is no Phase"),
        ({"disk": ["UpToDate"]}, r"\.disk is \['UpToDate'\], which is no Disk"),
        ({"farewell": "no"}, r"\.farewell is 'no', which is no int"),
        ({"request": {"nonce": 1}}, r"\.request lacks term"),
        ({"request": {"nonce": 1, "term": 2, "at": 3.0}}, r"\.request has unknown fields: .*at"),
    ],
)
def test_the_fields_of_a_guest_are_checked_too(changes: dict[str, Any], why: str) -> None:
    spoiled = content(replace(PLAIN, guests={"mail": largest_guest()}))
    spoiled["hello"]["guests"]["mail"].update(changes)
    with pytest.raises(PeerError, match=why):
        decode(resigned(spoiled), KEY)


def test_a_missing_field_is_noticed() -> None:
    for field in content()["hello"]:
        spoiled = content()
        del spoiled["hello"][field]
        with pytest.raises(PeerError, match=f"hello lacks {field}"):
            decode(resigned(spoiled), KEY)


def test_a_request_does_not_tell_its_time() -> None:
    guest = replace(largest_guest(), request=Request(1, 2, at=99.0))
    said = content(replace(PLAIN, guests={"mail": guest}))["hello"]["guests"]["mail"]
    assert said["request"] == {"nonce": 1, "term": 2}


def test_a_replaced_machine_is_known_by_its_old_key() -> None:
    data = encode(PLAIN, KEY)
    other = bytes(32)
    assert PLAIN.node == 1
    assert is_of_another(data, (other, KEY), me=0)
    assert not is_of_another(data, (other, KEY), me=1), "what we say ourselves"
    assert not is_of_another(data, (other,), me=0)
    assert not is_of_another(data[:-1] + b"!", (KEY,), me=0)
