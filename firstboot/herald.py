# SPDX-License-Identifier: MIT
"""Goes on saying that this machine has committed, while the set-up does its work.

The other machine may have lost its power before it heard so; it waits for these words.
"""

import threading
import time
from types import TracebackType

from firstboot.agreement import Agreement, word
from firstboot.pairing.announcement import Party
from firstboot.pairing.discovery import EVERY
from firstboot.pairing.radio import Radio


class Herald:
    """A context: as long as it is open, ME says what became of AGREEMENT, on every cable."""

    def __init__(self, me: Party, agreement: Agreement | None) -> None:
        self._me = me
        self._agreement = agreement
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="herald", daemon=True)

    def __enter__(self) -> "Herald":
        if self._agreement is not None:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        if self._agreement is not None:
            self._thread.join()

    def _go_on(self) -> None:
        # A card that is given its name must be off meanwhile: it is not ours to switch on.
        radio = Radio(turn_on=lambda card: None)
        said = word(self._agreement, self._me.identity)
        while not self._stop.wait(EVERY):
            now = time.monotonic()
            radio.look(now)
            radio.hear(now)  # nobody's words matter any more; they must not fill the sockets
            radio.announce(self._me, said, {})
        radio.close()
