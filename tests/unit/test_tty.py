# SPDX-License-Identifier: MIT
"""The console on a real terminal (a pty), with a real door to an agent that is not there."""

import fcntl
import os
import re
import select
import struct
import termios
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from haagent.console import tty
from haagent.console.snapshot import Snapshot, to_dict
from haagent.console.tty import GREEN, RED, YELLOW, Console, quieten, restore
from haagent.control import Server
from tests.unit.fake_state import NOW, WELL, both, elsewhere, look, node, silent
from tests.unit.fake_verifier import Verifier

CALM = look(WELL)
TROUBLE = look(silent(WELL))
DEADLINE = 10.0  # seconds; nothing here takes a tenth of it


class Terminal:
    """Both ends of a pty, and what a person sees on it."""

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self.outside, self.inside = os.openpty()
        self.resize(columns, lines)
        self.raw = b""
        self.rows: dict[int, str] = {}

    def resize(self, columns: int, lines: int) -> None:
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self.inside, termios.TIOCSWINSZ, size)

    def look(self) -> str:
        """Reads what was written since, and applies it: each line is put at its row and erased."""
        self.raw = b""
        while select.select([self.outside], [], [], 0)[0]:
            self.raw += os.read(self.outside, 65536)
        text = self.raw.decode("ascii")
        assert "\n" not in text  # nothing scrolls
        _, erased, text = text.rpartition("\x1b[2J")
        if erased:
            self.rows.clear()
        text = re.sub(r"\x1b\[[\d;]*m", "", text)
        pieces = re.findall(r"\x1b\[(\d+);1H([^\x1b]*)(\x1b\[K)?", text)
        assert "".join(f"\x1b[{r};1H{line}{erase}" for r, line, erase in pieces) == text
        for row, line, erase in pieces:
            if erase:
                self.rows[int(row)] = line
        return "\n".join(self.rows[row] for row in sorted(self.rows)).rstrip()

    def close(self) -> None:
        for descriptor in (self.outside, self.inside):
            try:
                os.close(descriptor)
            except OSError:
                continue


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    terminal.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "s", [], lambda event: None, Verifier())
    server.start()
    yield server
    server.stop()


class Desk:
    """A console with a clock that stands still, and the terminal in front of it."""

    def __init__(self, terminal: Terminal, path: Path) -> None:
        self.terminal = terminal
        self.now = NOW
        self.console = Console(terminal.inside, terminal.inside, path, lambda: self.now)

    def until(self, text: str) -> str:
        """Turns until TEXT is on the screen; the screen."""
        deadline = time.monotonic() + DEADLINE
        while text not in (seen := self.terminal.look()):
            assert time.monotonic() < deadline, f"no {text!r} in:\n{seen}"
            self.console.turn()
        return seen


@pytest.fixture
def desk(terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(tty, "SECOND", 0.02)
    return Desk(terminal, tmp_path / "s")


def test_it_shows_what_the_agent_says(desk: Desk, server: Server) -> None:
    server.publish(to_dict(CALM))
    seen = desk.until("PROTECTED  ")
    assert "counter  on anna, mirrored" in seen
    server.publish(to_dict(TROUBLE))
    seen = desk.until("NOT PROTECTED")
    assert "! berta is silent." in seen
    assert "Either machine may fail" not in seen  # what was there before is gone


def test_it_says_that_the_agent_is_not_there_and_finds_it_again(desk: Desk, tmp_path: Path) -> None:
    desk.until("STARTING")  # right after the start of the machine that is no reason for alarm
    desk.now += tty.STARTING
    seen = desk.until("NOT KNOWN")
    assert "The agent does not answer" in seen
    assert "journalctl -b -u haagent" in seen
    server = Server(tmp_path / "s", [], lambda event: None, Verifier())
    server.start()
    server.publish(to_dict(replace(CALM, at=desk.now)))
    desk.until("PROTECTED  ")
    server.stop()
    seen = desk.until("NOT KNOWN")
    assert "What it said 0 s ago" in seen
    assert seen.splitlines()[0] == "NOT KNOWN"


def test_what_an_agent_said_before_it_went_away_is_not_taken_for_its_word(
    desk: Desk, tmp_path: Path
) -> None:
    server = Server(tmp_path / "s", [], lambda event: None, Verifier())
    server.start()
    server.publish(to_dict(CALM))
    desk.until("PROTECTED  ")
    server.stop()
    again = Server(tmp_path / "s", [], lambda event: None, Verifier())
    again.start()  # it is there at once, and has said nothing yet
    desk.until("NOT KNOWN")
    again.publish(to_dict(TROUBLE))
    desk.until("NOT PROTECTED")
    again.stop()


def test_an_agent_that_stands_still_is_not_believed(desk: Desk, server: Server) -> None:
    server.publish(to_dict(CALM))
    desk.until("PROTECTED  ")
    desk.now = NOW + 60
    seen = desk.until("it has said nothing new for 60 s")
    assert seen.splitlines()[0] == "NOT KNOWN"


def test_an_agent_of_another_version_is_said_to_be_one(desk: Desk, server: Server) -> None:
    server.publish({**to_dict(CALM), "version": 99})
    desk.until("has version 99, not")


def test_only_lines_that_changed_are_written(desk: Desk, server: Server) -> None:
    server.publish(to_dict(CALM))
    desk.until("PROTECTED  ")
    desk.console.turn()
    desk.terminal.look()
    assert desk.terminal.raw == b""
    desk.now = NOW + 3
    desk.console.turn()
    desk.terminal.look()
    written = desk.terminal.raw.decode()
    assert "crossover 3 s" in written
    assert written.count("\x1b[K") == 1


@pytest.mark.parametrize(
    ("shown", "first_line", "colour"),
    [
        (CALM, "PROTECTED", GREEN),
        (look(both(elsewhere, silent)(WELL)), "STOPPED", RED),
        (look(silent(WELL)), "NOT PROTECTED", YELLOW),
    ],
)
def test_the_first_line_can_be_told_from_the_door(
    desk: Desk, server: Server, shown: Snapshot, first_line: str, colour: str
) -> None:
    server.publish(to_dict(shown))
    desk.until(first_line)
    assert f"\x1b[1;1H\x1b[{colour}m{first_line}".encode() in desk.terminal.raw
    assert set(re.findall(rb"\x1b\[(\d+);1H\x1b\[\d", desk.terminal.raw)) == {b"1"}


def test_a_key_paints_the_page_anew(desk: Desk, server: Server) -> None:
    server.publish(to_dict(CALM))
    quieten(desk.terminal.inside)
    desk.until("PROTECTED  ")
    desk.console.turn()
    desk.terminal.look()
    os.write(desk.terminal.outside, b"x")
    desk.console.turn()
    desk.console.turn()
    desk.terminal.look()
    assert desk.terminal.raw.count(b"\x1b[K") == 24


@pytest.mark.parametrize("enter", [b"\r", b"\n"])
def test_enter_lends_the_terminal_to_the_menu(desk: Desk, server: Server, enter: bytes) -> None:
    inside = desk.terminal.inside
    visits: list[tuple[int, int]] = []
    path = desk.console._path
    desk.console = Console(
        inside, inside, path, lambda: desk.now, lambda keys, screen: visits.append((keys, screen))
    )
    server.publish(to_dict(CALM))
    quieten(inside)
    assert desk.until("PROTECTED  ").endswith(tty.FOOT)
    os.write(desk.terminal.outside, b"x")
    desk.console.turn()
    assert visits == []  # any other key only paints the page
    os.write(desk.terminal.outside, enter)
    desk.console.turn()
    assert visits == [(inside, inside)]
    desk.terminal.look()
    assert desk.terminal.rows == {}, "what the menu left there"
    desk.until("PROTECTED  ")


def test_without_a_menu_the_page_names_none(desk: Desk, server: Server) -> None:
    server.publish(to_dict(CALM))
    quieten(desk.terminal.inside)
    assert "menu" not in desk.until("PROTECTED  ")
    os.write(desk.terminal.outside, b"\r")
    desk.console.turn()


def test_the_page_is_painted_anew_once_a_minute(desk: Desk, server: Server) -> None:
    server.publish(to_dict(replace(CALM, scale=100.0)))  # not stale after a minute
    desk.until("PROTECTED  ")
    desk.now = NOW + 61
    desk.console.turn()
    desk.terminal.look()
    assert desk.terminal.raw.count(b"\x1b[K") == 24


@pytest.mark.parametrize(("columns", "lines"), [(40, 10), (132, 50)])
def test_it_fits_its_terminal(desk: Desk, server: Server, columns: int, lines: int) -> None:
    desk.terminal.resize(columns, lines)
    server.publish(to_dict(look(node(is_armed=False)(silent(WELL)))))
    desk.until("NOT PROTECTED")
    assert sorted(desk.terminal.rows) == list(range(1, lines + 1))
    assert max(map(len, desk.terminal.rows.values())) < columns


def test_a_terminal_without_a_size_is_a_usual_one(desk: Desk, server: Server) -> None:
    desk.terminal.resize(0, 0)
    server.publish(to_dict(CALM))
    desk.until("PROTECTED  ")
    assert sorted(desk.terminal.rows) == list(range(1, 25))


def test_it_outlives_its_terminal(desk: Desk, server: Server) -> None:
    server.publish(to_dict(CALM))
    desk.until("PROTECTED  ")
    os.close(desk.terminal.outside)  # every write from here on is EIO, every read an end
    server.publish(to_dict(TROUBLE))
    for _ in range(5):
        desk.console.turn()


def test_an_end_of_the_keys_is_heard_once(desk: Desk, server: Server) -> None:
    reader, writer = os.pipe()
    os.close(writer)
    desk.console = Console(reader, desk.terminal.inside, desk.console._path, lambda: desk.now)
    server.publish(to_dict(CALM))
    desk.until("PROTECTED  ")
    for _ in range(3):
        desk.console.turn()
    desk.terminal.look()
    desk.console.turn()
    desk.terminal.look()
    assert desk.terminal.raw == b""
    os.close(reader)


def test_a_terminal_that_was_hung_up_is_opened_again(
    desk: Desk, server: Server, tmp_path: Path
) -> None:
    link = tmp_path / "tty"
    link.symlink_to(os.ttyname(desk.terminal.inside))
    desk.console._name = str(link)
    server.publish(to_dict(CALM))
    desk.until("PROTECTED  ")
    os.close(desk.terminal.outside)
    other = Terminal()
    link.unlink()
    link.symlink_to(os.ttyname(other.inside))
    desk.terminal = other
    server.publish(to_dict(TROUBLE))
    desk.until("NOT PROTECTED")
    other.close()


def test_keys_are_not_shown_while_it_runs(terminal: Terminal) -> None:
    before = termios.tcgetattr(terminal.inside)
    saved = quieten(terminal.inside)
    assert not termios.tcgetattr(terminal.inside)[3] & (termios.ECHO | termios.ICANON)
    restore(terminal.inside, saved)
    assert termios.tcgetattr(terminal.inside) == before


def test_what_is_no_terminal_is_left_alone() -> None:
    inside, outside = os.pipe()
    assert quieten(inside) is None
    restore(inside, None)
    os.close(inside)
    os.close(outside)
