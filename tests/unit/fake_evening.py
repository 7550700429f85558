# SPDX-License-Identifier: MIT
"""Two machines in a thread each, with a person before it, joined by a cable of values; what is kept
of each outlives its power.
"""

import contextlib
import os
import queue
import re
import select
import socket
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv6Address
from pathlib import Path
from typing import Any, cast

import pytest

from firstboot import agreement as agreements
from firstboot import answers as answer_file
from firstboot import driving, machine_json
from firstboot.agreement import Agreement, Stage, Word
from firstboot.description import Description
from firstboot.driven import Driven
from firstboot.driving import Driving
from firstboot.faces.pager import ROOM
from firstboot.leases import Lease
from firstboot.meeting import Gone, Meeting, Met
from firstboot.pairing import discovery
from firstboot.pairing.announcement import Announcement, Party, party
from firstboot.pairing.discovery import CardGone, CardSeen, Heard, Observation, RouterSeen
from firstboot.pairing.stream import Listener, Stream
from firstboot.rendering import File
from haagent.errors import PeerError
from haagent.folding import folded

FAST = 20.0  # how much faster than ours their clock runs
LIMIT = 60.0  # seconds; a generous deadline
DATA = Path(__file__).parents[1] / "data"
CODE_PROMPT = "code > \n"  # as it stands at the end of a screen
CARDS = ("52:54:00:00:0a:01", "52:54:00:00:0b:01")
ADDRESSES = (IPv6Address("fe80::a"), IPv6Address("fe80::b"))


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """How quiet and how fast the cable is matters to nobody here."""
    monkeypatch.setattr(driving, "FILLS", 1)
    monkeypatch.setattr(discovery, "QUIET", 3.0)


class Stopped(Exception):
    """The test has seen enough, or its machine lost its power."""


def clock() -> float:
    return time.monotonic() * FAST


# What has to be on the screen, and what is typed then; None: not yet.
Script = list[tuple[str, Callable[[], str | None]]]


class Person:
    """A screen of 24 lines, and somebody who types when it says something."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.typed: list[str] = []  # at each prompt that needed a key
        self.answers: Script = []  # in this order, each once
        self.is_off = False
        self.hidden = False
        self.typed_hidden: list[str] = []
        self.tried: set[str] = set()  # of the codes on this screen
        self.looks_at: Machine | None = None  # whose code is typed as often as it is asked for
        self._open = ""

    def tell(self, text: str) -> None:
        assert len(folded(text)) <= ROOM, f"this does not fit a screen:\n{text}"
        self.said.append(text)
        self._open += text + "\n"

    def prompt(self, text: str) -> None:
        self.tell(text)

    def hide(self, is_hidden: bool) -> None:
        self.hidden = is_hidden

    def read(self, timeout: float | None, *others: int) -> str | int | None:
        if self.is_off:
            raise Stopped
        if (text := self._answer()) is not None:
            return text
        assert timeout is not None
        ready, _, _ = select.select(others, [], [], timeout / FAST)
        return ready[0] if ready else None

    def _answer(self) -> str | None:
        """What is typed now. Who still has to look at the other screen holds nobody up."""
        # Only at a question that stands: what is typed to an old one is taken for something else.
        if self.looks_at is not None and self._open.endswith(CODE_PROMPT):
            text = code_on(self.looks_at)
        elif self.answers and re.search(self.answers[0][0], self._open):
            text = self.answers[0][1]()
            if text is not None:
                self.answers.pop(0)
        else:
            return None
        if text is None:
            return None
        self._open = ""
        self.typed.append(text)
        if self.hidden:
            self.typed_hidden.append(text)
        return text

    @property
    def page(self) -> str:
        return "\n".join(self.said)


class Bell:
    """A pipe that a `select` can wait for; closed when nobody has it any more."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        for end in (self._reader, self._writer):
            weakref.finalize(self, os.close, end)

    def fileno(self) -> int:
        return self._reader

    def ring(self) -> None:
        os.write(self._writer, b"x")

    def hush(self, rings: int = 1 << 16) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._reader, rings)


class NoNews:
    """The hardware stays as it is."""

    def __init__(self) -> None:
        self._bell = Bell()

    def fileno(self) -> int:
        return self._bell.fileno()

    def is_any(self) -> bool:
        return False


class FakeAir:
    """One card with a cable to the other machine, and one without."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.peer: FakeAir | None = None
        self.is_cut = False
        self.has_shown_cut = False  # to this machine: it looks once in a while
        self.has_router = False  # on the crossover
        self.has_one_card = False
        self.strangers: list[Announcement] = []  # heard through the crossover each second
        self.on_lan: list[Announcement] = []  # heard through the other card each second
        self._came: queue.SimpleQueue[Announcement] = queue.SimpleQueue()
        self._bell = Bell()

    def fileno(self) -> int:
        return self._bell.fileno()

    def look(self, at: float) -> tuple[Observation, ...]:
        self.has_shown_cut |= self.is_cut
        lan = CardSeen(at, "enp2s0", CARDS[self.number][:-1] + "2", True, 1000)
        return (
            CardSeen(at, "enp1s0", CARDS[self.number], not self.is_cut, 1000),
            CardGone(at, "enp2s0") if self.has_one_card else lan,
            *([RouterSeen(at, "enp1s0")] if self.has_router else []),
            *(Heard(at, "enp1s0", one) for one in self.strangers),
            *(Heard(at, "enp2s0", one) for one in self.on_lan),
        )

    def announce(self, me: Party, word: Word, quiet_in: dict[str, int | None]) -> None:
        if self.peer is not None and not self.is_cut:
            said = Announcement(
                me, CARDS[self.number], ADDRESSES[self.number], 1000, quiet_in.get("enp1s0"), word
            )
            self.peer._came.put(said)
            self.peer._bell.ring()

    def hear(self, at: float) -> tuple[Observation, ...]:
        self._bell.hush()
        heard: list[Observation] = []
        while not self._came.empty():
            heard.append(Heard(at, "enp1s0", self._came.get()))
        return tuple(heard)


class FakeListener:
    def __init__(self, calls: "queue.SimpleQueue[socket.socket]", bell: Bell) -> None:
        self._calls = calls
        self._bell = bell

    def fileno(self) -> int:
        return self._bell.fileno()

    def accept(self) -> Stream | None:
        self._bell.hush(1)
        return Stream(self._calls.get())

    def close(self) -> None:
        pass


class FakeCable:
    """Conversations, as pairs of sockets. What went through is kept."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        self._bell = Bell()
        self.sockets: list[socket.socket] = []

    def cut(self) -> None:
        """What TCP finds out by itself, sooner or later."""
        for one in self.sockets:
            with contextlib.suppress(OSError):  # the other end has noticed already
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
        self._cable._bell.ring()
        return Stream(here)

    def listen(self, card: str, ours: IPv6Address, peer: IPv6Address) -> Listener:
        return cast(Listener, FakeListener(self._cable._calls, self._cable._bell))


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
        self.changes: dict[str, Any] = {}  # to what it is made of
        self.other_is_committed: Callable[[], bool] = lambda: True
        self.become(self.me)
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def become(self, me: Party) -> None:
        """Another one than it was made as; before it is started."""
        self.me = me
        end = self.cable.at(self.number)
        # A busy host may hold a thread up: silence is borne as long as on real machines.
        self.meeting = Meeting(me, self.person, self.air, end, self.place, clock, scale=FAST)

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
        return Description(replace(known, **self.changes), (lease,))

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

    def restart(self, machines: tuple[Machine, Machine], who: int) -> tuple[Machine, Machine]:
        """The one that lost its power is another one now; the cable stayed in."""
        self.starts += 1
        again = Machine(who, self.places[who], machines[who].cable, str(self.starts))
        other = machines[1 - who]
        again.air.peer, other.air.peer = other.air, again.air
        again.other_is_committed = self.places[1 - who].is_committed
        return (again, other) if who == 0 else (other, again)


def roles(machines: tuple[Machine, Machine]) -> tuple[Machine, Machine]:
    """Who shows the code, and who asks for it."""
    first, second = machines
    by_identity = sorted(
        machines,
        key=lambda one: party(f"machine {one.number}", "", "0.1.0").identity,
    )
    assert {first, second} == set(by_identity)
    return by_identity[0], by_identity[1]


def code_on(shower: Machine) -> str | None:
    """The person walks over and looks whether there is one that was not tried yet."""
    shown = re.findall(r"(\d{3} \d{3})\n\nType this code", shower.person.page)
    if not shown or shown[-1] in shower.person.tried:
        return None
    code: str = shown[-1]
    shower.person.tried.add(code)
    return code


def wrong_code_on(shower: Machine) -> str | None:
    right = code_on(shower)
    if right is None:
        return None
    return "111 111" if right != "111 111" else "222 222"


def consent(asker: Machine) -> str:
    """What the page of consent asks for: the ends of both serial numbers."""
    page = asker.person.page.rpartition("(7 of")[2]
    return " ".join(serial[-4:] for serial in re.findall(r"^ +serial (\S+);", page, re.M))


def happy(shower: Machine, asker: Machine) -> Script:
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
    both = "\n=== the other one ===\n".join(one.person.page[-2000:] for one in machines)
    errors = [machine.error for machine in machines]
    assert errors == [None, None], f"{errors!r}\n{both}"
    assert not any(machine.thread.is_alive() for machine in machines), both


def assert_agreed(world: World) -> None:
    first, second = (place.agreement for place in world.places)
    assert first is not None and second is not None
    assert first.stage is second.stage is Stage.COMMITTED
    assert first.secret == second.secret
    ours, theirs = answer_file.read(first.answers), answer_file.read(second.answers)
    assert ours.names == theirs.names
    assert {ours.me, theirs.me} == {0, 1}
    assert ours.crossover.peer == theirs.crossover.address.ip
