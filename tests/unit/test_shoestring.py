# SPDX-License-Identifier: MIT
"""The operator's command line, with a real door to an agent that is played by the test."""

import io
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from haagent import client, handover, shoestring
from haagent.command import Exit, Places
from haagent.console.snapshot import Snapshot, to_dict
from haagent.control import Server
from haagent.core.events import (
    ChoiceAsked,
    Event,
    LanAsked,
    Leave,
    MaintenanceAsked,
    MoveAsked,
    OperatorConfirmed,
)
from haagent.core.model import Disk, Link, Phase
from haagent.errors import ToolError
from tests.unit.test_config import Machine
from tests.unit.test_snapshot import (
    WELL,
    Change,
    both,
    elsewhere,
    guest,
    ledger,
    look,
    resource,
    resting,
    silent,
    words,
)

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
        self.server = Server(path, ["counter"], self._queue.put)
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
                case MoveAsked(_, name) | ChoiceAsked(_, name, _, _):
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


MOVE = ["move", "counter"]
ACTS = (MOVE, ["maintenance", "on"], ["maintenance", "off"], ["shutdown"], ["reboot"])
Captured = pytest.CaptureFixture[str]


def test_a_move_is_said_done_shown_and_verified(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.then = (STOPPING, OFF, STARTING, THERE)
    screen = types(monkeypatch, "yes\n")
    assert shoestring.main(MOVE, places) == Exit.PROTECTED
    page = screen.getvalue()
    assert page.startswith("counter shuts down on anna and starts on berta.\nA guest is away for")
    order = [
        "Type yes to do it: ",
        "counter is shutting down on anna ...\n",
        "counter is off ...\n",
        "counter is being started on berta ...\n",
        "counter runs on berta ...\n",
        "counter runs on berta, term 3.\n",
    ]
    places_in_page = [page.index(line) for line in order]
    assert places_in_page == sorted(places_in_page)
    (event,) = agent.heard
    assert isinstance(event, MoveAsked) and event.guest == "counter"


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("typed", ["\n", "", "y\n", "no\n", "yes please\n"])
def test_without_a_yes_nothing_is_done(
    places: Places,
    agent: Agent,
    systemctl: Systemctl,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
    act: list[str],
    typed: str,
) -> None:
    types(monkeypatch, typed)
    assert shoestring.main(act, places) == Exit.FAILED
    assert "Nothing was done" in capsys.readouterr().err
    assert (agent.heard, systemctl.ran) == ([], [])


@pytest.mark.parametrize("act", ACTS)
def test_a_script_must_say_yes_and_is_told_so(
    places: Places, agent: Agent, systemctl: Systemctl, capsys: Captured, act: list[str]
) -> None:
    assert shoestring.main(act, places) == Exit.FAILED
    told = capsys.readouterr()
    assert told.out  # what would happen is said all the same
    assert "takes a yes, typed at a terminal" in told.err and "--yes" in told.err
    assert (agent.heard, systemctl.ran) == ([], [])


def test_a_script_that_says_yes_is_not_asked(
    places: Places, agent: Agent, capsys: Captured
) -> None:
    agent.then = (STOPPING, THERE)
    assert shoestring.main([*MOVE, "--yes"], places) == Exit.PROTECTED
    assert "Type yes" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "argv", "why"),
    [
        (silent, MOVE, "counter cannot be moved: berta is silent."),
        (elsewhere, MOVE, "it runs on berta, which is where to ask for it"),
        (both(), ["move", "mail"], "There is no guest mail"),
    ],
)
def test_what_cannot_be_moved_is_not_even_asked_for(
    places: Places, agent: Agent, capsys: Captured, change: Change, argv: list[str], why: str
) -> None:
    agent.says(change)
    assert shoestring.main([*argv, "--yes"], places) == Exit.FAILED
    assert why in capsys.readouterr().err
    assert agent.heard == []


def test_the_agent_has_the_last_word(places: Places, agent: Agent, capsys: Captured) -> None:
    agent.refusal = "berta is shutting down"
    assert shoestring.main([*MOVE, "--yes"], places) == Exit.FAILED
    assert "Nothing was done: berta is shutting down." in capsys.readouterr().err


def test_a_guest_that_comes_back_did_not_get_there(
    places: Places, agent: Agent, capsys: Captured
) -> None:
    agent.then = (STOPPING, OFF, STARTING, OFF, BACK)
    assert shoestring.main([*MOVE, "--yes"], places) == Exit.FAILED
    told = capsys.readouterr().out
    assert told.endswith("counter did not get to berta: counter runs on anna, term 4.\n")


def test_a_guest_that_comes_back_unseen_did_not_get_there(
    places: Places, agent: Agent, capsys: Captured
) -> None:
    agent.then = (BACK,)
    assert shoestring.main([*MOVE, "--yes"], places) == Exit.FAILED
    assert not agent.ran_out, "it was waited for, though it was over"
    assert "counter runs on anna, term 4." in capsys.readouterr().out


def test_a_guest_that_is_nowhere_did_not_get_there_in_time(
    places: Places, agent: Agent, capsys: Captured
) -> None:
    agent.then = (STOPPING, OFF)
    assert shoestring.main([*MOVE, "--yes"], places) == Exit.FAILED
    assert agent.ran_out
    assert capsys.readouterr().out.endswith("counter did not get to berta: counter is off.\n")


def test_one_that_was_there_before_is_not_taken_for_arrived(
    places: Places, agent: Agent, capsys: Captured
) -> None:
    """Only a newer term is a start: what was said before the move proves nothing of it."""
    agent.then = (elsewhere,)
    assert shoestring.main([*MOVE, "--yes"], places) == Exit.FAILED
    assert agent.ran_out
    assert "did not get to berta" in capsys.readouterr().out


def interrupt(*_: object) -> Any:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("act", "goes_on"),
    [
        (MOVE, "counter goes on shutting down, to start on berta."),
        (["maintenance", "on"], "The maintenance stays on. Its guests go on moving."),
        (["maintenance", "off"], "The maintenance stays off."),
        (["reboot"], "anna goes on signing off, and starts nothing more; but it does not go down"),
    ],
)
def test_ctrl_c_says_what_goes_on(
    places: Places,
    agent: Agent,
    systemctl: Systemctl,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
    act: list[str],
    goes_on: str,
) -> None:
    monkeypatch.setattr(client, "follow", interrupt)
    monkeypatch.setattr(client, "leave", interrupt)
    assert shoestring.main([*act, "--yes"], places) == Exit.INTERRUPTED
    assert goes_on in capsys.readouterr().err
    assert systemctl.ran == []


def test_ctrl_c_at_the_question_does_nothing(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    types(monkeypatch, "")
    monkeypatch.setattr("sys.stdin.readline", interrupt, raising=False)
    assert shoestring.main(MOVE, places) == Exit.INTERRUPTED
    assert agent.heard == []


def test_maintenance_on(places: Places, agent: Agent, capsys: Captured) -> None:
    agent.then = (resting, both(STOPPING, resting), both(OFF, resting), both(THERE, resting))
    assert shoestring.main(["maintenance", "on", "--yes"], places) == Exit.PROTECTED
    told = capsys.readouterr().out
    assert "From then on nothing starts on anna by itself" in told
    assert told.endswith("anna is in maintenance.\ncounter runs on berta, term 3.\n")
    (event,) = agent.heard
    assert isinstance(event, MaintenanceAsked) and event.is_on


def test_maintenance_on_with_a_guest_that_stays(
    places: Places, agent: Agent, capsys: Captured
) -> None:
    agent.says(silent)
    agent.then = (both(silent, resting),)
    assert shoestring.main(["maintenance", "on", "--yes"], places) == Exit.PROTECTED
    told = capsys.readouterr().out
    assert "counter stays on anna, because berta is silent. It goes when it can." in told
    assert told.endswith("anna is in maintenance.\ncounter stays on anna: berta is silent.\n")


def test_maintenance_on_with_a_guest_that_was_to_go_and_stays(
    places: Places, agent: Agent, capsys: Captured
) -> None:
    agent.then = (both(silent, resting),)
    assert shoestring.main(["maintenance", "on", "--yes"], places) == Exit.FAILED
    assert "counter did not get to berta: counter runs on anna" in capsys.readouterr().out


def test_maintenance_off(places: Places, agent: Agent, capsys: Captured) -> None:
    agent.says(resting)
    agent.then = (both(),)
    assert shoestring.main(["maintenance", "off", "--yes"], places) == Exit.PROTECTED
    assert capsys.readouterr().out.endswith("anna is not in maintenance.\n")


def test_maintenance_that_is_not_seen_did_not_come_about(
    places: Places, agent: Agent, capsys: Captured
) -> None:
    assert shoestring.main(["maintenance", "on", "--yes"], places) == Exit.FAILED
    assert "anna is not in maintenance." in capsys.readouterr().out


@pytest.mark.parametrize(("act", "verb"), [("reboot", "reboot"), ("shutdown", "poweroff")])
def test_going_down_hands_over_first(
    places: Places, agent: Agent, systemctl: Systemctl, capsys: Captured, act: str, verb: str
) -> None:
    agent.then = (STOPPING, OFF, STARTING, THERE)
    assert shoestring.main([act, "--yes"], places) == Exit.PROTECTED
    told = capsys.readouterr().out
    assert told.startswith("counter shuts down on anna and starts on berta.\n")
    assert told.endswith(
        "counter runs on berta, term 3.\nanna has signed off, and goes down now.\n"
    )
    assert systemctl.ran == [f"systemctl {verb}"]
    (event,) = agent.heard
    assert isinstance(event, Leave)


def test_a_machine_that_was_to_hand_over_and_could_not_is_not_switched_off(
    places: Places, agent: Agent, systemctl: Systemctl, capsys: Captured
) -> None:
    agent.then = (STOPPING, OFF)
    assert shoestring.main(["shutdown", "--yes"], places) == Exit.FAILED
    told = capsys.readouterr()
    assert "counter did not get to berta: counter is off." in told.out
    assert "anna is not switched off" in told.err and "systemctl reboot" in told.err
    assert systemctl.ran == []
    # A reboot goes on: it may start the guest again.
    assert shoestring.main(["reboot", "--yes"], places) == Exit.PROTECTED
    assert systemctl.ran == ["systemctl reboot"]


def test_a_guest_that_is_to_stay_off_does_not_keep_the_machine_on(
    places: Places, agent: Agent, systemctl: Systemctl, capsys: Captured
) -> None:
    agent.says(silent)
    agent.then = (both(silent, OFF),)
    assert shoestring.main(["shutdown", "--yes"], places) == Exit.PROTECTED
    assert "counter would be off until anna is switched on again" in capsys.readouterr().out
    assert systemctl.ran == ["systemctl poweroff"]


def test_an_agent_that_does_not_sign_off_keeps_the_machine_on(
    places: Places,
    agent: Agent,
    systemctl: Systemctl,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    monkeypatch.setattr(handover, "LEAVE_LIMIT", 0.2)
    monkeypatch.setattr(agent.server, "finish_leaving", lambda: None)
    assert shoestring.main(["reboot", "--yes"], places) == Exit.FAILED
    assert "not signed off" in capsys.readouterr().err
    assert systemctl.ran == []


def test_a_machine_that_does_not_go_down_is_no_success(
    places: Places, agent: Agent, systemctl: Systemctl, capsys: Captured
) -> None:
    systemctl.fails = True
    agent.then = (THERE,)
    assert shoestring.main(["reboot", "--yes"], places) == Exit.FAILED
    assert "systemctl reboot failed" in capsys.readouterr().err


@pytest.mark.parametrize("act", [["maintenance", "on"], ["shutdown"], ["reboot"]])
def test_what_changed_while_the_person_was_reading_is_not_done(
    places: Places,
    agent: Agent,
    systemctl: Systemctl,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
    act: list[str],
) -> None:
    def read() -> str:
        agent.says(silent)
        return "yes\n"

    types(monkeypatch, "")
    monkeypatch.setattr("sys.stdin.readline", read, raising=False)
    assert shoestring.main(act, places) == Exit.FAILED
    assert "changed meanwhile" in capsys.readouterr().err
    assert (agent.heard, systemctl.ran) == ([], [])


def test_every_limit_is_stretched_with_the_time_scale(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    places.cmdline.write_text("shoestring.timescale=4\n")
    limits = []

    def follow(seen: Seen, timeout: float, path: Path) -> bool:
        limits.append(timeout)
        return seen(client.snapshot(path))

    monkeypatch.setattr(client, "follow", follow)
    shoestring.main([*MOVE, "--yes"], places)
    assert limits == [4 * handover.MOVE_LIMIT]


def test_guests_says_which_can_be_moved(places: Places, agent: Agent, capsys: Captured) -> None:
    assert shoestring.main(["guests"], places) == Exit.PROTECTED
    assert capsys.readouterr().out == "counter  on anna, mirrored\n  can be moved to berta\n"
    agent.says(silent)
    assert shoestring.main(["guests"], places) == Exit.PROTECTED
    assert "  cannot be moved from anna: berta is silent\n" in capsys.readouterr().out


def test_status_report_and_start_are_here_too(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Captured
) -> None:
    assert shoestring.main(["status"], places) == Exit.PROTECTED
    assert capsys.readouterr().out.startswith("PROTECTED")
    agent.says(both(elsewhere, silent))
    assert shoestring.main(["status", "--json"], places) == Exit.STOPPED
    types(monkeypatch, "counter\n")
    assert shoestring.main(["start", "counter", "--anyway"], places) == Exit.PROTECTED
    agent.stop_playing()
    (event,) = agent.heard
    assert isinstance(event, OperatorConfirmed)


@pytest.mark.parametrize("disk", [Disk.INCONSISTENT, Disk.OUTDATED, Disk.DISKLESS])
def test_a_start_that_drbd_would_refuse_is_not_asked_for(
    places: Places,
    agent: Agent,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
    disk: Disk,
) -> None:
    agent.says(both(elsewhere, silent, resource(link=Link.CONNECTING, disk=disk)))
    types(monkeypatch, "counter\n")
    assert shoestring.main(["start", "counter", "--anyway"], places) == Exit.FAILED
    told = capsys.readouterr().err
    assert "our copy " in told and str(disk) in told and "Switch berta on" in told
    agent.stop_playing()
    assert agent.heard == []


def test_without_an_agent_nothing_is_done(places: Places, capsys: Captured) -> None:
    for act in ACTS:
        assert shoestring.main([*act, "--yes"], places) == Exit.SILENT
        assert capsys.readouterr().err.startswith("shoestring: The agent does not answer")


@pytest.mark.parametrize(
    "argv", [[], ["move"], ["maintenance"], ["maintenance", "maybe"], ["halt"]]
)
def test_wrong_usage_is_64(places: Places, argv: list[str], capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        shoestring.main(argv, places)
    assert caught.value.code == 64
    assert "usage: shoestring" in capsys.readouterr().err


def test_the_image_has_both_programs() -> None:
    folder = Path(__file__).parents[2] / "image/mkosi.extra/usr/bin"
    for name, module in (("haagent", "haagent"), ("shoestring", "haagent.shoestring")):
        program = folder / name
        assert program.read_text().endswith(f'exec python3 -m {module} "$@"\n')
        assert program.stat().st_mode & 0o777 == 0o755
