# SPDX-License-Identifier: MIT
"""Sockets that belong to a network interface, and follow it when it goes and comes back.

Owns opening, polling and closing. Does not know what is sent. One thread sends, another one
receives, a third one may close; sending never blocks and a fault of the network is never raised:
it is counted, and logged when it begins, changes and ends.
"""

import logging
import os
import select
import socket
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

LARGEST = 65536  # bytes; more than any packet: one that is cut off would be lost silently

Key = TypeVar("Key", bound=Hashable)
Hear = Callable[[Key, bytes, Any], None]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Port:
    """Where a socket belongs, and what opens it.

    OPEN raises OSError while it cannot be opened. With INTERFACE None the socket belongs to none.
    """

    interface: str | None
    open: Callable[[], socket.socket]


@dataclass(frozen=True, slots=True)
class _Held:
    socket: socket.socket
    index: int  # of the interface that it was bound to


class Sockets(Generic[Key]):
    """One socket for each port.

    A socket stays bound to the interface it was opened on, by number: when the interface goes and
    comes back under its old name, it has another number, and the old socket is deaf. Each `use`
    looks whether that happened, so whoever sends regularly needs no timer for it.
    """

    def __init__(
        self, ports: Mapping[Key, Port], index: Callable[[str], int] = socket.if_nametoindex
    ) -> None:
        self.failures: Counter[Key] = Counter()
        self._ports = dict(ports)
        self._index = index
        self._lock = threading.Lock()
        self._held: dict[Key, _Held] = {}
        self._retired: list[socket.socket] = []  # closed by who polls: a number must not be reused
        self._trouble: dict[Key, str] = {}
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._is_receiving = False
        self._is_closed = False
        for key in self._ports:
            self.use(key, lambda _: None)

    def use(self, key: Key, action: Callable[[socket.socket], object]) -> None:
        """Runs ACTION with the open socket of KEY. Counts an OSError of it, or of the opening.

        ACTION must not block; it does not run while the socket cannot be opened, nor after `close`.
        """
        with self._lock:
            if self._is_closed:
                return
            try:
                action(self._current(key))
            except OSError as error:
                self._failed(key, error)
            else:
                if self._trouble.pop(key, None):
                    log.info("%s: works again", self._name(key))

    def receive(self, hear: Hear[Key]) -> None:
        """Calls HEAR(key, data, address) for each packet, until `close`. For one thread.

        What HEAR raises ends it; it can be called again.
        """
        with self._lock:
            self._is_receiving = True
        try:
            while (ready := self._wait()) is not None:
                for key, ear in ready:
                    self._read(key, ear, hear)
        finally:
            with self._lock:
                self._is_receiving = False
                if self._is_closed:
                    self._close_all()

    def close(self) -> None:
        """Ends `receive`, which closes the sockets as it leaves. May be called again."""
        with self._lock:
            self._is_closed = True
            if self._is_receiving:
                self._ring()
            else:
                self._close_all()

    def _current(self, key: Key) -> socket.socket:
        """The socket of KEY, on the interface that has its name now. Raises OSError."""
        port = self._ports[key]
        try:
            index = self._index(port.interface) if port.interface else 0
        except OSError:
            self._retire(key)
            raise
        held = self._held.get(key)
        if held is not None and held.index == index:
            return held.socket
        self._retire(key)
        # The number was read first: if the interface changes in between, the next use notices.
        opened = port.open()
        self._held[key] = _Held(opened, index)
        self._ring()
        return opened

    def _wait(self) -> list[tuple[Key, socket.socket]] | None:
        """The sockets that can be read now; None after `close`."""
        with self._lock:
            if self._is_closed:
                return None
            while self._retired:
                self._retired.pop().close()
            ears = {held.socket.fileno(): (key, held.socket) for key, held in self._held.items()}
        poll = select.poll()
        for number in (self._wake, *ears):
            poll.register(number, select.POLLIN)
        ready = [number for number, _ in poll.poll()]
        if self._wake in ready:
            os.eventfd_read(self._wake)
        return [ears[number] for number in ready if number in ears]

    def _read(self, key: Key, ear: socket.socket, hear: Hear[Key]) -> None:
        try:
            data, address = ear.recvfrom(LARGEST, socket.MSG_DONTWAIT)
        except (
            BlockingIOError
        ):  # select(2): a packet with a bad checksum was announced, then dropped
            return
        except OSError as error:
            with self._lock:
                self._failed(key, error)
                # It is opened anew by the next use: an error that stays cannot keep us busy.
                if key in self._held and self._held[key].socket is ear:
                    self._retire(key)
            return
        hear(key, data, address)

    def _retire(self, key: Key) -> None:
        if held := self._held.pop(key, None):
            self._retired.append(held.socket)
            self._ring()

    def _ring(self) -> None:
        os.eventfd_write(self._wake, 1)

    def _close_all(self) -> None:
        for key in list(self._held):
            self._retired.append(self._held.pop(key).socket)
        while self._retired:
            self._retired.pop().close()
        if self._wake >= 0:
            os.close(self._wake)
            self._wake = -1

    def _failed(self, key: Key, error: OSError) -> None:
        self.failures[key] += 1
        why = error.strerror or str(error)
        if self._trouble.get(key) != why:
            self._trouble[key] = why
            log.warning("%s: %s; trying on", self._name(key), why)

    def _name(self, key: Key) -> str:
        interface = self._ports[key].interface
        return f"{key} on {interface}" if interface else f"{key}"


def bind_to(sock: socket.socket, interface: str | None) -> None:
    """Binds SOCK to INTERFACE (socket(7), SO_BINDTODEVICE). Raises OSError."""
    if interface is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")


def send_to(address: tuple[str, int], data: bytes, sock: socket.socket) -> None:
    """Sends one datagram, now or not at all. Raises OSError."""
    sock.sendto(data, socket.MSG_DONTWAIT, address)
