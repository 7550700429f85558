# SPDX-License-Identifier: MIT
"""Announces this machine through every Ethernet card, and hears who else is on its cable.

Owns the packet sockets. It needs no address, never waits, and draws no conclusion: what it hears
are observations. Cards come and go, and no trouble of a card is an error: it is counted.
"""

import contextlib
import logging
import select
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from firstboot.agreement import Word
from firstboot.pairing import frames
from firstboot.pairing.announcement import Announcement, Party
from firstboot.pairing.cards import Card, ethernet_cards, switch_on
from firstboot.pairing.discovery import (
    CardGone,
    CardSeen,
    FrameSeen,
    Heard,
    Observation,
    RouterSeen,
)
from haagent.errors import PeerError
from haagent.network.probes import open_ethernet

_ETH_P_ALL = 3  # linux/if_ether.h
# linux/if_packet.h
_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, _PACKET_MR_ALLMULTI = 263, 1, 2
_MEMBERSHIP = struct.Struct("@iHH8x")  # struct packet_mreq: index, type, length of no address
_PACKET_OUTGOING = 4

LARGEST = 2048  # bytes; more than an announcement, and of any other frame the head is enough
MOST_ANNOUNCEMENTS = 64  # read at once from one card; the others wait
MOST_FRAMES = 512  # the same, of all frames together

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Ears:
    """The sockets on one card."""

    card: Card
    announcements: socket.socket
    everything: socket.socket  # what is on the cable

    def close(self) -> None:
        self.announcements.close()
        self.everything.close()


class Radio:
    """All cards of this machine. Whoever drives it calls `look` and then `announce` each second,
    and `hear` whenever `fileno` can be read.
    """

    def __init__(
        self,
        cards: Callable[[], Iterable[Card]] = ethernet_cards,
        turn_on: Callable[[str], None] = switch_on,
    ) -> None:
        self.failures: Counter[str] = Counter()  # by card: what could not be sent or heard
        self.ignored: Counter[str] = Counter()  # by card: announcements that were broken
        self._cards = cards
        self._turn_on = turn_on
        self._ears: dict[str, _Ears] = {}
        self._poll = select.epoll()

    def fileno(self) -> int:
        """Can be read when an announcement may have come."""
        return self._poll.fileno()

    def look(self, at: float) -> tuple[Observation, ...]:
        """Which cards there are AT this time, and who was on their cables since the last look."""
        found = {card.name: card for card in self._cards()}
        seen: list[Observation] = []
        for name in list(self._ears):
            if name not in found or found[name].index != self._ears[name].card.index:
                self._close(name)
                seen.append(CardGone(at, name))
        for card in found.values():
            self._follow(card)
            seen.append(CardSeen(at, card.name, card.mac, card.has_carrier, card.speed))
        for name, ears in self._ears.items():
            seen += self._traffic(name, ears, at)
        return tuple(seen)

    def announce(self, me: Party, word: Word, quiet_in: Mapping[str, int | None]) -> None:
        """Says who ME is through every card. QUIET_IN is what discovery thinks of each cable."""
        for name, ears in self._ears.items():
            card = ears.card
            said = Announcement(
                me, card.mac, card.address, card.speed or 0, quiet_in.get(name), word
            )
            if card.has_carrier:
                with self._counted(name):
                    ears.announcements.send(frames.build(said), socket.MSG_DONTWAIT)

    def hear(self, at: float) -> tuple[Observation, ...]:
        """The announcements that came, without waiting for one."""
        heard: list[Observation] = []
        ready = {number for number, _ in self._poll.poll(0)}
        for name, ears in self._ears.items():
            if ears.announcements.fileno() in ready:
                heard += self._announcements(name, ears, at)
        return tuple(heard)

    def close(self) -> None:
        for name in list(self._ears):
            self._close(name)
        self._poll.close()

    def _follow(self, card: Card) -> None:
        """Sees to it that CARD is on and has its sockets, as far as that can be."""
        with self._counted(card.name):
            if not card.is_on:
                self._turn_on(card.name)
            if ears := self._ears.get(card.name):
                self._ears[card.name] = _Ears(card, ears.announcements, ears.everything)
            else:
                opened = _open(card)
                self._poll.register(opened.announcements, select.EPOLLIN)
                self._ears[card.name] = opened

    def _announcements(self, name: str, ears: _Ears, at: float) -> Iterator[Observation]:
        for frame in self._read(name, ears.announcements, MOST_ANNOUNCEMENTS):
            try:
                heard = frames.parse(frame)
            except PeerError as error:
                self.ignored[name] += 1
                log.debug("%s: %s", name, error)
                continue
            if heard is not None:
                yield Heard(at, name, heard)

    def _traffic(self, name: str, ears: _Ears, at: float) -> Iterator[Observation]:
        macs, has_router = set(), False
        for frame in self._read(name, ears.everything, MOST_FRAMES):
            macs.add(frames.source(frame))
            has_router = has_router or frames.is_from_router(frame)
        for mac in macs:
            if mac is not None:
                yield FrameSeen(at, name, mac)
        if has_router:
            yield RouterSeen(at, name)

    def _read(self, name: str, ear: socket.socket, most: int) -> Iterator[bytes]:
        """The frames that wait at EAR, without those that we sent ourselves."""
        for _ in range(most):
            try:
                frame, address = ear.recvfrom(LARGEST, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError as error:
                # packet(7): told once when the card goes off; it works again when it is on.
                self._failed(name, error)
                return
            if address[2] != _PACKET_OUTGOING:
                yield frame

    @contextlib.contextmanager
    def _counted(self, name: str) -> Iterator[None]:
        """Counts an OSError at card NAME instead of raising it."""
        try:
            yield
        except OSError as error:
            self._failed(name, error)

    def _failed(self, name: str, error: OSError) -> None:
        self.failures[name] += 1
        log.debug("%s: %s", name, error.strerror or error)

    def _close(self, name: str) -> None:
        ears = self._ears.pop(name)
        self._poll.unregister(ears.announcements)
        ears.close()


def _open(card: Card) -> _Ears:
    """Raises OSError."""
    announcements = open_ethernet(card.name, frames.ETHERTYPE)
    try:
        everything = open_ethernet(card.name, _ETH_P_ALL)
    except OSError:
        announcements.close()
        raise
    # Our group, and the groups that give others away: mDNS, spanning tree, routers. It lasts as
    # long as the socket (packet(7)).
    membership = _MEMBERSHIP.pack(card.index, _PACKET_MR_ALLMULTI, 0)
    try:
        everything.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, membership)
    except OSError:
        announcements.close()
        everything.close()
        raise
    return _Ears(card, announcements, everything)
