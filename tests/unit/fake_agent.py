# SPDX-License-Identifier: MIT
"""A real door to an agent that is played by the test, and what the command line runs beside it."""

import io
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from haagent import client
from haagent.command import Places
from haagent.console.snapshot import Snapshot, to_dict
from haagent.control import Server
from haagent.core.events import (
    ChoiceAsked,
    Event,
    LanAsked,
    Leave,
    MaintenanceAsked,
    MoveAsked,
    RestartAsked,
    WishAsked,
)
from haagent.core.model import Phase
from haagent.errors import ToolError
from tests.unit.fake_state import (
    WELL,
    Change,
    both,
    elsewhere,
    guest,
    ledger,
    look,
    words,
)
from tests.unit.fake_verifier import Verifier
from tests.unit.test_config import Machine

STOPPING = guest(phase=Phase.STOPPING)

OFF = both(guest(phase=Phase.RELEASED, is_running=False), ledger(term=2))

STARTING = both(OFF, ledger(theirs=3), words(phase=Phase.CREATING, term=3))

THERE = both(elsewhere, ledger(term=3, theirs=3), words(phase=Phase.HOLDING, term=3))

BACK = both(ledger(term=4, theirs=3), words(term=4))

SOON = 10.0  # seconds; nothing here takes a tenth of it

Seen = Callable[[dict[str, Any]], bool]


class Agent:
    """Whoever answers the door: it plays a part for each event, then shows what came of it."""

    def __init__(self, path: Path) -> None:
        self.heard: list[Event] = []
        self.refusal: str | None = None
        self.then: Sequence[Change] = ()  # what is shown, one after the other, after an event
        self.says_while_leaving: Change | None = None
        self.is_watched = threading.Event()
        self.shows_last_at: float | None = None  # the last of what it shows after an event
        self.ran_out = False  # of time
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self.verifier = Verifier()
        self.server = Server(path, ["counter"], self._queue.put, self.verifier)
        self.server.start()
        self._thread = threading.Thread(target=self._play)
        self._thread.start()

    def says(self, change: Change) -> None:
        self.shows(look(change(WELL)))

    def shows(self, shown: Snapshot, *, is_last: bool = False) -> None:
        now = time.monotonic()
        if is_last:
            self.shows_last_at = now
        self.server.publish(to_dict(replace(shown, at=now)))

    def has_shown_all(self, data: dict[str, Any]) -> bool:
        """Whether nothing comes after DATA, however long anybody waits."""
        return not self.then or data["at"] == self.shows_last_at

    def _play(self) -> None:
        while (event := self._queue.get()) is not None:
            self.heard.append(event)
            match event:
                case (
                    MoveAsked(_, name)
                    | ChoiceAsked(_, name, _, _)
                    | WishAsked(_, name, _)
                    | RestartAsked(_, name)
                ):
                    self.server.answer_operator(name, self.refusal)
                case MaintenanceAsked() | LanAsked():
                    self.server.answer_operator("", self.refusal)
            if self.then and not isinstance(event, Leave):
                self.is_watched.wait(SOON)  # whoever watches then sees each of them
            for number, change in enumerate(self.then, 1):
                self.shows(look(change(WELL)), is_last=number == len(self.then))
            if isinstance(event, Leave):
                if self.says_while_leaving is not None:
                    self.says(self.says_while_leaving)
                self.server.finish_leaving()

    def stop_playing(self) -> None:
        """All that was asked so far has been heard."""
        self._queue.put(None)
        self._thread.join(SOON)

    def stop(self) -> None:
        self.stop_playing()
        self.server.stop()


class Systemctl:
    """Notes what was run."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.fails = False
        self.volumes = '{"report": [{"lv": []}]}'  # what `lvs` prints; to look changes nothing

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        if argv[0] == "lvs":
            return self.volumes
        self.ran.append(" ".join(argv))
        if self.fails:
            raise ToolError(argv, 1, "no")
        return ""


@pytest.fixture
def systemctl() -> Systemctl:
    return Systemctl()


@pytest.fixture
def places(tmp_path: Path, systemctl: Systemctl) -> Places:
    machine = Machine(tmp_path)
    socket = tmp_path / "run" / "s"
    return Places(machine.file, machine.cmdline, tmp_path / "state", socket, systemctl)


@pytest.fixture
def agent(places: Places, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    agent = Agent(places.socket)
    agent.says(both())
    follow = client.follow

    def noticed(seen: Seen, timeout: float, path: Path) -> bool:
        """Time is up as soon as all was seen: no limit passes here, on however busy a host."""
        agent.ran_out = False

        def see(data: dict[str, Any]) -> bool:
            agent.is_watched.set()
            if seen(data):
                return True
            agent.ran_out = agent.has_shown_all(data)
            return agent.ran_out

        return follow(see, timeout, path) and not agent.ran_out

    monkeypatch.setattr(client, "follow", noticed)
    yield agent
    agent.stop()


class Terminal(io.StringIO):
    """Where a person types."""

    def isatty(self) -> bool:
        return True


def types(monkeypatch: pytest.MonkeyPatch, text: str) -> Terminal:
    screen = Terminal()
    monkeypatch.setattr("sys.stdin", Terminal(text))
    monkeypatch.setattr("sys.stdout", screen)
    return screen


def interrupt(*_: object) -> Any:
    raise KeyboardInterrupt


MOVE = ["move", "counter"]

ACTS = (MOVE, ["maintenance", "on"], ["maintenance", "off"], ["shutdown"], ["reboot"])

Captured = pytest.CaptureFixture[str]


def cut_in_two(places: Places) -> None:
    """The guest's device is two disks from now on."""
    text = places.file.read_text()
    assert text.count("      xvda: /dev/drbd0") == 1
    cut = text.replace("      xvda: /dev/drbd0", "      xvda: /dev/drbd0\n    slices: [1]")
    places.file.write_text(cut)
