# SPDX-License-Identifier: MIT
"""Which guests a machine has no memory for, if it is left alone with all of them."""

from dataclasses import replace

from haagent.core import fitting
from haagent.core.model import GuestState, Ledger, Measured, NodeState, Phase
from haagent.core.wish import Target, Wish
from tests.unit.states import HELLO, WORDS, survivor, with_peer

A, B = 0, 1
TAKES = {"web": 1030, "mail": 516, "files": 300}


def pair(*on_b: str, a: int = 4000, b: int = 4000) -> NodeState:
    """Node 1, B, of a pair in which the guests ON_B run here, and the others on A."""
    state = survivor()
    mine = state.guests["g"]
    there = {
        guest: replace(WORDS, phase=Phase.RELEASED if guest in on_b else Phase.HOLDING)
        for guest in TAKES
    }
    state = with_peer(state, hello=replace(HELLO, guests=there, memory=a))
    return replace(
        state,
        guests={
            guest: replace(mine, phase=Phase.HOLDING if guest in on_b else Phase.RELEASED)
            for guest in TAKES
        },
        durable=replace(state.durable, ledgers=dict.fromkeys(TAKES, Ledger(2, 2))),
        measured=Measured(memory=b, takes=TAKES),
    )


def with_target(state: NodeState, guest: str, target: Target) -> NodeState:
    ledger = replace(state.durable.ledgers[guest], wish=Wish(2, target))
    ledgers = {**state.durable.ledgers, guest: ledger}
    return replace(state, durable=replace(state.durable, ledgers=ledgers))


def test_what_fits_to_the_last_mib_is_no_trouble() -> None:
    state = pair("mail", a=1846, b=1846)
    assert fitting.short(state, A) == fitting.short(state, B) == {}
    assert (fitting.used(state, A), fitting.used(state, B)) == (1330, 516)
    assert fitting.in_words(state, B, "web") is None


def test_who_is_sent_away_must_surely_fit() -> None:
    state = pair("web", "mail", a=1400)  # of which the files have 300
    assert fitting.surely_fits(state, "web") and not fitting.surely_fits(state, "mail")
    assert fitting.surely_fits(pair("web", "mail"), "mail")


def test_what_nobody_knows_does_not_surely_fit() -> None:
    assert not fitting.surely_fits(pair("mail", a=-1), "mail")
    unknown = replace(pair("mail"), measured=Measured(memory=4000))
    assert not fitting.surely_fits(unknown, "mail")


def test_what_runs_there_has_its_memory_before_what_is_to_start() -> None:
    state = pair("mail", a=4000, b=1500)
    assert fitting.short(state, B) == {"web": 984}  # and files find room in what it leaves
    assert fitting.short(state, A) == {}
    assert fitting.in_words(state, B, "web") == (
        "b has 984 of 1500 MiB left for web, which needs 1030"
    )


def test_guests_are_tried_in_their_order() -> None:
    assert fitting.short(pair(b=1400), B) == {"mail": 370}
    assert fitting.short(pair(b=1600), B) == {"files": 54}
    assert fitting.short(pair(b=700), B) == {"web": 700, "files": 184}
    assert fitting.in_words(pair(b=700), B, "web") == "b has 700 MiB for guests, and web needs 1030"


def test_it_is_so_the_other_way_round() -> None:
    state = pair("web", "mail", "files", a=700)
    assert fitting.short(state, A) == {"web": 700, "files": 184}
    assert fitting.in_words(state, A, "web") == "a has 700 MiB for guests, and web needs 1030"


def test_a_guest_that_is_not_to_run_needs_nothing() -> None:
    state = pair(b=1400)
    assert fitting.short(with_target(state, "web", Target.STOPPED), B) == {}
    assert fitting.short(with_target(state, "mail", Target.FAILED), B) == {}
    assert fitting.short(with_target(state, "web", Target.RETRIED), B) == {"mail": 370}


def test_a_guest_that_is_being_started_is_not_there_yet() -> None:
    """Else what Xen refuses again and again would look like what has its memory."""
    state = pair(b=100)
    guests = {**state.guests, "web": GuestState(phase=Phase.CREATING)}
    assert fitting.short(replace(state, guests=guests), B)["web"] == 100


def test_where_less_is_left_than_nothing_nothing_is_left() -> None:
    assert fitting.short(pair("web", b=900), B) == {"mail": 0, "files": 0}


def test_of_what_is_not_known_nothing_is_said() -> None:
    assert fitting.short(pair(a=-1, b=-1), A) == fitting.short(pair(a=-1, b=-1), B) == {}
    assert fitting.short(with_peer(pair(a=10), hello=None), A) == {}
    unmeasured = replace(pair(), measured=Measured(memory=10))
    assert fitting.short(unmeasured, B) == {}
    assert fitting.memory(unmeasured, B) == 10
    assert fitting.memory(pair(a=-1), A) is None
