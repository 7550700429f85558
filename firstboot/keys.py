# SPDX-License-Identifier: MIT
"""Derives the pair's keys from the one secret that both answer files hold, hex in lower case. Pure;
writes nothing.

HKDF with SHA-256, RFC 5869: each key has a label of its own, so that one of them tells nothing
about another, nor about the secret.
"""

import hashlib
import hmac

SALT = b"shoestring pair, version 1"
DIGEST = 32  # bytes of SHA-256

LVM_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
LVM_GROUPS = (6, 4, 4, 4, 4, 4, 6)  # lib/uuid/uuid.c of LVM


def mirror(secret: str, guest: str) -> str:
    """DRBD's shared secret for GUEST, 48 hex characters; drbd.conf(5) allows 64.

    safety: DRBD knows a resource of the peer by address and port alone. With a secret for each, two
    machines that number their guests differently do not mirror one guest onto another.
    """
    return expand(secret, f"drbd shared-secret {guest}", 24).hex()


def heartbeat(secret: str) -> str:
    """heartbeat's, 40 hex characters: as long as what its SHA-1 gives."""
    return expand(secret, "heartbeat authkeys", 20).hex()


def agent(secret: str) -> str:
    """The agents', 64 hex characters, for HMAC-SHA256."""
    return expand(secret, "agent hello", 32).hex()


def physical_volume(secret: str, me: int) -> str:
    """The LVM identity of node ME's physical volume. Known before it is made, so that a disk that
    a power cut left half made is told from anybody else's.
    """
    number = int.from_bytes(expand(secret, f"physical volume {me}", 32))
    text = ""
    for _ in range(sum(LVM_GROUPS)):
        number, digit = divmod(number, len(LVM_ALPHABET))
        text += LVM_ALPHABET[digit]
    parts, start = [], 0
    for length in LVM_GROUPS:
        parts.append(text[start : start + length])
        start += length
    return "-".join(parts)


def expand(secret: str, label: str, length: int) -> bytes:
    """LENGTH bytes for LABEL."""
    return hkdf(secret.encode(), SALT, label.encode(), length)


def hkdf(material: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, with SHA-256. LENGTH is at most 255 digests."""
    if length > 255 * DIGEST:
        raise ValueError(f"HKDF gives at most {255 * DIGEST} bytes")
    pseudorandom = hmac.digest(salt or bytes(DIGEST), material, hashlib.sha256)
    block = found = b""
    for counter in range(1, 256):
        if len(found) >= length:
            break
        block = hmac.digest(pseudorandom, block + info + bytes([counter]), hashlib.sha256)
        found += block
    return found[:length]
