# SPDX-License-Identifier: MIT
"""The format before is read and said as the release before does it, of which only files are left.

tests/data/wire/version-N.json has the rules of that release's decoder, and what it said itself.
"""

import json
import random
from dataclasses import MISSING, asdict, replace
from typing import Any

import pytest

from haagent import __version__
from haagent.cluster import wire
from haagent.cluster.wire import (
    FORMATS,
    LONGEST_RELEASE,
    VERSION,
    New,
    OtherFormat,
    decode,
    encode,
    is_of_another,
)
from haagent.core.model import GuestHello, Hello
from haagent.core.wish import Wish
from haagent.errors import BugError, PeerError
from tests import wire_golden
from tests.decoders import differences, flaws
from tests.unit.test_wire import KEY, PLAIN, content, random_hello, resigned, without_times
from tests.wire_golden import FOLDER, SAID

BEFORE = VERSION - 1


def golden(version: int) -> dict[str, Any]:
    made: dict[str, Any] = json.loads((FOLDER / f"version-{version}.json").read_text())
    return made


def datagram(version: int, name: str) -> bytes:
    said: dict[str, str] = golden(version)["said"][name]
    packed = bytes.fromhex(said["packed"]) if "packed" in said else said["body"].encode()
    return bytes.fromhex(said["mac"]) + packed


def without_packing(document: str) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(document)
    for said in made["said"].values():
        del said["packed"], said["mac"]
    return made


def bare(said: dict[str, Any]) -> dict[str, Any]:
    """The fields of a hello that travel in format 3."""
    del said["release"], said["is_stateless"], said["memory"], said["lan"]["boot"]
    for guest in said["guests"].values():
        del guest["wish"]
        for request in (guest["request"], guest["grant"]):
            if request is not None:
                del request["at"]
    return said


def without_wishes(hello: Hello) -> Hello:
    guests = {name: replace(words, wish=Wish()) for name, words in hello.guests.items()}
    return replace(hello, guests=guests)


@pytest.mark.parametrize("name", SAID)
def test_what_the_release_before_said_is_heard(name: str) -> None:
    data = datagram(BEFORE, name)
    message = decode(data, KEY)
    assert message.version == BEFORE
    assert message.hello == without_wishes(
        without_times(replace(SAID[name], release="", memory=-1))
    )
    assert bare(asdict(message.hello)) == json.loads(data[32:])["hello"]


@pytest.mark.parametrize("name", SAID)
def test_we_say_it_byte_for_byte_as_the_release_before(name: str) -> None:
    assert encode(SAID[name], KEY, BEFORE) == datagram(BEFORE, name)


@pytest.mark.parametrize("name", SAID)
def test_the_newest_format_is_on_record_for_the_release_after(name: str) -> None:
    recorded = (FOLDER / f"version-{VERSION}.json").read_text()
    assert without_packing(wire_golden.document()) == without_packing(recorded)
    assert decode(datagram(VERSION, name), KEY).hello == without_times(SAID[name])


@pytest.mark.parametrize("seed", range(100))
def test_whatever_we_say_in_the_format_before_its_decoder_takes(seed: int) -> None:
    rules = golden(BEFORE)["rules"]
    hello = random_hello(random.Random(seed))
    data = encode(hello, KEY, BEFORE)
    assert len(data) <= rules["largest"]
    said = json.loads(data[32:])
    assert said.keys() == {"hello", "version"} and said["version"] == BEFORE
    assert list(flaws(said["hello"], "Hello", rules)) == []
    unsaid = replace(hello, release="", is_stateless=False, memory=-1)
    assert decode(data, KEY).hello == without_wishes(without_times(unsaid))


def test_that_its_decoder_refuses_the_newest_format_is_seen() -> None:
    rules = golden(BEFORE)["rules"]
    said = content()["hello"]
    assert list(flaws(said, "Hello", rules)) == [
        "Hello has ['is_stateless', 'memory', 'release'], or has not"
    ]
    for spoiled in ({"number": 2**63}, {"number": 1.0}, {"boot": "\n"}, {"heard": {"post": 1}}):
        assert list(flaws({**said, **spoiled}, "Hello", rules))[1:], spoiled


def test_a_hello_is_of_one_format_and_not_of_a_mixture() -> None:
    newer, older = content(), json.loads(encode(PLAIN, KEY, BEFORE)[32:])
    with pytest.raises(PeerError, match=r"hello lacks .*release"):
        decode(resigned({**older, "version": VERSION}), KEY)
    with pytest.raises(PeerError, match=r"unknown fields: .*release"):
        decode(resigned({**newer, "version": BEFORE}), KEY)


def test_who_reads_one_format_alone_says_so_of_the_other() -> None:
    with pytest.raises(OtherFormat, match="the peer speaks version 4, we speak 3"):
        decode(encode(PLAIN, KEY), KEY, (BEFORE,))
    assert decode(encode(PLAIN, KEY, BEFORE), KEY, (BEFORE,)).hello == PLAIN
    with pytest.raises(BugError, match="format 2"):
        encode(PLAIN, KEY, 2)


def test_a_replaced_machine_is_known_whatever_release_it_runs() -> None:
    for version in FORMATS:
        data = encode(PLAIN, KEY, version)
        assert is_of_another(data, (bytes(32), KEY), me=0)
        assert not is_of_another(data, (KEY,), me=1)
        assert not is_of_another(data, (bytes(32),), me=0)


def test_our_release_can_be_said() -> None:
    assert 0 < len(__version__) <= LONGEST_RELEASE and __version__.isprintable()
    with pytest.raises(BugError, match=r"hello\.release is out of bounds"):
        encode(replace(PLAIN, release="r" * (LONGEST_RELEASE + 1)), KEY, BEFORE)


def test_everything_new_is_in_the_table() -> None:
    """Whoever adds a field to a hello decides what the release before is told instead."""
    new, gone = differences(golden(BEFORE)["rules"], wire_golden.rules())
    table = {
        f"{kind.__name__}.{name}": new
        for kind, names in wire._NEW.items()
        for name, new in names.items()
    }
    assert new == set(table), "a new field or word: see the docstring of wire.py"
    if gone or any(not field.may_lack for field in table.values()):
        assert FORMATS == (VERSION,)
    else:
        assert FORMATS == (VERSION, BEFORE)
    for name in table:
        assert f"    {name} " in (wire.__doc__ or "")


def test_what_is_taken_for_unsaid_is_the_default() -> None:
    for kind, names in wire._NEW.items():
        made = {f.name: f for f in kind.__dataclass_fields__.values()}  # type: ignore[attr-defined]
        for name, field in names.items():
            make = made[name].default_factory
            default = made[name].default if make is MISSING else make()
            assert field.unsaid == default


def test_another_field_a_changed_type_and_a_new_word_are_differences() -> None:
    before, now = golden(BEFORE)["rules"], golden(BEFORE)["rules"]
    now["records"]["GuestHello"]["mood"] = "str"
    now["records"]["Hello"]["scale"] = "int"
    now["words"]["Phase"].append("asleep")
    assert differences(before, now) == ({"GuestHello.mood", "Phase.asleep"}, {"Hello.scale"})


def test_a_dropped_promise_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of the golden datagrams is not blind to what matters."""
    promise = {"stands_down": New(False, may_lack=True)}
    guest = {**wire._NEW[GuestHello], **promise}
    monkeypatch.setattr(wire, "_NEW", {**wire._NEW, GuestHello: guest})
    wire._sent_fields.cache_clear()
    wire._unsaid.cache_clear()
    try:
        assert encode(SAID["full"], KEY, BEFORE) != datagram(BEFORE, "full")
        with pytest.raises(PeerError, match=r"unknown fields: .*stands_down"):
            decode(datagram(BEFORE, "full"), KEY)
    finally:
        wire._sent_fields.cache_clear()
        wire._unsaid.cache_clear()
