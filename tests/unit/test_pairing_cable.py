# SPDX-License-Identifier: MIT
"""Radio and stream on real cards: machines are network namespaces, cables are veth pairs."""

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from ipaddress import IPv6Address
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from firstboot.agreement import Stage, Word
from firstboot.pairing import frames
from firstboot.pairing.announcement import Announcement, Party, party
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
    CardGone,
    Crossover,
    Discovery,
    Finding,
    FrameSeen,
    Heard,
    RouterSeen,
)
from firstboot.pairing.obstacles import Obstacle, Reason
from firstboot.pairing.radio import Radio
from firstboot.pairing.stream import PORT, Listener, Stream, call
from firstboot.rendering import CROSSOVER, LAN_CARD
from firstboot.replacement import CrossoverRadio
from haagent.errors import PeerError
from haagent.network.probes import open_ethernet
from tests.vm.wait import wait_until

P = ParamSpec("P")
T = TypeVar("T")

SECONDS = 30  # a deadline; nothing here takes so long
SOON = 0.5  # until a call is given up that must not be answered
FASTER = 10  # seconds of discovery in one of ours
CLONE_NEWNET = 0x40000000  # setns(2)
RIGHT, WRONG = "482913", "482914"
SILENT = Word(Stage.BLANK)
ROUTER = "52:54:00:00:0d:01"


def ip(*words: str) -> None:
    subprocess.run(("ip", *words), check=True, capture_output=True, timeout=SECONDS)


class Machine:
    """A namespace, and a thread that lives in it. Sockets stay where they were opened."""

    def __init__(self, letter: str) -> None:
        self.letter = letter
        self.name = f"shoestring-{os.getpid()}-{letter}"
        self.party = party(letter * 32, "boot", "0.1.0")
        ip("netns", "add", self.name)
        # Without, an address is tentative for a second or two.
        write = "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad"
        ip("netns", "exec", self.name, "sh", "-c", write)
        self._thread = ThreadPoolExecutor(1, initializer=self._enter)

    def _enter(self) -> None:
        with Path("/run/netns", self.name).open() as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def do(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What ACT returns, done in here."""
        return self.begin(act, *args, **kwargs).result(SECONDS)

    def begin(self, act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        return self._thread.submit(act, *args, **kwargs)

    def mac(self, card: str) -> str:
        return f"52:54:00:00:0{self.letter}:{'01' if card == 'cable' else '02'}"

    def cards(self) -> tuple[Card, ...]:
        """As cards.py would find them, were they not virtual. Only to be called in here."""
        addresses = link_local_addresses(Path("/proc/thread-self/net/if_inet6").read_text())
        return tuple(
            Card(name, index, self.mac(name), is_on, is_on, 1000, addresses.get(name))
            for index, name in socket.if_nameindex()
            if name in ("cable", "lan")
            for is_on in [name in addresses]
        )

    def address(self) -> IPv6Address:
        """Its own at the crossover, once it has one."""

        def find() -> IPv6Address | None:
            return next((one.address for one in self.do(self.cards) if one.name == "cable"), None)

        return wait_until(f"an address of {self.name}", find, SECONDS, every=0.02)

    def unplug(self) -> None:
        for card in ("cable", "lan"):
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("-n", self.name, "link", "delete", card)

    def close(self) -> None:
        self._thread.shutdown()
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("netns", "delete", self.name)


def plug(one: Machine, other: Machine, card: str, other_card: str, *, up: bool = True) -> None:
    """A cable between two machines."""
    ends = ((one, card), (other, other_card))
    ip(
        *("-n", one.name, "link", "add", card, "address", one.mac(card), "type", "veth"),
        *("peer", "name", other_card, "address", other.mac(other_card), "netns", other.name),
    )
    for machine, name in ends if up else ():
        ip("-n", machine.name, "link", "set", "dev", name, "up")


def why_not() -> str:
    """Why namespaces cannot be used here; empty if they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "there is no ip(8)"
    if not Path("/proc/sys/net/ipv6").exists():
        return "the kernel has no IPv6"
    name = f"shoestring-{os.getpid()}-try"
    try:
        ip("netns", "add", name)
        ip("-n", name, "link", "add", "try", "type", "veth")
        ip("netns", "delete", name)
    except subprocess.CalledProcessError as error:
        return f"`ip netns` does not work here: {error.stderr.decode().strip()}"
    return ""


@pytest.fixture(scope="module")
def machines() -> Iterator[tuple[Machine, Machine, Machine]]:
    """Two machines and a switch, which are slow to make."""
    if reason := why_not():
        pytest.skip(reason)
    with contextlib.ExitStack() as stack:
        made = []
        for letter in "abd":
            made.append(Machine(letter))
            stack.callback(made[-1].close)
        yield made[0], made[1], made[2]


@pytest.fixture
def two(machines: tuple[Machine, Machine, Machine]) -> Iterator[tuple[Machine, Machine]]:
    """Two machines that nobody connected yet."""
    yield machines[:2]
    for machine in machines[:2]:
        machine.unplug()


@pytest.fixture
def wired(two: tuple[Machine, Machine]) -> tuple[Machine, Machine]:
    """The same with a crossover cable."""
    plug(*two, "cable", "cable")
    return two


class Finder:
    """A machine that looks for its peer. Lives in its machine's thread."""

    def __init__(self, machine: Machine) -> None:
        self.radio = Radio(machine.cards)
        self.discovery = Discovery(machine.party)
        self.party = machine.party

    def tick(self) -> Finding:
        now = time.monotonic() * FASTER
        self.discovery.observe(*self.radio.look(now), *self.radio.hear(now))
        self.radio.announce(self.party, SILENT, self.discovery.quiet_in(now))
        return self.discovery.finding(now)


def stranger(machine: Machine, card: str) -> socket.socket:
    """Something that is no appliance, on the cable of CARD."""
    return machine.do(open_ethernet, card, 0)


def a_frame(source: str) -> bytes:
    return bytes.fromhex("ffffffffffff" + source.replace(":", "") + "0806") + bytes(46)


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


def wait_for(listener: Listener) -> Stream:
    return wait_until("somebody to call", listener.accept, SECONDS, every=0.01)


def connect(card: str, ours: IPv6Address, peer: IPv6Address) -> Stream:
    """The other machine may not listen yet."""

    def attempt() -> Stream | None:
        with contextlib.suppress(PeerError):
            return call(card, ours, peer)
        return None

    return wait_until("the other machine to listen", attempt, SECONDS, every=0.01)


def test_a_cable_with_both_ends_in_one_machine(two: tuple[Machine, Machine]) -> None:
    a, _ = two
    plug(a, a, "cable", "lan")
    finder = a.do(Finder, a)

    def is_found() -> bool:
        finding = a.do(finder.tick)
        return isinstance(finding, Obstacle) and finding.reason is Reason.LOOP

    wait_until("the loop to be seen", is_found, SECONDS, every=1 / FASTER)
    a.do(finder.radio.close)


def heard_by(machine: Machine, radio: Radio, kind: type) -> list[object]:
    """What is observed until something of KIND is."""
    seen: list[object] = []

    def is_there() -> bool:
        seen.extend(machine.do(radio.look, 0.0))
        seen.extend(machine.do(radio.hear, 0.0))
        return any(isinstance(one, kind) for one in seen)

    wait_until(f"a {kind.__name__}", is_there, SECONDS, every=0.02)
    return seen


def test_a_card_that_is_off_is_switched_on(two: tuple[Machine, Machine]) -> None:
    plug(*two, "cable", "cable", up=False)
    radios = [machine.do(Radio, machine.cards) for machine in two]
    for machine, radio in zip(two, radios, strict=True):
        machine.do(radio.look, 0.0)
    assert two[0].address() and two[1].address()
    for machine, radio in zip(two, radios, strict=True):
        machine.do(radio.close)


def test_a_card_goes_and_comes_back(wired: tuple[Machine, Machine]) -> None:
    a, b = wired
    b.address()
    radio, other = a.do(Radio, a.cards), b.do(Radio, b.cards)
    assert radio.fileno() >= 0
    b.do(other.look, 0.0)
    a.address()
    a.do(radio.look, 0.0)
    b.do(other.announce, b.party, SILENT, {})
    assert heard_by(a, radio, Heard)

    ip("-n", a.name, "link", "delete", "cable")
    b.do(other.announce, b.party, SILENT, {})  # to nobody, through a card that is gone
    a.do(radio.announce, a.party, SILENT, {})
    a.do(radio.hear, 0.0)
    assert a.do(radio.look, 0.0) == (CardGone(0.0, "cable"),)
    assert b.do(other.look, 0.0) == (CardGone(0.0, "cable"),)
    plug(a, b, "cable", "cable")
    a.address()
    b.address()
    a.do(radio.look, 0.0)
    b.do(other.look, 0.0)
    b.do(other.announce, b.party, SILENT, {"cable": 3})
    [heard] = [one for one in heard_by(a, radio, Heard) if isinstance(one, Heard)]
    assert heard.announcement == Announcement(b.party, b.mac("cable"), b.address(), 1000, 3, SILENT)
    a.do(radio.close)
    b.do(other.close)


def test_a_card_that_came_back_between_two_looks_is_another_one(
    wired: tuple[Machine, Machine],
) -> None:
    a, b = wired
    a.address()
    radio = a.do(Radio, a.cards)
    a.do(radio.look, 0.0)
    ip("-n", a.name, "link", "delete", "cable")
    plug(a, b, "cable", "cable")
    assert a.do(radio.look, 0.0)[0] == CardGone(0.0, "cable")
    a.do(radio.close)


def test_what_else_is_on_the_cable(wired: tuple[Machine, Machine]) -> None:
    """Strangers and routers are told, our own frames are not, and broken ones are counted."""
    a, b = wired
    a.address()
    b.address()
    radio = a.do(Radio, a.cards)
    a.do(radio.look, 0.0)
    mouth = stranger(b, "cable")
    announcement = frames.build(Announcement(b.party, b.mac("cable")))
    for frame in (
        a_frame(ROUTER),
        a_frame(ROUTER),
        announcement[:-1] + b"?",
        announcement[:40] + bytes(30),
        announcement[:14] + b"an experiment of somebody else's, with the same ethertype",
        bytes.fromhex("333300000001 52540000dead 86dd 6000000000103aff")
        + IPv6Address("fe80::1").packed
        + IPv6Address("ff02::1").packed
        + bytes.fromhex("8600")
        + bytes(14),
        b"\0" * 60,
    ):
        mouth.send(frame)
    a.do(radio.announce, a.party, SILENT, {})
    seen = heard_by(a, radio, RouterSeen)
    assert not any(isinstance(one, Heard) for one in seen)
    macs = [one.mac for one in seen if isinstance(one, FrameSeen)]
    assert {ROUTER, "52:54:00:00:de:ad", b.mac("cable")} <= set(macs)
    assert a.mac("cable") not in macs
    assert RouterSeen(0.0, "cable") in seen
    assert radio.ignored["cable"] == 2
    mouth.close()
    a.do(radio.close)


def test_a_flood_is_read_in_parts(wired: tuple[Machine, Machine]) -> None:
    a, b = wired
    a.address()
    b.address()
    radio = a.do(Radio, a.cards)
    a.do(radio.look, 0.0)
    mouth = stranger(b, "cable")
    announcement = frames.build(Announcement(b.party, b.mac("cable")))
    for _ in range(3000):
        with contextlib.suppress(BlockingIOError, OSError):
            mouth.send(announcement, socket.MSG_DONTWAIT)
    assert 0 < len(a.do(radio.hear, 0.0)) <= 64
    mouth.close()
    a.do(radio.close)


def refused(machine: Machine, hops: int, ours: IPv6Address, peer: IPv6Address) -> bool:
    """Whether a call with packets of hop limit HOPS comes to nothing."""

    def attempt() -> bool:
        index = socket.if_nametoindex("cable")
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as caller:
            caller.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
            caller.bind((str(ours), 0, 0, index))
            caller.settimeout(SOON)
            try:
                caller.connect((str(peer), PORT, 0, index))
                return caller.recv(1) == b""
            except TimeoutError:
                return hops != 255
            except ConnectionError:
                return True

    return machine.do(attempt)


def test_only_the_peer_gets_through_and_only_once(wired: tuple[Machine, Machine]) -> None:
    a, b = wired
    ours, peer, other = a.address(), b.address(), IPv6Address("fe80::bad")
    ip("-n", b.name, "address", "add", f"{other}/64", "dev", "cable", "nodad")
    listener = a.do(Listener, "cable", ours, peer)
    assert listener.fileno() >= 0
    assert a.do(listener.accept) is None

    assert refused(b, 64, peer, ours), "a packet that a router may have forwarded"
    assert a.do(listener.accept) is None

    intruder = b.do(call, "cable", other, ours)
    assert a.do(listener.accept) is None
    with pytest.raises(PeerError):
        b.do(intruder.receive, SOON)

    first = b.do(call, "cable", peer, ours)
    accepted = a.do(wait_for, listener)
    second = b.do(call, "cable", peer, ours)
    assert a.do(listener.accept) is None
    with pytest.raises(PeerError):
        b.do(second.receive, SOON)
    b.do(first.send, b"still there")
    assert a.do(accepted.receive) == b"still there"
    a.do(accepted.close)
    with pytest.raises(PeerError, match="hung up"):
        b.do(first.receive)
    third = b.do(call, "cable", peer, ours)
    a.do(a.do(wait_for, listener).send, b"welcome back")
    assert b.do(third.receive) == b"welcome back"
    listener.close()


def test_a_large_message_over_the_cable(wired: tuple[Machine, Machine]) -> None:
    a, b = wired
    listener = a.do(Listener, "cable", a.address(), b.address())
    caller = b.do(call, "cable", b.address(), a.address())
    accepted = a.do(wait_for, listener)
    message = os.urandom(256 * 1024)
    sending = b.begin(caller.send, message)
    assert a.do(accepted.receive) == message
    sending.result(SECONDS)
    caller.close()
    accepted.close()
    listener.close()


def test_a_peer_that_is_not_there_is_told_in_time(wired: tuple[Machine, Machine]) -> None:
    a, b = wired
    nobody, ours, peer = IPv6Address("fe80::dead"), a.address(), b.address()
    for address in (nobody, peer):  # no machine, and a machine that does not listen
        with pytest.raises(PeerError, match="does not answer"):
            a.do(call, "cable", ours, address, limit=SOON)
    for attempt in (Listener, call):
        with pytest.raises(PeerError):
            a.do(attempt, "nocard", ours, peer)
        with pytest.raises(PeerError):
            a.do(attempt, "cable", nobody, peer)


def test_a_peer_whose_cable_is_pulled_is_missed(wired: tuple[Machine, Machine]) -> None:
    a, b = wired
    listener = a.do(Listener, "cable", a.address(), b.address(), limit=SOON)
    caller = b.do(call, "cable", b.address(), a.address(), limit=SOON)
    accepted = a.do(wait_for, listener)
    ip("-n", a.name, "link", "set", "cable", "down")
    with pytest.raises(PeerError, match="in time"):
        b.do(caller.receive)
    with pytest.raises(PeerError):
        a.do(accepted.receive)
    listener.close()


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
