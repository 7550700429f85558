# SPDX-License-Identifier: MIT
"""A visit to the menu, with a person who types a script and programs that are noted."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from haagent import password
from haagent.console import menu
from haagent.console.guard import WAIT, Guard
from haagent.console.lines import Gone, Quiet
from haagent.console.programs import SHELL
from haagent.console.visit import View, Visit
from haagent.errors import ToolError

RIGHT = "correct horse"
KEPT = password.kept(RIGHT, b"0123456789abcdef")
FIRST = "NOT PROTECTED, 2 reasons"
LOOKING = ("status", "guests", "report")


class Person:
    """Types LINES, one for each question; then falls asleep."""

    def __init__(self, *lines: str | Exception) -> None:
        self.lines = list(lines)
        self.seen: list[str] = []
        self.unseen: list[str] = []
        self.news: Callable[[], str | None] | None = None

    def say(self, *lines: str) -> None:
        self.seen += lines

    def ask(
        self, prompt: str, *, is_unseen: bool = False, news: Callable[[], str | None] | None = None
    ) -> str:
        self.seen.append(prompt)
        self.news = news
        line = self.lines.pop(0) if self.lines else Quiet("asleep")
        if isinstance(line, Exception):
            raise line
        (self.unseen if is_unseen else self.seen).append(line)
        return line

    def show(self, lines: Sequence[str]) -> bool:
        self.seen += lines
        return True


class Runner:
    """Notes what was run."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.fails = False

    def run(self, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
        self.ran.append(" ".join(argv))
        if self.fails:
            raise ToolError(argv, 127, "No such file")
        return 0

    def lines(self, argv: Sequence[str]) -> list[str]:
        self.ran.append(" ".join(argv))
        return ["what it printed"]


class Room:
    """One machine, whose screen is visited."""

    def __init__(self, folder: Path) -> None:
        self.kept = folder / "password"
        self.kept.write_text(KEPT)
        self.now = 1000.0
        self.guard = Guard(self.kept, folder / "tries", lambda: self.now)
        self.view = View(FIRST, "anna", "berta", ("counter",))
        self.runner = Runner()

    def visit(self, *lines: str | Exception) -> Person:
        person = Person(*lines)
        Visit(person, self.runner, self.guard, lambda: self.view).spend()
        return person


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_it_begins_with_the_menu_and_the_first_line_of_the_page(room: Room) -> None:
    seen = room.visit("").seen
    assert [line for line in seen if line][-2:] == [FIRST, menu.QUESTION]
    assert any(line.startswith("  12  shell") for line in seen)
    assert len(seen) <= 24


@pytest.mark.parametrize("word", LOOKING)
def test_looking_needs_no_password(room: Room, word: str) -> None:
    person = room.visit(word, "")
    assert room.runner.ran == [f"shoestring {word}"]
    assert "what it printed" in person.seen
    assert not any("Password" in line for line in person.seen)


GUARDED = [act.word for act in menu.ACTS if act.word not in LOOKING]


@pytest.mark.parametrize("word", GUARDED)
def test_whatever_changes_something_takes_the_password(room: Room, word: str) -> None:
    assert len(GUARDED) == 15
    for typed in ("", "wrong horse"):
        room.visit(word, typed)
    room.visit(word, Quiet("asleep"))
    assert room.runner.ran == []
    room.visit(word, RIGHT, "on")
    (ran,) = room.runner.ran
    assert word in ran or ran == " ".join(SHELL)


def test_the_password_is_asked_for_once_and_forgotten_with_the_visit(room: Room) -> None:
    person = room.visit("move", RIGHT, "reboot", "maintenance off", "")
    assert room.runner.ran == [
        "shoestring move counter",
        "shoestring reboot",
        "shoestring maintenance off",
    ]
    assert person.unseen == [RIGHT]
    assert RIGHT not in person.seen
    room.runner.ran.clear()
    room.visit("move", "")
    assert room.runner.ran == []


def test_the_first_line_stands_above_every_question_and_is_as_new_as_it(room: Room) -> None:
    looks = iter(f"PROTECTED {number}" for number in range(99))
    person = Person("move", "wrong horse", RIGHT, "x", "")

    def see() -> View:
        return View(next(looks), "anna", "berta", ("counter", "mail"))

    Visit(person, room.runner, room.guard, see).spend()
    asked = [at for at, line in enumerate(person.seen) if line.endswith(": ")]
    above = [person.seen[at - 1] for at in asked]
    assert len(above) == 5
    assert all(line.startswith("PROTECTED ") for line in above)
    assert len(set(above)) == len(above)


def test_a_change_is_news_and_what_stays_is_none(room: Room) -> None:
    person = room.visit("")
    assert person.news is not None
    assert person.news() is None
    room.view = View("STOPPED", "anna", "berta", ())
    assert person.news() == "STOPPED"
    assert person.news() is None


def test_three_wrong_ones_end_the_asking_and_nobody_waits_in_here(room: Room) -> None:
    person = room.visit("move", "one", "two", "three", "guests", "")
    assert room.runner.ran == ["shoestring guests"], "the menu goes on"
    assert person.seen.count("That is not the password.") == 3
    person = room.visit("move", "")
    assert not person.unseen, "there is no question to be answered"
    assert any("Too many wrong passwords: the next one is taken in 30 s." in s for s in person.seen)
    room.now += WAIT
    room.visit("move", RIGHT, "")
    assert room.runner.ran[-1] == "shoestring move counter"


def test_without_a_password_nothing_is_changed_and_the_way_is_told(room: Room) -> None:
    room.kept.unlink()
    person = room.visit("move", "shell", "12", "status", "")
    assert room.runner.ran == ["shoestring status"]
    assert not person.unseen
    assert sum("No password is kept on this machine" in line for line in person.seen) == 4
    assert not any("12  shell" in line for line in person.seen)


def test_a_password_that_cannot_be_read_admits_nobody(room: Room) -> None:
    room.kept.unlink()
    room.kept.mkdir()
    person = room.visit("move", "")
    assert room.runner.ran == []
    assert any("cannot be read" in line for line in person.seen)


def test_the_guest_is_asked_for_where_there_are_several(room: Room) -> None:
    room.view = View(FIRST, "anna", "berta", ("counter", "mail"))
    person = room.visit("4", RIGHT, "mail", "8", "counter", "move", "", "")
    assert room.runner.ran == ["shoestring move mail", "shoestring start counter --anyway"]
    assert "The guests: counter, mail." in person.seen


def test_the_shell_says_what_it_is_and_leads_back_to_the_page(room: Room) -> None:
    person = room.visit("shell", RIGHT, "reboot")
    assert room.runner.ran == [" ".join(SHELL)]
    assert person.lines == ["reboot"], "the visit is over"
    page = " ".join(person.seen)
    assert "A root shell on anna" in page and "`exit` comes back to the status page" in page


def test_a_program_that_is_not_there_is_told_and_the_menu_goes_on(room: Room) -> None:
    room.runner.fails = True
    person = room.visit("reboot", RIGHT, "guests", "")
    assert room.runner.ran == ["shoestring reboot", "shoestring guests"]
    assert any("No such file" in line for line in person.seen)


@pytest.mark.parametrize("line", ["back", "", Quiet("asleep"), Gone("hung up")])
def test_the_page_comes_back(room: Room, line: str | Exception) -> None:
    person = room.visit(line, "reboot")
    assert person.lines == ["reboot"]


def test_a_question_mark_explains_and_nonsense_is_refused(room: Room) -> None:
    person = room.visit("?", "nonsense", "drbdadm status", "")
    page = "\n".join(person.seen)
    assert "Ctrl-C ends an act" in page
    assert "There is no 'nonsense' in this list." in page
    assert "drbdadm is a command for the shell, which is number 12." in page
    assert room.runner.ran == []


@pytest.mark.parametrize("line", ["guest", "18"])
def test_what_to_do_with_a_guest_is_asked_for(room: Room, line: str) -> None:
    room.visit(line, RIGHT, "stop")
    assert room.runner.ran == ["shoestring guest stop counter"]


def test_which_guest_is_asked_for_behind_a_verb(room: Room) -> None:
    room.visit("guest restart", RIGHT)
    assert room.runner.ran == ["shoestring guest restart counter"]


def test_no_verb_is_no_act(room: Room) -> None:
    room.visit("guest", RIGHT, "")
    assert room.runner.ran == []
