# SPDX-License-Identifier: MIT
"""Hears on one interface whether a card speaks there that belongs somewhere else. Owns the socket.

What it means is a person's business: nothing that is decided depends on it. Needs CAP_NET_RAW.
"""

import ctypes
import socket
import struct
import time
from functools import partial

from haagent.core.model import NEVER
from haagent.network.frames import mac_bytes
from haagent.network.sockets import Port, Sockets

ETH_P_ALL = 0x0003  # linux/if_ether.h: frames of every kind
SO_ATTACH_FILTER = 26  # asm-generic/socket.h
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23  # linux/socket.h, linux/if_packet.h
ENOUGH = 64  # bytes of a frame that the filter lets through

# The classic BPF's codes that are used here, linux/bpf_common.h.
_LOAD_WORD, _LOAD_HALF, _IF_EQUAL, _RETURN = 0x20, 0x28, 0x15, 0x06
_INSTRUCTION = struct.Struct("=HBBI")  # struct sock_filter: code, then, else, operand


class StrayCard:
    """Listens on INTERFACE for the card with MAC (`52:54:00:00:0a:01`)."""

    def __init__(self, interface: str, mac: str) -> None:
        self.heard_at = NEVER  # monotonic: when it last spoke there
        port = Port(interface, partial(open_ear, interface, mac_bytes(mac)))
        self._sockets = Sockets[str]({"stray cards": port})

    def follow(self) -> None:
        """Listens on whatever interface has that name now. Never blocks; to be called regularly."""
        self._sockets.use("stray cards", lambda sock: None)

    def receive(self) -> None:
        """Notes when the card speaks, until `close`. Blocks; for a thread of its own."""

        def hear(_: str, frame: bytes, __: object) -> None:
            self.heard_at = time.monotonic()

        self._sockets.receive(hear)

    def close(self) -> None:
        self._sockets.close()


def only_from(mac: bytes) -> bytes:
    """A program for the kernel (Documentation/networking/filter.rst): of all frames, those that
    MAC (6 bytes) sent.
    """
    first, rest = struct.unpack("!HI", mac)
    return b"".join(
        _INSTRUCTION.pack(*line)
        for line in (
            (_LOAD_WORD, 0, 0, 8),  # the last four bytes of the source
            (_IF_EQUAL, 0, 3, rest),
            (_LOAD_HALF, 0, 0, 6),
            (_IF_EQUAL, 0, 1, first),
            (_RETURN, 0, 0, ENOUGH),
            (_RETURN, 0, 0, 0),
        )
    )


def open_ear(interface: str, mac: bytes) -> socket.socket:
    """A socket that hears what MAC sends on INTERFACE. Raises OSError.

    All that guests write goes over the crossover, so the kernel looks at none of our own frames for
    this, and the filter is there before the first one that comes in.
    """
    program = only_from(mac)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    try:
        code = ctypes.create_string_buffer(program, len(program))
        given = struct.pack("HP", len(program) // _INSTRUCTION.size, ctypes.addressof(code))
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, given)
        sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        sock.bind((interface, ETH_P_ALL))
    except OSError:
        sock.close()
        raise
    return sock
