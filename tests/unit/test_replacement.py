# SPDX-License-Identifier: MIT
"""A survivor and a blank machine meet, each in a thread with a person before it, joined by a cable
of values; and when the command is refused.
"""

import contextlib
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv6Address
from typing import Any

import pytest

from firstboot import answers as answer_file
from firstboot.agreement import Agreement, Stage, Word, heard, word
from firstboot.answers import Part
from firstboot.description import Description
from firstboot.fitness import candidates, room_needed, sector, unfit
from firstboot.meeting import Gone, Meeting, Met
from firstboot.pairing.announcement import Announcement, Party, party
from firstboot.pairing.ceremony import shows
from firstboot.pairing.discovery import CardSeen, Crossover, Discovery, Heard
from firstboot.pairing.obstacles import Obstacle, Reason
from firstboot.replacement import NoPlace, assert_same_list, introduction
from firstboot.replacing import Replacing
from firstboot.survivor import Survivor
from haagent.console import prospects
from haagent.console.snapshot import Snapshot
from haagent.core.model import Disk, Evidence, Link, NodeState, Phase
from haagent.errors import OperatorError, PeerError
from tests.unit.fake_evening import (
    CARDS,
    FAST,
    LIMIT,
    FakeCable,
    FakePlace,
    Machine,
    NoNews,
    Person,
    clock,
    code_on,
    hurry,
)
from tests.unit.fake_machine import TEXTS
from tests.unit.fake_state import (
    WELL,
    Change,
    both,
    guest,
    ledger,
    look,
    node,
    resource,
    silent,
    words,
)
from tests.unit.test_survivor import survivor as survivor_a

IDENTITY = "a machine that serves"


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


class Lone(Machine):
    """The survivor, and `shoestring replace` typed at it."""

    def __init__(self, survivor: Survivor, cable: FakeCable, nonce: str = "1") -> None:
        self.survivor = survivor
        self.agreed: list[Agreement] = []
        self.is_alone = True
        super().__init__(0, FakePlace(), cable, nonce)
        self.become(party(IDENTITY, f"boot {nonce}", "0.1.0", "a and b"))

    def become(self, me: Party) -> None:
        self.me = me
        end = self.cable.at(self.number)
        self.meeting = Meeting(me, self.person, self.air, end, NoPlace(), clock, scale=FAST)

    def assert_alone(self) -> None:
        if not self.is_alone:
            raise OperatorError("b is there and talks.", "Look at it.")

    def _run(self) -> None:
        try:
            while not self.agreed:
                crossover = self.meeting.find(lambda: introduction(self.survivor), NoNews())
                met: Met | None = None
                try:
                    met = self.meeting.pair(crossover)
                    Replacing(
                        self.meeting,
                        met,
                        self.describe,
                        self.survivor,
                        self.assert_alone,
                        self.agreed.append,
                        contextlib.nullcontext,
                    ).run()
                except (Gone, PeerError) as error:
                    self.person.tell(f"{error}\nNothing was changed.")
                finally:
                    if met is not None:
                        met.session.close()
            # What its service says from now on, until the other machine has heard it.
            said = word(self.agreed[-1], self.me.identity)
            while not (self.person.is_off or self.other_is_committed()):
                self.air.announce(self.me, said, {})
                threading.Event().wait(1 / FAST)
        except BaseException as error:
            self.error = error


class Room:
    """A survivor and a blank machine, and a cable between them."""

    def __init__(self, survivor: Survivor) -> None:
        self.place = FakePlace()
        self.cable = FakeCable()
        self.a = Lone(survivor, self.cable)
        self.c = Machine(1, self.place, self.cable, "1")
        self.a.air.peer, self.c.air.peer = self.c.air, self.a.air
        self.a.other_is_committed = self.place.is_committed
        self.c.changes = {"disks": large(self.c.describe()).machine.disks}

    def play(self) -> None:
        for machine in (self.a, self.c):
            machine.thread.start()
        for machine in (self.a, self.c):
            machine.thread.join(LIMIT)
        pages = f"{self.a.person.page[-3000:]}\n=== c ===\n{self.c.person.page[-1500:]}"
        assert (self.a.error, self.c.error) == (None, None), pages
        assert not (self.a.thread.is_alive() or self.c.thread.is_alive()), pages

    def happy(self) -> list[tuple[str, Callable[[], str | None]]]:
        return [
            ("code > ", lambda: code_on(self.c)),
            ("Press Enter to go on", lambda: ""),
            (r"\(1 of 4", lambda: "1"),
            (r"\(2 of 4", lambda: ""),
            (r"\(3 of 4", lambda: ""),
            (r"\(4 of 4", lambda: consent(self.a.person)),
        ]


def large(description: Description) -> Description:
    """One blank disk that is large enough, beside the stick."""
    machine = description.machine
    stick = [disk for disk in machine.disks if disk.is_boot_medium]
    other = next(disk for disk in machine.disks if not disk.is_boot_medium)
    data = replace(other, serial="C-DATA", size=8 << 30, holds=(), physical_volume="", group="")
    return replace(description, machine=replace(machine, disks=(*stick, data)))


def consent(person: Person) -> str:
    serials = re.findall(r"^  serial (\S+);", person.page, re.M)
    return str(serials[-1][-4:]).lower()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Survivor:
    """In the LAN of the fake evening."""
    found = survivor_a(tmp_path_factory.mktemp("a"))
    return replace(found, crossover=replace(found.crossover, mac=CARDS[0]))


def test_a_code_three_questions_and_a_consent(served: Survivor) -> None:
    room = Room(served)
    room.a.person.answers = room.happy()
    room.play()
    [stays] = room.a.agreed
    joins = room.place.agreement
    assert joins is not None and joins.stage is stays.stage is Stage.COMMITTED
    assert joins.secret == stays.secret
    ours, theirs = answer_file.read(stays.answers), answer_file.read(joins.answers)
    assert (ours.part, theirs.part) == (Part.STAYS, Part.JOINS)
    assert ours.crossover.peer_mac == theirs.crossover.mac == CARDS[1]
    assert theirs.disk == "C-DATA" and theirs.names == ("a", "b")
    assert "takes the place of b beside a" in room.c.person.page
    assert "half of the pair a and b" in room.c.person.page
    consented = room.a.person.page.rpartition("(4 of 4)")[2]
    for line in ("The disk of a is not touched", "GIVEN UP", "ERASED", "Never switch b on"):
        assert line in re.sub(r"\s+", " ", consented)
    assert "SPLIT BRAIN" not in room.a.person.page


def test_beside_a_machine_that_is_alone_nobody_is_dead(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    was = answer_file.read(TEXTS["alone"])
    found = survivor_a(tmp_path_factory.mktemp("alone"), was)
    room = Room(replace(found, crossover=replace(found.crossover, mac=CARDS[0])))
    room.a.become(party(IDENTITY, "boot 1", "0.1.0", "a"))
    answers = room.happy()
    answers[3:5] = [
        (r"\(2 of 4", lambda: ""),
        (r"is not an address such as 10.0.2.11/24", lambda: "10.0.2.11"),
        (r"10.0.2.11 is the address of another machine", lambda: "10.0.2.12"),
        (r"\(3 of 4", lambda: "berta"),
    ]
    room.a.person.answers = answers
    room.play()
    joins = room.place.agreement
    assert joins is not None
    theirs = answer_file.read(joins.answers)
    assert theirs.names == ("a", "berta") and str(theirs.lan.address) == "10.0.2.12/24"
    assert "This machine takes a place beside a." in room.c.person.page
    assert "It is a, which is alone: this machine is to come beside it." in room.c.person.page
    told = re.sub(r"\s+", " ", room.a.person.page)
    assert "Another PC comes beside a." in told and "The disk of a is not touched" in told
    for word_of_the_dead in ("GIVEN UP", "dead", "second must be off"):
        assert word_of_the_dead not in told


def test_guests_that_came_meanwhile_are_not_left_out(served: Survivor) -> None:
    assert_same_list(served, served)
    for now in (replace(served, list=1), replace(served, guests=())):
        with pytest.raises(OperatorError, match="changed meanwhile"):
            assert_same_list(served, now)


def test_only_a_disk_with_the_sectors_of_the_guests_own_is_offered(served: Survivor) -> None:
    room = Room(served)
    stick, *others = room.a.describe().machine.disks
    guests = replace(others[0], group="shoestring", holds=("a",), logical_sector=4096)
    room.a.changes = {"disks": (stick, guests)}
    stick, data = room.c.describe().machine.disks
    small = replace(data, logical_sector=512, size=9 << 30)
    large = replace(data, name="sdz", serial="BIG-DATA", logical_sector=4096)
    room.c.changes = {"disks": (stick, small, large)}
    room.a.person.answers = room.happy()
    room.play()
    joins = room.place.agreement
    assert joins is not None
    theirs = answer_file.read(joins.answers)
    assert (theirs.disk, theirs.sector) == ("BIG-DATA", 4096)


def test_a_split_brain_is_named_before_the_consent(served: Survivor) -> None:
    room = Room(replace(served, apart=("mail",)))
    room.a.person.answers = room.happy()
    room.play()
    consented = re.sub(r"\s+", " ", room.a.person.page.rpartition("(4 of 4)")[2])
    assert "SPLIT BRAIN: both machines wrote mail without the other. The copy on a" in consented


def test_slips_and_ways_back(served: Survivor) -> None:
    room = Room(served)
    good = room.happy()
    room.a.person.answers = [
        *good[:2],
        (r"\(1 of 4", lambda: "7"),
        ("Type the number of a disk", lambda: "1"),
        (r"\(2 of 4", lambda: "10.9.9.9"),
        ("is not in the LAN", lambda: "10.0.2.77"),
        (r"\(3 of 4", lambda: "a"),
        ("is called a already", lambda: "back"),
        (r"\(2 of 4[\s\S]*\[10.0.2.77\] > ", lambda: ""),
        (r"\(3 of 4", lambda: "b"),
        (r"\(4 of 4", lambda: "XXXX"),
        ("Nothing is erased", lambda: consent(room.a.person)),
    ]
    room.play()
    joins = room.place.agreement
    assert joins is not None
    theirs = answer_file.read(joins.answers)
    assert theirs.names == ("a", "b")
    assert str(theirs.lan.address) == "10.0.2.77/24"


def test_what_the_new_machine_has_against_it_leads_back_to_the_questions(served: Survivor) -> None:
    """The guest has that address already: only the whole of the answers shows it."""
    room = Room(served)
    good = room.happy()
    room.a.person.answers = [
        *good[:3],
        (r"\(2 of 4", lambda: "10.0.2.50"),
        *good[4:],
        (r"10\.0\.2\.50 is there twice[\s\S]*\(1 of 4", lambda: "1"),
        *good[3:],
    ]
    room.play()
    assert room.place.agreement is not None


def test_a_survivor_that_is_not_alone_any_more_agrees_to_nothing(served: Survivor) -> None:
    room = Room(served)
    good = room.happy()

    def b_returns() -> str:
        room.a.is_alone = False
        return consent(room.a.person)

    room.a.person.answers = [*good[:5], (r"\(4 of 4", b_returns)]
    for machine in (room.a, room.c):
        machine.thread.start()
    room.a.thread.join(LIMIT)
    assert isinstance(room.a.error, OperatorError) and room.a.agreed == []
    room.c.person.is_off = True
    room.c.thread.join(LIMIT)
    assert room.place.files == {}, "the new machine was told to prepare"


def test_a_cable_that_is_pulled_leads_back_to_the_first_page(served: Survivor) -> None:
    room = Room(served)

    def pull() -> str:
        room.a.air.is_cut = room.c.air.is_cut = True
        room.cable.cut()
        return "1"

    def plug() -> str:
        room.a.air.is_cut = room.c.air.is_cut = False
        return ""

    good = room.happy()
    room.a.person.answers = [
        *good[:2],
        (r"\(1 of 4", pull),
        ("Nothing was changed", plug),
        *good,
    ]
    room.play()
    assert len(room.a.agreed) == 1


def test_the_survivor_drives_whatever_the_two_are() -> None:
    for name in range(20):
        lone, blank = party(f"{name}", "1", "0.1.0", "a and b"), party("x", "1", "0.1.0")
        assert shows(blank, lone) and not shows(lone, blank)


def seen_by(me: Party, other: Party, said: Word) -> object:
    """What ME finds at a quiet cable on which OTHER says SAID."""
    discovery = Discovery(me)
    for at in (0.0, 20.0):
        discovery.observe(
            CardSeen(at, "x", CARDS[0], True), CardSeen(at, "y", "52:54:00:00:0a:02", False)
        )
        discovery.observe(Heard(at, "x", Announcement(other, CARDS[1], None, 0, 0, said)))
    address = Announcement(other, CARDS[1], IPv6Address("fe80::b"), 0, 0, said)
    discovery.observe(Heard(20.0, "x", address))
    return discovery.finding(20.0)


BLANK, SERVES = party("c", "1", "0.1.0"), party("a", "1", "0.1.0", "a and b")


def test_a_blank_machine_meets_a_survivor_while_somebody_sits_there() -> None:
    for stage in (Stage.REPLACING, Stage.PAIRING):
        assert isinstance(seen_by(BLANK, SERVES, Word(stage)), Crossover)
    assert isinstance(seen_by(SERVES, BLANK, Word(Stage.BLANK)), Crossover)


@pytest.mark.parametrize(
    ("me", "other", "said"),
    [
        (BLANK, SERVES, Word(Stage.BLANK)),
        (BLANK, SERVES, Word(Stage.COMMITTED, "of another")),
        (SERVES, party("d", "1", "0.1.0", "d and e"), Word(Stage.REPLACING)),
        (SERVES, party("d", "1", "0.1.0"), Word(Stage.PREPARED, "of another")),
    ],
)
def test_nobody_else_is_met(me: Party, other: Party, said: Word) -> None:
    found = seen_by(me, other, said)
    assert isinstance(found, Obstacle) and found.reason is Reason.PAIRED


def test_a_machine_that_is_prepared_begins_again_with_a_survivor_that_is_not() -> None:
    """Its power failed before it wrote anything; the command is typed again."""
    kept = Agreement(Stage.PREPARED, "a", "version: 1", "5f" * 32)
    assert heard(kept, "a", Word(Stage.REPLACING)) is None
    assert heard(kept, "stranger", Word(Stage.REPLACING)) == kept
    committed = replace(kept, stage=Stage.COMMITTED)
    assert heard(committed, "a", Word(Stage.REPLACING)) == committed


def sides(served: Survivor) -> tuple[Description, Description]:
    room = Room(served)
    here = room.a.describe()
    there = room.c.describe()
    same = replace(there.machine, version=here.machine.version, kernel=here.machine.kernel)
    return here, replace(there, machine=same)


def reasons(served: Survivor, **changes: Any) -> str:
    here, there = sides(served)
    there = replace(there, machine=replace(there.machine, **changes))
    return " ".join(sentence for sentence, _ in unfit(served, here, there))


def test_a_machine_that_fits_has_nothing_against_it(served: Survivor) -> None:
    assert reasons(served) == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"total_memory": (1024 + 191) << 20}, "of memory, and"),
        ({"watchdogs": ()}, "has no watchdog"),
        ({"nics": ()}, "no network card"),
        ({"version": "9"}, "different versions"),
        ({"xen": None}, "without Xen"),
    ],
)
def test_what_a_machine_lacks_is_told(
    served: Survivor, changes: dict[str, Any], words: str
) -> None:
    assert words in reasons(served, **changes)


def test_a_disk_that_is_one_byte_too_small_is_no_candidate(served: Survivor) -> None:
    _, there = sides(served)
    stick, data = there.machine.disks
    for missing, found in ((0, 1), (1, 0)):
        disk = replace(data, size=room_needed(served) - missing)
        assert len(candidates(served, replace(there.machine, disks=(stick, disk)))) == found
    assert "large enough" in reasons(served, disks=(stick, replace(data, size=515 << 20)))


def test_a_disk_with_other_sectors_than_those_here_is_no_candidate(served: Survivor) -> None:
    here, there = sides(served)
    stick, data = there.machine.disks
    for ours, theirs, found in ((512, 512, 1), (512, 4096, 0), (4096, 512, 0), (4096, 4096, 1)):
        knows = replace(served, sector=ours)
        disks = stick, replace(data, logical_sector=theirs)
        assert len(candidates(knows, replace(there.machine, disks=disks))) == found
        told = reasons(knows, disks=disks)
        assert (f"sectors of {ours} bytes" in told) == (found == 0), told
    spare = replace(here.machine.disks[-1], serial="SPARE", group="", holds=(), logical_sector=4096)
    has_spare = replace(here, machine=replace(here.machine, disks=(*here.machine.disks, spare)))
    assert not list(unfit(served, has_spare, there)), "one that holds no guest does not matter"


def test_the_sectors_here_are_those_of_the_disk_with_the_guests(served: Survivor) -> None:
    here, _ = sides(served)
    first, *others = here.machine.disks
    guests = replace(first, group="shoestring", logical_sector=4096)
    assert sector(replace(here.machine, disks=(*others, guests))) == 4096
    assert sector(replace(here.machine, disks=())) is None


def alone(**changes: Any) -> Change:
    """WELL, whose peer died, and which serves alone by proof."""
    given = {"link": Link.CONNECTING, "peer_disk": Disk.OUTDATED} | changes
    return both(silent, resource(**given), ledger(alone=Evidence.GATEWAY))


def refused(change: Change) -> str:
    shown: Snapshot = look(change(WELL))
    found = prospects.no_replacement(shown)
    return "" if found is None else found[0]


def test_who_serves_alone_may_get_another_peer() -> None:
    assert refused(alone()) == ""


def test_so_may_who_was_left_by_a_split_brain() -> None:
    """A dead machine takes part in no choice: its place must not stay taken for ever."""
    apart = both(alone(link=Link.STANDALONE), words(is_connected=False, is_alone=True), silent)
    assert refused(apart) == ""
    assert prospects.apart(look(apart(WELL))) == ("counter",)
    assert prospects.apart(look(alone()(WELL))) == ()


def test_so_may_who_was_started_by_a_person() -> None:
    assert refused(both(alone(), ledger(alone=Evidence.TAKEOVER, by_operator=True))) == ""


def no_gateway(state: NodeState) -> NodeState:
    return replace(state, referee=replace(state.referee, answered=0.0))


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("berta is there and talks", lambda state: state),
        ("counter does not run on anna", both(alone(), guest(phase=Phase.RELEASED))),
        ("counter does not run on anna", both(alone(), guest(phase=Phase.FROZEN))),
        ("not written to by anna alone", both(alone(), ledger(alone=None))),
        ("newer copy", both(alone(), ledger(alone=Evidence.GATEWAY, theirs=3))),
        ("is Outdated", alone(disk=Disk.OUTDATED)),
        ("not answered by its gateway", both(alone(), no_gateway)),
        ("is shutting down", both(alone(), node(left=1.0))),
    ],
)
def test_nobody_else_gets_one(what: str, change: Change) -> None:
    """safety: the copy that stays is the source of the new one, so it must be the newest known."""
    assert what in refused(change)
