# SPDX-License-Identifier: MIT
"""Machines and the cables between them, of values: what each card hears, second by second."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address

from firstboot.agreement import Stage, Word
from firstboot.pairing.announcement import Announcement, Party
from firstboot.pairing.discovery import (
    CardSeen,
    Crossover,
    Discovery,
    Finding,
    FrameSeen,
    Heard,
    RouterSeen,
)
from firstboot.pairing.obstacles import Obstacle

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
