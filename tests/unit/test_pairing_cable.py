# SPDX-License-Identifier: MIT
"""Radio and stream on real cards: machines are network namespaces, cables are veth pairs."""

import socket
import time
from collections.abc import Callable
from ipaddress import IPv6Address
from pathlib import Path

from firstboot.agreement import Stage, Word
from firstboot.pairing.announcement import Party, party
from firstboot.pairing.cards import Card, link_local_addresses
from firstboot.pairing.ceremony import (
    Asker,
    Keys,
    Outcome,
    Outputs,
    Paired,
    Send,
    ShowCode,
    Shower,
    TryEnded,
    shows,
)
from firstboot.pairing.channel import Channel
from firstboot.pairing.discovery import (
    Crossover,
    Discovery,
    Finding,
)
from firstboot.pairing.radio import Radio
from firstboot.pairing.stream import Listener, Stream
from firstboot.rendering import CROSSOVER, LAN_CARD
from firstboot.replacement import CrossoverRadio
from tests.unit.real_cards import (
    FASTER,
    ROUTER,
    SECONDS,
    Finder,
    Machine,
    a_frame,
    connect,
    ip,
    machines,
    plug,
    stranger,
    two,
    wait_for,
    wired,
)
from tests.vm.wait import wait_until

__all__ = ["machines", "two", "wired"]  # fixtures

RIGHT, WRONG = "482913", "482914"


def test_two_machines_find_each_other_and_pair(
    two: tuple[Machine, Machine], machines: tuple[Machine, Machine, Machine]
) -> None:
    """From nothing to sealed messages, with a router on the LAN and a wrong code at first."""
    switch = machines[2]
    plug(*two, "cable", "cable")
    ip("-n", switch.name, "link", "add", "bridge", "type", "bridge")
    ip("-n", switch.name, "link", "set", "dev", "bridge", "up")
    for machine in two:
        port = f"port-{machine.letter}"
        plug(machine, switch, "lan", port)
        ip("-n", switch.name, "link", "set", "dev", port, "master", "bridge")
    mouth = stranger(switch, "bridge")
    finders = [machine.do(Finder, machine) for machine in two]

    def have_both_found() -> list[Crossover] | None:
        mouth.send(a_frame(ROUTER))
        found = [machine.do(finder.tick) for machine, finder in zip(two, finders, strict=True)]
        crossovers = [finding for finding in found if isinstance(finding, Crossover)]
        return crossovers if len(crossovers) == 2 else None

    found = wait_until("both to find the crossover", have_both_found, SECONDS, every=1 / FASTER)
    mouth.close()
    for other, finding in zip(two[::-1], found, strict=True):
        assert finding.card == "cable"
        assert finding.peer_mac == other.mac("cable")
        assert finding.peer.address == other.address()
        assert finding.peer.party == other.party
    pair(two, found)
    for machine, finder in zip(two, finders, strict=True):
        machine.do(finder.radio.close)


def pair(two: tuple[Machine, Machine], found: list[Crossover]) -> None:
    first = 0 if shows(two[0].party, two[1].party) else 1
    one, other = two[first], two[1 - first]
    shower = one.begin(show, one.party, found[first], one.address())
    asker = other.begin(ask, other.party, found[1 - first], other.address())
    (outcomes, keys), (others_outcomes, others_keys) = shower.result(SECONDS), asker.result(SECONDS)
    assert outcomes == others_outcomes == [Outcome.WRONG_CODE]
    assert keys.secret == others_keys.secret


def show(me: Party, found: Crossover, ours: IPv6Address) -> tuple[list[Outcome], Keys]:
    """Shows RIGHT only after a wrong guess, and says something in private once it is sure."""
    assert found.peer.address is not None
    codes = iter(["000000", RIGHT])
    shower = Shower(me, found.peer.party, lambda: next(codes))
    outcomes: list[Outcome] = []
    listener = Listener(found.card, ours, found.peer.address)
    assert shower.start() == (ShowCode("000000"),)
    while True:
        stream = wait_for(listener)
        outcome, keys = converse(stream, shower.receive, ())
        if keys is not None:
            break
        stream.close()
        outcomes.append(outcome)
    channel = Channel(keys)
    stream.send(channel.seal({"disks": ["A-DATA"]}))
    assert channel.open(stream.receive()) == {"disks": ["B-DATA"]}
    assert channel.open(stream.receive()) is None
    channel.lost()
    stream.close()
    listener.close()
    return outcomes, keys


def ask(me: Party, found: Crossover, ours: IPv6Address) -> tuple[list[Outcome], Keys]:
    assert found.peer.address is not None
    asker = Asker(me, found.peer.party)
    outcomes: list[Outcome] = []
    for code in (WRONG, RIGHT):
        stream = connect(found.card, ours, found.peer.address)
        outcome, keys = converse(stream, asker.receive, asker.type_code(code))
        if keys is not None:
            channel = Channel(keys)
            assert channel.open(stream.receive()) == {"disks": ["A-DATA"]}
            stream.send(channel.seal({"disks": ["B-DATA"]}))
            stream.send(channel.farewell())
            stream.close()
            return outcomes, keys
        stream.close()
        outcomes.append(outcome)
    raise AssertionError(f"no keys, but {outcomes}")


def converse(
    stream: Stream, receive: Callable[[bytes], Outputs], first: Outputs
) -> tuple[Outcome, Keys | None]:
    """Until one try has ended."""
    outputs = first
    while True:
        for output in outputs:
            if isinstance(output, Send):
                stream.send(output.data)
        for output in outputs:
            match output:
                case Paired(keys):
                    return Outcome.ABANDONED, keys
                case TryEnded(outcome):
                    return outcome, None
        outputs = receive(stream.receive())


def test_a_survivor_and_a_blank_machine_find_each_other_on_a_cable_in_use(
    two: tuple[Machine, Machine],
) -> None:
    """The crossover of a machine that serves carries DRBD and heartbeat, which look for the dead
    one; its LAN never passes for a crossover.
    """
    a, c = two
    plug(a, c, "cable", "cable")
    plug(a, c, "lan", "lan")
    ip("-n", a.name, "address", "add", "192.168.77.1/24", "broadcast", "+", "dev", "cable")
    a.party = party("a" * 32, "boot", "0.1.0", "a and b")
    names = {"cable": CROSSOVER, "lan": LAN_CARD}

    for name, new in names.items():
        ip("-n", a.name, "link", "set", "dev", name, "down")
        ip("-n", a.name, "link", "set", "dev", name, "name", new)
        ip("-n", a.name, "link", "set", "dev", new, "up")

    def cards() -> tuple[Card, ...]:
        addresses = link_local_addresses(Path("/proc/thread-self/net/if_inet6").read_text())
        return tuple(
            Card(
                name,
                index,
                a.mac("cable" if name == CROSSOVER else "lan"),
                True,
                True,
                1000,
                addresses.get(name),
            )
            for index, name in socket.if_nameindex()
            if name in (CROSSOVER, LAN_CARD)
        )

    def heartbeat() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
            mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            mouth.sendto(b"alive", ("192.168.77.255", 694))
            mouth.sendto(b"are you there", ("192.168.77.2", 6940))

    radios = (a.do(CrossoverRadio, cards), c.do(Radio, c.cards))
    discoveries = (Discovery(a.party), Discovery(c.party))
    words = (Word(Stage.REPLACING), Word(Stage.BLANK))

    def tick(number: int) -> Finding:
        now = time.monotonic() * FASTER
        radio, discovery = radios[number], discoveries[number]
        discovery.observe(*radio.look(now), *radio.hear(now))
        radio.announce(two[number].party, words[number], discovery.quiet_in(now))
        return discovery.finding(now)

    def have_both_found() -> list[Crossover] | None:
        a.do(heartbeat)
        found = [machine.do(tick, number) for number, machine in enumerate(two)]
        crossovers = [finding for finding in found if isinstance(finding, Crossover)]
        return crossovers if len(crossovers) == 2 else None

    first, second = wait_until("both", have_both_found, SECONDS, every=1 / FASTER)
    assert first.card == CROSSOVER and first.peer_mac == c.mac("cable")
    assert second.card == "cable" and second.peer.party.pair == "a and b"
    assert shows(c.party, a.party)
    for machine, radio in zip(two, radios, strict=True):
        machine.do(radio.close)
    for new in names.values():
        ip("-n", a.name, "link", "delete", new)
