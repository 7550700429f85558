# SPDX-License-Identifier: MIT
"""The Rescue entry's screen: no shell without the password, and none where nobody can be asked."""

from pathlib import Path

import pytest

from haagent.console.guard import Guard
from haagent.console.lines import Gone, Quiet
from haagent.console.programs import SHELL
from haagent.console.rescue import REBOOT, Rescue
from tests.unit.test_visit import KEPT, RIGHT, Person, Runner

A_SHELL = [" ".join(SHELL)]


class Room:
    """A machine in rescue."""

    def __init__(self, folder: Path) -> None:
        self.kept = folder / "password"
        self.kept.write_text(KEPT)
        self.guard = Guard(self.kept, folder / "tries")
        self.runner = Runner()
        self.has_state = True

    def sit(self, *lines: str | Exception) -> Person:
        person = Person(*lines, Gone("that is all"))
        Rescue(person, self.runner, self.guard, lambda: self.has_state).run()
        return person


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def test_the_password_gives_a_shell_and_is_asked_for_each_time(room: Room) -> None:
    person = room.sit("", RIGHT, "", RIGHT)
    assert room.runner.ran == A_SHELL * 2
    assert person.unseen == [RIGHT, RIGHT]


@pytest.mark.parametrize("typed", ["", "wrong horse", RIGHT.upper()])
def test_nothing_else_does(room: Room, typed: str) -> None:
    room.sit("", typed)
    assert room.runner.ran == []


def test_wrong_ones_cost_a_wait_here_too(room: Room) -> None:
    person = room.sit(*["", "wrong horse"] * 3, "", "")
    assert room.runner.ran == []
    assert any("Too many wrong passwords" in line for line in person.seen)


def test_without_the_state_partition_there_is_no_shell(room: Room) -> None:
    """safety: nobody can be asked, and nobody may choose a password either."""
    room.has_state = False
    for text in (KEPT, ""):
        room.kept.write_text(text)
        person = room.sit("", "reboot")
        assert room.runner.ran == [" ".join(REBOOT)]
        assert not person.unseen
        assert "no shell" in " ".join(person.seen)
        room.runner.ran.clear()


def test_where_none_was_chosen_one_is_chosen_and_counts(room: Room) -> None:
    room.kept.unlink()
    person = room.sit("", "another horse", "another horse")
    assert room.runner.ran == A_SHELL
    assert "No password was ever chosen on this machine." in " ".join(person.seen)
    assert "another horse" not in " ".join(person.seen)
    assert room.guard.admits("another horse")


@pytest.mark.parametrize("typed", [("12345",), ("another horse", "other horse"), ("",)])
def test_a_slip_of_the_finger_chooses_nothing(room: Room, typed: tuple[str, ...]) -> None:
    room.kept.unlink()
    room.sit("", *typed)
    assert room.runner.ran == [] and not room.kept.exists()


def test_it_waits_on_when_nobody_types(room: Room) -> None:
    person = room.sit(Quiet("asleep"), Quiet("asleep"), "reboot")
    assert room.runner.ran == [" ".join(REBOOT)]
    assert " ".join(person.seen).count("RESCUE:") == 4
