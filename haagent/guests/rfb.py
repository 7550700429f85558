# SPDX-License-Identifier: MIT
"""The first words of the protocol of VNC, RFC 6143: a viewer is let in by a password, and a screen
that asks for none is entered. What they say after that goes through unread.

QEMU as Debian builds it for Xen has no DES, and so no password of its own.
"""

import hmac
import re
import secrets
import socket
import time

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

VERSION = b"RFB 003.008\n"
GIVEN = re.compile(rb"RFB ([0-9]{3})\.([0-9]{3})\n")
NOTHING, PASSWORD = 1, 2  # section 7.1.2
CHALLENGE = 16  # bytes
LONGEST = 8  # characters of a password; whatever follows does not count


class Odd(Exception):
    """What was said is none of this, or nothing came in time."""


def answer(password: str, challenge: bytes) -> bytes:
    """Section 7.2.2: the challenge, encrypted by DES with the password, whose bytes are turned
    round, as all programs have it. Three times the same key is DES.
    """
    key = password.encode()[:LONGEST].ljust(LONGEST, b"\0")
    turned = bytes(int(f"{byte:08b}"[::-1], 2) for byte in key)
    encryptor = Cipher(TripleDES(turned * 3), modes.ECB()).encryptor()
    return encryptor.update(challenge) + encryptor.finalize()


def lets_in(viewer: socket.socket, password: str, within: float) -> bool:
    """Whether VIEWER knows the PASSWORD; it was told, and has said all of it WITHIN seconds. Raises
    Odd, or OSError.
    """
    end = time.monotonic() + within
    viewer.sendall(VERSION)
    minor = _minor(_read(viewer, len(VERSION), end))
    if minor >= 7:
        viewer.sendall(bytes((1, PASSWORD)))
        if _read(viewer, 1, end) != bytes((PASSWORD,)):
            raise Odd("it takes no password")
    else:
        viewer.sendall(PASSWORD.to_bytes(4))
    challenge = secrets.token_bytes(CHALLENGE)
    viewer.sendall(challenge)
    said = _read(viewer, CHALLENGE, end)
    if hmac.compare_digest(said, answer(password, challenge)):
        viewer.sendall(bytes(4))
        return True
    why = b"The password is another one."
    viewer.sendall((1).to_bytes(4) + (len(why).to_bytes(4) + why if minor >= 8 else b""))
    return False


def enter(screen: socket.socket, within: float) -> None:
    """SCREEN waits for what a viewer says after that. Raises Odd, or OSError."""
    end = time.monotonic() + within
    if _minor(_read(screen, len(VERSION), end)) < 8:
        raise Odd("it is of an old version")
    screen.sendall(VERSION)
    [count] = _read(screen, 1, end)
    if NOTHING not in _read(screen, count, end):
        raise Odd("it asks for a password")
    screen.sendall(bytes((NOTHING,)))
    if _read(screen, 4, end) != bytes(4):
        raise Odd("it lets nobody in")


def _minor(greeting: bytes) -> int:
    """Of the version that both speak; what is none of ours is 3.3 (section 7.1.1)."""
    found = GIVEN.fullmatch(greeting)
    if not found:
        raise Odd("it does not speak VNC's protocol")
    minor = int(found[2])
    return min(minor, 8) if minor >= 7 else 3


def _read(peer: socket.socket, count: int, end: float) -> bytes:
    said = b""
    while len(said) < count:
        peer.settimeout(max(0.01, end - time.monotonic()))
        more = peer.recv(count - len(said))
        if not more:
            raise Odd("it hung up")
        said += more
    return said
