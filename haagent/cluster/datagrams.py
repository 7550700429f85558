# SPDX-License-Identifier: MIT
"""Our own words to the peer, over every path at once. Carries bytes; does not know what they say.

UDP over IPv4, one socket for each path, bound to the path's interface and to our address there.
"""

import socket
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address

from haagent.core.model import Path
from haagent.network.sockets import Port, Sockets, bind_to, send_to

PORT = 6940  # on both nodes, to and from

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Way:
    """One path: our ADDRESS on INTERFACE (None: any), and the PEER's on the same network."""

    interface: str | None
    address: IPv4Address
    peer: IPv4Address


class Datagrams:
    """Sends to and hears from the peer over WAYS."""

    def __init__(self, ways: Mapping[Path, Way], port: int = PORT) -> None:
        self.ignored: Counter[Path] = Counter()  # packets that were not the peer's
        self._peers = {path: (str(way.peer), port) for path, way in ways.items()}
        self._sockets = Sockets[Path](
            {path: Port(way.interface, partial(_open, way, port)) for path, way in ways.items()}
        )
        self.failures = self._sockets.failures  # by path: what could not be sent or heard

    def send(self, data: bytes) -> None:
        """Sends DATA over every path. Never blocks; a path that fails does not stop the other."""
        for path, peer in self._peers.items():
            self._sockets.use(path, partial(send_to, peer, data))

    def answer(self, path: Path, sender: Address, data: bytes) -> None:
        """Sends DATA to whoever spoke from SENDER over PATH. Never blocks."""
        self._sockets.use(path, partial(send_to, sender, data))

    def receive(
        self,
        post: Callable[[Path, bytes, Address], None],
        stranger: Callable[[Path, bytes, Address], object] = lambda path, data, sender: None,
    ) -> None:
        """Calls POST for each packet of the peer with the path it came by, until `close`; and
        STRANGER for any other, with where it came from.

        Blocks; for a thread of its own. What they raise ends it.
        """

        def hear(path: Path, data: bytes, sender: Address) -> None:
            if sender == self._peers[path]:
                post(path, data, sender)
            else:
                self.ignored[path] += 1
                stranger(path, data, sender)

        self._sockets.receive(hear)

    def close(self) -> None:
        self._sockets.close()


def _open(way: Way, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        bind_to(sock, way.interface)
        sock.bind((str(way.address), port))
    except OSError:
        sock.close()
        raise
    return sock
