# SPDX-License-Identifier: MIT
import queue
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from haagent.network.frames import (
    ArpReply,
    EchoReply,
    arp_request,
    checksum,
    echo_request,
    mac_bytes,
    parse_arp_reply,
    parse_echo_reply,
)
from haagent.network.probes import REMEMBERED, Echoes, PeerProbe, RefereeProbe, neighbour

SECONDS = 10  # a deadline; nothing here takes so long
US, GATEWAY = IPv4Address("10.0.2.11"), IPv4Address("10.0.2.2")
OUR_MAC = "02:00:00:00:00:0a"
PEER, PEER_MAC = IPv4Address("10.0.2.12"), "02:00:00:00:00:0b"


def can_open_raw() -> bool:
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except PermissionError:
        return False
    return True


needs_raw = pytest.mark.skipif(not can_open_raw(), reason="raw sockets need CAP_NET_RAW")

# An answer of a Linux machine to a ping: identifier 0x1234, sequence number 5, payload "shoe".
REPLY = bytes.fromhex(
    "45000020 abcd0000 4001b703 0a000202 0a00020b"  # IPv4: 10.0.2.2 to 10.0.2.11, ICMP
    "00000af9 12340005 73686f65"
)


def changed(data: bytes, offset: int, value: int) -> bytes:
    return data[:offset] + bytes([value]) + data[offset + 1 :]


def test_the_checksum_of_rfc_1071() -> None:
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == ~0xDDF2 & 0xFFFF
    assert checksum(b"\xab") == checksum(b"\xab\x00")
    assert checksum(b"\xff\xff" * 3 + b"\x00\x01") == 0xFFFE  # a carry of a carry


def test_an_echo_request_byte_by_byte() -> None:
    assert echo_request(0x1234, 5, b"shoe") == bytes.fromhex("0800 02f9 1234 0005 73686f65")
    assert checksum(echo_request(0xFFFF, 0xFFFF, b"odd")) == 0


def test_an_echo_reply_is_read() -> None:
    assert parse_echo_reply(REPLY) == EchoReply(GATEWAY, 0x1234, 5, b"shoe")
    with_options = changed(REPLY[:20], 0, 0x46) + b"\x01\x01\x01\x00" + REPLY[20:]
    assert parse_echo_reply(with_options) == EchoReply(GATEWAY, 0x1234, 5, b"shoe")


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        REPLY[:19],
        REPLY[:27],
        changed(REPLY, 0, 0x65),  # IPv6
        changed(REPLY, 0, 0x44),  # a header shorter than any
        changed(REPLY, 0, 0x4F),  # a header longer than the packet
        changed(REPLY, 9, 17),  # UDP
        changed(REPLY, 31, 0x64),  # a bad checksum
        REPLY[:20] + echo_request(0x1234, 5, b"shoe"),  # our own request
        REPLY[:20] + bytes.fromhex("0001 0af8 1234 0005 73686f65"),  # a code that is not
        REPLY[:20] + bytes.fromhex("0300 07f8 1234 0006 73686f65"),  # unreachable
    ],
)
def test_anything_else_is_no_echo_reply(packet: bytes) -> None:
    assert parse_echo_reply(packet) is None


def answer(request: bytes, source: IPv4Address = GATEWAY) -> EchoReply:
    """What a machine at SOURCE sends back for REQUEST."""
    body = bytes([0, 0, 0, 0]) + request[4:]
    message = body[:2] + checksum(body).to_bytes(2) + body[4:]
    reply = parse_echo_reply(REPLY[:12] + source.packed + REPLY[16:20] + message)
    assert reply is not None
    return reply


def test_an_answer_tells_when_its_own_probe_left() -> None:
    echoes = Echoes([GATEWAY, PEER])
    first, second = answer(echoes.request(100.0)), answer(echoes.request(100.5), PEER)
    assert echoes.sent_at(second) == 100.5
    assert echoes.sent_at(first) == 100.0  # late, and still not younger than it is
    assert echoes.sent_at(first) == 100.0  # each address may answer the same probe


def test_answers_that_are_not_to_us() -> None:
    echoes = Echoes([GATEWAY])
    reply = answer(echoes.request(1.0))
    assert echoes.sent_at(None) is None
    for other in (
        replace(reply, source=PEER),
        replace(reply, identifier=reply.identifier ^ 1),
        replace(reply, sequence=reply.sequence + 1),
        replace(reply, payload=reply.payload[:-1] + bytes([reply.payload[-1] ^ 1])),
        replace(reply, payload=b""),
        answer(Echoes([GATEWAY]).request(1.0)),
    ):
        assert echoes.sent_at(other) is None, other


def test_an_old_probe_is_forgotten() -> None:
    echoes = Echoes([GATEWAY])
    first = answer(echoes.request(0.0))
    for n in range(1, REMEMBERED):
        echoes.request(float(n))
    assert echoes.sent_at(first) == 0.0
    echoes.request(float(REMEMBERED))
    assert echoes.sent_at(first) is None


def test_the_sequence_number_wraps_and_the_newest_counts() -> None:
    echoes = Echoes([GATEWAY])
    first = answer(echoes.request(0.0))
    for n in range(1, 0x10000):
        echoes.request(float(n))
    assert echoes.sent_at(first) is None
    assert answer(echoes.request(65536.0)) == first
    assert echoes.sent_at(first) == 65536.0


def test_there_are_at_most_three_referees() -> None:
    with pytest.raises(ValueError, match="4 referees"):
        RefereeProbe([GATEWAY + n for n in range(4)], "lo")


def test_an_arp_request_byte_by_byte() -> None:
    assert arp_request(mac_bytes(OUR_MAC), US, PEER) == bytes.fromhex(
        "ffffffffffff 02000000000a 0806"
        "0001 0800 06 04 0001 02000000000a 0a00020b 000000000000 0a00020c"
    )


ARP_REPLY = bytes.fromhex(
    "02000000000a 02000000000b 08060001 0800 06 04 0002 02000000000b 0a00020c 02000000000a 0a00020b"
)


def test_an_arp_reply_is_read() -> None:
    expected = ArpReply(mac_bytes(PEER_MAC), PEER, mac_bytes(PEER_MAC))
    assert parse_arp_reply(ARP_REPLY) == expected
    assert parse_arp_reply(ARP_REPLY + bytes(18)) == expected  # padded to Ethernet's 60 bytes
    virtual = changed(ARP_REPLY, 11, 0x0C)
    assert parse_arp_reply(virtual) == replace(expected, source=mac_bytes("02:00:00:00:00:0c"))


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        ARP_REPLY[:-1],
        changed(ARP_REPLY, 13, 0x35),  # another type of frame
        changed(ARP_REPLY, 15, 6),  # other hardware
        changed(ARP_REPLY, 16, 0x86),  # another protocol
        changed(ARP_REPLY, 18, 8),  # longer hardware addresses
        changed(ARP_REPLY, 21, 1),  # a request
    ],
)
def test_anything_else_is_no_arp_reply(frame: bytes) -> None:
    assert parse_arp_reply(frame) is None


def test_mac_addresses() -> None:
    assert mac_bytes("00:16:3E:0a:ff:01") == b"\x00\x16\x3e\x0a\xff\x01"
    for wrong in ("", "00:16:3e:0a:ff", "00:16:3e:0a:ff:1", "00163e0aff01", "00:16:3e:0a:ff:0g"):
        with pytest.raises(ValueError, match="is not a MAC address"):
            mac_bytes(wrong)


class Ears:
    """Runs a probe's `receive` in a thread, and keeps what it posts."""

    def __init__(self, receive: Callable[[Callable[..., None]], None]) -> None:
        self.posted: queue.Queue[tuple[object, ...]] = queue.Queue()
        self.thread = threading.Thread(target=receive, args=(lambda *a: self.posted.put(a),))
        self.thread.start()

    def end(self, probe: RefereeProbe | PeerProbe) -> None:
        probe.close()
        self.thread.join(SECONDS)
        assert not self.thread.is_alive()


@needs_raw
def test_referees_that_answer_are_heard() -> None:
    """The kernel answers for every address of the loopback, and to another run's probe too."""
    asked = [IPv4Address("127.0.0.1"), IPv4Address("127.0.0.2")]
    probe, other = RefereeProbe(asked, "lo"), RefereeProbe(asked, None)
    ears = Ears(probe.receive)
    for _ in range(2):
        other.send()
        before = time.monotonic()
        probe.send()
        after = time.monotonic()
        # One answer from each address, with the time of this round and of no other.
        for _ in asked:
            [sent] = ears.posted.get(timeout=SECONDS)
            assert isinstance(sent, float)
            assert before <= sent <= after
    ears.end(probe)
    other.close()
    assert ears.posted.empty()


@needs_raw
def test_a_guest_that_has_the_referees_address_is_none(caplog: pytest.LogCaptureFixture) -> None:
    """It answers over the bridge, also where both cables are gone."""
    loopback, macs = IPv4Address("127.0.0.1"), iter([PEER_MAC, OUR_MAC, OUR_MAC, None, PEER_MAC])
    probe = RefereeProbe([loopback], "lo", [OUR_MAC], lambda address: next(macs))
    control = RefereeProbe([loopback], "lo")
    ears, control_ears = Ears(probe.receive), Ears(control.receive)
    for _ in range(5):
        probe.send()
        control.send()
        control_ears.posted.get(timeout=SECONDS)
    for _ in range(3):
        ears.posted.get(timeout=SECONDS)
    ears.end(probe)
    control_ears.end(control)
    assert ears.posted.empty()
    [record] = caplog.records
    assert "127.0.0.1 count for nothing: it is one of our own guests, the one with the MAC" in (
        record.getMessage()
    )


def test_a_neighbour_is_read(tmp_path: Path) -> None:
    table = tmp_path / "arp"
    table.write_text(
        "IP address       HW type     Flags       HW address            Mask     Device\n"
        f"{GATEWAY}         0x1         0x2         {PEER_MAC}     *        lan\n"
        f"{US}        0x1         0x0         00:00:00:00:00:00     *        lan\n"
    )
    assert neighbour(GATEWAY, table) == PEER_MAC
    assert neighbour(US, table) is neighbour(PEER, table) is None


OTHER_CARDS = [name for _, name in socket.if_nameindex() if name != "lo"]


@needs_raw
@pytest.mark.skipif(not OTHER_CARDS, reason="this host has only a loopback")
def test_an_answer_through_another_card_is_none() -> None:
    """The loopback answers, but we ask through a card of which it is not a part."""
    loopback = IPv4Address("127.0.0.1")
    probe, control = RefereeProbe([loopback], OTHER_CARDS[0]), RefereeProbe([loopback], None)
    ears, control_ears = Ears(probe.receive), Ears(control.receive)
    for _ in range(3):
        probe.send()
        control.send()
        control_ears.posted.get(timeout=SECONDS)
    ears.end(probe)
    control_ears.end(control)
    assert ears.posted.empty()


@needs_raw
def test_a_referee_that_cannot_be_asked_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    probe = RefereeProbe([GATEWAY], "no-such-card")
    probe.send()
    probe.send()
    probe.close()
    [record] = caplog.records
    assert record.getMessage().startswith("10.0.2.2 on no-such-card: ")


@needs_raw
def test_only_the_expected_mac_is_the_peer() -> None:
    """On the loopback we hear our own frames, so the test can play the peer."""
    probe = PeerProbe("lo", US, {PEER: PEER_MAC})
    ears = Ears(probe.receive)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as peer:
        peer.bind(("lo", 0x0806))
        peer.settimeout(SECONDS)
        probe.send()
        assert peer.recv(100)[:42] == arp_request(bytes(6), US, PEER)  # MAC of lo: only zeros
        proxy = ARP_REPLY[:22] + mac_bytes("02:00:00:00:00:0c") + ARP_REPLY[28:]
        forged = ARP_REPLY[:6] + mac_bytes("02:00:00:00:00:0c") + ARP_REPLY[12:]
        other_address = ARP_REPLY[:28] + GATEWAY.packed + ARP_REPLY[32:]
        for frame in (proxy, forged, other_address, ARP_REPLY):
            peer.send(frame)
    assert ears.posted.get(timeout=SECONDS) == (PEER,)
    ears.end(probe)
    assert ears.posted.empty()


@needs_raw
def test_a_card_that_is_gone_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    probe = PeerProbe("no-such-card", US, {PEER: PEER_MAC})
    probe.send()
    probe.close()
    [record] = caplog.records
    assert record.getMessage().startswith("ARP on no-such-card: ")
