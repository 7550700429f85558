# SPDX-License-Identifier: MIT
"""`shoestring guest screen`: one viewer sees what QEMU shows, and then nobody does."""

import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from haagent import shoestring, viewing
from haagent.command import Exit, Places
from haagent.guests import rfb
from tests.unit.fake_agent import Agent, Captured, agent, places, systemctl
from tests.unit.fake_state import elsewhere

__all__ = ["agent", "places", "systemctl"]  # fixtures

SOON = 10.0  # seconds


@dataclass
class Picture:
    """QEMU's socket: whoever enters gets each byte back, in capitals."""

    folder: Path
    entered: int = 0

    def serve(self, door: socket.socket) -> None:
        while True:
            try:
                line, _ = door.accept()
            except OSError:
                return
            with line:
                line.sendall(rfb.VERSION)
                line.recv(12)
                line.sendall(b"\1\1")
                line.recv(1)
                line.sendall(bytes(4))
                self.entered += 1
                while (said := line.recv(100)) and said != b"off":
                    line.sendall(said.upper())


@pytest.fixture
def picture(tmp_path: Path) -> Iterator[Picture]:
    picture = Picture(tmp_path)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "counter"))
        door.listen()
        threading.Thread(target=picture.serve, args=(door,), daemon=True).start()
        yield picture
        door.shutdown(socket.SHUT_RDWR)


@dataclass
class Screen:
    """The command, told at a port of this host."""

    places: Places
    said: list[str]
    has_said: threading.Event

    def run(self) -> int:
        return shoestring.main(["guest", "screen", "counter"], self.places)

    def told(self) -> tuple[int, str]:
        """The port and the password."""
        assert self.has_said.wait(SOON)
        found = re.search(r"port (\d+)\. The password is (\S{8}) ", " ".join(self.said))
        assert found, self.said
        return int(found[1]), found[2]


@pytest.fixture
def screen(
    places: Places, agent: Agent, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> Screen:
    text = places.file.read_text()
    text = text.replace("    memory: 192\n", "    memory: 192\n    type: hvm\n")
    places.file.write_text(text.replace("address: 10.0.2.11", "address: 127.0.0.1"))
    screen = Screen(places, [], threading.Event())

    def tell(*lines: str) -> None:
        screen.said += lines
        screen.has_said.set()

    act = viewing.screen
    monkeypatch.setattr(viewing, "screen", lambda a, p: act(a, p, 0, picture.folder))
    monkeypatch.setattr(viewing, "tell", tell)
    return screen


@dataclass
class Viewer:
    """Somebody on the LAN who has a port, types a password, and then WORDS; what was answered."""

    screen: Screen
    words: bytes
    types: str | None = None  # instead of the password
    comes: int = 1  # so often
    answered: bytes = b""
    let_in: int = 0

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self._come, daemon=True)
        thread.start()
        return thread

    def _come(self) -> None:
        port, password = self.screen.told()
        for _ in range(self.comes):
            with socket.create_connection(("127.0.0.1", port), SOON) as line:
                line.recv(12)
                line.sendall(rfb.VERSION)
                line.recv(2)
                line.sendall(b"\2")
                line.sendall(rfb.answer(self.types or password, line.recv(16)))
                if line.recv(4) != bytes(4):
                    continue
                self.let_in += 1
                line.sendall(self.words)
                self.answered = line.recv(100)


def test_one_viewer_sees_it_and_then_nobody(screen: Screen, picture: Picture) -> None:
    viewer = Viewer(screen, b"hello")
    thread = viewer.start()
    assert screen.run() == Exit.PROTECTED
    thread.join(SOON)
    assert viewer.answered == b"HELLO" and picture.entered == 1
    assert screen.said[-1] == "The viewer left. Nothing listens any more."
    port, _ = screen.told()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), SOON)


def test_a_pc_that_ends_is_told(screen: Screen) -> None:
    viewer = Viewer(screen, b"off")
    thread = viewer.start()
    assert screen.run() == Exit.PROTECTED
    thread.join(SOON)
    assert viewer.answered == b"" and viewer.let_in == 1
    assert screen.said[-1].startswith("The PC of counter ended, or starts anew")


def test_who_guesses_ends_it(screen: Screen, picture: Picture, capsys: Captured) -> None:
    viewer = Viewer(screen, b"hello", types="guessed!", comes=viewing.TRIES)
    thread = viewer.start()
    assert screen.run() == Exit.FAILED
    thread.join(SOON)
    assert "Nobody was let in at 3 tries. Nothing listens" in capsys.readouterr().err
    assert (viewer.let_in, picture.entered) == (0, 0)
    assert screen.said.count("Somebody at 127.0.0.1 did not know the password.") == viewing.TRIES


def test_nobody_comes(screen: Screen, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setattr(viewing, "PATIENCE", 0.05)
    assert screen.run() == Exit.FAILED
    assert "No viewer came. Nothing listens any more." in capsys.readouterr().err


def test_a_pc_that_shows_nothing_is_told(
    screen: Screen, picture: Picture, capsys: Captured
) -> None:
    (picture.folder / "counter").unlink()
    thread = Viewer(screen, b"").start()
    assert screen.run() == Exit.FAILED
    thread.join(SOON)
    assert "The PC of counter does not show its screen: " in capsys.readouterr().err


def test_only_a_pc_that_runs_here_has_one(
    places: Places, agent: Agent, capsys: Captured, screen: Screen
) -> None:
    agent.says(elsewhere)
    assert screen.run() == Exit.FAILED
    assert "counter does not run on anna. It runs on berta: say it" in " ".join(
        capsys.readouterr().err.replace("\n", " ").split()
    )
    places.file.write_text(places.file.read_text().replace("    type: hvm\n", ""))
    assert screen.run() == Exit.FAILED
    assert "counter has no screen: it is of type pv." in capsys.readouterr().err
    assert screen.said == []
