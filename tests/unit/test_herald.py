# SPDX-License-Identifier: MIT
"""Who has committed goes on saying so: on the crossover, and without touching a thing."""

import threading
from dataclasses import replace
from ipaddress import IPv6Address

import pytest

from firstboot import herald as heralds
from firstboot.agreement import Agreement, Stage, word
from firstboot.herald import Herald
from firstboot.pairing import cards as card_files
from firstboot.pairing import frames, radio
from firstboot.pairing.announcement import party
from firstboot.pairing.cards import Card

SECRET = "0123456789abcdef" * 4
ME = party("machine 0", "boot", "0.1.0")
AGREED = Agreement(Stage.COMMITTED, "the peer", "answers", SECRET)
CROSSOVER = Card("crossover", 2, "52:54:00:00:0a:01", True, True, 1000, IPv6Address("fe80::a"))
LAN = replace(CROSSOVER, name="lan0", index=3, mac="52:54:00:00:0a:02")


def said(*cards: Card, agreed: Agreement = AGREED) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    Herald(ME, agreed, CROSSOVER.mac, lambda: cards, lambda *one: found.append(one)).announce()
    return found


def test_it_says_so_on_the_crossover_and_nowhere_else() -> None:
    ((card, frame),) = said(LAN, CROSSOVER)
    assert card == "crossover"
    heard = frames.parse(frame)
    assert heard is not None and heard.party == ME
    assert heard.word == word(AGREED, ME.identity)


@pytest.mark.parametrize("change", [{"is_on": False}, {"has_carrier": False}])
def test_a_card_that_is_off_stays_off(
    change: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is off while it is given its name; and a pair's cards are systemd-networkd's."""
    for place in (card_files, radio):
        monkeypatch.setattr(place, "switch_on", lambda name: pytest.fail(f"{name} is switched on"))
    assert said(LAN, replace(CROSSOVER, **change)) == []  # type: ignore[arg-type]


def test_a_card_that_goes_away_under_it_is_no_error() -> None:
    def fail(card: str, frame: bytes) -> None:
        raise OSError(19, "No such device")

    Herald(ME, AGREED, CROSSOVER.mac, lambda: [CROSSOVER], fail).announce()


def test_it_speaks_again_and_again_until_the_set_up_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heralds, "EVERY", 0.01)
    twice = threading.Semaphore(0)
    with Herald(ME, AGREED, CROSSOVER.mac, lambda: [CROSSOVER], lambda *one: twice.release()):
        assert twice.acquire(timeout=10) and twice.acquire(timeout=10)
    assert not any(thread.name == "herald" for thread in threading.enumerate())


def test_who_agreed_to_nothing_says_nothing() -> None:
    with Herald(ME, None, "", lambda: pytest.fail("it looks at the cards")):
        assert not any(thread.name == "herald" for thread in threading.enumerate())
