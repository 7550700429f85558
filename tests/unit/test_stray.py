# SPDX-License-Identifier: MIT
"""A card that speaks where it does not belong; on the loopback, where we hear our own frames."""

import socket
import threading
from collections.abc import Iterator

import pytest

from haagent.core.model import NEVER
from haagent.network.frames import mac_bytes
from haagent.network.stray import StrayCard, only_from, open_ear
from tests.unit.test_probes import SECONDS, needs_raw
from tests.vm.wait import wait_until

MAC = "02:00:00:00:00:0b"
NEARLY = ("02:00:00:00:00:0c", "02:01:00:00:00:0b", "12:00:00:00:00:0b")


def frame(source: str, to: str = "ff:ff:ff:ff:ff:ff") -> bytes:
    return mac_bytes(to) + mac_bytes(source) + b"\x88\xb5" + bytes(46)  # for local experiments


def test_the_filter_byte_by_byte() -> None:
    """As `tcpdump -ddd ether src 02:00:00:00:00:0b` has it, but for how much is let through."""
    assert only_from(mac_bytes(MAC)) == b"".join(
        bytes.fromhex(line)
        for line in (
            "2000 00 00 08000000",
            "1500 00 03 0b000000",
            "2800 00 00 06000000",
            "1500 00 01 00020000",
            "0600 00 00 40000000",
            "0600 00 00 00000000",
        )
    )


@pytest.fixture
def wire() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
        sock.bind(("lo", 0))
        yield sock


@needs_raw
def test_one_card_passes_the_filter_and_no_other(wire: socket.socket) -> None:
    with open_ear("lo", mac_bytes(MAC)) as ear:
        ear.settimeout(SECONDS)
        for other in NEARLY:
            wire.send(frame(other, to=MAC))
        wire.send(frame(MAC, to=NEARLY[0]))
        assert ear.recv(100) == frame(MAC, to=NEARLY[0])


@needs_raw
def test_the_card_is_heard(wire: socket.socket) -> None:
    ear = StrayCard("lo", MAC)
    thread = threading.Thread(target=ear.receive)
    thread.start()
    assert ear.heard_at == NEVER
    for _ in range(2):
        before = ear.heard_at
        wire.send(frame(MAC))
        wait_until("the card to be heard", lambda was=before: ear.heard_at > was, SECONDS, 0.01)  # type: ignore[misc]
    ear.close()
    thread.join(SECONDS)
    assert not thread.is_alive()


@needs_raw
def test_an_interface_that_is_gone_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    made = StrayCard("no-such-card", MAC)
    made.follow()
    made.close()
    [record] = caplog.records
    assert record.getMessage().startswith("stray cards on no-such-card: ")
