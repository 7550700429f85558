# SPDX-License-Identifier: MIT
"""Ethernet frames of the pairing: ours built and parsed, and what others tell by being there.

Pure: no socket, no clock. An announcement travels straight in Ethernet: it needs no address, and no
router carries it on.
"""

import struct

from firstboot.pairing import announcement as announcements
from firstboot.pairing.announcement import Announcement
from haagent.errors import PeerError
from haagent.network.frames import mac_bytes

ETHERTYPE = 0x88B5  # IEEE 802, local experimental ethertype 1
GROUP = "03:53:48:4f:45:01"  # everybody who pairs: a group address that is locally administered

_ETHERNET = struct.Struct("!6s6sH")  # to, from, type
_HEAD = struct.Struct("!8sH")  # ours: a mark, for others may experiment too, and the length
_MARK = b"shoestr\0"

_ETHERTYPE_IPV4, _ETHERTYPE_IPV6 = 0x0800, 0x86DD
_IPV4 = struct.Struct("!B8xB10x")  # RFC 791: version and length of the header, protocol
_FRAGMENT_OFFSET = struct.Struct("!6xH")  # RFC 791, with flags
_UDP, _DHCP_SERVER = 17, 67  # RFC 2131: what a server sends comes from here
_IPV6 = struct.Struct("!6xB33x")  # RFC 8200: next header
_ICMPV6, _ROUTER_ADVERTISEMENT = 58, 134  # RFC 4861


def build(announcement: Announcement) -> bytes:
    """The frame that carries ANNOUNCEMENT, from its card to everybody. Raises BugError."""
    text = announcements.encode(announcement)
    ethernet = _ETHERNET.pack(mac_bytes(GROUP), mac_bytes(announcement.mac), ETHERTYPE)
    return ethernet + _HEAD.pack(_MARK, len(text)) + text


def parse(frame: bytes) -> Announcement | None:
    """The announcement in FRAME; None if it carries none. Raises PeerError for a broken one."""
    start = _ETHERNET.size + _HEAD.size
    if len(frame) < start or _ETHERNET.unpack_from(frame)[2] != ETHERTYPE:
        return None
    mark, length = _HEAD.unpack_from(frame, _ETHERNET.size)
    if mark != _MARK:
        return None
    # What follows is padding: Ethernet has a shortest frame.
    text = frame[start : start + length]
    if len(text) < length:
        raise PeerError(f"an announcement of {length} bytes, of which {len(text)} came")
    heard = announcements.decode(text)
    if heard.mac != source(frame):
        raise PeerError(f"an announcement of {heard.mac} that came from {source(frame)}")
    return heard


def source(frame: bytes) -> str | None:
    """The MAC address that FRAME came from; None if it is too short to have one."""
    if len(frame) < _ETHERNET.size:
        return None
    sender: bytes = _ETHERNET.unpack_from(frame)[1]
    return sender.hex(":")


def is_from_router(frame: bytes) -> bool:
    """Whether only somebody who gives addresses to others sends such a FRAME."""
    if len(frame) < _ETHERNET.size:
        return False
    ethertype, packet = _ETHERNET.unpack_from(frame)[2], frame[_ETHERNET.size :]
    if ethertype == _ETHERTYPE_IPV4:
        return _is_from_dhcp_server(packet)
    if ethertype == _ETHERTYPE_IPV6 and len(packet) > _IPV6.size:
        [following] = _IPV6.unpack_from(packet)
        return bool(following == _ICMPV6 and packet[_IPV6.size] == _ROUTER_ADVERTISEMENT)
    return False


def _is_from_dhcp_server(packet: bytes) -> bool:
    if len(packet) < _IPV4.size:
        return False
    first, protocol = _IPV4.unpack_from(packet)
    header = (first & 0x0F) * 4
    is_first_fragment = not _FRAGMENT_OFFSET.unpack_from(packet)[0] & 0x1FFF
    if first >> 4 != 4 or protocol != _UDP or not is_first_fragment or header < _IPV4.size:
        return False
    return int.from_bytes(packet[header : header + 2]) == _DHCP_SERVER
