# SPDX-License-Identifier: MIT
"""Which card the crossover cable is in, or the one reason why nobody can tell.

Pure: time comes with what was observed, and nothing is sent or heard here.

Both machines must come to the same answer. So a cable counts only if both ends call it quiet, which
each announces, and the choice between two such cables is made from what both know.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from firstboot.agreement import Stage
from firstboot.pairing.announcement import Announcement, Party

EVERY = 1.0  # seconds between two announcements
ALIVE = 5.0  # seconds that an announcement counts
QUIET = 10.0  # seconds that a cable is listened to before it may be the crossover
FOREIGN = 60.0  # seconds that a strange device is remembered: on a LAN, one may be silent for long
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


class Reason(StrEnum):
    """Why there is no crossover."""

    ONE_CARD = "only one network card"
    LISTENING = "still listening"
    COPY = "the sticks are copies of one another"
    SEVERAL = "several machines answer"
    PAIRED = "the peer belongs to another pair"
    VERSION = "the peer has another version"
    LOOP = "our own announcement came back"
    SHARED = "other devices on the cable"
    NOBODY = "nobody heard"


# What is told if there are several reasons: the first of these.
_ORDER = tuple(Reason)


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


@dataclass(frozen=True, slots=True)
class Obstacle:
    """There is no crossover, or not yet. SENTENCE says why, ADVICE what to do."""

    reason: Reason
    sentence: str
    advice: str
    seconds_left: int = 0  # while LISTENING


Finding = Crossover | Obstacle


@dataclass(slots=True)
class _Card:
    """A card of ours, and what was observed on it since its cable was plugged in."""

    name: str
    mac: str
    has_carrier: bool
    speed: int
    since: float
    heard: dict[str, tuple[float, Announcement]] = field(default_factory=dict)  # by MAC
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
        self._agreement = agreement
        self._cards: dict[str, _Card] = {}

    def observe(self, *observations: Observation) -> None:
        """Takes them in. Those of a card that was never seen are nobody's business."""
        for observation in observations:
            self._observe(observation)

    def finding(self, now: float) -> Finding:
        """The crossover, or why there is none."""
        if len(self._cards) < LEAST_CARDS:
            return _one_card(self._cards)
        verdicts = {card.name: self._verdict(card, now) for card in self._cards.values()}
        if not any(self._may_become(name, why, now) for name, why in verdicts.items()):
            found = [self._cards[name] for name, why in verdicts.items() if why is None]
            if found:
                return self._choice(found, now)
        reasons = {why: name for name, why in verdicts.items() if why is not None}
        worst = min(reasons, key=_ORDER.index)
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
                _remember(self._cards[name].heard, announcement.mac, (at, announcement))
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

    def _choice(self, found: list[_Card], now: float) -> Finding:
        peers = {card.name: next(self._others(card, now)) for card in found}
        if len({peer.party.identity for peer in peers.values()}) > 1:
            return _several([card.name for card in found])

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
        return [one for at, one in card.heard.values() if now - at < self._alive_for]

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
                return _version(self._me, others[0].party)
            case Reason.PAIRED:
                return _paired(others[0].party.pair)
            case Reason.SEVERAL:
                return _several([card.name])
            case Reason.NOBODY:
                plugged_in = (one.name for one in self._cards.values() if one.has_carrier)
                return _nobody(plugged_in, is_paired=bool(self._me.pair))
            case _:
                sentence, advice = _WORDS[reason]
                return Obstacle(reason, sentence.format(card=card.name), advice)

    def _listening(self, now: float) -> Obstacle:
        left = max(
            self._seconds_left(card, now)
            for card in self._cards.values()
            if self._verdict(card, now) is Reason.LISTENING
        )
        return Obstacle(
            Reason.LISTENING,
            f"Listening on every network card for the other machine, {left} s to go.",
            "Plug the crossover cable into both machines, and switch both on.",
            left,
        )


# By reason, with the name of the card filled in: what it is, and what to do about it.
_WORDS = {
    Reason.COPY: (
        "The machine at {card} says that it is this one: the two sticks are copies of one another.",
        "Flash one of the two sticks anew from the image, and start that machine again.",
    ),
    Reason.LOOP: (
        "What this machine sends comes back to it at {card}: both ends of a cable are in it.",
        "Put one end of the crossover cable into the other machine.",
    ),
    Reason.SHARED: (
        "The other machine answers at {card}, but other devices are there, too: that cable leads"
        " to a switch or router.",
        "Connect the two machines by a cable of their own, straight from one to the other.",
    ),
}


def _one_card(cards: Iterable[str]) -> Obstacle:
    names = list(cards)
    has = f"only one network card, {names[0]}" if names else "no network card"
    return Obstacle(
        Reason.ONE_CARD,
        f"This machine has {has}.",
        "Each machine of a pair needs two, one for the crossover cable and one for the LAN. A USB"
        " network card will do: plug it in.",
    )


def _several(cards: list[str]) -> Obstacle:
    return Obstacle(
        Reason.SEVERAL,
        f"More than one machine that could be the other half answers at {' and '.join(cards)}.",
        "Leave only two machines connected, straight from one to the other.",
    )


def _paired(pair: str) -> Obstacle:
    which = f"the pair {pair}" if pair else "another pair"
    return Obstacle(
        Reason.PAIRED,
        f"The machine at the other end belongs to {which} already.",
        "Connect a machine that was never set up, or flash that one's stick anew.",
    )


def _version(me: Party, other: Party) -> Obstacle:
    ours, theirs = me.image, other.image
    if ours == theirs:
        ours, theirs = f"{ours}, protocol {me.protocol}", f"{theirs}, protocol {other.protocol}"
    return Obstacle(
        Reason.VERSION,
        f"This machine runs version {ours}, and the other one runs version {theirs}.",
        "Flash both sticks from the same image.",
    )


def _nobody(plugged_in: Iterable[str], *, is_paired: bool) -> Obstacle:
    cards = ", ".join(plugged_in)
    where = f"at the cards that have a cable, {cards}" if cards else "and no card has a cable"
    return Obstacle(
        Reason.NOBODY,
        f"No other machine of this kind was heard {where}.",
        "Switch the new machine on, with the crossover cable in it. It is heard a minute or two"
        " later, and this goes on by itself."
        if is_paired
        else "Switch the other machine on, and connect the two by the crossover cable. If this"
        " cable leads to a machine that already belongs to a pair, type `shoestring replace`"
        " there.",
    )


def _remember(sightings: dict[Key, Sighting], key: Key, sighting: Sighting) -> None:
    """The newest last, and the oldest are forgotten: nobody can fill our memory."""
    sightings.pop(key, None)
    sightings[key] = sighting
    if len(sightings) > MOST:
        del sightings[next(iter(sightings))]
