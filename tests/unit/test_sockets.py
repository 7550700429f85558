# SPDX-License-Identifier: MIT
import logging
import queue
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from haagent.network.sockets import Port, Sockets, bind_to, send_to
from tests.vm.wait import wait_until

SECONDS = 10  # a deadline; nothing here takes so long


class Interface:
    """A network interface that can go and come back; its sockets are on the loopback."""

    def __init__(self) -> None:
        self.index: int | None = 1
        self.kind = socket.socket
        self.opened: list[socket.socket] = []

    def number(self, name: str) -> int:
        if self.index is None:
            raise OSError(19, f"No such device: {name}")
        return self.index

    def open(self) -> socket.socket:
        sock = self.kind(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        self.opened.append(sock)
        return sock


class Listener:
    """Runs `receive` in a thread, and keeps what it heard."""

    def __init__(self, sockets: Sockets[str]) -> None:
        self.heard: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.thread = threading.Thread(target=sockets.receive, args=(self._hear,))
        self.thread.start()

    def _hear(self, key: str, data: bytes, _: object) -> None:
        self.heard.put((key, data))


def tell(sock: socket.socket, data: bytes) -> None:
    """Sends DATA to SOCK."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as teller:
        teller.sendto(data, sock.getsockname())


def nothing(_: socket.socket) -> None:
    pass


@pytest.fixture
def interface() -> Interface:
    return Interface()


def sockets_on(interface: Interface, open: Callable[[], socket.socket]) -> Sockets[str]:
    return Sockets({"x": Port("eth9", open)}, index=interface.number)


def test_a_socket_follows_its_interface(interface: Interface) -> None:
    sockets = sockets_on(interface, interface.open)
    listener = Listener(sockets)
    tell(interface.opened[0], b"one")
    assert listener.heard.get(timeout=SECONDS) == ("x", b"one")

    interface.index = None
    sockets.use("x", nothing)
    assert sockets.failures["x"] == 1
    wait_until(
        "the deaf one to be closed", lambda: interface.opened[0].fileno() == -1, SECONDS, every=0.01
    )
    interface.index = 2  # it came back as another one
    sockets.use("x", nothing)
    assert len(interface.opened) == 2
    tell(interface.opened[1], b"two")
    assert listener.heard.get(timeout=SECONDS) == ("x", b"two")

    sockets.close()
    listener.thread.join(SECONDS)
    assert not listener.thread.is_alive()
    assert [sock.fileno() for sock in interface.opened] == [-1, -1], "not all are closed"


def test_an_interface_that_changed_unseen_is_followed_too(interface: Interface) -> None:
    sockets = sockets_on(interface, interface.open)
    interface.index = 2
    used: list[socket.socket] = []
    sockets.use("x", used.append)
    sockets.use("x", used.append)
    assert used == [interface.opened[1]] * 2
    sockets.close()
    assert [sock.fileno() for sock in interface.opened] == [-1, -1], "not all are closed"


def test_it_is_opened_once_for_all_uses(interface: Interface) -> None:
    sockets = sockets_on(interface, interface.open)
    for _ in range(3):
        sockets.use("x", nothing)
    assert len(interface.opened) == 1
    sockets.close()
    assert interface.opened[0].fileno() == -1


def test_a_trouble_is_logged_when_it_begins_and_when_it_ends(
    interface: Interface, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    interface.index = None
    sockets = sockets_on(interface, interface.open)
    sockets.use("x", nothing)
    sockets.use("x", nothing)
    assert sockets.failures["x"] == 3
    interface.index = 1
    sockets.use("x", nothing)
    sockets.use("x", nothing)
    assert [record.getMessage() for record in caplog.records] == [
        "x on eth9: No such device: eth9; trying on",
        "x on eth9: works again",
    ]
    sockets.close()


def test_an_error_on_reading_costs_one_socket_and_no_busy_loop(interface: Interface) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        nobody = gone.getsockname()

    def open_refused() -> socket.socket:
        """A socket on which ICMP's "port unreachable" is an error: it is connected (udp(7))."""
        sock = interface.open()
        sock.connect(nobody)
        return sock

    sockets = sockets_on(interface, open_refused)
    listener = Listener(sockets)
    sockets.use("x", lambda sock: sock.send(b"hello?"))
    wait_until("the error to be read", lambda: sockets.failures["x"] == 1, SECONDS, every=0.01)
    wait_until(
        "the socket to be closed", lambda: interface.opened[0].fileno() == -1, SECONDS, every=0.01
    )
    assert len(interface.opened) == 1, "opened without being used"
    sockets.use("x", nothing)
    assert len(interface.opened) == 2
    sockets.close()
    listener.thread.join(SECONDS)


class Awkward(socket.socket):
    """A socket on which the next reading goes differently."""

    instead: Callable[[], None] | None = None

    def recvfrom(self, *arguments: Any) -> Any:
        instead, self.instead = self.instead, None
        if instead:
            super().recvfrom(*arguments)
            instead()
        return super().recvfrom(*arguments)


def test_a_packet_that_is_announced_and_then_dropped(interface: Interface) -> None:
    """select(2): a packet with a wrong checksum wakes the reader, who then finds nothing."""
    interface.kind = Awkward
    sockets = sockets_on(interface, interface.open)
    ear = interface.opened[0]
    assert isinstance(ear, Awkward)

    def drop() -> None:
        raise BlockingIOError

    ear.instead = drop
    tell(ear, b"spoiled")
    tell(ear, b"good")
    listener = Listener(sockets)
    assert listener.heard.get(timeout=SECONDS) == ("x", b"good")
    sockets.close()
    listener.thread.join(SECONDS)
    assert sockets.failures["x"] == 0


def test_the_last_error_of_a_replaced_socket_does_not_hurt_the_new_one(
    interface: Interface,
) -> None:
    interface.kind = Awkward
    sockets = sockets_on(interface, interface.open)
    ear = interface.opened[0]
    assert isinstance(ear, Awkward)

    def replace() -> None:
        interface.index = 2
        sockets.use("x", nothing)
        raise OSError(100, "Network is down")

    ear.instead = replace
    tell(ear, b"spoiled")
    listener = Listener(sockets)
    wait_until("the old one to be closed", lambda: ear.fileno() == -1, SECONDS, every=0.01)
    tell(interface.opened[1], b"good")
    assert listener.heard.get(timeout=SECONDS) == ("x", b"good")
    sockets.close()
    listener.thread.join(SECONDS)


def test_the_listener_sleeps_when_there_is_nothing_to_hear(interface: Interface) -> None:
    sockets = sockets_on(interface, interface.open)
    listener = Listener(sockets)
    interface.index = 2
    sockets.use("x", nothing)  # wakes it, once
    assert listener.thread.ident is not None
    clock = time.pthread_getcpuclockid(listener.thread.ident)
    before = time.clock_gettime(clock)
    threading.Event().wait(0.1)  # time for a busy loop to show itself
    assert time.clock_gettime(clock) - before < 0.01
    sockets.close()
    listener.thread.join(SECONDS)


def test_what_the_listener_raises_gets_out(interface: Interface) -> None:
    sockets = sockets_on(interface, interface.open)
    tell(interface.opened[0], b"bad")

    def complain(key: str, data: bytes, _: object) -> None:
        raise ZeroDivisionError(key, data)

    with pytest.raises(ZeroDivisionError):
        sockets.receive(complain)
    tell(interface.opened[0], b"worse")
    with pytest.raises(ZeroDivisionError):
        sockets.receive(complain)
    sockets.close()
    assert interface.opened[0].fileno() == -1, "left to a listener that is gone"


def test_nothing_is_done_or_left_open_after_the_end(interface: Interface) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    sockets = sockets_on(interface, interface.open)
    sockets.close()
    sockets.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    sockets.use("x", partial(pytest.fail, "used after the end"))
    sockets.receive(lambda *_: pytest.fail("heard after the end"))
    assert len(interface.opened) == 1


def test_a_full_buffer_does_not_hold_up_the_sender(interface: Interface) -> None:
    """A UNIX datagram socket that nobody reads would block its sender."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    sockets = sockets_on(interface, lambda: near)
    for _ in range(10000):
        sockets.use("x", lambda sock: sock.send(b"x", socket.MSG_DONTWAIT))
    assert 0 < sockets.failures["x"] < 10000
    sockets.close()
    far.close()


def test_a_datagram_is_sent_now_or_not_at_all() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear:
        ear.bind(("127.0.0.1", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
            send_to(ear.getsockname(), b"hello", mouth)
        ear.settimeout(SECONDS)
        assert ear.recv(10) == b"hello"


def test_a_socket_is_bound_to_its_interface_by_name() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        bind_to(sock, None)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16) == b""
        bind_to(sock, "lo")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16) == b"lo\0"
