# SPDX-License-Identifier: MIT
"""The evening on which two blank machines become a pair, typed by a person."""

import pytest

from tests.vm import evening
from tests.vm.ear import Ear
from tests.vm.lab import Lab
from tests.vm.pair import SETUP, Pair, blank_pair


@pytest.fixture
def pair(lab: Lab) -> Pair:
    """Two blank machines, just switched on."""
    made = blank_pair(lab)
    for machine in made.both:
        machine.power_on()
    return made


def test_two_wrong_codes_nonsense_and_a_way_back(pair: Pair) -> None:
    heard: list[bytes] = []
    with Ear(pair.lab.folder, "xo", heard.append):
        seats = evening.sit_down(*pair.both)
        asks = seats.asks
        codes = [seats.read_code()]
        asks.reads("code > ")
        asks.types(evening.another(codes[0]))
        asks.reads("That was not the code", "> ")
        codes.append(seats.read_code())
        asks.types(codes[0])  # it was right a moment ago, and one guess was made
        asks.reads("That was not the code", "> ")
        codes.append(seats.read_code())
        asks.types("nonsense")
        asks.answers("A code has digits only", codes[-1])
        evening.go_on(asks)
    for code in codes:
        assert code.encode() not in b"".join(heard)
    assert heard, "nothing was heard on the crossover: that no code was in it means nothing"
    asks.answers(r"\(1 of", "anna anna")
    asks.answers("need different names", " ".join(evening.NAMES))
    asks.answers(r"\(2 of", "back")
    evening.answer_all(asks)
    pair.await_protected(SETUP)
