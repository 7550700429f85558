# SPDX-License-Identifier: MIT
"""One conversation over the crossover: messages of bytes, over TCP on its link-local addresses.

Owns the sockets. Nothing from beyond the cable gets in: the sockets belong to the one card, both
addresses have its scope, and a packet that any router forwarded is dropped for its hop limit (RFC
5082). Nothing waits for ever: each message has a deadline, and a dead peer is found out.

Whatever goes wrong is a PeerError: nobody can tell our end of a cable from the other.
"""

import contextlib
import math
import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from ipaddress import IPv6Address

from firstboot.pairing.channel import LARGEST_SEALED
from haagent.errors import BugError, PeerError
from haagent.network.sockets import bind_to

PORT = 6941
# Seconds for one message, from its first byte to its last, and for a call. Whoever stretches it
# stretches with it how long a silent peer is borne.
LIMIT = 10.0
LARGEST = LARGEST_SEALED  # bytes of a message

_LENGTH = 4  # bytes in front of each message
_READ = 65536
_MOST_CALLERS = 8  # dealt with at once
_MINHOPCOUNT = 73  # IPV6_MINHOPCOUNT, linux/in6.h
_HOP_LIMIT = 255  # what no router's packet can have
_ALIVE_AFTER, _ALIVE_EVERY, _ALIVE_TRIES = 0.5, 0.2, 5  # of the limit, of it, number: tcp(7)


class Messages:
    """Cuts a stream of bytes into messages. Pure."""

    def __init__(self, largest: int = LARGEST) -> None:
        self._largest = largest
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that DATA completes. Raises PeerError for one that must not be."""
        self._rest += data
        found = []
        while len(self._rest) >= _LENGTH:
            length = int.from_bytes(self._rest[:_LENGTH])
            if not 0 < length <= self._largest:
                raise PeerError(f"a message that says it has {length} bytes")
            if len(self._rest) < _LENGTH + length:
                break
            found.append(bytes(self._rest[_LENGTH : _LENGTH + length]))
            del self._rest[: _LENGTH + length]
        return found

    @property
    def is_partial(self) -> bool:
        """Whether the rest of a message should come."""
        return bool(self._rest)


class Stream:
    """A conversation. After a PeerError it is closed."""

    def __init__(self, connected: socket.socket, limit: float = LIMIT) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._limit = limit
        self._messages = Messages()
        self._waiting: deque[bytes] = deque()
        self._partial_since: float | None = None

    @property
    def is_closed(self) -> bool:
        return self._socket.fileno() < 0

    def fileno(self) -> int:
        """Can be read when something came, or the end."""
        return self._socket.fileno()

    def send(self, message: bytes) -> None:
        """Raises PeerError if it cannot be handed over before its deadline."""
        if not 0 < len(message) <= LARGEST:
            raise BugError(f"a message of {len(message)} bytes")
        left = memoryview(len(message).to_bytes(_LENGTH) + message)
        deadline = time.monotonic() + self._limit
        with self._ended_by_error():
            while left:
                self._await(select.POLLOUT, deadline)
                with contextlib.suppress(BlockingIOError):
                    left = left[self._socket.send(left) :]

    def hear(self) -> tuple[bytes, ...]:
        """The messages that came, without waiting. Raises PeerError when there will be no more.

        Also to be called each second: nothing else notices a message that does not go on.
        """
        with self._ended_by_error():
            if not self._waiting:
                self._read()
        came = tuple(self._waiting)
        self._waiting.clear()
        return came

    def receive(self, timeout: float | None = None) -> bytes:
        """The next message. Raises PeerError if none is complete within TIMEOUT seconds."""
        deadline = time.monotonic() + (self._limit if timeout is None else timeout)
        with self._ended_by_error():
            while not self._waiting:
                since = self._partial_since
                limit = deadline if since is None else min(deadline, since + self._limit)
                self._await(select.POLLIN, limit)
                self._read()
        return self._waiting.popleft()

    def close(self) -> None:
        self._socket.close()

    def _read(self) -> None:
        try:
            data = self._socket.recv(_READ)
        except BlockingIOError:
            data = None
        if data == b"":
            raise PeerError("the other machine hung up")
        if data:
            self._waiting += self._messages.feed(data)
        now = time.monotonic()
        if self._waiting or not self._messages.is_partial:
            self._partial_since = now if self._messages.is_partial else None
        elif self._partial_since is None:
            self._partial_since = now
        elif now - self._partial_since > self._limit:
            raise PeerError("the other machine stopped in the middle of a message")

    def _await(self, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(self._socket, event)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise PeerError("the other machine does not answer in time")

    @contextlib.contextmanager
    def _ended_by_error(self) -> Iterator[None]:
        if self.is_closed:
            raise PeerError("the conversation has ended")
        try:
            yield
        except OSError as error:
            self.close()
            raise PeerError(f"the other machine is gone: {_why(error)}") from error
        except PeerError:
            self.close()
            raise


class Listener:
    """Waits at OURS, our address on CARD, for a call from PEER; for one at a time."""

    def __init__(
        self,
        card: str,
        ours: IPv6Address,
        peer: IPv6Address,
        port: int = PORT,
        limit: float = LIMIT,
    ) -> None:
        """Raises PeerError if CARD cannot be listened at."""
        self._peer = peer
        self._limit = limit
        self._current: Stream | None = None
        try:
            self._scope = socket.if_nametoindex(card)
            self._socket = _open(card, limit)
        except OSError as error:
            raise PeerError(f"{card} cannot be listened at: {_why(error)}") from error
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((str(ours), port, 0, self._scope))
            self._socket.listen(1)
            self._socket.setblocking(False)
        except OSError as error:
            self._socket.close()
            raise PeerError(f"{card} cannot be listened at: {_why(error)}") from error

    def fileno(self) -> int:
        """Can be read when somebody calls."""
        return self._socket.fileno()

    def accept(self) -> Stream | None:
        """The peer's call, without waiting for one. Any other is hung up, and so is a second one
        while the first is not closed.
        """
        for _ in range(_MOST_CALLERS):
            try:
                caller, address = self._socket.accept()
            except OSError:  # nobody, or gone again: accept(2) reports what is pending on it
                return None
            is_busy = self._current is not None and not self._current.is_closed
            if is_busy or not self._is_peer(address):
                caller.close()
                continue
            self._current = Stream(caller, self._limit)
            return self._current
        return None

    def close(self) -> None:
        """The conversation that was accepted goes on."""
        self._socket.close()

    def _is_peer(self, address: tuple[str, int, int, int]) -> bool:
        host, _, _, scope = address
        return IPv6Address(host.partition("%")[0]) == self._peer and scope == self._scope


def call(
    card: str, ours: IPv6Address, peer: IPv6Address, port: int = PORT, limit: float = LIMIT
) -> Stream:
    """A conversation from OURS, our address on CARD, with PEER at the other end of its cable.
    Raises PeerError.
    """
    try:
        scope = socket.if_nametoindex(card)
        sock = _open(card, limit)
    except OSError as error:
        raise PeerError(f"{card} cannot be used: {_why(error)}") from error
    try:
        sock.bind((str(ours), 0, 0, scope))
        sock.settimeout(limit)
        sock.connect((str(peer), port, 0, scope))
    except OSError as error:
        sock.close()
        raise PeerError(f"the other machine does not answer: {_why(error)}") from error
    return Stream(sock, limit)


def _open(card: str, limit: float) -> socket.socket:
    """Raises OSError."""
    sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        bind_to(sock, card)
        # Those that are accepted inherit all of it.
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, _HOP_LIMIT)
        # safety: before it listens, so that nobody's first packet gets by.
        sock.setsockopt(socket.IPPROTO_IPV6, _MINHOPCOUNT, _HOP_LIMIT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, math.ceil(limit * _ALIVE_AFTER))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, math.ceil(limit * _ALIVE_EVERY))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _ALIVE_TRIES)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(limit * 1000))
    except OSError:
        sock.close()
        raise
    return sock


def _why(error: OSError) -> str:
    return error.strerror or str(error)
