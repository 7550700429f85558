# SPDX-License-Identifier: MIT
"""When DRBD is to compare two copies, and what is known of it afterwards.

What DRBD shows is in tests/data/drbd/proc-verified.txt, and made of it.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from haagent.core.model import NEVER, Disk, Link, NodeState, Pair, Phase, Resource, Role
from haagent.storage.findings import NOT_SEEN, Book, Finding
from haagent.storage.resync import Progress
from haagent.storage.verification import (
    AGAIN,
    LOOK,
    LOOK_AT_PROGRESS,
    PAUSE,
    SETTLED,
    Verification,
    is_due,
    refusal,
)
from tests.unit.states import (
    IN_SYNC,
    NOW,
    holding,
    in_maintenance,
    with_guest,
    with_hello,
    with_peer,
    with_resource,
    with_words,
)

DAY = 86400.0
MONDAY = 1_000_000.0  # a wall clock


def well() -> NodeState:
    """Node 0, which holds the guest; both copies are one."""
    state = with_resource(holding(), role=Role.PRIMARY)
    state = replace(state, pair=replace(state.pair, me=0), started=NEVER)
    return with_words(state, phase=Phase.RELEASED)


class EndError(BaseException):
    """Of a watch that has none."""


class Room:
    """A room, its clocks, what DRBD shows it, and what it had begun."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.folder = folder
        self.proc = folder / "drbd"
        self.now = MONDAY
        self.hour = 2
        self.begun: list[str] = []
        minors = {name: (number,) for number, name in enumerate(names or ("g",))}
        self.room = Verification(
            minors, Book(folder, minors), self.proc, lambda: self.now, lambda now: self.hour
        )
        self.state = well()
        if names:
            guests = dict.fromkeys(names, self.state.guests["g"])
            assert self.state.peer.hello is not None
            heard = dict.fromkeys(names, self.state.peer.hello.guests["g"])
            self.state = with_hello(replace(self.state, guests=guests), guests=heard)
        self.room.seen(self.state)
        self.shows("Connected")

    def has_compared(self) -> None:
        """Long ago, and the two were the same."""
        self.compares(0)
        self.now += 8 * DAY

    def shows(self, *states: str, oos: int = 0, disks: str = "UpToDate/UpToDate") -> None:
        """/proc/drbd has a device in each of STATES."""
        self.proc.write_text(
            "".join(
                f" {minor}: cs:{state} ro:Primary/Secondary ds:{disks} C r-----\n    oos:{oos}\n"
                + "\t[=>..] verified: 25.0% (300/400)K\n\tfinish: 0:00:08 speed: 5 (5) K/sec\n"
                * state.startswith("Verify")
                for minor, state in enumerate(states)
            )
        )

    def look(self, seconds: float = LOOK) -> list[str]:
        """After SECONDS; what that had begun."""
        before = len(self.begun)
        self.now += seconds
        self.state = replace(self.state, now=self.state.now + seconds)
        # The peer is heard all the time.
        self.state = with_peer(self.state, hello_at=self.state.now)
        self.room.seen(self.state)
        self.room.look(self.begun.append)
        return self.begun[before:]

    def tells(self, is_verifying: bool, name: str = "g", resource: Resource = IN_SYNC) -> None:
        self.room.changed(name, resource, is_verifying)

    def compares(self, oos: int, name: str = "g") -> None:
        """From beginning to end."""
        self.tells(True, name)
        self.shows("VerifyS", oos=oos)
        self.look(LOOK_AT_PROGRESS)
        self.shows("Connected", oos=oos)
        self.tells(False, name)
        self.look(LOOK_AT_PROGRESS)

    def finding(self, name: str = "g") -> Finding:
        return self.room.verified[name].finding


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_one_is_begun_at_night_and_not_again_until_a_week_later(room: Room) -> None:
    assert room.look() == ["g"]
    room.compares(0)
    assert room.finding().at == room.now
    assert room.look() == []
    for _ in range(6):
        assert room.look(DAY) == [], "too early"
    assert room.look(DAY) == ["g"], "in the same night of the week, however long it took"


@pytest.mark.parametrize(("hour", "begins"), [(0, False), (1, True), (4, True), (5, False)])
def test_by_day_guests_are_left_alone(room: Room, hour: int, begins: bool) -> None:
    room.hour = hour
    assert room.look() == ["g"] * begins


def test_nothing_is_begun_right_after_a_start(room: Room) -> None:
    room.state = replace(room.state, started=room.state.now)
    assert room.look(SETTLED - LOOK) == []
    assert room.look() == ["g"]


@pytest.mark.parametrize(
    "rests", [in_maintenance, lambda state: with_hello(state, in_maintenance=True)]
)
def test_while_a_person_works_on_a_machine_nothing_is_begun(
    room: Room, rests: Callable[[NodeState], NodeState]
) -> None:
    calm, room.state = room.state, rests(room.state)
    assert room.look() == []
    room.state = replace(calm, now=room.state.now)
    assert room.look() == ["g"]


def test_one_machine_begins_for_both(room: Room) -> None:
    room.state = replace(room.state, pair=replace(room.state.pair, me=1))
    assert room.look() == []


def test_the_hour_is_that_of_where_the_machine_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    for zone, expected in (("UTC0", []), ("ABC-3", ["g"])):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        room = Verification({"g": (0,)}, Book(tmp_path, ["g"]), tmp_path / "drbd", lambda: DAY)
        room.seen(well())
        room.look(begun.append)
        assert begun == expected
    monkeypatch.undo()
    time.tzset()


def test_one_that_does_not_begin_is_tried_again_but_seldom(room: Room) -> None:
    assert room.look() == ["g"]
    assert room.look(AGAIN - LOOK) == []
    assert room.look() == ["g"]


def test_one_guest_at_a_time_who_waits_longest_first(tmp_path: Path) -> None:
    room = Room(tmp_path, "mail", "web")
    book = Book(tmp_path, ["mail", "web"])
    book.keep("mail", Finding(at=MONDAY - 8 * DAY))
    book.keep("web", Finding(at=MONDAY - 9 * DAY))
    room = Room(tmp_path, "mail", "web")
    assert room.look() == ["web"]
    assert room.look() == [], "DRBD may not have begun yet"
    room.tells(True, "web")
    assert room.look(PAUSE) == []
    room.shows("Connected", "VerifyS")
    assert room.look(AGAIN) == [], "however long it takes"
    room.shows("Connected", "Connected")
    room.tells(False, "web")
    assert room.look() == ["mail"]


@pytest.mark.parametrize(
    ("at", "due"),
    [
        (None, True),
        (MONDAY - 6 * DAY, False),
        (MONDAY - 6.5 * DAY, True),
        (MONDAY, False),
        (MONDAY + DAY / 2, False),
        (MONDAY + 2 * DAY, True),  # the clock was set back
    ],
)
def test_when_it_is_due(at: float | None, due: bool) -> None:
    assert is_due(Finding(at=at), MONDAY) is due


OTHERS: dict[str, tuple[Callable[[NodeState], NodeState], str]] = {
    "DRBD has not told": (lambda s: with_guest(s, resource=None), "g is not mirrored"),
    "a lost peer": (lambda s: with_resource(s, link=Link.CONNECTING), "g is not mirrored"),
    "a dead disk there": (lambda s: with_resource(s, peer_disk=Disk.DISKLESS), "g is not mirr"),
    "who misses the end of a resync": (lambda s: with_words(s, is_connected=False), "g is not"),
    "a resync": (lambda s: with_resource(s, link=Link.SYNC_TARGET), "a copy of g is being"),
    "one that is at something": (lambda s: with_guest(s, phase=Phase.STOPPING), "g is being st"),
    "a peer at something": (lambda s: with_words(s, phase=Phase.PROMOTING), "g is being started"),
    "a peer that was never heard": (lambda s: with_peer(s, hello=None), "a is silent"),
    "a peer that is silent": (lambda s: with_peer(s, hello_at=NOW - 6), "a is silent"),
    "a peer that goes": (lambda s: with_hello(s, is_leaving=True), "a machine is going down"),
    "one that leaves": (lambda s: replace(s, left=NOW), "a machine is going down"),
    "one that gave up": (lambda s: replace(s, is_fenced=True), "a machine is going down"),
    "one without its stick": (lambda s: replace(s, is_stateless=True), "the stick is lost"),
}


@pytest.mark.parametrize("why", OTHERS)
def test_only_a_pair_that_is_well_compares(room: Room, why: str) -> None:
    change, said = OTHERS[why]
    state = change(replace(well(), pair=Pair(1, ("a", "b"), {"g": 0})))
    assert said in (refusal(state, "g") or "")
    room.room.seen(state)
    assert said in (room.room.ask("g") or "")


@pytest.mark.parametrize("phases", [(Phase.HOLDING, Phase.RELEASED), (Phase.RELEASED,) * 2])
def test_a_guest_that_is_off_is_compared_too(phases: tuple[Phase, Phase]) -> None:
    state = with_words(with_guest(well(), phase=phases[0]), phase=phases[1])
    assert refusal(state, "g") is None


def test_the_resync_of_another_guest_comes_first(tmp_path: Path) -> None:
    room = Room(tmp_path, "mail", "web")
    copying = replace(IN_SYNC, link=Link.SYNC_SOURCE, peer_disk=Disk.INCONSISTENT)
    web = replace(room.state.guests["web"], resource=copying)
    room.state = replace(room.state, guests={**room.state.guests, "web": web})
    assert room.look() == []
    assert refusal(room.state, "mail") == "a copy of web is being brought up to date"


def test_before_the_first_state_nothing_is_begun(tmp_path: Path) -> None:
    room = Verification({"g": (0,)}, Book(tmp_path, ["g"]), tmp_path / "drbd", hour=lambda now: 2)
    room.look(lambda guest: pytest.fail("nothing is known of it"))
    assert room.ask("g") == "the agent has only just started"


def test_a_person_has_one_compared_at_any_hour_on_either_machine(room: Room) -> None:
    room.hour = 12
    room.state = replace(room.state, pair=replace(room.state.pair, me=1))
    assert room.look() == []
    assert room.room.ask("g") is None
    assert room.room.ask("g") == "the copies of g are being compared"
    assert room.look() == ["g"]
    room.tells(True)
    assert room.room.ask("g") == "the copies of g are being compared"
    assert room.look() == []


def test_what_a_person_asked_for_is_not_begun_if_it_cannot_be_any_more(room: Room) -> None:
    room.hour = 12
    assert room.room.ask("g") is None
    room.state = replace(room.state, left=room.state.now)
    assert room.look() == []
    room.state = replace(room.state, left=None)
    assert room.look() == [], "nobody waits for it any more"


def test_it_is_shown_how_far_it_is(room: Room) -> None:
    room.tells(True)
    assert room.room.verified["g"].is_under_way and room.room.verified["g"].progress is None
    room.shows("VerifyT")
    room.look()
    assert room.room.verified["g"].progress == Progress(300, 400, 8)
    room.tells(False)
    known = room.room.verified["g"]
    assert known.is_under_way and known.progress is None, "what it found is not read yet"
    room.shows("Connected")
    room.look()
    assert not room.room.verified["g"].is_under_way


def test_what_differs_is_kept_on_either_machine(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    room.has_compared()
    room.compares(8)
    assert room.finding() == Finding(room.now, 8, room.now - LOOK_AT_PROGRESS)
    assert "g: 8 KiB differ between its two copies" in caplog.messages
    assert Room(room.folder).finding() == room.finding()


def test_what_was_found_when_it_was_cut_short_is_kept(room: Room) -> None:
    room.tells(True)
    room.shows("VerifyS", oos=4)
    room.look()
    lost = replace(IN_SYNC, link=Link.CONNECTING, peer_disk=Disk.UNKNOWN)
    room.tells(False, resource=lost)
    room.shows("WFConnection", oos=4096, disks="UpToDate/Outdated")
    room.look()
    found = room.finding()
    assert (found.at, found.differs) == (None, 4), "what the guest writes alone is no finding"


def test_a_disk_that_fails_cuts_it_short(room: Room) -> None:
    room.tells(True)
    room.tells(False, resource=replace(IN_SYNC, disk=Disk.FAILED))
    room.shows("Connected", disks="Failed/UpToDate")
    room.look()
    assert room.finding() == Finding()
    assert not room.room.verified["g"].is_under_way


def test_two_that_came_apart_before_it_was_read_were_not_compared(room: Room) -> None:
    room.tells(True)
    room.tells(False)
    room.shows("WFConnection", oos=512, disks="UpToDate/DUnknown")
    room.look()
    assert room.finding() == Finding() and not room.room.verified["g"].is_under_way


@pytest.mark.parametrize(("link", "source"), [(Link.SYNC_SOURCE, "a"), (Link.SYNC_TARGET, "b")])
def test_a_resync_that_takes_it_along_is_told_with_its_source(
    room: Room, link: Link, source: str
) -> None:
    room.has_compared()
    room.compares(8)
    room.tells(False, resource=replace(IN_SYNC, link=link))
    assert room.finding().copied_from == source
    room.shows("Connected")
    room.tells(False)
    room.look()
    assert room.finding().copied_from == source and room.finding().is_open
    assert Room(room.folder).finding() == room.finding(), "a power cut takes nothing of it"
    room.compares(0)
    assert room.finding().is_past


def test_what_was_never_the_same_is_told_otherwise(room: Room) -> None:
    room.compares(300)
    assert room.finding().is_first and not room.finding().is_open
    room.shows("Connected")
    room.look()
    assert room.finding().copied_from == NOT_SEEN


def test_a_resync_that_this_agent_did_not_see_is_told(room: Room) -> None:
    room.has_compared()
    room.compares(8)
    again = Room(room.folder)
    again.shows("Connected", oos=8)
    again.look()
    assert again.finding().copied_from == ""
    again.shows("Connected")
    again.look()
    assert again.finding().copied_from == NOT_SEEN


def test_a_person_takes_note(room: Room) -> None:
    room.has_compared()
    room.compares(8)
    assert room.finding().is_open
    assert room.room.take_note("g") is None
    room.look()
    assert not room.finding().is_open
    assert Room(room.folder).finding() == room.finding()
    room.compares(8)
    assert not room.finding().is_open, "DRBD tells of the same again"
    room.compares(12)
    assert room.finding().differs == 4


def test_nobody_takes_note_of_what_is_not_known_yet(room: Room) -> None:
    room.tells(True)
    assert room.room.take_note("g") == (
        "the copies of g are being compared: wait for what is found"
    )


def test_what_cannot_be_read_is_no_finding(room: Room) -> None:
    room.tells(True)
    room.proc.unlink()
    room.look()
    room.tells(False)
    room.look()
    assert room.finding() == Finding()
    room.shows("Connected")
    room.look()
    assert room.finding().at == room.now, "it can be read again"


def test_what_cannot_be_kept_is_said_once(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    room.has_compared()
    (room.folder / "verified-g.new").mkdir()
    for oos in (8, 16):
        room.compares(oos)
    assert sum("cannot note what was found of g" in line for line in caplog.messages) == 1
    assert room.finding().differs == 16


def test_a_guest_that_is_not_ours_is_ignored(room: Room) -> None:
    room.tells(True, "stray")
    assert room.room.verified.keys() == {"g"}


def test_it_looks_for_ever_and_at_once_when_there_is_news(room: Room) -> None:
    seen = threading.Event()

    def end(guest: str) -> None:
        seen.set()
        raise EndError

    def watch() -> None:
        with pytest.raises(EndError):
            room.room.watch(end)

    room.hour = 12
    thread = threading.Thread(target=watch)
    thread.start()
    assert room.room.ask("g") is None
    assert seen.wait(LOOK / 2), "nobody waits for the next look"
    thread.join(10)


def test_what_ends_while_it_is_read_is_read_again(room: Room) -> None:
    """The text is older than the end: it may lack the last block that differs."""

    class Proc(type(room.proc)):  # type: ignore[misc]
        def read_text(self, *args: object, **kwargs: object) -> str:
            room.tells(False)
            return " 0: cs:VerifyS ro:Primary/Secondary ds:UpToDate/UpToDate C\n oos:4\n"

    room.tells(True)
    proc, room.room._proc = room.room._proc, Proc(room.proc)
    room.look()
    assert room.finding() == Finding(differs=4, since=room.now, is_first=True)
    room.room._proc = proc
    room.shows("Connected", oos=8)
    room.look()
    assert (room.finding().at, room.finding().differs) == (room.now, 8)


def test_whoever_decides_does_not_wait_for_what_is_read(room: Room) -> None:
    looks = threading.Event()
    goes_on = threading.Event()

    def hour(now: float) -> int:
        looks.set()
        goes_on.wait(10)
        return 12

    room.room._hour = hour
    thread = threading.Thread(target=room.room.look, args=(room.begun.append,))
    thread.start()
    assert looks.wait(10)
    assert room.room.verified.keys() == {"g"}
    room.tells(True)
    goes_on.set()
    thread.join(10)
    assert room.room.verified["g"].is_under_way


def test_a_bug_in_it_ends_nothing(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    asked: list[float] = []

    def hour(now: float) -> int:
        asked.append(now)
        room.room._news.set()
        if len(asked) == 3:
            raise EndError
        raise ValueError("no hour")

    room.room._hour = hour
    with pytest.raises(EndError):
        room.room.watch(room.begun.append)
    assert [line.partition(":")[0] for line in caplog.messages] == ["a bug"]
