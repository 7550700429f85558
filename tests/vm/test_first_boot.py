# SPDX-License-Identifier: MIT
"""The evening on which two blank machines become a pair, typed by a person."""

from collections.abc import Iterator

import pytest

from tests.vm import evening, stick
from tests.vm.counter import Recorder
from tests.vm.ear import Ear
from tests.vm.lab import Lab
from tests.vm.pair import SCALE, SETUP, Pair


@pytest.fixture
def pair(lab: Lab) -> Iterator[Pair]:
    """Two blank machines, just switched on."""
    a, b = lab.pair()
    assert lab.cables is not None
    for machine in (a, b):
        stick.stretch_time(machine.disks[0].file(machine.folder), SCALE)
        machine.power_on()
    yield Pair(lab, a, b, Recorder(lab.cables.guest_port))


def test_two_wrong_codes_nonsense_and_a_way_back(pair: Pair) -> None:
    heard: list[bytes] = []
    with Ear(pair.lab.folder, "xo", heard.append):
        seats, first = evening.sit_down(*pair.both)
        codes = [first]
        seats.asks.types(evening.another(first))
        seats.asks.reads("That was not the code", "> ")
        codes.append(evening.read_code(seats.shows))
        seats.asks.types(first)  # it was right a moment ago, and one guess was made
        seats.asks.reads("That was not the code", "> ")
        codes.append(evening.read_code(seats.shows))
        seats.asks.types("nonsense")
        seats.asks.answers("A code has digits only", codes[-1])
        seats.asks.reads("The code was right")
    for code in codes:
        assert code.encode() not in b"".join(heard)
    assert heard, "nothing was heard on the crossover: that no code was in it means nothing"
    person = seats.asks
    person.reads("Press Enter to go on to the questions")
    person.types()
    person.answers(r"\(1 of", "anna anna")
    person.answers("need different names", "a b")
    person.answers(r"\(2 of", "back")
    evening.answer_all(person, "a b")
    pair.await_protected(SETUP)
