# SPDX-License-Identifier: MIT
"""The evening on which two blank machines become a pair, typed by a person."""

import pytest

from tests.vm import evening
from tests.vm.ear import Ear
from tests.vm.incidents.disks import kind_of_data
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import IDENTITIES, SCALE, SETUP, Pair, blank_pair, prepare
from tests.vm.person import Person
from tests.vm.wait import wait_until

BLANK = "This machine is not set up"  # from its first page


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


def lose_power(machine: Machine, seed: int) -> None:
    """It is back at once."""
    machine.power_cut(seed=seed)
    machine.power_on()


def are_agreed(pair: Pair) -> bool:
    """Whether both machines go on by themselves, or else begin again; never one alone."""
    begun = {
        machine.name: Person(machine).reads(BLANK, r"\d+/\d+ Starting the network")[0] != BLANK
        for machine in pair.both
    }
    assert len(set(begun.values())) == 1, f"they do not agree: {begun}"
    return all(begun.values())


def assert_blank(pair: Pair) -> None:
    assert not are_agreed(pair), "nobody had consented"
    for machine in pair.both:
        assert kind_of_data(machine) == "", f"{machine.name}'s data disk was written to"


def type_code(pair: Pair) -> evening.Seats:
    seats = evening.sit_down(*pair.both)
    seats.asks.answers("Type it here", seats.read_code())
    return seats


def type_to_the_consent(pair: Pair) -> evening.Seats:
    seats = type_code(pair)
    evening.go_on(seats.asks)
    evening.answer_all(seats.asks)
    return seats


@pytest.mark.row("G2")
def test_power_cuts_during_the_pairing(pair: Pair) -> None:
    """Before the code was typed, before the questions, as the machine that asks writes down what
    was agreed, and when the other one has: as long as one has not they are blank, and typed in
    again; then they are a pair, and nobody types.
    """
    a, b = pair.both
    seats = evening.sit_down(a, b)
    seats.asks.reads("code > ")
    seats.read_code()
    lose_power(b, seed=91)
    assert_blank(pair)

    seats = type_code(pair)
    seats.asks.reads("Press Enter to go on to the questions")
    lose_power(a, seed=92)
    seats.shows.reads("Nothing was written. Beginning again")
    assert_blank(pair)

    seats = type_to_the_consent(pair)
    seats.asks.reads("Writing down on both machines what was agreed")
    lose_power(a, seed=93)
    if not are_agreed(pair):
        seats = type_to_the_consent(pair)
        seats.shows.reads("Waiting for the word of the other machine")
        lose_power(b, seed=94)
        if not are_agreed(pair):
            type_to_the_consent(pair)
    for machine in pair.both:
        machine.control.wait_for_boot(SETUP)
    wait_until("the guest's first number", pair.first_number, SETUP, 2)
    pair.await_protected(SETUP)
