# SPDX-License-Identifier: MIT
"""Goes on saying that this machine has committed, while the set-up does its work.

The other machine may have lost its power before it heard so; it waits for these words. They are
said on the crossover and nowhere else: this machine may be half of a pair by now. No card is
switched on, none is listened to, and nothing that comes in changes anything.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from types import TracebackType

from firstboot.agreement import Agreement, word
from firstboot.pairing import frames
from firstboot.pairing.announcement import Announcement, Party
from firstboot.pairing.cards import Card, ethernet_cards
from firstboot.pairing.discovery import EVERY
from haagent.network.probes import open_ethernet

log = logging.getLogger(__name__)


def say(card: str, frame: bytes) -> None:
    """Sends FRAME through CARD, if it is on. Raises OSError."""
    with open_ethernet(card, frames.ETHERTYPE) as ear:
        ear.setblocking(False)
        ear.send(frame)


class Herald:
    """A context: as long as it is open, ME says what became of AGREEMENT, through the card whose
    MAC address is CROSSOVER. Without an agreement it says nothing.
    """

    def __init__(
        self,
        me: Party,
        agreement: Agreement | None,
        crossover: str = "",
        cards: Callable[[], Iterable[Card]] = ethernet_cards,
        say: Callable[[str, bytes], None] = say,
    ) -> None:
        self._me = me
        self._agreement = agreement
        self._crossover = crossover
        self._cards = cards
        self._say = say
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

    def announce(self) -> None:
        """Once, now. A card that is off or has no cable is left alone."""
        said = word(self._agreement, self._me.identity)
        for card in self._cards():
            if card.mac == self._crossover and card.is_on and card.has_carrier:
                announced = Announcement(
                    self._me, card.mac, card.address, card.speed or 0, None, said
                )
                try:
                    self._say(card.name, frames.build(announced))
                except OSError as error:  # it is just being given its name, or is gone
                    log.debug("%s: %s", card.name, error)

    def _go_on(self) -> None:
        while not self._stop.wait(EVERY):
            self.announce()
