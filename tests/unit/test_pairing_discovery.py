# SPDX-License-Identifier: MIT
"""Where the crossover is: every reason why nobody can tell, and that two machines always agree."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address

import pytest

from firstboot.agreement import Stage, Word
from firstboot.pairing.announcement import Announcement, Party
from firstboot.pairing.discovery import (
    ALIVE,
    FOREIGN,
    MOST,
    QUIET,
    SURE,
    CardGone,
    CardSeen,
    Crossover,
    Discovery,
    Finding,
    FrameSeen,
    Heard,
    RouterSeen,
)
from firstboot.pairing.obstacles import Obstacle, Reason

SEED = 20261123
VERSION = "0.1.0"
ADDRESS = IPv6Address("fe80::1")
BLANK = Word(Stage.BLANK)
ROUTER = "52:55:0a:00:02:02"
A = Party("a" * 64, "1" * 32, VERSION)
B = Party("b" * 64, "2" * 32, VERSION)
C = Party("c" * 64, "3" * 32, VERSION)


@dataclass
class Machine:
    """One machine: its cards, each in a segment (None: no cable), and what it makes of them."""

    party: Party
    cables: dict[str, str | None]  # card: segment
    speeds: dict[str, int] = field(default_factory=dict)
    word: Word = BLANK
    starts: float = 0.0
    has_address: bool = True

    def __post_init__(self) -> None:
        self.discovery = Discovery(self.party)
        self.number = self.party.nonce[:2]  # of its cards; copies of a stick have other cards

    def mac(self, card: str) -> str:
        number = sorted(self.cables).index(card)
        return f"52:54:00:00:{self.number}:{number:02x}"

    def announcement(self, card: str, now: float) -> Announcement:
        return Announcement(
            self.party,
            self.mac(card),
            ADDRESS if self.has_address else None,
            self.speeds.get(card, 1000),
            self.discovery.quiet_in(now)[card],
            self.word,
        )

    def look(self, now: float) -> None:
        self.discovery.observe(
            *(
                CardSeen(
                    now, card, self.mac(card), segment is not None, self.speeds.get(card, 1000)
                )
                for card, segment in self.cables.items()
            )
        )

    def found(self, now: float) -> Finding:
        return self.discovery.finding(now)

    def obstacle(self, now: float) -> Obstacle:
        finding = self.found(now)
        assert isinstance(finding, Obstacle), finding
        return finding

    def crossover(self, now: float) -> Crossover:
        finding = self.found(now)
        assert isinstance(finding, Crossover), finding
        return finding


@dataclass
class Room:
    """Machines and cables. On some segments there are strangers, on some a router."""

    machines: list[Machine]
    strangers: dict[str, str] = field(default_factory=dict)  # segment: MAC
    routers: tuple[str, ...] = ()
    now: float = 0.0

    def run(self, seconds: float) -> float:
        """The time after SECONDS more."""
        until = self.now + seconds
        while self.now < until:
            self.now += 1.0
            self.tick()
        return self.now

    def tick(self) -> None:
        on = [machine for machine in self.machines if machine.starts <= self.now]
        for machine in on:
            machine.look(self.now)
        for machine in on:
            for card, segment in machine.cables.items():
                if segment is not None:
                    self.send(machine, card, segment, on)
        for machine in on:
            for card, segment in machine.cables.items():
                if segment in self.strangers:
                    seen = FrameSeen(self.now, card, self.strangers[segment])
                    machine.discovery.observe(seen)
                if segment in self.routers:
                    machine.discovery.observe(RouterSeen(self.now, card))

    def send(self, sender: Machine, card: str, segment: str, on: Iterable[Machine]) -> None:
        said = sender.announcement(card, self.now)
        for machine in on:
            for other, where in machine.cables.items():
                if where == segment and (machine, other) != (sender, card):
                    machine.discovery.observe(
                        FrameSeen(self.now, other, said.mac), Heard(self.now, other, said)
                    )


def pair(**changes: str | None) -> tuple[Machine, Machine]:
    """Two machines with a crossover cable in eth0, and both on the LAN with eth1."""
    cables: dict[str, str | None] = {"eth0": "cable", "eth1": "lan", **changes}
    return Machine(A, dict(cables)), Machine(B, dict(cables))


def room(*machines: Machine, strangers: dict[str, str] | None = None) -> Room:
    return Room(list(machines), {"lan": ROUTER} if strangers is None else strangers)


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


def test_a_shared_cable_holds_no_crossover_up() -> None:
    a, b = pair(eth1=None)
    both = room(a, b)
    assert a.crossover(both.run(12)).card == "eth0"
    a.cables["eth1"] = b.cables["eth1"] = "lan"
    for _ in range(20):
        assert a.crossover(both.run(1)).card == "eth0"


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


def test_our_own_frames_and_those_of_a_peer_that_was_not_heard_yet_are_no_strangers() -> None:
    a, b = pair()
    both = room(a, b)
    a.look(0.0)
    a.discovery.observe(FrameSeen(0.0, "eth0", b.mac("eth0")))
    a.discovery.observe(FrameSeen(0.0, "eth0", a.mac("eth1")))
    assert a.crossover(both.run(12)).card == "eth0"


def test_both_ends_of_a_cable_in_one_machine() -> None:
    a = Machine(A, {"eth0": "loop", "eth1": "loop", "eth2": "lan"})
    now = room(a).run(12)
    obstacle = a.obstacle(now)
    assert obstacle.reason is Reason.LOOP
    assert a.discovery.quiet_in(now) == {"eth0": None, "eth1": None, "eth2": None}
    assert "both ends of a cable are in it" in obstacle.sentence


def test_two_cards_in_one_switch_do_not_hide_the_crossover() -> None:
    a = Machine(A, {"eth0": "lan", "eth1": "lan", "eth2": "cable"})
    b = Machine(B, {"eth0": "cable", "eth1": "lan"})
    now = room(a, b, strangers={}).run(12)
    assert a.crossover(now).card == "eth2"
    assert b.crossover(now).card == "eth0"


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


def test_the_peer_of_an_agreement_that_was_cut_short_is_no_strange_pair() -> None:
    a, b = pair()
    a.discovery = Discovery(A, agreement="ab" * 16)
    b.word = Word(Stage.PREPARED, "ab" * 16, "00" * 32)
    assert a.crossover(room(a, b).run(12)).peer.word == b.word


def test_a_peer_that_is_only_busy_pairing_is_free() -> None:
    a, b = pair()
    b.word = Word(Stage.PAIRING)
    assert a.crossover(room(a, b).run(12)).card == "eth0"


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


def test_pulling_the_cable_forgets_at_once() -> None:
    a, b = pair()
    both = room(a, b)
    both.run(12)
    a.cables["eth0"] = b.cables["eth0"] = None
    assert a.obstacle(both.run(1)).reason is Reason.LISTENING
    assert a.obstacle(both.run(10)).reason is Reason.SHARED, "the LAN is what is left"


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


def random_room(rng: random.Random) -> Room:
    """Two or three machines, plugged together in any way at all."""
    segments = ["one", "two", "lan", "lan", None]
    parties = [A, B, C]
    if rng.random() < 0.1:
        parties[1] = replace(A, nonce="9" * 32)
    if rng.random() < 0.1:
        parties[1] = replace(parties[1], image="0.2.0")
    if rng.random() < 0.1:
        parties[1] = replace(parties[1], pair="cleo-dora")
    machines = [
        Machine(
            party,
            {f"eth{number}": rng.choice(segments) for number in range(rng.choice([1, 2, 2, 3]))},
            {f"eth{number}": rng.choice([0, 100, 1000, 10000]) for number in range(3)},
            starts=rng.choice([0.0, 0.0, rng.uniform(0, 30)]),
        )
        for party in parties[: rng.choice([2, 2, 3])]
    ]
    strangers = {"lan": ROUTER} if rng.random() < 0.7 else {}
    return Room(machines, strangers)


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
