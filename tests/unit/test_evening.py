# SPDX-License-Identifier: MIT
"""Two machines meet: each in a thread, with a person before it, joined by a cable of values."""

import contextlib
import re
from dataclasses import replace
from typing import cast

import pytest

from firstboot import agreement as agreements
from firstboot import answers as answer_file
from firstboot import evening
from firstboot.agreement import Agreement, Stage, Word, word
from firstboot.apply import COMPLETE
from firstboot.description import from_message, to_message
from firstboot.faces.pager import ROOM
from firstboot.installing.carrying import Carrying
from firstboot.meeting import Meeting
from firstboot.pairing import discovery
from firstboot.pairing.announcement import Announcement
from firstboot.pairing.discovery import EVERY
from firstboot.rendering import SETTINGS
from firstboot.terminals import Terminals
from haagent.errors import PeerError, ToolError
from haagent.folding import folded
from tests.unit.fake_evening import (
    CARDS,
    LIMIT,
    Stopped,
    World,
    assert_agreed,
    happy,
    hurry,
    play,
    roles,
    wrong_code_on,
)
from tests.unit.fake_machine import SECRET, TEXTS, FakeMachine, hardware, run_into

MOST_PROMPTS = 9
MOST_KEYS = 60


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def test_a_code_and_a_few_questions_make_a_pair() -> None:
    world = World()
    machines = world.start()
    shower, asker = roles(machines)
    asker.person.answers = happy(shower, asker)
    play(machines)
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


@pytest.mark.parametrize("cut_at", [1, 2])
@pytest.mark.parametrize("who", [0, 1])
def test_the_machine_that_stayed_on_finds_the_other_one_again(who: int, cut_at: int) -> None:
    world = World()
    machines = world.start()
    shower, asker = roles(machines)
    asker.person.answers = happy(shower, asker)
    world.places[who].cut_at = cut_at
    for machine in machines:
        machine.thread.start()
    machines[who].thread.join(LIMIT)
    assert isinstance(machines[who].error, Stopped), machines[who].person.page[-2000:]
    world.places[who].cut_at = None
    again = world.restart(machines, who)
    # Whoever asks for the code, somebody sits there. The one that stayed on may ask for that of the
    # machine that it remembers, before it hears that it was started anew, and then asks again.
    shower, asker = roles(again)
    asker.person.looks_at = shower
    asker.person.answers = happy(shower, asker)[1:]
    again[who].thread.start()
    for machine in again:
        machine.thread.join(LIMIT)
    pages = "\n===\n".join(machine.person.page[-2000:] for machine in again)
    assert not any(machine.thread.is_alive() for machine in again), pages
    assert_agreed(world)


@pytest.mark.parametrize("stage", [Stage.BLANK, Stage.REPLACING])
@pytest.mark.parametrize(("late", "read_at"), [(False, 60.0), (True, 2.0)])
def test_a_word_that_was_on_its_way_while_both_agreed_makes_nobody_forget(
    late: bool, read_at: float, stage: Stage
) -> None:
    """The other machine was blank when it said so; by now it may have committed. What nobody had
    read yet does not count, whenever it is read, and neither does what comes right after.
    """
    first, second = World().start()
    mine = Agreement(Stage.PREPARED, second.me.identity, TEXTS["a"], SECRET)
    now = 1.0

    def clock() -> float:
        return now

    meeting = Meeting(first.me, first.person, first.air, first.cable.at(0), first.place, clock)
    for is_later in (False, True):
        if is_later:
            meeting.keep(mine)
        if late is is_later:
            second.air.announce(second.me, Word(stage), {})
    now = read_at
    meeting.wait()
    assert meeting.agreement == mine
    theirs = word(replace(mine, peer=first.me.identity), second.me.identity)
    second.air.announce(second.me, theirs, {})
    meeting.wait()
    assert meeting.agreement == replace(mine, stage=Stage.COMMITTED)
    now = 1000.0
    second.air.announce(second.me, Word(Stage.BLANK), {})
    meeting.wait()
    assert meeting.agreement is not None, "who has committed never goes back"


def test_who_never_agreed_is_believed_in_the_end() -> None:
    prepared = Prepared()
    assert prepared.keeps_for(discovery.QUIET), "nobody has listened to the cable yet"
    assert not prepared.keeps_for(2)


def test_who_says_on_the_lan_that_it_never_agreed_is_not_believed() -> None:
    """Anybody there may say it, in the other machine's name, before the cable is heard."""
    prepared = Prepared()
    prepared.first.air.on_lan = [prepared.said]
    prepared.second.air.is_cut = True
    assert prepared.keeps_for(3 * discovery.QUIET)


def test_nor_is_who_says_so_on_a_cable_that_others_are_on() -> None:
    prepared = Prepared()
    prepared.first.air.has_router = True
    assert prepared.keeps_for(3 * discovery.QUIET)


def test_nor_is_who_says_so_where_another_card_is_than_was_agreed() -> None:
    prepared = Prepared(text=TEXTS["a"].replace(CARDS[0], "52:54:00:00:0a:77"))
    assert prepared.keeps_for(3 * discovery.QUIET)


class Prepared:
    """A machine after a power cut, prepared; the other one says each second that it is blank."""

    def __init__(self, text: str = TEXTS["a"]) -> None:
        self.first, self.second = World().start()
        first, self.now = self.first, 0.0
        mine = Agreement(Stage.PREPARED, self.second.me.identity, text, SECRET)
        first.place.write(agreements.to_file(mine))
        self.said = Announcement(self.second.me, CARDS[1], None, word=Word(Stage.BLANK))
        end = first.cable.at(0)
        self.meeting = Meeting(first.me, Nobody(), first.air, end, first.place, lambda: self.now)

    def keeps_for(self, seconds: float) -> bool:
        """Whether it has its agreement all the time."""
        until = self.now + seconds
        while self.now < until and self.meeting.agreement is not None:
            self.second.air.announce(self.second.me, Word(Stage.BLANK), {})
            self.meeting.wait()
            self.now += EVERY
        return self.meeting.agreement is not None


class Nobody:
    """A screen in front of which nobody sits; whatever can be read is read."""

    def tell(self, text: str) -> None: ...
    def prompt(self, text: str) -> None: ...
    def hide(self, is_hidden: bool) -> None: ...
    def read(self, timeout: float | None, *others: int) -> str | int | None:
        return others[0]


def test_the_happy_path_needs_few_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enter wherever there is a default; the code and the consent are counted."""
    world = World()
    machines = world.start()
    shower, asker = roles(machines)
    script = happy(shower, asker)
    for number in (2, 3, 4, 5):
        script[number] = (script[number][0], lambda: "")
    asker.person.answers = script
    play(machines)
    assert_agreed(world)
    typed = [text for machine in machines for text in machine.person.typed]
    keys = sum(len(text) + 1 for text in typed)
    print(f"{len(typed)} prompts that need a key, {keys} keys, of these {len(typed)} are Enter")
    assert len(typed) <= MOST_PROMPTS
    assert not shower.person.typed, "one of the two machines needs nobody"
    assert keys <= MOST_KEYS


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
        evening.spend(cast(Carrying, machine), cast(Terminals, reader))
    return "\n".join(reader.said)


def test_answers_on_the_stick_need_nobody() -> None:
    machine = FakeMachine(TEXTS["a"], hardware("a"), is_leader=True)
    assert spent(machine).endswith("This machine is set up.")


def test_a_long_list_of_complaints_fits_the_screen_with_what_to_do() -> None:
    wrong = TEXTS["a"] + "".join(f"wrong-{number}: 1\n" for number in range(40))
    said = spent(FakeMachine(wrong, hardware("a"), is_leader=True))
    assert len(folded(said)) <= ROOM
    assert re.search(r"^... and \d+ lines more$", said, re.M)
    assert "Correct answers.yaml on the stick" in said
    assert said.endswith("Press Enter to try again. What is done already is kept.")


def test_half_of_a_pair_goes_on_without_looking_for_anybody() -> None:
    """From where its settings are written on. The fake has no card that could be switched on, and
    no way to look for addresses: whoever tries ends as a fault of our own.
    """
    whole = FakeMachine(None, hardware("a"), is_leader=True)
    agreed = agreements.to_file(Agreement(Stage.COMMITTED, "the peer", TEXTS["a"], SECRET))
    whole.write(agreed)
    assert spent(whole).endswith("This machine is set up.")
    halves = 0
    for cut in range(1, whole.effects - 1):
        machine = FakeMachine(None, hardware("a"), is_leader=True)
        machine.write(agreed)
        run_into(machine, cut)
        if SETTINGS in machine.files and COMPLETE.path not in machine.files:
            halves += 1
            assert spent(machine).endswith("This machine is set up.")
            assert agreements.PATH not in machine.files
    assert halves


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
