# SPDX-License-Identifier: MIT
"""SPAKE2 on Ed25519, by the python package `spake2`: two machines that know the same short code get
the same strong key; one that guesses learns only whether its one guess was right. Pure, but for its
randomness.

It confirms nothing: without the right code the two simply have different keys.
"""

import os
from collections.abc import Callable

from spake2 import SPAKE2_A, SPAKE2_B, SPAKEError
from spake2.ed25519_basic import NotOnCurve

from haagent.errors import PeerError

ELEMENT = 32  # bytes of what each sends
_SIDES = (b"A", b"B")  # how the package marks whose element it is; it does not travel


class Exchange:
    """One end of one exchange, for one try. Nothing of it may be used twice."""

    def __init__(
        self,
        code: str,
        shower: bytes,
        asker: bytes,
        *,
        shows: bool,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """SHOWER and ASKER name the two machines, and what else both must agree on."""
        side = SPAKE2_A if shows else SPAKE2_B
        self._spake = side(code.encode(), idA=shower, idB=asker, entropy_f=entropy)
        self._other_side = _SIDES[shows]
        self.element: bytes = self._spake.start()[1:]

    def finish(self, element: bytes) -> bytes:
        """The key, 32 bytes, given the other's ELEMENT. Raises PeerError."""
        # The package would cut off what is too long, and so take many for the same.
        if len(element) != ELEMENT:
            raise PeerError(f"a SPAKE2 element of {len(element)} bytes")
        try:
            key: bytes = self._spake.finish(self._other_side + element)
        except (SPAKEError, NotOnCurve, ValueError, AssertionError) as error:
            raise PeerError(f"no SPAKE2 element: {type(error).__name__} {error}") from error
        return key
