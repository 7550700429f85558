# SPDX-License-Identifier: MIT
"""How a hello goes from one simulated machine to the other: as it is, or as the bytes of the wire.

Through bytes a field that is lost on the way shows as another decision. It takes its time, so only
pairs of two releases are told so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from haagent.cluster import wire
from haagent.cluster.wire import FORMATS, VERSION, Message, OtherFormat
from haagent.core.model import Hello

Formats = tuple[int, ...]

NOW: Formats = FORMATS  # what this release reads and writes
BEFORE: Formats = (VERSION - 1,)  # the release before, which has never heard of a newer one
AS_IT_IS: Formats = (1,)


class Wire(Protocol):
    """SAID is what one `say` yields, and of no other kind of wire."""

    def say(self, hello: Hello, formats: Formats, key: str) -> Iterator[object]: ...

    def hear(self, said: object, formats: Formats, key: str) -> Message | None:
        """What a machine that reads FORMATS, and has KEY, makes of SAID; None: nothing."""


@dataclass(slots=True)
class Said:
    """A hello on its way, and what it is signed with."""

    key: str
    hello: Hello


class Direct:
    """Nobody looks at it on the way. Every machine speaks the same."""

    def say(self, hello: Hello, formats: Formats, key: str) -> Iterator[object]:
        yield Said(key, hello)

    def hear(self, said: object, formats: Formats, key: str) -> Message | None:
        if isinstance(said, Said) and said.key == key:
            return Message(formats[0], said.hello)
        return None


class Signed:
    """As on real cables. A hello of a known format and key that is refused ends the history."""

    def say(self, hello: Hello, formats: Formats, key: str) -> Iterator[object]:
        for version in formats:
            yield key, wire.encode(hello, _key(key), version)

    def hear(self, said: object, formats: Formats, key: str) -> Message | None:
        match said:
            case (str(theirs), bytes(data)) if theirs == key:
                return _read(data, formats, key)
        return None


@lru_cache(maxsize=64)
def _read(data: bytes, formats: Formats, key: str) -> Message | None:
    """The same datagram comes over three ways."""
    try:
        return wire.decode(data, _key(key), formats)
    except OtherFormat:
        return None


def _key(name: str) -> bytes:
    return name.encode().ljust(32, b"-")
