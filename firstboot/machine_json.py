# SPDX-License-Identifier: MIT
"""A machine's description as text, for the other machine and for files. Pure.

safety: until a pairing has ended, whoever sends this is anybody. So everything is bounded, nothing
is taken that this version does not know, and no text may hold what a terminal obeys.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, NoReturn, get_args, get_origin, get_type_hints

from firstboot.probe import Machine
from firstboot.wording import LONGEST, printable
from haagent.errors import OperatorError, PeerError

VERSION = 1  # of the description: one more for every field that is added, changed or gone
LARGEST = 262144  # bytes; a machine with a dozen disks has a few thousand
MOST = 256  # entries of a list: a disk may have that many partitions
GREATEST = (1 << 63) - 1
KEYS = {"version", "origin", "machine"}
PROBED = "read from the hardware"


def dumps(machine: Machine, origin: str = PROBED) -> str:
    """MACHINE as one line of JSON. ORIGIN says where it comes from, for whoever reads the text.
    Raises OperatorError for a machine that nobody would accept.
    """
    document = {"version": VERSION, "origin": printable(origin), "machine": asdict(machine)}
    text = json.dumps(document)
    try:
        loads(text)
    except PeerError as error:
        raise OperatorError(
            f"This machine cannot be described to the other one: {error}",
            "Take out disks and network cards that the pair does not need.",
        ) from error
    return text


def loads(text: str | bytes) -> Machine:
    """The machine that TEXT describes. Raises PeerError."""
    document = _parse(text)
    if not isinstance(document, dict) or document.get("version") is None:
        raise PeerError("The other machine's description is none: it has no version.")
    version = document["version"]
    if type(version) is not int or version != VERSION:
        raise PeerError(
            f"The other machine describes itself in version {_quoted(version)}, and this one knows"
            f" only version {VERSION}. Flash both sticks with the same image."
        )
    _expect_keys(document, KEYS, "it")
    _text(document["origin"], "origin")
    machine = _value(Machine, document["machine"], "machine")
    assert isinstance(machine, Machine)
    return machine


def _parse(text: str | bytes) -> Any:
    if len(text) > LARGEST:
        raise PeerError(f"The other machine's description is longer than {LARGEST} bytes.")
    try:
        return json.loads(
            text.decode() if isinstance(text, bytes) else text,
            object_pairs_hook=_unique,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except (ValueError, RecursionError):
        # What is wrong with it is the sender's business, and quoting it is risky.
        raise PeerError("The other machine's description is not JSON as we write it.") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _refuse_number(text: str) -> NoReturn:
    raise ValueError("only whole numbers are used")


def _value(kind: Any, value: object, place: str) -> Any:
    """VALUE as KIND, which is what a field of ours is declared as."""
    if get_origin(kind) is UnionType:
        (other,) = (part for part in get_args(kind) if part is not NoneType)
        return None if value is None else _value(other, value, place)
    if get_origin(kind) is tuple:
        return _list(get_args(kind)[0], value, place)
    if is_dataclass(kind):
        return _object(kind, value, place)
    if kind is bool:
        return value if type(value) is bool else _refuse(place, "should be true or false")
    if kind is int:
        is_good = type(value) is int and 0 <= value <= GREATEST
        return value if is_good else _refuse(place, f"should be a number from 0 to {GREATEST}")
    text = _text(value, place)
    if issubclass(kind, StrEnum) and text not in set(kind):
        _refuse(place, f"is {_quoted(text)}, which this version does not know")
    return kind(text)


def _object(kind: Any, value: object, place: str) -> Any:
    if not isinstance(value, dict):
        _refuse(place, "should be an object")
    _expect_keys(value, {field.name for field in fields(kind)}, place)
    hints = get_type_hints(kind)
    return kind(**{name: _value(hints[name], value[name], f"{place}.{name}") for name in value})


def _list(kind: Any, value: object, place: str) -> tuple[Any, ...]:
    if not isinstance(value, list) or len(value) > MOST:
        _refuse(place, f"should be a list of at most {MOST}")
    return tuple(_value(kind, entry, f"{place}[{i}]") for i, entry in enumerate(value))


def _text(value: object, place: str) -> str:
    if not isinstance(value, str) or len(value) > LONGEST or value != printable(value):
        _refuse(place, f"should be at most {LONGEST} printable characters")
    return value


def _expect_keys(value: Mapping[str, object], expected: Iterable[str], place: str) -> None:
    missing, unknown = set(expected) - value.keys(), value.keys() - set(expected)
    if missing:
        _refuse(place, f"lacks {min(missing)}")
    if unknown:
        _refuse(place, f"has {_quoted(min(unknown))}, which this version does not know")


def _quoted(value: object) -> str:
    return f'"{printable(str(value)[:LONGEST])}"' if isinstance(value, str | int) else "unknown"


def _refuse(place: str, sentence: str) -> NoReturn:
    raise PeerError(f"The other machine's description cannot be used: {place} {sentence}.")
