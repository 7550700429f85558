# SPDX-License-Identifier: MIT
"""Which card the crossover cable is in, or the one reason why nobody can tell.

Pure: time comes with what was observed, and nothing is sent or heard here.

Both machines must come to the same answer. So a cable counts only if both ends call it quiet, which
each announces, and the choice between two such cables is made from what both know.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from firstboot.agreement import Stage
from firstboot.pairing import obstacles
from firstboot.pairing.announcement import Announcement, Party
from firstboot.pairing.obstacles import Obstacle, Reason

EVERY = 1.0  # seconds between two announcements
ALIVE = 5.0  # seconds that an announcement counts
QUIET = 10.0  # seconds that a cable is listened to before it may be the crossover
FOREIGN = 60.0  # seconds that a strange device is remembered: on a LAN, one may be silent for long
SURE = 5.0  # seconds that the peer is heard on a shared cable before it is called that
LEAST_CARDS = 2  # one for the crossover, one for the LAN
MOST = 64  # machines or devices that are remembered for each card

Key = TypeVar("Key")
Sighting = TypeVar("Sighting")


@dataclass(frozen=True, slots=True)
class CardSeen:
    """A network card of ours is there, and this is how it is."""

    at: float
    card: str
    mac: str
    has_carrier: bool
    speed: int | None = None  # Mbit/s


@dataclass(frozen=True, slots=True)
class CardGone:
    at: float
    card: str


@dataclass(frozen=True, slots=True)
class Heard:
    """An announcement came in through CARD, perhaps our own."""

    at: float
    card: str
    announcement: Announcement


@dataclass(frozen=True, slots=True)
class FrameSeen:
    """A frame came in through CARD, whatever it was."""

    at: float
    card: str
    mac: str  # that it came from


@dataclass(frozen=True, slots=True)
class RouterSeen:
    """Somebody on CARD gives addresses to others, or gave us one."""

    at: float
    card: str


Observation = CardSeen | CardGone | Heard | FrameSeen | RouterSeen


@dataclass(frozen=True, slots=True)
class Crossover:
    """The cable is found: our CARD, and PEER as it says itself, through its card at the other end.

    It is the answer of this moment: whoever begins to pair should not ask again.
    """

    card: str
    peer: Announcement

    @property
    def peer_mac(self) -> str:
        return self.peer.mac


Finding = Crossover | Obstacle

# What is told if there are several reasons: the first of these.
_ORDER = tuple(Reason)


@dataclass(frozen=True, slots=True)
class _Voice:
    """What was heard last from one card of another machine, and since when it is heard."""

    announcement: Announcement
    first: float
    last: float


@dataclass(slots=True)
class _Card:
    """A card of ours, and what was observed on it since its cable was plugged in."""

    name: str
    mac: str
    has_carrier: bool
    speed: int
    since: float
    heard: dict[str, _Voice] = field(default_factory=dict)  # by MAC
    macs: dict[str, float] = field(default_factory=dict)
    has_router: bool = False  # as long as the cable is plugged in


class Discovery:
    """What ME, this machine, knows of its cables."""

    def __init__(self, me: Party, agreement: str = "", scale: float = 1.0) -> None:
        """AGREEMENT is the name of what we may have agreed on before a power cut. SCALE is how much
        longer than real ones emulated machines may be silent.
        """
        self._me = me
        self._alive_for = ALIVE * scale
        self._sure_after = SURE * scale
        self._agreement = agreement
        self._cards: dict[str, _Card] = {}

    def observe(self, *observations: Observation) -> None:
        """Takes them in. Those of a card that was never seen are nobody's business."""
        for observation in observations:
            self._observe(observation)

    def finding(self, now: float) -> Finding:
        """The crossover, or why there is none."""
        if len(self._cards) < LEAST_CARDS:
            return obstacles.one_card(self._cards)
        verdicts = {card.name: self._verdict(card, now) for card in self._cards.values()}
        if not any(self._may_become(name, why, now) for name, why in verdicts.items()):
            found = [self._cards[name] for name, why in verdicts.items() if why is None]
            if found:
                return self._choice(found, now)
        reasons = {why: name for name, why in verdicts.items() if why is not None}
        worst = min(reasons, key=_ORDER.index)
        if worst is Reason.SHARED and (left := self._unsure_for(verdicts, now)):
            return obstacles.listening(left)
        return self._obstacle(worst, self._cards[reasons[worst]], now)

    def quiet_in(self, now: float) -> Mapping[str, int | None]:
        """What to announce through each card: seconds until we call its cable quiet, or None."""
        return {card.name: self._quiet_in(card, now) for card in self._cards.values()}

    def is_quiet(self, card: str, mac: str, now: float) -> bool:
        """Whether CARD is ours with MAC, and nobody but one machine was heard on its cable."""
        known = self._cards.get(card)
        return known is not None and known.mac == mac and self._quiet_in(known, now) == 0

    def _observe(self, observation: Observation) -> None:
        match observation:
            case CardSeen():
                self._see(observation)
            case CardGone():
                self._cards.pop(observation.card, None)
            case Heard(at, name, announcement) if name in self._cards:
                self._hear(self._cards[name], announcement, at)
            case FrameSeen(at, name, mac) if name in self._cards:
                _remember(self._cards[name].macs, mac, at)
            case RouterSeen(_, name) if name in self._cards:
                self._cards[name].has_router = True

    def _see(self, seen: CardSeen) -> None:
        known = self._cards.get(seen.card)
        was_plugged_in = known is not None and known.has_carrier
        if known is None or known.mac != seen.mac or was_plugged_in != seen.has_carrier:
            # Another card, or perhaps another cable: nothing that was observed counts any more.
            self._cards[seen.card] = _Card(
                seen.card, seen.mac, seen.has_carrier, seen.speed or 0, seen.at
            )
        else:
            known.speed = seen.speed or 0

    def _hear(self, card: _Card, announcement: Announcement, at: float) -> None:
        known = card.heard.get(announcement.mac)
        is_same = (
            known is not None
            and known.announcement.party.nonce == announcement.party.nonce
            and at - known.last < self._alive_for
        )
        first = known.first if known is not None and is_same else at
        _remember(card.heard, announcement.mac, _Voice(announcement, first, at))

    def _verdict(self, card: _Card, now: float) -> Reason | None:
        """What speaks against CARD's cable as the crossover; None: it is one."""
        heard = self._alive(card, now)
        others = [one for one in heard if one.party.identity != self._me.identity]
        if not card.has_carrier or not heard:
            return Reason.LISTENING if now - card.since < QUIET else Reason.NOBODY
        if any(self._is_copy(one.party) for one in heard):
            return Reason.COPY
        if not others:
            return Reason.LOOP
        if self._is_shared(card, now):
            return Reason.SHARED
        if len({one.party.identity for one in others}) > 1:
            return Reason.SEVERAL
        return self._flaw(card, others[0], now)

    def _flaw(self, card: _Card, peer: Announcement, now: float) -> Reason | None:
        """What speaks against the one machine that answers."""
        if self._is_taken(peer):
            return Reason.PAIRED
        if not self._is_same_version(peer.party):
            return Reason.VERSION
        if peer.quiet_in is None:
            return Reason.SHARED
        return Reason.LISTENING if self._seconds_left(card, now) else None

    def _may_become(self, name: str, why: Reason | None, now: float) -> bool:
        """Whether card NAME may yet turn out to be a crossover that the peer prefers."""
        return why is Reason.LISTENING and bool(self._alive(self._cards[name], now))

    def _unsure_for(self, verdicts: Mapping[str, Reason | None], now: float) -> int:
        """Seconds in which the crossover may yet be heard, before a shared cable is held against
        anybody. A machine that starts is often heard on the LAN first.
        """
        firsts = [
            voice.first
            for name, why in verdicts.items()
            if why is Reason.SHARED
            for voice in self._voices(self._cards[name], now)
            if voice.announcement.party.identity != self._me.identity
        ]
        return max(0, math.ceil(min(firsts) + self._sure_after - now))

    def _choice(self, found: list[_Card], now: float) -> Finding:
        peers = {card.name: next(self._others(card, now)) for card in found}
        if len({peer.party.identity for peer in peers.values()}) > 1:
            return obstacles.several([card.name for card in found])

        def rank(card: _Card) -> tuple[int, list[str]]:
            """The fastest, then the lowest pair of MAC addresses: the same seen from both ends."""
            peer = peers[card.name]
            return -min(card.speed, peer.speed), sorted((card.mac, peer.mac))

        best = min(found, key=rank)
        return Crossover(best.name, peers[best.name])

    def _quiet_in(self, card: _Card, now: float) -> int | None:
        if self._is_shared(card, now):
            return None
        return max(0, math.ceil(card.since + QUIET - now))

    def _seconds_left(self, card: _Card, now: float) -> int:
        """Until both ends call CARD's cable quiet, and the other one can be reached."""
        left = max(0, math.ceil(card.since + QUIET - now))
        for peer in self._others(card, now):
            theirs = min(peer.quiet_in or 0, int(QUIET))
            left = max(left, theirs, 1 if peer.address is None else 0)
        return left

    def _is_shared(self, card: _Card, now: float) -> bool:
        """Whether somebody else is on CARD's cable, which then is no crossover."""
        heard = self._alive(card, now)
        ours = {one.mac for one in self._cards.values()}
        macs = {mac for mac, at in card.macs.items() if now - at < FOREIGN}
        strangers = macs - ours - {one.mac for one in heard}
        is_echo = any(self._is_me(one.party) for one in heard)
        # One machine through two of its cards: there is a switch in between.
        parties = [one.party.identity for one in heard]
        has_switch = len(parties) > len(set(parties))
        return card.has_router or bool(strangers) or is_echo or has_switch

    def _alive(self, card: _Card, now: float) -> list[Announcement]:
        return [voice.announcement for voice in self._voices(card, now)]

    def _voices(self, card: _Card, now: float) -> list[_Voice]:
        return [one for one in card.heard.values() if now - one.last < self._alive_for]

    def _others(self, card: _Card, now: float) -> Iterator[Announcement]:
        return (one for one in self._alive(card, now) if one.party.identity != self._me.identity)

    def _is_me(self, other: Party) -> bool:
        return (other.identity, other.nonce) == (self._me.identity, self._me.nonce)

    def _is_copy(self, other: Party) -> bool:
        return other.identity == self._me.identity and other.nonce != self._me.nonce

    def _is_taken(self, peer: Announcement) -> bool:
        """Whether PEER belongs to a pair, or is about to, and not with us. A survivor may be met
        by a blank machine, and by nobody else, while a person sits at it.
        """
        if peer.party.pair and (self._me.pair or peer.word.stage is Stage.BLANK):
            return True
        has_agreed = peer.word.stage in (Stage.PREPARED, Stage.COMMITTED)
        return has_agreed and peer.word.name != self._agreement

    def _is_same_version(self, other: Party) -> bool:
        return (other.image, other.protocol) == (self._me.image, self._me.protocol)

    def _obstacle(self, reason: Reason, card: _Card, now: float) -> Obstacle:
        others = list(self._others(card, now))
        match reason:
            case Reason.LISTENING:
                return self._listening(now)
            case Reason.VERSION:
                return obstacles.version(self._me, others[0].party)
            case Reason.PAIRED:
                return obstacles.paired(others[0].party.pair)
            case Reason.SEVERAL:
                return obstacles.several([card.name])
            case Reason.NOBODY:
                plugged_in = (one.name for one in self._cards.values() if one.has_carrier)
                return obstacles.nobody(plugged_in, is_paired=bool(self._me.pair))
            case _:
                return obstacles.at(reason, card.name)

    def _listening(self, now: float) -> Obstacle:
        left = max(
            self._seconds_left(card, now)
            for card in self._cards.values()
            if self._verdict(card, now) is Reason.LISTENING
        )
        return obstacles.listening(left)


def _remember(sightings: dict[Key, Sighting], key: Key, sighting: Sighting) -> None:
    """The newest last, and the oldest are forgotten: nobody can fill our memory."""
    sightings.pop(key, None)
    sightings[key] = sighting
    if len(sightings) > MOST:
        del sightings[next(iter(sightings))]
