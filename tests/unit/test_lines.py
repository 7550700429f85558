# SPDX-License-Identifier: MIT
"""Whole lines on a real terminal (a pty): what is said, typed, hidden, and what ends a question."""

import os
import select
import termios
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from haagent.console import lines as module
from haagent.console.lines import Gone, Lines, Quiet, understood

DEADLINE = 10.0  # seconds; nothing here takes a tenth of it


class Person:
    """In front of the terminal: answers when the question is there."""

    def __init__(self) -> None:
        self.outside, self.inside = os.openpty()
        self.seen = ""

    def look(self, seconds: float = 0.0) -> str:
        while select.select([self.outside], [], [], seconds)[0]:
            self.seen += os.read(self.outside, 4096).decode("ascii")
        return self.seen

    def type(self, data: bytes) -> None:
        os.write(self.outside, data)

    def answers(self, question: str, data: bytes, ask: Callable[[], str]) -> str:
        """What ASK returns when DATA is typed as soon as QUESTION is on the screen."""
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(ask()))
        thread.start()
        deadline = time.monotonic() + DEADLINE
        while question not in self.look(0.01):
            assert time.monotonic() < deadline, self.seen
        self.type(data)
        thread.join(DEADLINE)
        assert found, f"the question is still open:\n{self.look()}"
        return found[0]

    def close(self) -> None:
        os.close(self.outside)
        os.close(self.inside)


@pytest.fixture
def person() -> Iterator[Person]:
    person = Person()
    yield person
    person.close()


@pytest.fixture
def lines(person: Person) -> Lines:
    return Lines(person.inside, person.inside, DEADLINE)


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        (b"move counter\r", "move counter"),
        (b"move counter\n", "move counter"),
        (b"\r", ""),
        (b"mx\x7fove\r", "move"),  # erased by the kernel
        (b"mx\bove\r", "move"),  # or by us: terminals differ in what the key sends
        (b"move\x03", ""),  # Ctrl-C
        (b"\x03", ""),
        (b"\x04", ""),  # Ctrl-D
        (b"mo\x04", ""),
        (b"\x1a\x1c\r", ""),  # Ctrl-Z, Ctrl-backslash
    ],
)
def test_a_line_is_what_its_writer_meant(
    person: Person, lines: Lines, typed: bytes, answer: str
) -> None:
    assert person.answers("What? ", typed, lambda: lines.ask("What? ")) == answer


def test_what_is_typed_is_shown_unless_it_is_a_password(person: Person, lines: Lines) -> None:
    person.answers("What? ", b"visible\r", lambda: lines.ask("What? "))
    assert "visible" in person.look()
    ask = "Password: "
    said = person.answers(ask, b"hidden\r", lambda: lines.ask(ask, is_unseen=True))
    assert said == "hidden"
    assert "hidden" not in person.look()
    person.answers("Again? ", b"visible again\r", lambda: lines.ask("Again? "))
    assert "visible again" in person.look()


def test_a_password_typed_too_early_is_thrown_away(person: Person, lines: Lines) -> None:
    person.type(b"seen by all\r")
    said = person.answers("Password: ", b"right\r", lambda: lines.ask("Password: ", is_unseen=True))
    assert said == "right"


def test_a_question_that_nobody_answers_ends(person: Person) -> None:
    with pytest.raises(Quiet):
        Lines(person.inside, person.inside, 0.05).ask("What? ")


def test_news_are_said_and_the_question_again(
    person: Person, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK", 0.01)
    news = iter([None, "NOT PROTECTED", None])

    def ask() -> str:
        return lines.ask("What? ", news=lambda: next(news, None))

    assert person.answers("NOT PROTECTED\r\nWhat? ", b"move\r", ask) == "move"
    assert person.look().count("What? ") == 2


def test_a_terminal_that_is_hung_up_is_gone(person: Person, lines: Lines) -> None:
    os.close(person.outside)
    with pytest.raises(Gone):
        lines.ask("What? ")
    with pytest.raises(Gone):
        lines.say("x")
    person.outside = os.open(os.devnull, os.O_RDONLY)


def test_what_is_no_terminal_has_nobody_before_it() -> None:
    reader, writer = os.pipe()
    with pytest.raises(Gone):
        Lines(reader, writer).ask("What? ")
    os.close(reader)
    os.close(writer)


def test_a_line_that_takes_nothing_is_given_up(
    person: Person, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A serial line with flow control and nobody behind it."""
    monkeypatch.setattr(module, "SLOW", 0.05)
    with pytest.raises(Gone, match="takes nothing"):
        for _ in range(10_000):
            lines.say("x" * 70)


def test_ctrl_s_does_not_stop_the_screen(person: Person, lines: Lines) -> None:
    person.answers("What? ", b"\x13\r", lambda: lines.ask("What? "))
    assert not termios.tcgetattr(person.inside)[0] & termios.IXON


def test_much_is_shown_a_screen_at_a_time(person: Person, lines: Lines) -> None:
    text = [f"line {number}." for number in range(30)]
    shown = person.answers("more", b"\r", lambda: str(lines.show(text, 22)))
    assert shown == "True"
    seen = person.look()
    assert seen.index("line 21.") < seen.index("-- Enter") < seen.index("line 22.")
    assert "line 29." in seen


def test_who_has_seen_enough_stops_it(person: Person, lines: Lines) -> None:
    text = [f"line {number}." for number in range(90)]
    assert person.answers("more", b"q\r", lambda: str(lines.show(text, 22))) == "False"
    assert "line 22." not in person.look()


def test_nothing_that_is_said_is_wrapped_or_obeyed(person: Person, lines: Lines) -> None:
    lines.say("x" * 200, "caf\u00e9")
    assert person.look() == f"{'x' * 79}\r\ncaf?\r\n"
    assert understood(b"a\x1b[2Jb\n") == "a[2Jb"
