# SPDX-License-Identifier: MIT
"""Asks the LAN, before addresses are given up: who has an address, and whether a gateway answers.

Decides nothing. Nobody's address changes by it but for an own one that is there while it asks.
"""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Interface

from haagent.errors import OperatorError, ToolError
from haagent.network.frames import ETHERTYPE_ARP, arp_request, parse_arp_reply
from haagent.network.probes import RefereeProbe, open_ethernet
from haagent.run import Run

ROUNDS = 3  # of questions, a second apart: RFC 5227 asks as often
NOBODY = IPv4Address(0)
LIMIT = 30.0  # seconds for ip(8)
LARGEST = 2048  # bytes; more than a frame


def owners(interface: str, asked: Sequence[IPv4Address]) -> dict[IPv4Address, str]:
    """The MAC of whoever says that an address is its own. Takes three seconds. Raises
    OperatorError.

    The questions are the probes of RFC 5227, from no address: no table of anybody learns from them.
    """
    found: dict[IPv4Address, str] = {}
    try:
        with open_ethernet(interface, ETHERTYPE_ARP) as sock:
            mac: bytes = sock.getsockname()[4]  # packet(7)
            for _ in range(ROUNDS):
                for address in asked:
                    sock.send(arp_request(mac, NOBODY, address))
                for frame in _frames(sock, time.monotonic() + 1.0):
                    reply = parse_arp_reply(frame)
                    if reply is not None and reply.address in asked:
                        found[reply.address] = reply.mac.hex(":")
    except OSError as error:
        raise OperatorError(
            f"Nobody on the LAN could be asked: {interface}: {error.strerror}.",
            "Nothing was changed. Look at the LAN cable of this machine.",
        ) from error
    return found


def _frames(sock: socket.socket, until: float) -> Iterator[bytes]:
    while (left := until - time.monotonic()) > 0:
        if select.select([sock], [], [], left)[0]:
            yield sock.recv(LARGEST)


def answers(interface: str, gateway: IPv4Address) -> bool:
    """Whether GATEWAY answers one of three pings."""
    heard = threading.Event()
    probe = RefereeProbe((gateway,), interface)
    thread = threading.Thread(target=probe.receive, args=(lambda _: heard.set(),), daemon=True)
    thread.start()
    try:
        for _ in range(ROUNDS):
            probe.send()
            if heard.wait(1.0):
                return True
        return False
    finally:
        probe.close()
        thread.join()


@contextlib.contextmanager
def also(interface: str, address: IPv4Interface, run: Run) -> Iterator[None]:
    """As long as it is open INTERFACE has ADDRESS, too. Raises ToolError."""
    change = (str(address), "dev", interface)
    run(("ip", "address", "add", *change, "broadcast", "+"), timeout=LIMIT)
    try:
        yield
    finally:
        # It may be gone already: systemd-networkd takes away what it does not know.
        with contextlib.suppress(ToolError):
            run(("ip", "address", "del", *change), timeout=LIMIT)
