# SPDX-License-Identifier: MIT
"""Where the crossover is, and that two machines always agree on it."""

import random
from dataclasses import replace

import pytest

from firstboot.agreement import Stage, Word
from firstboot.pairing.announcement import Announcement
from firstboot.pairing.discovery import (
    ALIVE,
    MOST,
    QUIET,
    CardGone,
    Crossover,
    Discovery,
    FrameSeen,
    Heard,
    RouterSeen,
)
from firstboot.pairing.obstacles import Obstacle, Reason
from tests.unit.fake_room import (
    ADDRESS,
    ROUTER,
    SEED,
    A,
    B,
    C,
    Machine,
    pair,
    random_room,
    room,
)


def test_the_crossover_is_where_nobody_else_is() -> None:
    a, b = pair()
    now = room(a, b).run(12)
    assert a.crossover(now).card == "eth0"
    assert a.crossover(now).peer.party == B
    assert a.crossover(now).peer_mac == b.mac("eth0")
    assert b.crossover(now).peer_mac == a.mac("eth0")


def test_it_takes_ten_seconds_of_silence() -> None:
    a, b = pair()
    both = room(a, b)
    for _ in range(9):
        obstacle = a.obstacle(both.run(1))
        assert obstacle.reason is Reason.LISTENING
        assert obstacle.seconds_left == QUIET + 1 - both.now
        assert f"{obstacle.seconds_left} s to go" in obstacle.sentence
    assert a.crossover(both.run(3)).card == "eth0"


def test_a_peer_that_came_later_is_given_its_ten_seconds_too() -> None:
    a, b = pair()
    b.starts = 60
    both = room(a, b)
    assert a.obstacle(both.run(30)).reason is Reason.NOBODY
    assert a.obstacle(both.run(31)).reason is Reason.LISTENING
    assert a.obstacle(both.run(7)).seconds_left <= 4
    now = both.run(5)
    assert a.crossover(now).card == b.crossover(now).card == "eth0"


def test_a_peer_that_cannot_be_reached_yet_is_waited_for() -> None:
    a, b = pair()
    b.has_address = False
    both = room(a, b)
    obstacle = a.obstacle(both.run(30))
    assert (obstacle.reason, obstacle.seconds_left) == (Reason.LISTENING, 1)
    b.has_address = True
    assert a.crossover(both.run(1)).peer.address == ADDRESS


def test_a_shared_cable_holds_no_crossover_up() -> None:
    a, b = pair(eth1=None)
    both = room(a, b)
    assert a.crossover(both.run(12)).card == "eth0"
    a.cables["eth1"] = b.cables["eth1"] = "lan"
    for _ in range(20):
        assert a.crossover(both.run(1)).card == "eth0"


def test_our_own_frames_and_those_of_a_peer_that_was_not_heard_yet_are_no_strangers() -> None:
    a, b = pair()
    both = room(a, b)
    a.look(0.0)
    a.discovery.observe(FrameSeen(0.0, "eth0", b.mac("eth0")))
    a.discovery.observe(FrameSeen(0.0, "eth0", a.mac("eth1")))
    assert a.crossover(both.run(12)).card == "eth0"


def test_two_cards_in_one_switch_do_not_hide_the_crossover() -> None:
    a = Machine(A, {"eth0": "lan", "eth1": "lan", "eth2": "cable"})
    b = Machine(B, {"eth0": "cable", "eth1": "lan"})
    now = room(a, b, strangers={}).run(12)
    assert a.crossover(now).card == "eth2"
    assert b.crossover(now).card == "eth0"


def test_the_peer_of_an_agreement_that_was_cut_short_is_no_strange_pair() -> None:
    a, b = pair()
    a.discovery = Discovery(A, agreement="ab" * 16)
    b.word = Word(Stage.PREPARED, "ab" * 16, "00" * 32)
    assert a.crossover(room(a, b).run(12)).peer.word == b.word


def test_a_peer_that_is_only_busy_pairing_is_free() -> None:
    a, b = pair()
    b.word = Word(Stage.PAIRING)
    assert a.crossover(room(a, b).run(12)).card == "eth0"


def test_a_card_that_is_plugged_in_later_counts_from_then_on() -> None:
    a, b = Machine(A, {"eth0": "cable"}), Machine(B, {"eth0": "cable", "eth1": "lan"})
    both = room(a, b)
    assert a.obstacle(both.run(12)).reason is Reason.ONE_CARD
    a.cables["eth1"] = "lan"
    assert isinstance(a.found(both.run(12)), Crossover)
    a.discovery.observe(CardGone(both.now, "eth1"))
    assert a.obstacle(both.now).reason is Reason.ONE_CARD


def test_sightings_grow_old() -> None:
    a, b = pair()
    both = room(a, b)
    now = both.run(12)
    assert isinstance(a.found(now + ALIVE - 0.1), Crossover)
    assert a.obstacle(now + ALIVE).reason is Reason.NOBODY


def test_an_emulated_machine_may_be_silent_for_longer() -> None:
    a, b = pair()
    a.discovery = Discovery(A, scale=4)
    now = room(a, b).run(12)
    assert isinstance(a.found(now + 4 * ALIVE - 0.1), Crossover)
    assert a.obstacle(now + 4 * ALIVE).reason is Reason.NOBODY


def test_a_restarted_peer_is_one_machine() -> None:
    a, b = pair()
    both = room(a, b)
    both.run(12)
    b.party = replace(B, nonce="8" * 32)
    b.discovery = Discovery(b.party)
    assert a.obstacle(both.run(1)).reason is Reason.LISTENING
    assert a.crossover(both.run(11)).peer.party.nonce == "8" * 32


@pytest.mark.parametrize(
    ("speeds", "other_speeds", "card"),
    [
        ({"eth0": 1000, "eth1": 10000}, {"eth0": 1000, "eth1": 10000}, "eth1"),
        ({"eth0": 10000, "eth1": 2500}, {"eth0": 1000, "eth1": 2500}, "eth1"),
        ({"eth0": 0, "eth1": 100}, {"eth0": 0, "eth1": 100}, "eth1"),
        ({"eth0": 1000, "eth1": 1000}, {"eth0": 1000, "eth1": 1000}, "eth0"),
        ({"eth0": 0, "eth1": 0}, {"eth0": 1000, "eth1": 0}, "eth0"),
    ],
)
def test_of_two_direct_cables_the_fastest_and_then_the_lowest(
    speeds: dict[str, int], other_speeds: dict[str, int], card: str
) -> None:
    a = Machine(A, {"eth0": "one", "eth1": "two"}, speeds)
    b = Machine(B, {"eth0": "one", "eth1": "two"}, other_speeds)
    now = room(a, b).run(12)
    assert a.crossover(now).card == b.crossover(now).card == card


def test_a_second_cable_is_waited_for_by_both() -> None:
    a, b = pair(eth1=None)
    a.speeds = b.speeds = {"eth1": 10000}
    both = room(a, b)
    now = both.run(8)
    a.cables["eth1"] = b.cables["eth1"] = "two"
    now = both.run(5)
    assert a.obstacle(now).reason is b.obstacle(now).reason is Reason.LISTENING
    now = both.run(8)
    assert a.crossover(now).card == b.crossover(now).card == "eth1"


def test_nobody_fills_the_memory() -> None:
    a, b = pair()
    both = room(a, b)
    both.run(3)
    for number in range(100 * MOST):
        mac = f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"
        stranger = Announcement(replace(C, nonce=f"{number:032x}"), mac)
        a.discovery.observe(FrameSeen(both.now, "eth0", mac), Heard(both.now, "eth0", stranger))
    card = a.discovery._cards["eth0"]
    assert len(card.heard) == len(card.macs) == MOST
    assert a.discovery.quiet_in(both.now)["eth0"] is None


def test_what_an_unknown_card_hears_is_nobodys_business() -> None:
    a, _ = pair()
    a.discovery.observe(
        FrameSeen(0.0, "eth9", ROUTER),
        RouterSeen(0.0, "eth9"),
        Heard(0.0, "eth9", Announcement(B, "52:54:00:00:bb:00")),
        CardGone(0.0, "eth9"),
    )
    assert a.obstacle(0.0).reason is Reason.ONE_CARD


# What the machine at the other end of a crossover may say instead of finding it, too.
ONE_SIDED = {Reason.ONE_CARD, Reason.SEVERAL}


@pytest.mark.parametrize("seed", range(SEED, SEED + 5))
def test_two_machines_never_settle_on_different_cables(seed: int) -> None:
    """However they are plugged together: once nothing changes any more, who has found a crossover
    is found through it by the other machine, which otherwise has a reason of its own.
    """
    rng = random.Random(seed)
    found = 0
    for _ in range(100):
        place = random_room(rng)
        now = place.run(45)
        ends = {
            machine.mac(card): (machine, card)
            for machine in place.machines
            for card in machine.cables
        }
        for machine in place.machines:
            finding = machine.found(now)
            if isinstance(finding, Crossover) and not machine.party.pair:
                peer, card = ends[finding.peer_mac]
                assert peer.cables[card] == machine.cables[finding.card], f"seed {seed}"
                back = peer.found(now)
                if isinstance(back, Obstacle):
                    assert back.reason in ONE_SIDED, f"seed {seed}: {back}"
                else:
                    found += 1
                    assert (back.card, back.peer_mac) == (card, machine.mac(finding.card)), (
                        f"seed {seed}"
                    )
    assert found >= 10, f"seed {seed}: nothing was tried"
