# SPDX-License-Identifier: MIT
import socket

import pytest

from haagent.network.announce import announce
from haagent.network.frames import mac_bytes, rarp_announcement
from tests.unit.test_probes import needs_raw

MAC = "00:16:3e:00:00:01"
FRAME = bytes.fromhex(
    "ffffffffffff 00163e000001 8035"  # to everybody, from the guest, RARP
    "0001 0800 06 04 0003 00163e000001 00000000 00163e000001 00000000"
)


def test_the_frame_byte_by_byte() -> None:
    assert rarp_announcement(mac_bytes(MAC)) == FRAME


def test_a_wrong_address_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a MAC address"):
        announce("lo", "00:16:3e")


@needs_raw
def test_it_is_sent_three_times() -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as ear:
        ear.bind(("lo", 0x8035))
        announce("lo", MAC)
        for _ in range(3):
            assert ear.recv(100, socket.MSG_DONTWAIT) == FRAME
        with pytest.raises(BlockingIOError):
            ear.recv(100, socket.MSG_DONTWAIT)


@needs_raw
def test_a_missing_interface_is_an_error() -> None:
    with pytest.raises(OSError, match="No such device"):
        announce("no-such-card", MAC)
