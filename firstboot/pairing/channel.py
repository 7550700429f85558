# SPDX-License-Identifier: MIT
"""What two machines say to each other once they are sure: sealed, in order, none missing. Pure.

ChaCha20Poly1305 (RFC 8439), a key for each direction. The nonce is the number of the message and
does not travel: one that is repeated, late, lost or changed does not open, and that is the end. The
farewell tells a conversation that is over from one that was cut.
"""

from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from firstboot.pairing.ceremony import Keys
from firstboot.pairing.objects import pack, unpack
from haagent.errors import PeerError

LARGEST = 256 * 1024  # bytes of JSON
OVERHEAD = 17  # bytes that sealing adds: what kind of message it is, and the tag
LARGEST_SEALED = LARGEST + OVERHEAD

_LABEL = b"shoestring channel 1"
_OBJECT, _FAREWELL = b"\1", b"\0"
_NONCE = 12  # bytes


class Channel:
    """One end, for one connection. After a PeerError nothing is said or heard any more."""

    def __init__(self, keys: Keys) -> None:
        self._seal = ChaCha20Poly1305(keys.to_peer)
        self._open = ChaCha20Poly1305(keys.from_peer)
        self._sealed = self._opened = 0  # messages
        self._is_over = False  # an error ended it
        self._has_said_farewell = self._has_heard_farewell = False

    def seal(self, content: Mapping[str, Any]) -> bytes:
        """CONTENT as the next message. Raises PeerError after the end, BugError if too large."""
        if self._has_said_farewell:
            raise PeerError("we said farewell, and nothing comes after it")
        return self._sealed_with(_OBJECT + pack(content, LARGEST))

    def farewell(self) -> bytes:
        """Our last message. Raises PeerError after the end."""
        if self._has_said_farewell:
            raise PeerError("we said farewell, and nothing comes after it")
        self._has_said_farewell = True
        return self._sealed_with(_FAREWELL)

    def open(self, data: bytes) -> dict[str, Any] | None:
        """What the peer's next message says; None if it is its last one. Raises PeerError."""
        self._assert_going_on()
        try:
            return self._opened_from(data)
        except PeerError:
            self._is_over = True
            raise

    def lost(self) -> None:
        """The connection is gone. Raises PeerError unless the peer had said farewell."""
        was_cut, self._is_over = not self._has_heard_farewell, True
        if was_cut:
            raise PeerError("the other machine went away in the middle of the conversation")

    def _sealed_with(self, text: bytes) -> bytes:
        self._assert_going_on()
        # safety: a nonce that is used twice under one key gives both messages away.
        number, self._sealed = self._sealed, self._sealed + 1
        return self._seal.encrypt(_nonce(number), text, _LABEL)

    def _opened_from(self, data: bytes) -> dict[str, Any] | None:
        if self._has_heard_farewell:
            raise PeerError("the other machine goes on after its farewell")
        if not OVERHEAD <= len(data) <= LARGEST_SEALED:
            raise PeerError(f"a sealed message of {len(data)} bytes")
        try:
            text = self._open.decrypt(_nonce(self._opened), data, _LABEL)
        except InvalidTag:
            raise PeerError(
                f"message {self._opened} is not the one that was sealed for this place"
            ) from None
        self._opened += 1
        if text == _FAREWELL:
            self._has_heard_farewell = True
            return None
        if text[:1] != _OBJECT:
            raise PeerError(f"a sealed message of kind {text[0]}")
        return unpack(text[1:], LARGEST)

    def _assert_going_on(self) -> None:
        if self._is_over:
            raise PeerError("the conversation has ended")


def _nonce(number: int) -> bytes:
    return number.to_bytes(_NONCE)
