# SPDX-License-Identifier: MIT
"""The first page and what may be asked of it; and how long anything is waited for."""

import contextlib
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Any

import pytest

from firstboot import evening
from firstboot.agreement import Stage, Word
from firstboot.evening import RealCable
from firstboot.faces.pager import MORE, ROOM
from firstboot.meeting import AGAIN, LATEST, Meeting
from firstboot.pairing import ceremony, stream
from firstboot.pairing.announcement import Announcement
from firstboot.pairing.discovery import EVERY, Crossover
from haagent.errors import PeerError
from tests.unit.fake_evening import ADDRESSES, CARDS, NoNews, Stopped, World

FE80 = IPv6Address("fe80::1")


class Typist:
    """A screen, and somebody who types without looking."""

    def __init__(self, *lines: str) -> None:
        self.said: list[str] = []
        self._lines = list(lines)

    def tell(self, text: str) -> None:
        assert len(text.splitlines()) <= ROOM
        self.said.append(text)

    def prompt(self, text: str) -> None:
        self.said.append(text)

    def read(self, timeout: float | None, *others: int) -> str | int | None:
        if not self._lines:
            raise Stopped
        return self._lines.pop(0)

    def hide(self, is_hidden: bool) -> None:
        pass


def first_page(*lines: str, details: Callable[[], str] = str) -> list[str]:
    """What is said while LINES are typed on the first page, and nobody else is there."""
    machine = World().start()[0]
    screen = Typist(*lines)
    end = machine.cable.at(0)
    met = Meeting(machine.me, screen, machine.air, end, machine.place, lambda: 0.0)
    with contextlib.suppress(Stopped):
        met.find(lambda: "Welcome", NoNews(), details)
    return screen.said


def test_nobody_is_told_of_missing_cards_before_anybody_looked() -> None:
    welcome, listening = first_page()
    assert welcome == "Welcome" and listening.startswith("Listening on every network card")


@pytest.mark.parametrize("word", ["", "root", "what?"])
def test_anything_else_shows_the_page_again(word: str) -> None:
    assert first_page(word).count("Welcome") == 2


def test_details_come_part_by_part_and_end_at_the_first_page() -> None:
    whole = "\n".join(f"disk {number}" for number in range(30))
    said = first_page("details", "", "", details=lambda: whole)
    _, _, first, more, last, again, *_ = said
    assert more == MORE and again == "Welcome"
    assert f"{first}\n{last}".startswith(whole)
    assert last.endswith(AGAIN)


@pytest.mark.parametrize("word", ["details", "?", " Details "])
def test_a_short_answer_needs_no_other_key(word: str) -> None:
    assert first_page(word, details=lambda: "all of it")[2] == f"all of it\n\n{AGAIN}"


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_the_cable_is_as_patient_as_the_machines_are_slow(
    scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[float] = []

    def note(*_: Any, limit: float) -> None:
        limits.append(limit)

    monkeypatch.setattr(stream, "call", note)
    monkeypatch.setattr(evening, "Listener", note)
    cable = RealCable(scale)
    cable.call("eth0", FE80, FE80)
    cable.listen("eth0", FE80, FE80)
    assert limits == [stream.LIMIT * scale] * 2


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_a_guess_has_its_time_and_emulated_machines_have_more(
    scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, other = World().start()
    waited: list[float] = []

    class Silent:
        is_closed = False

        def send(self, message: bytes) -> None:
            pass

        def receive(self, timeout: float) -> bytes:
            waited.append(timeout)
            raise PeerError("the other machine does not answer in time")

    end = machine.cable.at(0)
    monkeypatch.setattr(end, "call", lambda *_: Silent())
    monkeypatch.setattr(ceremony, "shows", lambda *_: False)
    screen = Typist("123 456")
    met = Meeting(machine.me, screen, machine.air, end, machine.place, lambda: 0.0, scale)
    monkeypatch.setattr(met, "assert_there", lambda crossover: None)
    peer = Announcement(other.me, CARDS[1], ADDRESSES[1], word=Word(Stage.BLANK))
    with pytest.raises(Stopped):
        met.pair(Crossover("enp1s0", peer))
    assert waited == [ceremony.WITHIN * scale]
    assert "The other machine does not answer. Type its code again." in screen.said


def test_a_word_may_be_late_for_a_few_announcements() -> None:
    assert LATEST >= 2 * EVERY
