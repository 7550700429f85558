# SPDX-License-Identifier: MIT
"""The command line, with a real door to an agent that is played by the test."""

import io
import json
import os
import queue
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from haagent import cli
from haagent.command import VERDICTS, Exit, Places
from haagent.console.snapshot import Snapshot, Verdict, to_dict
from haagent.control import Server
from haagent.core.events import Event, Leave, OperatorConfirmed
from haagent.core.model import Durable, Ledger, Phase
from haagent.state import NAMES, StateFile
from tests.unit.fake_state import WELL, both, elsewhere, guest, look, silent
from tests.unit.fake_verifier import Verifier
from tests.unit.test_config import Machine

CALM = look(WELL)
TROUBLE = look(silent(WELL))
STOPPED = look(both(elsewhere, silent)(WELL))

Run = Callable[..., int]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    machine = Machine(tmp_path)
    return Places(machine.file, machine.cmdline, tmp_path / "state", tmp_path / "run" / "s")


class Agent:
    """Whoever answers the door."""

    def __init__(self, path: Path) -> None:
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.server = Server(path, ["counter"], self.events.put, Verifier())
        self.server.start()

    def says(self, shown: Snapshot) -> None:
        self.server.publish(to_dict(replace(shown, at=time.monotonic())))


@pytest.fixture
def agent(places: Places) -> Iterator[Agent]:
    agent = Agent(places.socket)
    yield agent
    agent.server.stop()


@pytest.mark.parametrize(
    ("shown", "code"), [(CALM, 0), (TROUBLE, 1), (STOPPED, 2)], ids=["calm", "trouble", "stopped"]
)
def test_status_tells_and_exits_with_the_verdict(
    places: Places,
    agent: Agent,
    capsys: pytest.CaptureFixture[str],
    shown: Snapshot,
    code: int,
) -> None:
    agent.says(shown)
    assert cli.main(["status"], places) == code
    page = capsys.readouterr().out
    assert page.startswith(str(shown.verdict))
    assert max(map(len, page.splitlines())) <= 80
    assert "more lines" not in page
    assert cli.main(["status", "--json"], places) == code
    assert json.loads(capsys.readouterr().out)["verdict"] == shown.verdict


def test_every_verdict_has_its_code() -> None:
    assert set(VERDICTS) == set(Verdict)


def test_without_an_agent_it_exits_with_3(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (["status"], ["leave"]):
        assert cli.main(command, places) == Exit.SILENT
        complaint = capsys.readouterr().err
        assert complaint.startswith("haagent: The agent does not answer")
        assert "journalctl -b -u haagent" in complaint


def test_an_agent_that_stood_still_does_not_answer(
    places: Places, agent: Agent, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.server.publish(to_dict(replace(CALM, at=time.monotonic() - 30)))
    assert cli.main(["status"], places) == Exit.SILENT
    assert "what it says is 30 s old" in capsys.readouterr().err


def test_an_agent_of_another_version_is_a_failure(
    places: Places, agent: Agent, capsys: pytest.CaptureFixture[str]
) -> None:
    agent.server.publish({"version": 99})
    assert cli.main(["status"], places) == Exit.FAILED
    assert "version 99" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [[], ["reboot"], ["status", "--xml"], ["start", "counter"], ["timers", "--scale", "fast"]],
)
def test_wrong_usage_is_64(
    places: Places, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(argv, places)
    assert caught.value.code == 64
    assert "usage: haagent" in capsys.readouterr().err


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0
    page = " ".join(capsys.readouterr().out.split())
    for text in ("0 PROTECTED", "1 NOT PROTECTED", "2 STOPPED", "3 the agent", "64", "70", "130"):
        assert text in page


def test_timers(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["timers", "--scale", "6"]) == 0
    assert "keepalive         3.00\n" in capsys.readouterr().out
    assert cli.main(["timers", "--scale", "0.5"]) == Exit.FAILED
    assert "would shorten the timers" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        assert cli.main(["timers"]) == Exit.FAILED


def test_show_config(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show-config"], places) == 0
    assert "names: anna, berta\n" in capsys.readouterr().out
    assert cli.main(["show-config", "--table"], places) == 0
    assert "guests.NAME.disks: " in capsys.readouterr().out


def test_a_wrong_setting_is_told_with_file_line_and_hint(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    places.file.write_text("me: 2\n")
    assert cli.main(["check"], places) == Exit.FAILED
    complaint, hint = capsys.readouterr().err.splitlines()
    assert complaint.startswith(f"haagent: {places.file}:1: me: ")
    assert hint == "  me is 0 or 1. Which of the two nodes this machine is."


def test_check(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check"], places) == 0
    assert "nothing was ever saved" in capsys.readouterr().out
    file = StateFile(places.folder)
    file.load(["counter"])
    file.save(Durable({"counter": Ledger(term=0)}))
    assert cli.main(["check"], places) == 0
    assert "fine, save 1, both copies" in capsys.readouterr().out
    damaged = places.folder / NAMES[0]
    damaged.write_bytes(b"x")
    assert cli.main(["check"], places) == Exit.FAILED
    told = capsys.readouterr()
    assert "state-a.json is damaged" in told.out
    assert "only one copy of save 1" in told.err
    assert damaged.read_bytes() == b"x"  # a look changes nothing
    shutil.rmtree(places.folder)
    assert cli.main(["check"], places) == Exit.FAILED
    assert "state-a.json is missing; state-b.json is missing" in capsys.readouterr().err


def test_leave_tells_how_it_goes(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    def play(event: Event) -> None:
        assert isinstance(event, Leave)
        for shown in (look(guest(phase=Phase.STOPPING)(WELL)), look(elsewhere(WELL))):
            server.publish(to_dict(shown))
            server.publish(to_dict(replace(shown, at=shown.at + 1)))  # nothing new to tell
        server.finish_leaving()

    server = Server(places.socket, ["counter"], play, Verifier())
    server.start()
    assert cli.main(["leave"], places) == 0
    server.stop()
    assert capsys.readouterr().out == (
        "counter: stopping on anna, released on berta\n"
        "counter: released on anna, holding on berta\n"
        "Signed off: this machine may go down.\n"
    )


def test_leave_has_a_limit_that_the_time_scale_stretches(
    places: Places, agent: Agent, capsys: pytest.CaptureFixture[str]
) -> None:
    places.cmdline.write_text("shoestring.timescale=2\n")
    assert cli.main(["leave", "--limit", "0.05"], places) == Exit.FAILED
    assert "not signed off after 0.1 s" in capsys.readouterr().err


class Terminal(io.StringIO):
    """Where a person types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Terminal]:
    def types(text: str) -> Terminal:
        screen = Terminal()
        monkeypatch.setattr("sys.stdin", Terminal(text))
        monkeypatch.setattr("sys.stdout", screen)
        return screen

    return types


Person = Callable[[str], Terminal]
START = ["start", "counter", "--anyway"]


def test_a_person_who_types_the_name_starts_the_guest(
    places: Places, agent: Agent, person: Person
) -> None:
    agent.says(STOPPED)
    screen = person("counter\n")
    assert cli.main(START, places) == 0
    event = agent.events.get(timeout=10)
    assert isinstance(event, OperatorConfirmed)
    assert event.guest == "counter"
    page = screen.getvalue()
    view = STOPPED.guests[0]
    for sentence in (*view.ours, *view.theirs, *view.missing):
        assert sentence in page
    assert page.index("do not power it up alone") < page.index("Type the guest's name")


@pytest.mark.parametrize("typed", ["\n", "", "yes\n", "Counter\n", "counter2\n"])
def test_anything_else_starts_nothing(
    places: Places,
    agent: Agent,
    person: Person,
    capsys: pytest.CaptureFixture[str],
    typed: str,
) -> None:
    agent.says(STOPPED)
    person(typed)
    assert cli.main(START, places) == Exit.FAILED
    assert "nothing was done" in capsys.readouterr().err
    assert agent.events.empty()


def test_no_script_starts_a_guest(
    places: Places,
    agent: Agent,
    person: Person,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    agent.says(STOPPED)
    person("counter\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("counter\n"))
    assert cli.main(START, places) == Exit.FAILED
    assert "takes a person" in capsys.readouterr().err
    assert agent.events.empty()


@pytest.mark.parametrize(
    ("shown", "argv", "complaint"),
    [
        (CALM, START, "counter runs on anna"),
        (look(elsewhere(WELL)), START, "counter runs on berta"),
        (STOPPED, ["start", "mail", "--anyway"], "There is no guest mail"),
    ],
)
def test_what_runs_or_is_not_there_is_not_started(
    places: Places,
    agent: Agent,
    person: Person,
    capsys: pytest.CaptureFixture[str],
    shown: Snapshot,
    argv: list[str],
    complaint: str,
) -> None:
    agent.says(shown)
    person("counter\nmail\n")
    assert cli.main(argv, places) == Exit.FAILED
    assert complaint in capsys.readouterr().err
    assert agent.events.empty()


@pytest.mark.parametrize("meanwhile", ["it runs", "it is older"])
def test_what_changed_while_the_person_was_reading_counts(
    places: Places,
    agent: Agent,
    person: Person,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    meanwhile: str,
) -> None:
    def read() -> str:
        older = replace(STOPPED.guests[0], ours=("its data belongs to term 0",))
        agent.says(CALM if meanwhile == "it runs" else replace(STOPPED, guests=(older,)))
        return "counter\n"

    agent.says(STOPPED)
    person("")
    monkeypatch.setattr("sys.stdin.readline", read, raising=False)
    assert cli.main(START, places) == Exit.FAILED
    assert "nothing was done" in capsys.readouterr().err
    assert agent.events.empty()


def test_fence_peer_with_arguments_is_no_answer(places: Places) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["fence-peer", "now"], places)
    assert caught.value.code == 64
    assert cli.main(["fence-peer"], places) == Exit.FAILED


def test_a_socket_of_somebody_else_is_a_failure(
    places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    places.socket.parent.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(places.socket))
    assert cli.main(["status"], places) == Exit.SILENT
    assert "Connection refused" in capsys.readouterr().err
