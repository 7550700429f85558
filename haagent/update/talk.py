# SPDX-License-Identifier: MIT
"""What the two machines of a pair say to each other about an update: one conversation over TCP.

Owns the connection, and who may have one: both sides prove that they have the pair's key before
anything else is said. What follows is not secret, and is not what anybody believes in the end: an
update has its own signature, and what runs on the peer afterwards is told by its agent's hellos.
"""

import contextlib
import hmac
import json
import multiprocessing
import socket
import struct
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from typing import Any, Self

from haagent.errors import PeerError

PORT = 6942  # TCP, on the crossover alone
FORMAT = 1  # of what is said; a release understands the one before it
CALL = 10.0  # seconds for the peer to take the call
PATIENCE = 120  # seconds without a byte; whole ones. A stick may take that long for a flush
LARGEST = 1 << 16  # bytes of one message
CHUNK = 1 << 16  # bytes of a file's piece


class Talk:
    """Both sides have proven who they are. A context manager. Whatever goes wrong: PeerError."""

    def __init__(self, connected: socket.socket, key: bytes, *, is_caller: bool) -> None:
        # Nothing of ours waits for ever: the limits are the kernel's, for the reads and writes of
        # Connection, which knows none. socket(7)
        connected.settimeout(None)
        limit = struct.pack("ll", PATIENCE, 0)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        self._connection = Connection(connected.detach())
        # safety: another key than that of the hellos, so that no answer here is one there.
        secret = hmac.digest(key, b"shoestring update", "sha256")
        steps = (answer_challenge, deliver_challenge)
        with _as_peer_error():
            try:
                for step in steps if is_caller else reversed(steps):
                    step(self._connection, secret)
            except BaseException:
                self._connection.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def say(self, message: Mapping[str, object]) -> None:
        with _as_peer_error():
            self._connection.send_bytes(json.dumps(message).encode())

    def hear(self) -> dict[str, Any]:
        with _as_peer_error():
            message = json.loads(self._connection.recv_bytes(LARGEST))
        if not isinstance(message, dict):
            raise PeerError("what it says is not an object of JSON")
        return message

    def send(self, piece: bytes) -> None:
        """PIECE of a file, of at most CHUNK bytes."""
        with _as_peer_error():
            self._connection.send_bytes(piece)

    def receive(self) -> bytes:
        with _as_peer_error():
            return self._connection.recv_bytes(CHUNK)


def call(address: IPv4Address, key: bytes, port: int = PORT) -> Talk:
    """A conversation with whoever has the door at ADDRESS. Raises PeerError."""
    with _as_peer_error():
        connected = socket.create_connection((str(address), port), timeout=CALL)
    return Talk(connected, key, is_caller=True)


@contextlib.contextmanager
def _as_peer_error() -> Iterator[None]:
    try:
        yield
    except multiprocessing.AuthenticationError as error:
        raise PeerError("it does not have the key of this pair") from error
    except EOFError as error:
        raise PeerError("it ended the conversation") from error
    except (OSError, ValueError) as error:
        raise PeerError(f"{error!s:.200}") from error
