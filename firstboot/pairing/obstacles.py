# SPDX-License-Identifier: MIT
"""Why there is no crossover, or not yet, in a person's words: what it is, and what to do about it.

It decides nothing: discovery says which of them it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from firstboot.pairing.announcement import Party


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


@dataclass(frozen=True, slots=True)
class Obstacle:
    """There is no crossover, or not yet. SENTENCE says why, ADVICE what to do."""

    reason: Reason
    sentence: str
    advice: str
    seconds_left: int = 0  # while LISTENING


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


def at(reason: Reason, card: str) -> Obstacle:
    """One of those that are about CARD and nothing else."""
    sentence, advice = _WORDS[reason]
    return Obstacle(reason, sentence.format(card=card), advice)


def listening(seconds_left: int) -> Obstacle:
    return Obstacle(
        Reason.LISTENING,
        f"Listening on every network card for the other machine, {seconds_left} s to go.",
        "Plug the crossover cable into both machines, and switch both on.",
        seconds_left,
    )


def one_card(cards: Iterable[str]) -> Obstacle:
    names = list(cards)
    has = f"only one network card, {names[0]}" if names else "no network card"
    return Obstacle(
        Reason.ONE_CARD,
        f"This machine has {has}.",
        "Each machine of a pair needs two, one for the crossover cable and one for the LAN. A USB"
        " network card will do: plug it in.",
    )


def several(cards: list[str]) -> Obstacle:
    return Obstacle(
        Reason.SEVERAL,
        f"More than one machine that could be the other half answers at {' and '.join(cards)}.",
        "Leave only two machines connected, straight from one to the other.",
    )


def paired(pair: str) -> Obstacle:
    which = f"the pair {pair}" if pair else "another pair"
    return Obstacle(
        Reason.PAIRED,
        f"The machine at the other end belongs to {which} already.",
        "Connect a machine that was never set up, or flash that one's stick anew.",
    )


def version(me: Party, other: Party) -> Obstacle:
    ours, theirs = me.image, other.image
    if ours == theirs:
        ours, theirs = f"{ours}, protocol {me.protocol}", f"{theirs}, protocol {other.protocol}"
    return Obstacle(
        Reason.VERSION,
        f"This machine runs version {ours}, and the other one runs version {theirs}.",
        "Flash both sticks from the same image.",
    )


def nobody(plugged_in: Iterable[str], *, is_paired: bool) -> Obstacle:
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
