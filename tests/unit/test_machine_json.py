# SPDX-License-Identifier: MIT
"""A machine's description survives the wire, and nothing else gets through."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firstboot.machine_json import LARGEST, MOST, VERSION, dumps, loads
from firstboot.probe import Health, Machine
from firstboot.wording import LONGEST
from haagent.errors import OperatorError, PeerError

FILES = sorted((Path(__file__).parents[1] / "data").glob("machine-*.json"))
TEXTS = {file.stem: file.read_text() for file in FILES}
VIRTIO = loads(TEXTS["machine-virtio"])
FUZZED = 3000


def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(TEXTS["machine-foreign"])
    return found


def refused(text: str | bytes) -> str:
    with pytest.raises(PeerError) as caught:
        loads(text)
    sentence = str(caught.value)
    assert sentence.isascii() and sentence.isprintable() and sentence.endswith(".")
    return sentence


@pytest.mark.parametrize("name", TEXTS)
def test_a_machine_survives_the_way_there_and_back(name: str) -> None:
    machine = loads(TEXTS[name])
    assert loads(dumps(machine)) == machine
    assert loads(dumps(machine).encode()) == machine
    assert "\n" not in dumps(machine)


def test_the_machines_here_say_where_they_are_from() -> None:
    assert len(TEXTS) >= 5
    for text in TEXTS.values():
        assert json.loads(text)["origin"].startswith("written by hand")


def test_a_machine_about_which_nothing_is_known_can_be_described() -> None:
    bare = Machine("", 0, 0, "", "", None, None, (), False, None, (), ())
    assert loads(dumps(bare)) == bare


def test_a_newer_version_asks_for_the_same_image() -> None:
    newer = document() | {"version": VERSION + 1, "more": 1}
    assert "Flash both sticks with the same image." in refused(json.dumps(newer))


@pytest.mark.parametrize("version", [0, "1", 1.0, True, None, [1], 10**4000])
def test_no_other_version_is_taken(version: object) -> None:
    refused(json.dumps(document() | {"version": version}))


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", "1", '"x"', '{"version": 1}', "[" * 60000, '{"a":' * 20000, "\x00"],
)
def test_what_is_no_description_is_refused(text: str) -> None:
    refused(text)


def test_what_is_no_text_is_refused() -> None:
    refused(b"\xff\xfe{}")
    refused(" " * (LARGEST + 1))
    refused(dumps(VIRTIO).replace('"cores": 1', '"cores": 1, "cores": 1'))
    refused(dumps(VIRTIO).replace('"cores": 1', '"cores": NaN'))
    refused(dumps(VIRTIO).replace('"cores": 1', '"cores": 1.0'))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in a document."""
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from places(value[key], (*path, key))
    if isinstance(value, list):
        for index in range(len(value)):
            yield from places(value[index], (*path, index))


def changed(path: tuple[Any, ...], value: object) -> str:
    """The document with VALUE at PATH."""
    whole = document()
    place: Any = whole
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(whole)


WRONG: tuple[object, ...] = (
    *(-1, 1 << 63, 1e9, {"a": 1}, [[]]),
    *("\x1b[2J", "\u2028", "x" * (LONGEST + 1)),
)
PLACES = [path for path in places(document()) if path]


@pytest.mark.parametrize("path", [p for p in PLACES if isinstance(p[-1], str)], ids=str)
def test_every_field_is_needed(path: tuple[Any, ...]) -> None:
    whole = document()
    place: Any = whole
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    refused(json.dumps(whole))


@pytest.mark.parametrize(
    "path", [(), ("machine",), ("machine", "disks", 0), ("machine", "nics", 0)]
)
def test_no_other_field_is_taken(path: tuple[Any, ...]) -> None:
    whole = document()
    place: Any = whole
    for step in path:
        place = place[step]
    place["\x1b[2J"] = 1
    assert '"?[2J"' in refused(json.dumps(whole))


@pytest.mark.parametrize("path", PLACES, ids=str)
def test_no_field_takes_what_it_should_not(path: tuple[Any, ...]) -> None:
    for wrong in WRONG:
        refused(changed(path, wrong))


def test_lists_and_texts_are_bounded() -> None:
    disk = document()["machine"]["disks"][0]
    refused(changed(("machine", "disks"), [disk] * (MOST + 1)))
    assert len(loads(changed(("machine", "disks"), [disk] * MOST)).disks) == MOST
    loads(changed(("machine", "processor"), "x" * LONGEST))
    refused(changed(("machine", "disks", 0, "bus"), "floppy"))


def test_a_machine_that_nobody_would_take_is_not_sent() -> None:
    with pytest.raises(OperatorError, match="at most"):
        dumps(replace(VIRTIO, disks=VIRTIO.disks * MOST))
    evil = replace(VIRTIO.disks[0], health=Health(signs=("\x1b[2J",)))
    with pytest.raises(OperatorError, match="printable"):
        dumps(replace(VIRTIO, disks=(evil,)))


def test_whatever_comes_is_a_machine_or_a_peers_error() -> None:
    """Thousands of ways to spoil a description."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    texts = [json.dumps(json.loads(text)) for text in TEXTS.values()]
    for _ in range(FUZZED):
        text = spoiled(chance.choice(texts), chance)
        try:
            machine = loads(text)
        except PeerError as error:
            assert str(error).isascii() and str(error).isprintable()
        else:
            assert loads(dumps(machine)) == machine


def spoiled(text: str, chance: random.Random) -> str | bytes:
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(text))
        end = start + chance.choice((0, 1, 1, 2, 50))
        other = chance.choice(("", chr(chance.randrange(0x110)), '"', "null", "-1", "[]", "{", "0"))
        text = text[:start] + other + text[end:]
    return text.encode(errors="replace") if chance.random() < 0.5 else text
