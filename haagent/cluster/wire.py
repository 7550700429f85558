# SPDX-License-Identifier: MIT
"""A hello as bytes, and back. Owns the format; knows nothing about how it travels.

A message is 32 bytes of HMAC-SHA256 (RFC 2104) and then one JSON object, `{"hello": ...,
"version": 3}`, in ASCII with sorted keys and without spaces. The HMAC covers all of it and a label,
so that the pair's key can sign other things too.

The fields are those of `Hello` and of what it is made of: they are found by their type hints, and
anything not exactly as the hints say is refused. It is not seen here that a genuine message is
old: its receiver knows by boot and number.
"""

import contextlib
import hashlib
import hmac
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, NoReturn, get_args, get_origin, get_type_hints

from haagent.core.model import (
    Choice,
    Disk,
    Figures,
    GuestHello,
    Hello,
    LanChange,
    LanStage,
    Path,
    Phase,
    Request,
)
from haagent.errors import BugError, PeerError

VERSION = 3
LARGEST = 20 * 1024  # bytes; twenty guests fit
LONGEST_TEXT = 255  # characters
LARGEST_NUMBER = 2**63  # exclusive, either way

_LABEL = b"shoestring hello\0"
_MAC = hashlib.sha256().digest_size

# All that may travel. A field of another type is a mistake in the model, found by the first test.
_RECORDS = frozenset({Hello, GuestHello, Figures, Request, Choice, LanChange})
_WORDS = frozenset({Path, Phase, Disk, LanStage})
# Times are of one machine's own clock and mean nothing to the other, nor do its starts.
_UNSENT: Mapping[type, frozenset[str]] = {
    Request: frozenset({"at"}),
    LanChange: frozenset({"boot"}),
}


def encode(hello: Hello, key: bytes) -> bytes:
    """HELLO as at most 20 KiB, signed with KEY. Raises BugError if it cannot be said."""
    content = {"version": VERSION, "hello": _pack(hello, Hello, "hello")}
    body = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    if _MAC + len(body) > LARGEST:
        raise BugError(f"a hello of {len(body)} bytes is too large to be sent")
    return _sign(body, key) + body


def decode(data: bytes, key: bytes) -> Hello:
    """The hello in DATA. Raises PeerError, which says what is wrong with it."""
    if not _MAC < len(data) <= LARGEST:
        raise PeerError(f"a message of {len(data)} bytes is no hello")
    body = data[_MAC:]
    if not hmac.compare_digest(data[:_MAC], _sign(body, key)):
        raise PeerError("a message that is not signed with this pair's key")
    try:
        content = json.loads(body, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise PeerError(f"a signed message that is not JSON: {error}") from error
    version = content.get("version") if isinstance(content, dict) else None
    if type(version) is not int or version != VERSION:
        raise PeerError(f"the peer speaks version {version!r:.40}, we speak {VERSION}")
    _expect_names(content, frozenset({"version", "hello"}), "message")
    hello = _unpack(content["hello"], Hello, "hello")
    assert isinstance(hello, Hello)
    if hello.node not in (0, 1):
        raise PeerError(f"hello.node is {hello.node}: a pair has nodes 0 and 1")
    return hello


def is_of_another(data: bytes, keys: Iterable[bytes], me: int) -> bool:
    """Whether DATA is a hello of the other node than ME, signed with one of KEYS: of a machine that
    was replaced, and does not know it.
    """
    for key in keys:
        with contextlib.suppress(PeerError):
            return decode(data, key).node != me
    return False


def _sign(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, _LABEL + body, "sha256")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """json.loads takes the last of two equal names; we take none."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


@cache
def _sent_fields(record: type) -> Mapping[str, Any]:
    """The names and types of RECORD that travel."""
    unsent = _UNSENT.get(record, frozenset())
    hints = get_type_hints(record)
    return {f.name: hints[f.name] for f in fields(record) if f.name not in unsent}


def _pack(value: Any, kind: Any, where: str) -> Any:
    """VALUE, which is a KIND, as JSON has it. Raises BugError."""
    if kind in _RECORDS:
        return {
            name: _pack(getattr(value, name), hint, f"{where}.{name}")
            for name, hint in _sent_fields(kind).items()
        }
    if get_origin(kind) is Mapping:
        key_kind, value_kind = get_args(kind)
        return {
            _pack(name, key_kind, where): _pack(item, value_kind, f"{where}[{name}]")
            for name, item in value.items()
        }
    if get_origin(kind) is UnionType:
        return None if value is None else _pack(value, _but_none(kind), where)
    packed = float(value) if kind is float else value
    if flaw := _flaw(packed, kind, where):
        raise BugError(f"{where} {flaw}")
    return packed


def _unpack(raw: Any, kind: Any, where: str) -> Any:
    """The KIND that RAW, from JSON, says. Raises PeerError."""
    if kind in _RECORDS:
        if not isinstance(raw, dict):
            raise PeerError(f"{where} is not an object")
        hints = _sent_fields(kind)
        _expect_names(raw, frozenset(hints), where)
        return kind(**{n: _unpack(raw[n], hint, f"{where}.{n}") for n, hint in hints.items()})
    if get_origin(kind) is Mapping:
        if not isinstance(raw, dict):
            raise PeerError(f"{where} is not an object")
        key_kind, value_kind = get_args(kind)
        return {
            _unpack(name, key_kind, where): _unpack(item, value_kind, f"{where}[{name}]")
            for name, item in raw.items()
        }
    if get_origin(kind) is UnionType:
        return None if raw is None else _unpack(raw, _but_none(kind), where)
    if flaw := _flaw(raw, kind, where):
        raise PeerError(f"{where} {flaw}")
    return kind(raw)


def _flaw(value: Any, kind: Any, where: str) -> str | None:
    """Why VALUE is not a KIND that may travel; None if it is. The rest of a sentence."""
    if kind in _WORDS:
        known = value in kind.__members__.values()
        return None if known else f"is {value!r:.40}, which is no {kind.__name__}"
    check = _SCALARS.get(kind)
    if check is None:
        raise BugError(f"{where} is a {kind}, which the wire does not carry")
    # type(), not isinstance(): True is an int, and an int is no float.
    if type(value) is not kind:
        return f"is {value!r:.40}, which is no {kind.__name__}"
    return None if check(value) else f"is out of bounds: {value!r:.40}"


_SCALARS: Mapping[Any, Callable[[Any], bool]] = {
    bool: lambda _: True,
    int: lambda number: -LARGEST_NUMBER < number < LARGEST_NUMBER,
    float: math.isfinite,
    # Printable, because what the peer calls things ends up in logs and on screens.
    str: lambda text: len(text) <= LONGEST_TEXT and text.isprintable(),
}


def _but_none(kind: Any) -> Any:
    """The T of `T | None`; a model that says anything else fails its first test."""
    [other] = (member for member in get_args(kind) if member is not NoneType)
    return other


def _expect_names(raw: Mapping[str, Any], names: frozenset[str], where: str) -> None:
    if missing := sorted(names - raw.keys()):
        raise PeerError(f"{where} lacks {', '.join(missing)}")
    if unknown := sorted(raw.keys() - names):
        raise PeerError(f"{where} has unknown fields: {unknown!r:.80}")
