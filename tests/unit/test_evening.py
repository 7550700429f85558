# SPDX-License-Identifier: MIT
"""Two machines meet: each in a thread, with a person before it, joined by a cable of values."""

import contextlib
import os
import queue
import re
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address
from pathlib import Path
from typing import cast

import pytest

from firstboot import agreement as agreements
from firstboot import answers as answer_file
from firstboot import evening, machine_json
from firstboot.agreement import Agreement, Stage, Word
from firstboot.appliance import Appliance
from firstboot.description import Description, from_message, to_message
from firstboot.driven import Driven
from firstboot.driving import Driving
from firstboot.leases import Lease
from firstboot.meeting import Gone, Meeting, Met
from firstboot.pairing.announcement import Announcement, Party, party
from firstboot.pairing.discovery import CardSeen, Heard, Observation
from firstboot.pairing.stream import Listener, Stream
from firstboot.rendering import File
from firstboot.terminals import Terminals
from haagent.errors import PeerError, ToolError
from tests.unit.fake_machine import SECRET, TEXTS, FakeMachine, hardware
from tests.vm.wait import wait_until

FAST = 6.0  # how much faster than ours their clock runs
LIMIT = 60.0  # seconds; a generous deadline
DATA = Path(__file__).parents[1] / "data"
CARDS = ("52:54:00:00:0a:01", "52:54:00:00:0b:01")
ADDRESSES = (IPv6Address("fe80::a"), IPv6Address("fe80::b"))


class Stopped(Exception):
    """The test has seen enough, or its machine lost its power."""


def clock() -> float:
    return time.monotonic() * FAST


class Person:
    """A screen, and somebody who types when it says something."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.answers: list[tuple[str, Callable[[], str]]] = []  # in this order, each once
        self.is_off = False
        self.hidden = False
        self.typed_hidden: list[str] = []
        self.tried: set[str] = set()  # of the codes on this screen
        self._typed: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._open = ""

    def tell(self, text: str) -> None:
        self.said.append(text)
        self._open += text + "\n"

    def prompt(self, text: str) -> None:
        self.tell(text)

    def hide(self, is_hidden: bool) -> None:
        self.hidden = is_hidden

    def read(self, timeout: float | None, *others: int) -> str | int | None:
        if self.is_off:
            raise Stopped
        if self.answers and re.search(self.answers[0][0], self._open):
            _, make = self.answers.pop(0)
            self._open = ""
            text = make()
            if self.hidden:
                self.typed_hidden.append(text)
            return text
        assert timeout is not None
        ready, _, _ = select.select(others, [], [], timeout / FAST)
        return ready[0] if ready else None

    @property
    def page(self) -> str:
        return "\n".join(self.said)


class NoNews:
    """The hardware stays as it is."""

    def __init__(self) -> None:
        self._reader, _ = os.pipe()

    def fileno(self) -> int:
        return self._reader

    def is_any(self) -> bool:
        return False


class FakeAir:
    """One card with a cable to the other machine, and one without."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.peer: FakeAir | None = None
        self.is_cut = False
        self._came: queue.SimpleQueue[Announcement] = queue.SimpleQueue()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)

    def fileno(self) -> int:
        return self._reader

    def look(self, at: float) -> tuple[Observation, ...]:
        return (
            CardSeen(at, "enp1s0", CARDS[self.number], not self.is_cut, 1000),
            CardSeen(at, "enp2s0", CARDS[self.number][:-1] + "2", True, 1000),
        )

    def announce(self, me: Party, word: Word, quiet_in: dict[str, int | None]) -> None:
        if self.peer is not None and not self.is_cut:
            said = Announcement(
                me, CARDS[self.number], ADDRESSES[self.number], 1000, quiet_in.get("enp1s0"), word
            )
            self.peer._came.put(said)
            os.write(self.peer._writer, b"x")

    def hear(self, at: float) -> tuple[Observation, ...]:
        os.read(self._reader, 65536)
        heard: list[Observation] = []
        while not self._came.empty():
            heard.append(Heard(at, "enp1s0", self._came.get()))
        return tuple(heard)


class FakeListener:
    def __init__(self, calls: "queue.SimpleQueue[socket.socket]", reader: int) -> None:
        self._calls = calls
        self._reader = reader

    def fileno(self) -> int:
        return self._reader

    def accept(self) -> Stream | None:
        os.read(self._reader, 1)
        return Stream(self._calls.get())

    def close(self) -> None:
        pass


class FakeCable:
    """Conversations, as pairs of sockets. What went through is kept."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        self._reader, self._writer = os.pipe()
        self.sockets: list[socket.socket] = []

    def cut(self) -> None:
        """What TCP finds out by itself, sooner or later."""
        for one in self.sockets:
            one.shutdown(socket.SHUT_RDWR)

    def at(self, number: int) -> "FakeEnd":
        return FakeEnd(self, number)


class FakeEnd:
    def __init__(self, cable: FakeCable, number: int) -> None:
        self._cable = cable
        self._number = number

    def address(self, card: str) -> IPv6Address:
        return ADDRESSES[self._number]

    def mac(self, card: str) -> str:
        return CARDS[self._number]

    def call(self, card: str, ours: IPv6Address, peer: IPv6Address) -> Stream:
        here, there = socket.socketpair()
        self._cable._calls.put(there)
        self._cable.sockets += [here, there]
        os.write(self._cable._writer, b"x")
        return Stream(here)

    def listen(self, card: str, ours: IPv6Address, peer: IPv6Address) -> Listener:
        return cast(Listener, FakeListener(self._cable._calls, self._cable._reader))


class FakePlace:
    """The state partition: it outlives everything else."""

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.writes = 0
        self.cut_at: int | None = None  # the write after which the power fails

    def read(self, path: str) -> File | None:
        return self.files.get(path)

    def write(self, file: File) -> None:
        self.files[file.path] = file
        self._count()

    def remove(self, path: str) -> None:
        self.files.pop(path, None)
        self._count()

    def _count(self) -> None:
        self.writes += 1
        if self.writes == self.cut_at:
            raise Stopped

    def is_committed(self) -> bool:
        return self.agreement is not None and self.agreement.stage is Stage.COMMITTED

    @property
    def agreement(self) -> Agreement | None:
        return agreements.from_file(self.files.get(agreements.PATH))


class Machine:
    """One machine, as long as its power lasts."""

    def __init__(self, number: int, place: FakePlace, cable: FakeCable, nonce: str) -> None:
        self.number = number
        self.place = place
        self.person = Person()
        self.air = FakeAir(number)
        self.cable = cable
        self.me = party(f"machine {number}", f"boot {nonce}", "0.1.0")
        self.other_is_committed: Callable[[], bool] = lambda: True
        end = cable.at(number)
        self.meeting = Meeting(self.me, self.person, self.air, end, place, clock)
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def describe(self) -> Description:
        name = ("machine-virtio.json", "machine-nvme.json")[self.number]
        machine = machine_json.loads((DATA / name).read_bytes())
        first, second, *_ = machine.nics
        cards = (
            replace(first, name="enp1s0", mac=CARDS[self.number], has_carrier=True),
            replace(second, name="enp2s0", mac=CARDS[self.number][:-1] + "2", has_carrier=True),
        )
        address = IPv4Interface(f"192.168.1.{34 + self.number}/24")
        lease = Lease("enp2s0", address, IPv4Address("192.168.1.1"))
        known = replace(machine, nics=cards, state_size=2 << 30, clock=None, rtc=None)
        return Description(known, (lease,))

    def _run(self) -> None:
        """As firstboot/evening.py does it."""
        try:
            while not (self.meeting.agreement is not None and self.meeting.commit()):
                crossover = self.meeting.find(lambda: "Welcome", NoNews())
                met: Met | None = None
                try:
                    met = self.meeting.pair(crossover)
                    (Driving if met.drives else Driven)(self.meeting, met, self.describe).run()
                except (Gone, PeerError) as error:
                    self.person.tell(f"{error}\nNothing was written.")
                finally:
                    if met is not None:
                        met.session.close()
            self._herald()
        except BaseException as error:
            self.error = error

    def _herald(self) -> None:
        """As firstboot/herald.py does it, until the other machine has heard."""
        agreement = self.place.agreement
        assert self.air.peer is not None
        for _ in range(int(LIMIT * FAST)):
            if self.person.is_off or self.other_is_committed():
                return
            said = agreements.word(agreement, self.me.identity)
            self.air.announce(self.me, said, {})
            time.sleep(1 / FAST)


class World:
    """Two machines, and what is kept of each."""

    def __init__(self) -> None:
        self.places = (FakePlace(), FakePlace())
        self.starts = 0

    def start(self) -> tuple[Machine, Machine]:
        cable = FakeCable()
        self.starts += 1
        first, second = (
            Machine(number, self.places[number], cable, str(self.starts)) for number in (0, 1)
        )
        first.air.peer, second.air.peer = second.air, first.air
        first.other_is_committed = self.places[1].is_committed
        second.other_is_committed = self.places[0].is_committed
        return first, second


def roles(machines: tuple[Machine, Machine]) -> tuple[Machine, Machine]:
    """Who shows the code, and who asks for it."""
    first, second = machines
    by_identity = sorted(
        machines,
        key=lambda one: party(f"machine {one.number}", "", "0.1.0").identity,
    )
    assert {first, second} == set(by_identity)
    return by_identity[0], by_identity[1]


def code_on(shower: Machine) -> str:
    """The person walks over and looks, until there is one that was not tried yet."""

    def fresh() -> str | None:
        shown = re.findall(r"(\d{3} \d{3})\n\nType this code", shower.person.page)
        return shown[-1] if shown and shown[-1] not in shower.person.tried else None

    code = wait_until("a code", fresh, LIMIT)
    shower.person.tried.add(code)
    return code


def wrong_code_on(shower: Machine) -> str:
    right = code_on(shower)
    return "111 111" if right != "111 111" else "222 222"


def consent(asker: Machine) -> str:
    """What the page of consent asks for: the ends of both serial numbers."""
    return " ".join(re.findall(r"ERASED on \S+: .*serial \S*?(\S{4})$", asker.person.page, re.M))


def happy(shower: Machine, asker: Machine) -> list[tuple[str, Callable[[], str]]]:
    return [
        ("code > ", lambda: code_on(shower)),
        ("Press Enter to go on", lambda: ""),
        (r"\(1 of", lambda: "anna berta"),
        (r"\(2 of", lambda: ""),
        (r"\(3 of", lambda: ""),
        (r"\(4 of", lambda: "2"),
        (r"\(5 of", lambda: "correct horse"),
        (r"\(6 of", lambda: "correct horse"),
        (r"\(7 of", lambda: consent(asker)),
    ]


def play(machines: tuple[Machine, Machine]) -> None:
    for machine in machines:
        machine.thread.start()
    for machine in machines:
        machine.thread.join(LIMIT)
        assert machine.error is None
        assert not machine.thread.is_alive(), machine.person.page[-3000:]


def assert_agreed(world: World) -> None:
    first, second = (place.agreement for place in world.places)
    assert first is not None and second is not None
    assert first.stage is second.stage is Stage.COMMITTED
    assert first.secret == second.secret
    ours, theirs = answer_file.read(first.answers), answer_file.read(second.answers)
    assert ours.names == theirs.names
    assert {ours.me, theirs.me} == {0, 1}
    assert ours.crossover.peer == theirs.crossover.address.ip


def test_a_code_and_a_few_questions_make_a_pair() -> None:
    world = World()
    machines = world.start()
    shower, asker = roles(machines)
    asker.person.answers = happy(shower, asker)
    play(machines)
    assert [machine.error for machine in machines] == [None, None]
    assert_agreed(world)
    assert asker.person.typed_hidden == ["correct horse", "correct horse"]
    assert "correct horse" not in asker.person.page + shower.person.page


def test_wrong_codes_a_way_back_and_nonsense_on_the_way() -> None:
    world = World()
    machines = world.start()
    shower, asker = roles(machines)
    good = happy(shower, asker)
    asker.person.answers = [
        ("code > ", lambda: "nonsense"),
        ("code > ", lambda: wrong_code_on(shower)),
        ("code > ", lambda: wrong_code_on(shower)),
        *good[:3],
        (r"\(2 of", lambda: "back"),
        (r"\(1 of", lambda: "?"),
        (r"\(1 of", lambda: "clara dora"),
        (r"\(2 of", lambda: "to the moon"),
        *good[3:],
    ]
    play(machines)
    assert_agreed(world)
    assert asker.person.page.count("That was not the code") == 2
    assert shower.person.page.count("Somebody typed a wrong code") == 2
    kept = world.places[0].agreement
    assert kept is not None and answer_file.read(kept.answers).names == ("clara", "dora")


def test_a_cable_that_is_pulled_leads_back_to_the_first_page() -> None:
    world = World()
    machines = world.start()
    shower, asker = roles(machines)

    def pull() -> str:
        shower.air.is_cut = asker.air.is_cut = True
        shower.cable.cut()
        return "anna berta"

    def plug() -> str:
        shower.air.is_cut = asker.air.is_cut = False
        return ""

    good = happy(shower, asker)
    asker.person.answers = [
        *good[:2],
        (r"\(1 of", pull),
        ("Beginning|Nothing was written", plug),
        *good,
    ]
    play(machines)
    assert_agreed(world)


@pytest.mark.parametrize("cut_at", [1, 2])
@pytest.mark.parametrize("who", [0, 1])
def test_a_power_cut_after_any_write_ends_with_both_or_with_none(who: int, cut_at: int) -> None:
    world = World()
    machines = world.start()
    shower, asker = roles(machines)
    asker.person.answers = happy(shower, asker)
    world.places[who].cut_at = cut_at
    victim = machines[who]
    other = machines[1 - who]
    for machine in machines:
        machine.thread.start()
    victim.thread.join(LIMIT)
    assert isinstance(victim.error, Stopped), victim.person.page[-2000:]
    # Both are switched off and on; whoever is blank afterwards is asked again.
    other.person.is_off = True
    other.thread.join(LIMIT)
    world.places[who].cut_at = None
    again = world.start()
    shower, asker = roles(again)
    asker.person.answers = happy(shower, asker)
    play(again)
    assert_agreed(world)


def test_a_description_goes_there_and_back() -> None:
    described = World().start()[0].describe()
    assert from_message(to_message(described)) == described


@pytest.mark.parametrize(
    "change",
    [{"leases": 3}, {"machine": "x"}, {"scale": None}, {"leases": [{}]}, {"leases": [{"card": 1}]}],
)
def test_a_description_that_is_none_is_the_peers_fault(change: dict[str, object]) -> None:
    message = to_message(World().start()[0].describe())
    with pytest.raises(PeerError):
        from_message({**message, **change})


class Reader:
    """A screen with somebody who only reads; the test ends when Enter is waited for."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def tell(self, text: str) -> None:
        self.said.append(text)

    def read(self, timeout: float | None, *others: int) -> str:
        raise Stopped


def spent(machine: FakeMachine) -> str:
    """What the set-up of MACHINE said until it was done, or waited for somebody."""
    reader = Reader()
    with contextlib.suppress(Stopped):
        evening.spend(cast(Appliance, machine), cast(Terminals, reader))
    return "\n".join(reader.said)


def test_answers_on_the_stick_need_nobody() -> None:
    machine = FakeMachine(TEXTS["a"], hardware("a"), is_leader=True)
    assert spent(machine).endswith("This machine is set up.")


def test_a_set_up_that_stops_says_why_and_hides_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeMachine(TEXTS["a"], hardware("a"), is_leader=True)

    def fail(guest: str) -> None:
        raise ToolError(("drbdadm", "up"), 10, f"--shared-secret={SECRET} is wrong")

    monkeypatch.setattr(machine, "start_mirror", fail)
    said = spent(machine)
    assert "The set-up of this machine stopped." in said
    assert "--shared-secret=(hidden) is wrong" in said
    assert "Press Enter to try again." in said
    assert SECRET not in said


def test_a_fault_of_our_own_leaves_no_dead_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = FakeMachine(TEXTS["a"], hardware("a"), is_leader=True)
    monkeypatch.setattr(machine, "start_mirror", lambda guest: 1 / 0)
    assert evening.OUR_FAULT in spent(machine)


def test_what_was_agreed_is_carried_out_and_its_secret_erased() -> None:
    machine = FakeMachine(None, hardware("a"), is_leader=True)
    agreed = Agreement(Stage.COMMITTED, "the peer", TEXTS["a"], SECRET)
    machine.write(agreements.to_file(agreed))
    assert "This machine is set up." in spent(machine)
    assert agreements.PATH not in machine.files
    assert all(SECRET not in file.text for file in machine.files.values())
