# SPDX-License-Identifier: MIT
"""Several screens as one, with pseudoterminals: what is typed on any of them, and what is not."""

import contextlib
import os
import select
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstboot.terminals import Terminals, consoles, typed
from haagent.folding import folded

SOON = 5.0  # seconds; a generous deadline


class Screens:
    """A monitor and a serial line, each with somebody before it."""

    def __init__(self, folder: Path) -> None:
        self.person: dict[str, int] = {}
        for name in ("tty1", "hvc0"):
            self.person[name], machine = os.openpty()
            (folder / name).symlink_to(os.ttyname(machine))
            os.close(machine)
        (folder / "active").write_text("tty0 hvc0\n")
        self.terminals = Terminals(consoles(folder / "active", folder))

    def type(self, name: str, text: bytes) -> None:
        os.write(self.person[name], text)

    def sees(self, name: str) -> str:
        seen = b""
        while select.select([self.person[name]], [], [], 0.2)[0]:
            seen += os.read(self.person[name], 65536)
        return seen.decode()


@pytest.fixture
def screens(tmp_path: Path) -> Iterator[Screens]:
    made = Screens(tmp_path)
    yield made
    made.terminals.close()
    for descriptor in made.person.values():
        with contextlib.suppress(OSError):
            os.close(descriptor)


def test_what_is_said_appears_on_all(screens: Screens) -> None:
    screens.terminals.tell("Good evening.\nTwo PCs.")
    for name in screens.person:
        assert screens.sees(name) == "Good evening.\r\nTwo PCs.\r\n"


@pytest.mark.parametrize("name", ["tty1", "hvc0"])
def test_any_of_them_may_answer(screens: Screens, name: str) -> None:
    screens.type(name, b"anna berta\r")
    assert screens.terminals.read(SOON) == "anna berta"


def test_half_a_line_is_none_yet(screens: Screens) -> None:
    screens.type("hvc0", b"ann")
    screens.type("tty1", b"other\n")
    assert screens.terminals.read(SOON) == "other"
    screens.type("hvc0", b"a\n")
    assert screens.terminals.read(SOON) == "anna"


def test_nothing_typed_ends_with_the_time(screens: Screens) -> None:
    assert screens.terminals.read(0.05) is None


def test_others_are_waited_for_as_well(screens: Screens) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"x")
    assert screens.terminals.read(SOON, reader) == reader
    os.close(reader)
    os.close(writer)


def test_what_is_hidden_is_not_echoed_and_what_was_typed_ahead_is_forgotten(
    screens: Screens,
) -> None:
    screens.type("tty1", b"ahead\n")
    screens.terminals.hide(True)
    screens.type("tty1", b"secret\n")
    assert screens.terminals.read(SOON) == "secret"
    assert "secret" not in screens.sees("tty1")
    screens.terminals.hide(False)
    screens.type("tty1", b"seen\n")
    assert screens.terminals.read(SOON) == "seen"
    assert "seen" in screens.sees("tty1")


def test_a_terminal_that_is_gone_holds_nothing_up(screens: Screens) -> None:
    os.close(screens.person.pop("tty1"))
    screens.terminals.tell("Still here.")
    assert "Still here." in screens.sees("hvc0")
    screens.type("hvc0", b"yes\n")
    assert screens.terminals.read(SOON) == "yes"


def test_a_serial_line_that_nobody_reads_holds_nothing_up(screens: Screens) -> None:
    for _ in range(200):
        screens.terminals.tell("x" * 4000)
    screens.type("tty1", b"yes\n")
    assert screens.terminals.read(SOON) == "yes"


def test_no_key_ends_it(screens: Screens) -> None:
    screens.type("tty1", b"\x03\x1cyes\n")
    assert screens.terminals.read(SOON) == "yes"
    screens.type("tty1", b"\x04")
    screens.type("tty1", b"again\n")
    assert screens.terminals.read(SOON) == "again"
    screens.terminals.tell("Still here.")
    assert "Still here." in screens.sees("tty1")


def test_without_any_terminal_it_goes_on(tmp_path: Path) -> None:
    alone = Terminals(consoles(tmp_path / "active", tmp_path))
    alone.tell("Nobody is there.")
    assert alone.read(0.01) is None


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"anna\n", "anna"),
        (b"anmm\b\bna\r\n", "anna"),
        (b"\x7f\x7fanna\n", "anna"),
        (b"\x1b[Aanna\n", "[Aanna"),
        (b"\xff\xfe\n", "��"),
        (b"\n", ""),
    ],
)
def test_a_line_is_what_its_writer_meant(line: bytes, text: str) -> None:
    assert typed(line) == text


def test_no_line_is_wider_than_the_screen() -> None:
    for line in folded("word " * 40 + "\n\n" + "y" * 200):
        assert len(line) <= 79


def test_its_screens_are_opened_as_plain_as_can_be(screens: Screens) -> None:
    for descriptor in screens.person.values():
        assert termios.tcgetattr(descriptor)[3] & termios.ICANON
