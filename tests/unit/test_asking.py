# SPDX-License-Identifier: MIT
"""What a command asks the person at its terminal: `shoestring password`, on a real one."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pexpect
import pytest

from haagent import asking, password
from haagent.console.guard import Guard

RIGHT, NEW = "correct horse", "another horse"
KEPT = password.kept(RIGHT, b"0123456789abcdef")
PROGRAM = """\
import sys
from pathlib import Path
from haagent import asking, shoestring
from haagent.command import Places
from haagent.console.guard import Guard
folder = Path(sys.argv[1])
guard = Guard(folder / "password", folder / "tries")
asking.PATIENCE = float(sys.argv[2])
sys.exit(shoestring.main(["password", *sys.argv[3:]], Places(guard=guard)))
"""
Spawn: TypeAlias = "pexpect.spawn[str]"  # it takes no argument but in its types
Command = Callable[..., Spawn]


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    started: list[Spawn] = []

    def start(*arguments: str, patience: float = 30.0) -> Spawn:
        child: Spawn = pexpect.spawn(
            sys.executable,
            ["-c", PROGRAM, str(tmp_path), str(patience), *arguments],
            cwd=str(Path(__file__).parents[2]),
            env={**os.environ, "TERM": "dumb"},
            encoding="ascii",
            timeout=30,
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.close(force=True)


def ends(child: Spawn) -> tuple[str, int | None]:
    """What it said to its end, and its exit status."""
    child.expect(pexpect.EOF)
    said = child.before or ""
    child.close()
    return said, child.exitstatus


def answer(child: Spawn, question: str, text: str) -> None:
    child.expect_exact(question)
    child.send(f"{text}\r")


def test_the_old_one_is_asked_for_and_nothing_typed_is_seen(
    tmp_path: Path, command: Command
) -> None:
    (tmp_path / "password").write_text(KEPT)
    child = command()
    answer(child, "The old password: ", RIGHT)
    answer(child, "The new password, at least 6 characters: ", NEW)
    answer(child, "The same password again: ", NEW)
    said, status = ends(child)
    assert "on this machine only" in said and "horse" not in said
    assert status == 0
    assert Guard(tmp_path / "password", tmp_path / "tries").admits(NEW)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (("wrong horse",), "That is not the password."),
        ((RIGHT, "12345"), "At least 6"),
        ((RIGHT, NEW, "another hose"), "These two are not the same."),
    ],
)
def test_a_slip_of_the_finger_changes_nothing(
    tmp_path: Path, command: Command, typed: tuple[str, ...], words: str
) -> None:
    (tmp_path / "password").write_text(KEPT)
    child = command()
    for text in typed:
        answer(child, ": ", text)
    said, status = ends(child)
    assert words in said and "othing was changed" in said
    assert status == 70
    assert (tmp_path / "password").read_text() == KEPT


def test_one_is_printed_for_an_answer_file_and_nothing_is_kept(
    tmp_path: Path, command: Command
) -> None:
    child = command("--print")
    answer(child, "characters: ", NEW)
    answer(child, "again: ", NEW)
    said, _ = ends(child)
    (text,) = [line for line in said.splitlines() if line.startswith("password: ")]
    assert password.fits(NEW, text.removeprefix('password: "').rstrip('"'))
    assert not list(tmp_path.iterdir())


def test_a_question_that_nobody_answers_ends(tmp_path: Path, command: Command) -> None:
    """The page must come back to its screen by itself."""
    (tmp_path / "password").write_text(KEPT)
    said, status = ends(command(patience=0.1))
    assert "nobody answered" in said
    assert status == 70


def test_the_wait_for_an_answer_is_some_minutes() -> None:
    assert 60 <= asking.PATIENCE <= 600
