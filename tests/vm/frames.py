# SPDX-License-Identifier: MIT
"""What an Ethernet frame on a cable carries. Pure: bytes in, bytes out.

A frame is what QEMU's `dgram` netdev puts into one datagram: it begins with the MAC address of
whom it is for, and has no frame check sequence at its end. Of IP only version 4 is looked into, and
no VLAN tag. Whatever is anything else, or is cut off, carries no packet here, and is no error.
"""

import struct
from dataclasses import dataclass

ETHERNET = 14  # bytes of header: to, from, type
ARP = 0x0806  # RFC 826
IPV4 = 0x0800  # RFC 894
TCP, UDP = 6, 17  # RFC 790

IPV4_HEADER = 20  # bytes, at least; RFC 791
IPV4_CHECKSUM = ETHERNET + 10  # where in the frame that of this header is
FRAGMENT = 0x3FFF  # of the word with the flags: "more fragments", and where this one belongs
OFFSET = 0x1FFF  # of the same word
CHECKSUM = {TCP: 16, UDP: 6}  # bytes from the beginning of the header; RFC 793, RFC 768
HEADER = {TCP: 20, UDP: 8}  # bytes, at least


@dataclass(frozen=True, slots=True)
class Packet:
    """A TCP or UDP packet in a frame, or the first fragment of one."""

    protocol: int  # TCP or UDP
    ports: tuple[int, int]  # source, destination
    header: int  # where in the frame its header begins
    payload: int  # where what it carries begins
    end: int  # where that ends; padding may follow
    is_whole: bool  # no fragment


def ethertype(frame: bytes) -> int:
    """What kind of frame it is (IEEE 802 numbers); 0 if it has no whole header."""
    return int.from_bytes(frame[12:ETHERNET]) if len(frame) >= ETHERNET else 0


def datagram(frame: bytes) -> range:
    """Where in FRAME is what its IPv4 header announces (RFC 791); nowhere, if it has none."""
    if ethertype(frame) != IPV4 or len(frame) < ETHERNET + IPV4_HEADER:
        return range(0)
    (length,) = struct.unpack_from("!2xH", frame, ETHERNET)
    return range(ETHERNET + 4 * (frame[ETHERNET] & 15), min(len(frame), ETHERNET + length))


def packet(frame: bytes) -> Packet | None:
    """The TCP or UDP packet in FRAME, if its header is there (RFC 793, RFC 768)."""
    inside = datagram(frame)
    if not inside:
        return None
    header, end = inside.start, inside.stop
    word, protocol = struct.unpack_from("!6xHxB", frame, ETHERNET)
    if word & OFFSET or protocol not in HEADER or header + HEADER[protocol] > end:
        return None
    payload = header + (4 * (frame[header + 12] >> 4) if protocol == TCP else HEADER[UDP])
    ports = struct.unpack_from("!HH", frame, header)
    return Packet(protocol, ports, header, min(payload, end), end, not word & FRAGMENT)


def content(frame: bytes) -> range:
    """Which bytes of FRAME are what a program sent: what a TCP or UDP packet carries; or else what
    follows the header of IP; or else that of Ethernet.
    """
    found = packet(frame)
    if found:
        return range(found.payload, found.end)
    return datagram(frame) or range(ETHERNET, len(frame))


def carrying(frame: bytes, words: bytes) -> bytes:
    """FRAME with WORDS in place of what its TCP or UDP packet carries, as a sender that is no
    friend would have made it: every length and checksum is right. Raises ValueError if FRAME has no
    whole packet.
    """
    found = packet(frame)
    if found is None or not found.is_whole:
        raise ValueError(f"no whole packet is in {frame.hex()}")
    made = bytearray(frame[: found.payload] + words)
    struct.pack_into("!H", made, ETHERNET + 2, len(made) - ETHERNET)
    if found.protocol == UDP:
        struct.pack_into("!H", made, found.header + 4, len(made) - found.header)
    struct.pack_into("!H", made, IPV4_CHECKSUM, 0)
    struct.pack_into("!H", made, IPV4_CHECKSUM, checksum(bytes(made[ETHERNET : found.header])))
    return repaired(bytes(made))


def repaired(frame: bytes) -> bytes:
    """FRAME with the checksum of its TCP or UDP packet made right.

    A fragment's cannot be: it covers what the others carry. A UDP packet that was sent without one
    stays so.
    """
    found = packet(frame)
    if found is None or not found.is_whole:
        return frame
    at = found.header + CHECKSUM[found.protocol]
    if found.protocol == UDP and frame[at : at + 2] == bytes(2):
        return frame
    blank = frame[found.header : at] + bytes(2) + frame[at + 2 : found.end]
    # RFC 793: the addresses, the protocol and the length count as if they came before the header.
    pseudo = frame[ETHERNET + 12 : ETHERNET + IPV4_HEADER] + struct.pack(
        "!HH", found.protocol, len(blank)
    )
    value = checksum(pseudo + blank)
    if found.protocol == UDP and not value:
        value = 0xFFFF  # RFC 768: 0 would say that there is none
    return frame[:at] + value.to_bytes(2) + frame[at + 2 :]


def checksum(data: bytes) -> int:
    """The Internet's, of DATA: the complement of the sum in one's complement, RFC 1071."""
    words: tuple[int, ...] = struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF
