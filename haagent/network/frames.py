# SPDX-License-Identifier: MIT
"""Packets as bytes: built and parsed. Pure: no socket, no clock.

A parser answers None for anything that is not exactly what it looks for: the network is full of
other things, and they are nobody's error.
"""

import re
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

ETHERTYPE_ARP = 0x0806  # RFC 826
ETHERTYPE_RARP = 0x8035  # RFC 903

_BROADCAST = b"\xff" * 6
_NO_MAC = b"\0" * 6
_NO_ADDRESS = IPv4Address(0)

_ETHERNET = struct.Struct("!6s6sH")  # to, from, type
_ARP = struct.Struct("!HHBBH6s4s6s4s")  # RFC 826, for Ethernet and IPv4
_ARP_IPV4_ON_ETHERNET = (1, 0x0800, 6, 4)  # hardware and protocol type, and both lengths
_ARP_REQUEST = 1
_ARP_REPLY = 2
_RARP_REQUEST = 3  # RFC 903: "request reverse"

_ICMP = struct.Struct("!BBHHH")  # RFC 792: type, code, checksum, identifier, sequence number
_ECHO_REQUEST = 8
_ECHO_REPLY = 0
_IPV4_HEADER = 20  # bytes, at least; RFC 791
_PROTOCOL = 9  # where the header says what it carries
_PROTOCOL_ICMP = 1

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class EchoReply:
    """Somebody at SOURCE sent our echo request back."""

    source: IPv4Address
    identifier: int
    sequence: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class ArpReply:
    """Somebody with MAC (6 bytes) says that ADDRESS is its own."""

    mac: bytes
    address: IPv4Address
    source: bytes  # of the frame; not the same for a router with a virtual MAC (RFC 5798, 8.1.2)


def mac_bytes(text: str) -> bytes:
    """The 6 bytes of `00:16:3e:00:00:01`. Raises ValueError."""
    if not _MAC.fullmatch(text):
        raise ValueError(f"{text!r} is not a MAC address like 00:16:3e:00:00:01")
    return bytes.fromhex(text.replace(":", ""))


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071): 0 over data that carries its own, right checksum."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def echo_request(identifier: int, sequence: int, payload: bytes) -> bytes:
    """An ICMP echo request (RFC 792). IDENTIFIER and SEQUENCE are 16 bits each."""
    blank = _ICMP.pack(_ECHO_REQUEST, 0, 0, identifier, sequence) + payload
    return _ICMP.pack(_ECHO_REQUEST, 0, checksum(blank), identifier, sequence) + payload


def parse_echo_reply(packet: bytes) -> EchoReply | None:
    """The echo reply in PACKET, an IPv4 packet as a raw socket gives it (raw(7): with its header).

    A raw socket gets the packet before the kernel checks its ICMP checksum: it is checked here.
    """
    if len(packet) < _IPV4_HEADER or packet[0] >> 4 != 4 or packet[_PROTOCOL] != _PROTOCOL_ICMP:
        return None
    header = (packet[0] & 0x0F) * 4
    message = packet[header:]
    if header < _IPV4_HEADER or len(message) < _ICMP.size or checksum(message) != 0:
        return None
    kind, code, _, identifier, sequence = _ICMP.unpack_from(message)
    if (kind, code) != (_ECHO_REPLY, 0):
        return None
    return EchoReply(IPv4Address(packet[12:16]), identifier, sequence, message[_ICMP.size :])


def arp_request(our_mac: bytes, our_address: IPv4Address, asked: IPv4Address) -> bytes:
    """An Ethernet frame that asks everybody who has the address ASKED.

    Our own address is in it. Without, it would be the probe of RFC 5227, which a machine that is
    about to take ASKED must understand as a conflict, and give the address up.
    """
    return _arp_frame(
        ETHERTYPE_ARP, our_mac, _ARP_REQUEST, (our_mac, our_address), (_NO_MAC, asked)
    )


def parse_arp_reply(frame: bytes) -> ArpReply | None:
    """Who answers in FRAME, an Ethernet frame without VLAN tag; padding after it is allowed."""
    if len(frame) < _ETHERNET.size + _ARP.size:
        return None
    _, source, ethertype = _ETHERNET.unpack_from(frame)
    *kind, operation, mac, address, _, _ = _ARP.unpack_from(frame, _ETHERNET.size)
    if (ethertype, operation) != (ETHERTYPE_ARP, _ARP_REPLY):
        return None
    if tuple(kind) != _ARP_IPV4_ON_ETHERNET:
        return None
    return ArpReply(mac, IPv4Address(address), source)


def rarp_announcement(mac: bytes) -> bytes:
    """An Ethernet frame that tells every switch behind which port MAC (6 bytes) is.

    It is the request that a machine without an address broadcasts about itself (RFC 903): it needs
    to know no address, and nobody's ARP table is changed by it.
    """
    return _arp_frame(ETHERTYPE_RARP, mac, _RARP_REQUEST, (mac, _NO_ADDRESS), (mac, _NO_ADDRESS))


def _arp_frame(
    ethertype: int,
    source: bytes,
    operation: int,
    sender: tuple[bytes, IPv4Address],
    target: tuple[bytes, IPv4Address],
) -> bytes:
    return _ETHERNET.pack(_BROADCAST, source, ethertype) + _ARP.pack(
        *_ARP_IPV4_ON_ETHERNET,
        operation,
        sender[0],
        sender[1].packed,
        target[0],
        target[1].packed,
    )
