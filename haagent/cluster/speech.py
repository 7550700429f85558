# SPDX-License-Identifier: MIT
"""What is said to the other machine, and heard of it, over every way there is.

Owns the keys that hellos are signed with, and which of what comes in is a hello: of the peer, or of
a machine that was replaced and does not know it. Which formats are spoken is core/speaking.py's to
say; what a hello means is decided elsewhere.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from haagent.cluster.datagrams import Address
from haagent.cluster.wire import FORMATS, OtherFormat, decode, encode, is_of_another
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


class Speech:
    """The words between the two machines. Any thread may bring in what it heard."""

    def __init__(
        self,
        pair: Pair,
        key: bytes,
        replaced_keys: Sequence[bytes],
        datagrams: Courier,
        heartbeat: Carrier,
    ) -> None:
        self.misunderstood_at = NEVER  # when the peer last spoke in a format that is not ours
        self._pair = pair
        self._key = key
        self._replaced_keys = replaced_keys
        self._datagrams = datagrams
        self._heartbeat = heartbeat
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
            return False
        self._replaced = path, sender
        post(events.ReplacedHeard(time.monotonic()))
        return True

    def hear(self, post: Post, path: Path, data: bytes) -> None:
        """Posts what the peer said; what it did not say is complained of, and nothing else."""
        try:
            message = decode(data, self._key)
        except PeerError as error:
            if isinstance(error, OtherFormat):
                self.misunderstood_at = time.monotonic()
            self._complain(f"{path}: {error}")
            return
        theirs, ours = message.hello.scale, self._pair.scale
        if theirs != ours:
            # safety: a peer whose timers run otherwise keeps none of our promises about time.
            self._complain(f"the peer's time scale is {theirs:g}, ours is {ours:g}")
            return
        post(events.HelloHeard(time.monotonic(), path, message.hello, message.version))

    def _complain(self, message: str) -> None:
        """Logs what anybody on the LAN can make us say; a stranger must not fill the journal."""
        now = time.monotonic()
        if now >= self._complain_again:
            self._complain_again = now + QUIET
            log.warning("%s", message)
