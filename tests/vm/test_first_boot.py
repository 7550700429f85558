# SPDX-License-Identifier: MIT
"""The evening on which two blank machines become a pair, typed by a person."""

import pytest

from tests.vm import evening
from tests.vm.ear import Ear
from tests.vm.lab import Lab
from tests.vm.pair import IDENTITIES, SCALE, SETUP, Pair, blank_pair, prepare
from tests.vm.person import Person
from tests.vm.wait import wait_until


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


@pytest.mark.row("F8")
def test_a_third_machine_on_the_cable(lab: Lab) -> None:
    machines = lab.connected("a", "b", "c")
    assert lab.cables is not None
    for machine, identity in zip(machines, (*IDENTITIES, "3" * 32), strict=True):
        prepare(machine, SCALE, identity)
        machine.power_on()
    for machine in machines:
        Person(machine).reads("More than one machine that could be the other half answers")
    lab.cables.unplug("xo", "c")
    a, b, _ = machines
    seats = evening.sit_down(a, b)
    seats.read_code()
    seats.asks.reads("code > ")


@pytest.mark.row("F5")
def test_the_own_stick_copied(lab: Lab) -> None:
    pair = blank_pair(lab, identities=("2" * 32, "2" * 32))
    for machine in pair.both:
        machine.power_on()
    for machine in pair.both:
        Person(machine).reads(r"the two sticks are copies of\s+one another")


@pytest.mark.row("G1")
def test_power_cuts_during_the_set_up(lab: Lab) -> None:
    """At four of its steps, on one machine and on the other; nobody types anything again."""
    pair = blank_pair(lab)
    for machine in pair.both:
        machine.power_on()
    evening.type_all(*pair.both)
    a, b = pair.both
    for seed, (machine, step) in enumerate(
        (
            (a, "Starting the network"),
            (b, "Making the data disk ours"),
            (b, "Starting the mirror"),
            (a, "Making the built-in guest"),
        )
    ):
        Person(machine).reads(rf"\d+/\d+ {step}")
        machine.power_cut(seed=seed)
        machine.power_on()
    for machine in pair.both:
        Person(machine).reads(r"Continuing the set-up that was interrupted at step \d+ of \d+")
        machine.control.wait_for_boot(SETUP)
    wait_until("the guest's first number", pair.first_number, SETUP, 2)
    pair.await_protected(SETUP)
