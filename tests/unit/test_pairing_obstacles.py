# SPDX-License-Identifier: MIT
"""Every reason why nobody can tell where the crossover is, and what is said about it."""

import random
from dataclasses import replace

import pytest

from firstboot.agreement import Stage, Word
from firstboot.pairing.announcement import Announcement
from firstboot.pairing.discovery import (
    FOREIGN,
    SURE,
    Discovery,
    FrameSeen,
    Heard,
)
from firstboot.pairing.obstacles import Obstacle, Reason
from tests.unit.fake_room import (
    BLANK,
    ROUTER,
    SEED,
    A,
    B,
    C,
    Machine,
    Room,
    pair,
    random_room,
    room,
)


def test_nobody_is_heard_without_a_cable() -> None:
    a, b = pair(eth0=None, eth1=None)
    obstacle = a.obstacle(room(a, b).run(12))
    assert obstacle.reason is Reason.NOBODY
    assert "no card has a cable" in obstacle.sentence


def test_nobody_is_heard_on_a_lan_without_a_peer() -> None:
    a, _ = pair()
    obstacle = a.obstacle(room(a).run(12))
    assert obstacle.reason is Reason.NOBODY
    assert "eth0, eth1" in obstacle.sentence


def test_who_is_blank_and_hears_nobody_is_told_of_replace_and_a_survivor_is_not() -> None:
    blank, _ = pair()
    advice = blank.obstacle(room(blank).run(12)).advice
    assert "type `shoestring replace` there" in advice
    survivor = Machine(replace(A, pair="a and b"), {"eth0": "cable", "eth1": "lan"})
    obstacle = survivor.obstacle(room(survivor).run(12))
    assert obstacle.reason is Reason.NOBODY
    assert obstacle.advice.startswith("Switch the new machine on")


def test_two_candidates_on_the_cable() -> None:
    a, b = pair()
    c = Machine(C, {"eth0": "cable", "eth1": "lan"})
    obstacle = a.obstacle(room(a, b, c).run(12))
    assert obstacle.reason is Reason.SEVERAL
    assert "answers at eth0" in obstacle.sentence


def test_two_candidates_on_a_cable_each() -> None:
    a = Machine(A, {"eth0": "one", "eth1": "two"})
    b = Machine(B, {"eth0": "one", "eth1": "lan"})
    c = Machine(C, {"eth0": "two", "eth1": "lan"})
    all_three = room(a, b, c)
    obstacle = a.obstacle(all_three.run(12))
    assert obstacle.reason is Reason.SEVERAL
    assert "eth0 and eth1" in obstacle.sentence


def test_a_cable_into_the_switch_of_the_lan() -> None:
    a, b = pair(eth0="lan", eth1=None)
    now = room(a, b).run(12)
    for machine in (a, b):
        assert machine.obstacle(now).reason is Reason.SHARED
        assert "at eth0" in machine.obstacle(now).sentence


def test_a_peer_that_is_first_heard_on_the_lan_is_not_said_to_be_there_only() -> None:
    a, b = pair()
    b.starts, b.cables["eth0"] = 31, None
    both = room(a, b)
    assert a.obstacle(both.run(30)).reason is Reason.NOBODY
    for _ in range(3):
        assert a.obstacle(both.run(1)).reason is Reason.LISTENING
    b.cables["eth0"] = "cable"
    for _ in range(9):
        assert a.obstacle(both.run(1)).reason is Reason.LISTENING
    assert a.crossover(both.run(2)).card == "eth0"


@pytest.mark.parametrize("scale", [1, 4])
def test_a_shared_cable_is_told_when_the_crossover_had_its_time(scale: int) -> None:
    a, b = pair(eth0=None)
    a.discovery = Discovery(A, scale=scale)
    b.starts = 31
    both = room(a, b)
    both.run(30)
    for second in range(int(SURE * scale)):
        obstacle = a.obstacle(both.run(1))
        assert (obstacle.reason, obstacle.seconds_left) == (Reason.LISTENING, SURE * scale - second)
        assert f"{obstacle.seconds_left} s to go" in obstacle.sentence
    assert a.obstacle(both.run(1)).reason is Reason.SHARED


def test_a_peer_that_starts_anew_is_given_its_time_again() -> None:
    a, b = pair(eth0=None)
    both = room(a, b)
    assert a.obstacle(both.run(30)).reason is Reason.SHARED
    b.starts = 60
    both.run(29)
    assert a.obstacle(both.run(1)).reason is Reason.LISTENING, "after a silence"
    assert a.obstacle(both.run(10)).reason is Reason.SHARED
    b.party = replace(B, nonce="8" * 32)
    assert a.obstacle(both.run(1)).reason is Reason.LISTENING, "without one"
    assert a.obstacle(both.run(10)).reason is Reason.SHARED


def test_a_router_that_is_only_known_by_its_lease() -> None:
    a, b = pair(eth1=None)
    both = Room([a, b], routers=("cable",))
    assert a.obstacle(both.run(12)).reason is Reason.SHARED
    both.routers = ()
    assert a.obstacle(both.run(600)).reason is Reason.SHARED, "a lease holds for long"
    a.cables["eth0"] = b.cables["eth0"] = None
    both.run(1)
    a.cables["eth0"] = b.cables["eth0"] = "cable"
    assert a.crossover(both.run(12)).card == "eth0", "it is another cable by now"


def test_a_stranger_that_only_the_peer_sees() -> None:
    a, b = pair()
    both = room(a, b)
    both.run(12)
    for _ in range(3):
        b.discovery.observe(FrameSeen(both.now, "eth0", ROUTER))
        now = both.run(1)
    assert a.obstacle(now).reason is Reason.SHARED
    assert b.obstacle(now).reason is Reason.SHARED


def test_a_stranger_is_remembered_for_a_minute() -> None:
    a, b = pair(eth1=None)
    both = room(a, b, strangers={"cable": ROUTER})
    both.run(12)
    both.strangers = {}
    assert a.obstacle(both.run(FOREIGN - 1)).reason is Reason.SHARED
    assert a.crossover(both.run(3)).card == "eth0"


def test_both_ends_of_a_cable_in_one_machine() -> None:
    a = Machine(A, {"eth0": "loop", "eth1": "loop", "eth2": "lan"})
    now = room(a).run(12)
    obstacle = a.obstacle(now)
    assert obstacle.reason is Reason.LOOP
    assert a.discovery.quiet_in(now) == {"eth0": None, "eth1": None, "eth2": None}
    assert "both ends of a cable are in it" in obstacle.sentence


def test_a_switch_shows_itself_by_one_machine_with_two_cards() -> None:
    a, b = Machine(A, {"eth0": "lan", "eth1": "lan"}), Machine(B, {"eth0": "lan", "eth1": None})
    now = room(a, b, strangers={}).run(12)
    assert a.obstacle(now).reason is Reason.SHARED
    assert b.obstacle(now).reason is Reason.SHARED


def test_sticks_that_are_copies_of_one_another() -> None:
    a = Machine(A, {"eth0": "cable", "eth1": "lan"})
    b = Machine(replace(A, nonce="9" * 32), {"eth0": "cable", "eth1": "lan"})
    now = room(a, b).run(12)
    for machine in (a, b):
        assert machine.obstacle(now).reason is Reason.COPY
        assert "copies of one another" in machine.obstacle(now).sentence


@pytest.mark.parametrize(
    ("pair_name", "word", "said"),
    [
        ("cleo-dora", BLANK, "the pair cleo-dora"),
        ("", Word(Stage.PREPARED, "ab" * 16, "00" * 32), "another pair"),
        ("", Word(Stage.COMMITTED, "ab" * 16, "00" * 32), "another pair"),
    ],
)
def test_the_peer_belongs_to_another_pair(pair_name: str, word: Word, said: str) -> None:
    a, b = pair()
    b.party, b.word = replace(B, pair=pair_name), word
    obstacle = a.obstacle(room(a, b).run(12))
    assert obstacle.reason is Reason.PAIRED
    assert said in obstacle.sentence


def test_another_version_is_told_with_both() -> None:
    a, b = pair()
    b.party = replace(B, image="0.2.0")
    obstacle = a.obstacle(room(a, b).run(12))
    assert obstacle.reason is Reason.VERSION
    assert "0.1.0" in obstacle.sentence and "0.2.0" in obstacle.sentence


def test_another_protocol_of_the_same_version_is_told_too() -> None:
    a, b = pair()
    both = room(a, b)
    both.run(12)
    # As another protocol is heard: nothing but who and which.
    said = Announcement(replace(B, protocol=2), b.mac("eth0"))
    a.discovery.observe(Heard(both.now, "eth0", said))
    obstacle = a.obstacle(both.now)
    assert obstacle.reason is Reason.VERSION
    assert "protocol 1" in obstacle.sentence and "protocol 2" in obstacle.sentence


@pytest.mark.parametrize("cards", [0, 1])
def test_one_card_is_not_enough(cards: int) -> None:
    a = Machine(A, {"eth0": "cable"} if cards else {})
    b = Machine(B, {"eth0": "cable", "eth1": "lan"})
    obstacle = a.obstacle(room(a, b).run(12))
    assert obstacle.reason is Reason.ONE_CARD
    assert ("eth0" if cards else "no network card") in obstacle.sentence


def test_pulling_the_cable_forgets_at_once() -> None:
    a, b = pair()
    both = room(a, b)
    both.run(12)
    a.cables["eth0"] = b.cables["eth0"] = None
    assert a.obstacle(both.run(1)).reason is Reason.LISTENING
    assert a.obstacle(both.run(10)).reason is Reason.SHARED, "the LAN is what is left"


def test_every_obstacle_has_a_sentence_and_an_advice() -> None:
    seen: dict[Reason, Obstacle] = {}
    rng = random.Random(SEED)
    for _ in range(400):
        place = random_room(rng)
        now = place.run(rng.choice([3, 14]))
        for machine in place.machines:
            finding = machine.found(now)
            if isinstance(finding, Obstacle):
                seen[finding.reason] = finding
    assert set(seen) == set(Reason), f"seed {SEED}"
    for obstacle in seen.values():
        assert obstacle.sentence.endswith(".") and obstacle.advice.endswith(".")
        assert "{" not in obstacle.sentence and "{" not in obstacle.advice
        assert obstacle.sentence.isascii() and obstacle.advice.isascii()
