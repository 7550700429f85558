# SPDX-License-Identifier: MIT
import struct

import pytest

from tests.vm.frames import (
    ARP,
    ETHERNET,
    TCP,
    UDP,
    carrying,
    checksum,
    content,
    ethertype,
    packet,
    repaired,
)

MACS = bytes.fromhex("525400000b01525400000a01")
ADDRESSES = bytes.fromhex("c0a84d01c0a84d02")


def ipv4(protocol: int, packet: bytes, word: int = 0, options: bytes = b"") -> bytes:
    """A frame around PACKET; WORD is IP's with flags and fragment offset."""
    words = (5 + len(options) // 4) | 0x40, 0, 20 + len(options) + len(packet), 1, word, 64
    return (
        MACS
        + b"\x08\0"
        + struct.pack("!BBHHHBBH", *words, protocol, 0)
        + ADDRESSES
        + (options + packet)
    )


def udp(payload: bytes, value: int = 0xDEAD, word: int = 0) -> bytes:
    return ipv4(UDP, struct.pack("!HHHH", 694, 694, 8 + len(payload), value) + payload, word)


def tcp(payload: bytes, options: bytes = b"") -> bytes:
    header = struct.pack(
        "!HHIIBBHHH", 45678, 7788, 1, 2, (5 + len(options) // 4) << 4, 24, 500, 0xDEAD, 0
    )
    return ipv4(TCP, header + options + payload)


def sums_up(frame: bytes) -> bool:
    """Whether a receiver would take the TCP or UDP packet in FRAME, RFC 793 and RFC 768."""
    found = packet(frame)
    assert found is not None
    body = frame[found.header : found.end]
    addresses = frame[ETHERNET + 12 : ETHERNET + 20]
    return checksum(addresses + struct.pack("!HH", found.protocol, len(body)) + body) == 0


def test_the_ethertype() -> None:
    assert ethertype(MACS + b"\x08\x06") == ARP
    assert ethertype(MACS + b"\x08") == ethertype(b"") == 0


def test_ports_and_content() -> None:
    found = packet(udp(b"beat"))
    assert found is not None and (found.protocol, found.ports) == (UDP, (694, 694))
    found = packet(tcp(b"block", options=bytes(12)))
    assert found is not None and (found.protocol, found.ports) == (TCP, (45678, 7788))
    for frame, carried in (
        (udp(b"beat"), b"beat"),
        (udp(b"beat") + b"padding", b"beat"),
        (tcp(b"block"), b"block"),
        (tcp(b"block", options=bytes(12)), b"block"),
        (tcp(b""), b""),
        (ipv4(UDP, udp(b"beat")[34:], options=bytes(4)), b"beat"),
        (ipv4(1, b"ping"), b"ping"),
        (ipv4(1, b"ping") + b"padding", b"ping"),
        (ipv4(UDP, b"the rest of it", word=0x2001), b"the rest of it"),
        (MACS + b"\x08\x06question", b"question"),
    ):
        assert frame[content(frame).start : content(frame).stop] == carried


@pytest.mark.parametrize("whole", [udp(b"beat")[:42], tcp(b"")], ids=["udp", "tcp"])
def test_what_is_cut_off_carries_no_packet(whole: bytes) -> None:
    assert packet(whole) is not None
    assert all(packet(whole[:length]) is None for length in range(len(whole)))


def test_only_the_first_fragment_has_ports() -> None:
    first, later = udp(b"beat", word=0x2000), udp(b"beat", word=0x2001)
    found = packet(first)
    assert found is not None and found.ports == (694, 694) and not found.is_whole
    assert packet(later) is packet(udp(b"beat", word=1)) is None
    assert packet(ipv4(1, bytes(40))) is None, "ICMP has no ports"
    assert repaired(first) == first


@pytest.mark.parametrize(
    "frame",
    [udp(b"beat"), udp(b"odd"), udp(b"beat") + b"padding", tcp(b"block"), tcp(b"", bytes(4))],
)
def test_a_repaired_packet_is_taken_and_is_else_the_same(frame: bytes) -> None:
    found = packet(frame)
    assert found is not None and not sums_up(frame)
    fixed = repaired(frame)
    assert sums_up(fixed)
    at = found.header + (6 if found.protocol == UDP else 16)
    assert fixed[:at] + frame[at : at + 2] + fixed[at + 2 :] == frame


@pytest.mark.parametrize("frame", [udp(b"beat"), tcp(b"block", bytes(4)), udp(b"beat") + bytes(9)])
@pytest.mark.parametrize("words", [b"", b"lies", b"a longer lie than what was there"])
def test_other_words_in_the_same_envelope(frame: bytes, words: bytes) -> None:
    before, forged = packet(frame), carrying(frame, words)
    found = packet(forged)
    assert before is not None and found is not None
    assert (found.protocol, found.ports) == (before.protocol, before.ports)
    assert found.end == len(forged), "a length of IP is wrong"
    assert forged[content(forged).start :] == words
    assert sums_up(forged)
    assert checksum(forged[14 : found.header]) == 0, "IP's own checksum is wrong"
    if found.protocol == UDP:
        assert int.from_bytes(forged[38:40]) == 8 + len(words)
    assert carrying(forged, words) == forged


@pytest.mark.parametrize("frame", [b"", MACS + b"\x08\x06question", udp(b"beat", word=0x2000)])
def test_no_words_fit_where_no_packet_is(frame: bytes) -> None:
    with pytest.raises(ValueError, match="no whole packet"):
        carrying(frame, b"lies")


def test_a_udp_checksum_of_zero_says_that_there_is_none() -> None:
    without = udp(b"beat", value=0)
    assert repaired(without) == without
    # The sum of the rest is 0xFFFF: what follows from it is 0, and is written as 0xFFFF.
    rest = ADDRESSES + struct.pack("!HHHHHH", UDP, 10, 694, 694, 10, 0)
    payload = checksum(rest).to_bytes(2)
    assert repaired(udp(payload))[40:42] == b"\xff\xff"


def test_the_checksum_of_the_standard() -> None:
    # RFC 1071, section 3: the sum is ddf2
    assert checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xDDF2 ^ 0xFFFF
    assert checksum(b"\x01") == checksum(b"\x01\0")
