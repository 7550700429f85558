# SPDX-License-Identifier: MIT
"""What is said to the other machine, and heard of it, over every way there is.

Owns the keys that hellos are signed with, and which of what comes in is a hello: of the peer, of a
machine that was replaced and does not know it, or of one that has no key of this pair. Which
formats are spoken is core/speaking.py's to say; what a hello means is decided elsewhere.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from haagent.cluster.datagrams import Address
from haagent.cluster.wire import (
    FORMATS,
    OtherFormat,
    decode,
    encode,
    is_of_a_stranger,
    is_of_another,
)
from haagent.core import events
from haagent.core.events import Event
from haagent.core.model import NEVER, Hello, Pair, Path
from haagent.errors import PeerError

QUIET = 10.0  # seconds between two complaints about what came from outside

log = logging.getLogger(__name__)

Post = Callable[[Event], None]


class Carrier(Protocol):
    """heartbeat, as far as it is used here."""

    def send(self, data: bytes) -> None: ...


class Courier(Carrier, Protocol):
    """Our own datagrams, so too."""

    def answer(self, path: Path, sender: Address, data: bytes) -> None: ...


@dataclass(frozen=True, slots=True)
class Stranger:
    """A machine that has no key of this pair. Nothing of it is proven, nor that it is one."""

    address: str
    at: float  # monotonic: when it last spoke


class Speech:
    """The words between the two machines. Any thread may bring in what it heard."""

    def __init__(
        self,
        pair: Pair,
        key: bytes,
        replaced_keys: Sequence[bytes],
        datagrams: Courier,
        heartbeat: Carrier,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.misunderstood_at = NEVER  # when the peer last spoke in a format that is not ours
        self.strangers: Mapping[Path, Stranger] = {}  # the one that is named of each path
        self._pair = pair
        self._key = key
        self._replaced_keys = replaced_keys
        self._datagrams = datagrams
        self._heartbeat = heartbeat
        self._now = now
        self._replaced: tuple[Path, Address] | None = None  # where one spoke from last
        self._complain_again = 0.0

    def say(self, hello: Hello, formats: tuple[int, ...]) -> None:
        """Sends HELLO over every way, once in each of FORMATS."""
        # Each format takes all ways in turn: also for a peer that reads only one of them, the last
        # word of a machine that dies here is one on the LAN.
        for version in formats:
            data = encode(hello, self._key, version)
            self._datagrams.send(data)
            self._heartbeat.send(data)

    def tell_replaced(self, hello: Hello) -> None:
        """Answers the replaced machine that spoke last, in every format: its own is not asked."""
        if self._replaced is None:
            return
        path, sender = self._replaced
        for key in self._replaced_keys:
            for version in FORMATS:
                self._datagrams.answer(path, sender, encode(hello, key, version))

    def hear_datagram(self, post: Post, path: Path, data: bytes, sender: Address) -> None:
        """DATA came from where the peer is: from it, or from who has its address no more."""
        if not self.hear_stranger(post, path, data, sender):
            self.hear(post, path, data)

    def hear_stranger(self, post: Post, path: Path, data: bytes, sender: Address) -> bool:
        """Whether a machine that has no place here any more spoke; from wherever it now is."""
        if not is_of_another(data, self._replaced_keys, self._pair.me):
            if is_of_a_stranger(data, (self._key, *self._replaced_keys)):
                self._name(path, sender[0])
            return False
        self._replaced = path, sender
        post(events.ReplacedHeard(self._now()))
        return True

    def hear(self, post: Post, path: Path, data: bytes) -> None:
        """Posts what the peer said; what it did not say is complained of, and nothing else."""
        try:
            message = decode(data, self._key)
        except PeerError as error:
            if isinstance(error, OtherFormat):
                self.misunderstood_at = self._now()
            self._complain(f"{path}: {error}")
            return
        theirs, ours = message.hello.scale, self._pair.scale
        if theirs != ours:
            # safety: a peer whose timers run otherwise keeps none of our promises about time.
            self._complain(f"the peer's time scale is {theirs:g}, ours is {ours:g}")
            return
        post(events.HelloHeard(self._now(), path, message.hello, message.version))

    def _name(self, path: Path, address: str) -> None:
        """ADDRESS is where a stranger on PATH is. Whoever takes another one in each word must not
        make the screen change with it: one is named until it has been quiet for a while.
        """
        self._complain(f"{path}, from {address}: a message that is not signed with this pair's key")
        known, now = self.strangers.get(path), self._now()
        if known is None or known.address == address or now - known.at >= QUIET:
            self.strangers = {**self.strangers, path: Stranger(address, now)}

    def _complain(self, message: str) -> None:
        """Logs what anybody on the LAN can make us say; a stranger must not fill the journal."""
        now = self._now()
        if now >= self._complain_again:
            self._complain_again = now + QUIET
            log.warning("%s", message)
