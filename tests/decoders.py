# SPDX-License-Identifier: MIT
"""What a decoder of another release takes, of which only its rules are left, in a file.

The rules are `{"records": {NAME: {FIELD: KIND}}, "words": {NAME: [WORD]}, "longest text": N,
"largest number": N}`. A KIND is a scalar, a record, an enumeration, `{KIND: KIND}`, `KIND | None`.
"""

from collections.abc import Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, get_args, get_origin


def named(kind: Any) -> str:
    """KIND as these files spell it."""
    if get_origin(kind) is Mapping:
        key, value = get_args(kind)
        return f"{{{named(key)}: {named(value)}}}"
    if get_origin(kind) is UnionType:
        [other] = (member for member in get_args(kind) if member is not NoneType)
        return f"{named(other)} | None"
    return str(kind.__name__)


def flaws(raw: Any, kind: str, rules: Mapping[str, Any]) -> Iterator[str]:
    """Why a decoder with RULES refuses RAW as a KIND; nothing if it takes it."""
    scalars = {"int": int, "float": float, "str": str, "bool": bool}
    if kind.endswith(" | None"):
        if raw is not None:
            yield from flaws(raw, kind.removesuffix(" | None"), rules)
    elif kind.startswith("{"):
        key, _, value = kind[1:-1].partition(": ")
        for name, item in raw.items():
            yield from (*flaws(name, key, rules), *flaws(item, value, rules))
    elif kind in rules["records"]:
        fields = rules["records"][kind]
        if raw.keys() != fields.keys():
            yield f"{kind} has {sorted(raw.keys() ^ fields.keys())}, or has not"
        for name in raw.keys() & fields.keys():
            yield from flaws(raw[name], fields[name], rules)
    elif kind in rules["words"]:
        if raw not in rules["words"][kind]:
            yield f"{raw} is no {kind}"
    elif type(raw) is not scalars[kind]:
        yield f"{raw!r} is no {kind}"
    elif isinstance(raw, int) and not -rules["largest number"] < raw < rules["largest number"]:
        yield f"{raw} is too large"
    elif isinstance(raw, str) and not (len(raw) <= rules["longest text"] and raw.isprintable()):
        yield f"{raw!r} is too long, or not printable"


def differences(before: dict[str, Any], now: dict[str, Any]) -> tuple[set[str], set[str]]:
    """What NOW has that BEFORE has not; and what it lacks, or has otherwise."""
    new, gone = set(), set()
    for record in before["records"]:  # those of a new one, too
        old, made = before["records"][record], now["records"].get(record, {})
        new |= {f"{record}.{name}" for name in made.keys() - old.keys()}
        gone |= {f"{record}.{name}" for name in old if made.get(name) != old[name]}
    for kind in before["words"]:  # those of a new kind come with a field that has them
        words, spoken = before["words"][kind], now["words"].get(kind, [])
        new |= {f"{kind}.{word}" for word in spoken if word not in words}
        gone |= {f"{kind}.{word}" for word in words if word not in spoken}
    return new, gone
