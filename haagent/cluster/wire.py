# SPDX-License-Identifier: MIT
"""A hello as bytes, and back. Owns the format; knows nothing about how it travels.

A message is 32 bytes of HMAC-SHA256 (RFC 2104) and then one JSON object, `{"hello": ...,
"version": 4}`, in ASCII with sorted keys and without spaces, packed by zlib (RFC 1950): that of
twenty guests fits into one frame of Ethernet, so the pair relies on no larger one getting through.
The HMAC covers the packed object and a label, so that the pair's key can sign other things too. In
format 3 the object is not packed.

The fields are those of `Hello` and of what it is made of: they are found by their type hints, and
anything not exactly as the hints say is refused. It is not seen here that a genuine message is
old: its receiver knows by boot and number.

A pair is updated one machine after the other, so the format before is read and written as well,
byte for byte as the release before does it. Which one is spoken is core/speaking.py's to say. What
is new, and what becomes of it in the format before:

    new in 4            in format 3    why
    Hello.release       is left out    it is read by people only: no rule asks for it
    Hello.is_stateless  is left out    who hears it makes us no promise; one that is made all the
                                       same is not relied on by a machine that is stateless
    Hello.memory        is left out    it is read by people only: what does not fit is tried as well
    GuestHello.wish     is left out    nothing is stopped or given up while the other machine speaks
                                       format 3: core/wishing.py starts again what ends

A field may be left out if nothing is lost by not knowing it but words on a screen, or a promise
that nobody uses. What a proof, a promise or an agreement rests on may not: whoever did not hear it
would take it for its default, and act on that. One such field (`may_lack=False`), or a new word of
an enumeration, and the format before is not spoken at all; the two releases then say that they do
not understand each other.
"""

import contextlib
import hashlib
import hmac
import json
import math
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
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
from haagent.core.wish import Target, Wish
from haagent.errors import BugError, PeerError

VERSION = 4
LARGEST = 20 * 1024  # bytes of a message; twenty guests fit, packed or not
LONGEST = 64 * 1024  # bytes of the object
PACKED = 4  # the first format that is
LONGEST_TEXT = 255  # characters
LONGEST_RELEASE = 32  # characters
LARGEST_NUMBER = 2**63  # exclusive, either way

_LABEL = b"shoestring hello\0"
_BEGINNING = b'{"hello":{'  # of every object, in all formats so far
_MAC = hashlib.sha256().digest_size

# All that may travel. A field of another type is a mistake in the model, found by the first test.
_RECORDS = frozenset({Hello, GuestHello, Figures, Request, Choice, LanChange, Wish})
_WORDS = frozenset({Path, Phase, Disk, LanStage, Target})


@dataclass(frozen=True, slots=True)
class New:
    """A field, or an enumeration's word, that the format before does not have."""

    unsaid: Any  # what a field means in a hello of a machine that cannot say it
    may_lack: bool  # the format before is spoken all the same, without it


# The table above. safety: a release that leaves out what the other one acts on lies to it.
_NEW: Mapping[type, Mapping[str, New]] = {
    Hello: {
        "release": New("", may_lack=True),
        "is_stateless": New(False, may_lack=True),
        "memory": New(-1, may_lack=True),
    },
    GuestHello: {"wish": New(Wish(), may_lack=True)},
}
# What we read and write, the newest first.
FORMATS: tuple[int, ...] = (
    (VERSION, VERSION - 1)
    if all(new.may_lack for names in _NEW.values() for new in names.values())
    else (VERSION,)
)

# Times are of one machine's own clock and mean nothing to the other, nor do its starts.
_UNSENT: Mapping[type, frozenset[str]] = {
    Request: frozenset({"at"}),
    LanChange: frozenset({"boot"}),
}


class OtherFormat(PeerError):
    """The peer's own words, in a format that we do not know."""

    def __init__(self, version: object, formats: tuple[int, ...]) -> None:
        ours = " and ".join(map(str, formats))
        super().__init__(f"the peer speaks version {version!r:.40}, we speak {ours}")


@dataclass(frozen=True, slots=True)
class Message:
    """A hello, and the format that it came in: what is new since is not known then."""

    version: int
    hello: Hello


def encode(hello: Hello, key: bytes, version: int = VERSION) -> bytes:
    """HELLO in the format VERSION, as at most 20 KiB, signed with KEY.

    Raises BugError if it cannot be said.
    """
    if version not in FORMATS:
        raise BugError(f"a hello cannot be said in format {version}")
    if flaw := _release_flaw(hello):
        raise BugError(flaw)
    content = {"version": version, "hello": _pack(hello, Hello, "hello", version)}
    body = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    packed = body if version < PACKED else zlib.compress(body)
    if len(body) > LONGEST or _MAC + len(packed) > LARGEST:
        raise BugError(f"a hello of {len(body)} bytes is too large to be sent")
    return _sign(packed, key) + packed


def decode(data: bytes, key: bytes, formats: tuple[int, ...] = FORMATS) -> Message:
    """What DATA says in one of FORMATS. Raises PeerError, which says what is wrong with it."""
    if not _MAC < len(data) <= LARGEST:
        raise PeerError(f"a message of {len(data)} bytes is no hello")
    packed = data[_MAC:]
    if not hmac.compare_digest(data[:_MAC], _sign(packed, key)):
        raise PeerError("a message that is not signed with this pair's key")
    try:
        body = _unpacked(packed)
        content = json.loads(body, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise PeerError(f"a signed message that is not JSON: {error}") from error
    version = content.get("version") if isinstance(content, dict) else None
    if type(version) is not int or version not in formats:
        raise OtherFormat(version, formats)
    if _is_packed(packed) != (version >= PACKED):
        raise PeerError(f"a hello of version {version} that is packed as another one is")
    _expect_names(content, frozenset({"version", "hello"}), "message")
    hello = _unpack(content["hello"], Hello, "hello", version)
    assert isinstance(hello, Hello)
    if hello.node not in (0, 1):
        raise PeerError(f"hello.node is {hello.node}: a pair has nodes 0 and 1")
    if flaw := _release_flaw(hello):
        raise PeerError(flaw)
    return Message(version, hello)


def is_of_another(data: bytes, keys: Iterable[bytes], me: int) -> bool:
    """Whether DATA is a hello of the other node than ME, signed with one of KEYS: of a machine that
    was replaced, and does not know it.
    """
    for key in keys:
        with contextlib.suppress(PeerError):
            return decode(data, key).hello.node != me
    return False


def is_of_a_stranger(data: bytes, keys: Iterable[bytes]) -> bool:
    """Whether DATA begins as a hello does, and is signed with none of KEYS: of a machine of another
    pair, or of anybody who wants to look like one.

    safety: nothing more of it is looked at, and nothing may follow from it but a sentence.
    """
    mac, packed = data[:_MAC], data[_MAC:]
    if len(data) > LARGEST or _beginning(packed) != _BEGINNING:
        return False
    return not any(hmac.compare_digest(mac, _sign(packed, key)) for key in keys)


def _sign(packed: bytes, key: bytes) -> bytes:
    return hmac.digest(key, _LABEL + packed, "sha256")


def _is_packed(packed: bytes) -> bool:
    return not packed.startswith(b"{")  # which no stream of zlib does


def _unpacked(packed: bytes) -> bytes:
    """Raises ValueError for what is damaged, or longer than any hello."""
    if not _is_packed(packed):
        return packed
    unpacking = zlib.decompressobj()
    try:
        body = unpacking.decompress(packed, LONGEST)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError("it is too long, or not whole")
    return body


def _beginning(packed: bytes) -> bytes:
    """The first bytes of what may be an object, or no bytes."""
    count = len(_BEGINNING)
    if not _is_packed(packed):
        return packed[:count]
    try:
        # safety: it is anybody's; no more is unpacked than is looked at.
        return zlib.decompressobj().decompress(packed, count)
    except zlib.error:
        return b""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """json.loads takes the last of two equal names; we take none."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _release_flaw(hello: Hello) -> str | None:
    """What is wrong with the release's name; that it is printable is seen like any text's."""
    if len(hello.release) <= LONGEST_RELEASE:
        return None
    return f"hello.release is out of bounds: {hello.release!r:.40}"


@cache
def _sent_fields(record: type, version: int = VERSION) -> Mapping[str, Any]:
    """The names and types of RECORD that travel in the format VERSION."""
    unsent = _UNSENT.get(record, frozenset()) | _unsaid(record, version).keys()
    hints = get_type_hints(record)
    return {f.name: hints[f.name] for f in fields(record) if f.name not in unsent}


@cache
def _unsaid(record: type, version: int) -> Mapping[str, Any]:
    """What the fields of RECORD mean that the format VERSION does not have."""
    new = _NEW.get(record, {}) if version < VERSION else {}
    return {name: field.unsaid for name, field in new.items()}


def _pack(value: Any, kind: Any, where: str, version: int) -> Any:
    """VALUE, which is a KIND, as JSON has it. Raises BugError."""
    if kind in _RECORDS:
        return {
            name: _pack(getattr(value, name), hint, f"{where}.{name}", version)
            for name, hint in _sent_fields(kind, version).items()
        }
    if get_origin(kind) is Mapping:
        key_kind, value_kind = get_args(kind)
        return {
            _pack(name, key_kind, where, version): _pack(
                item, value_kind, f"{where}[{name}]", version
            )
            for name, item in value.items()
        }
    if get_origin(kind) is UnionType:
        return None if value is None else _pack(value, _but_none(kind), where, version)
    packed = float(value) if kind is float else value
    if flaw := _flaw(packed, kind, where):
        raise BugError(f"{where} {flaw}")
    return packed


def _unpack(raw: Any, kind: Any, where: str, version: int) -> Any:
    """The KIND that RAW, from JSON, says. Raises PeerError."""
    if kind in _RECORDS:
        if not isinstance(raw, dict):
            raise PeerError(f"{where} is not an object")
        hints = _sent_fields(kind, version)
        _expect_names(raw, frozenset(hints), where)
        said = {n: _unpack(raw[n], hint, f"{where}.{n}", version) for n, hint in hints.items()}
        return kind(**_unsaid(kind, version), **said)
    if get_origin(kind) is Mapping:
        if not isinstance(raw, dict):
            raise PeerError(f"{where} is not an object")
        key_kind, value_kind = get_args(kind)
        return {
            _unpack(name, key_kind, where, version): _unpack(
                item, value_kind, f"{where}[{name}]", version
            )
            for name, item in raw.items()
        }
    if get_origin(kind) is UnionType:
        return None if raw is None else _unpack(raw, _but_none(kind), where, version)
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
