# SPDX-License-Identifier: MIT
"""GRUB is told of a good start, and only of one; what is on trial and not well is given up."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from haagent.command import Exit, Places
from haagent.console.snapshot import Snapshot
from haagent.errors import ToolError
from haagent.update import grubenv, machine, medium, news, well
from haagent.update.machine import Ground
from haagent.update.news import News
from haagent.update.slots import ENVIRONMENT, Intent
from haagent.update.well import LOOK, OF_A_PAIR, SET_UP, TRIAL, WELL, Clock, of_pair, of_set_up
from tests.unit.fake_state import WELL as HOLDING
from tests.unit.fake_state import elsewhere, look
from tests.unit.fake_stick import CMDLINE, NEW, OLD, FakeStick, ground_of

TRIED = Intent("a", 2, other="b")  # what runs was installed, and this is its first start
HERE, THERE = look(HOLDING), look(elsewhere(HOLDING))
LONG = 10_000.0  # seconds; whoever still waits then waits for ever


class EndlessError(Exception):
    """It waits on."""


def shown(unit: str, state: str = "active", sub: str = "running", mark: str = "1") -> str:
    return f"Id={unit}\nActiveState={state}\nSubState={sub}\nInvocationID={mark}\n"


def units(mark: str = "1", **states: str) -> str:
    return "\n".join(shown(unit, states.get(unit[:2], "active"), mark=mark) for unit in OF_A_PAIR)


@dataclass
class Start:
    """A start of a machine; what changes is told by the second since."""

    folder: Path
    stick: FakeStick
    scale: float = 1.0
    now: float = 60.0
    ran: list[str] = field(default_factory=list)
    failed: str = ""
    agent: Snapshot | None = HERE
    down: float = 0.0  # until then the agent is not up
    flaps: float = 0.0  # it is another process each so many seconds
    is_set_up: bool = True

    def run(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        if argv[:2] == ("systemctl", "list-units"):
            return self.failed
        if argv[:2] == ("systemctl", "show"):
            mark = str(int(self.now / self.flaps)) if self.flaps else "1"
            if argv[-1] == SET_UP:
                up = self.now >= self.down
                return shown(SET_UP, "activating", "start" if up else "auto-restart", mark)
            return units(mark, ha="active" if self.now >= self.down else "activating")
        self.ran.append(" ".join(argv))
        if argv[0] == "systemctl":
            return ""
        raise ToolError(argv, 1, "not here")

    def sleep(self, seconds: float) -> None:
        assert seconds == LOOK * self.scale
        self.now += seconds
        if self.now > LONG:
            raise EndlessError

    def goes_on(self) -> Exit:
        (self.folder / "cmdline").write_text(f"{CMDLINE} shoestring.timescale={self.scale}")
        (self.folder / "setup").mkdir(exist_ok=True)
        if self.is_set_up:
            (self.folder / "setup/complete").touch()
        none = self.folder / "none"
        places = Places(none, self.folder / "cmdline", none, none, self.run)
        return well.well(places, self.ground, Clock(lambda: self.now, self.sleep))

    @property
    def ground(self) -> Ground:
        return ground_of(self.folder, self.stick)

    @property
    def intent(self) -> Intent:
        return Intent.of(grubenv.parse(self.stick.disk[ENVIRONMENT]))


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    stick = FakeStick().holds("a", NEW).holds("b", OLD).intends(TRIED)
    made = Start(tmp_path, stick)
    is_up = lambda places: made.agent if made.now >= made.down else None  # noqa: E731
    monkeypatch.setattr(machine, "snapshot", is_up)
    return made


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_a_good_start_is_marked_after_a_while(start: Start, scale: float) -> None:
    start.scale, start.down = scale, 100.0
    assert start.goes_on() == Exit.PROTECTED
    assert start.intent == Intent("a", 3), "it is no trial any more"
    assert start.now >= start.down + WELL * scale
    assert start.ran == [] and start.stick.pending == []


@pytest.mark.parametrize("intent", [Intent("a", 2), Intent("a", 1, fallen="b")])
def test_so_is_every_later_one(start: Start, intent: Intent) -> None:
    start.stick.intends(intent)
    start.goes_on()
    assert start.intent == replace(intent, left=3)


def test_what_is_restarted_is_not_well_yet(start: Start) -> None:
    start.agent, start.flaps = THERE, WELL - LOOK  # it is up at each look
    start.goes_on()
    assert start.ran == ["systemctl reboot"] and start.intent == TRIED
    assert start.now <= TRIAL + 2 * WELL + LOOK


@pytest.mark.parametrize(
    ("change", "agent"),
    [
        ({"down": LONG + 1}, None),
        ({"failed": "heartbeat.service loaded failed failed x\n"}, THERE),
        ({"failed": "console@tty1.service loaded failed failed x\n"}, THERE),
    ],
)
def test_what_is_on_trial_and_not_well_goes_back_to_grub(
    start: Start, change: dict[str, object], agent: Snapshot | None
) -> None:
    for name, value in change.items():
        setattr(start, name, value)
    start.agent = agent
    start.goes_on()
    assert start.ran == ["systemctl reboot"]
    assert TRIAL <= start.now <= TRIAL + LOOK
    assert start.intent == TRIED


def test_never_under_a_guest(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    start.failed = "heartbeat.service loaded failed failed x\n"
    with pytest.raises(EndlessError):
        start.goes_on()
    assert start.ran == [] and start.intent == TRIED
    assert capsys.readouterr().out.count("stays because a guest runs here") == 1


def test_never_while_nobody_knows_of_guests(start: Start) -> None:
    """The agent is silent, and Xen does not answer."""
    start.down = LONG + 1
    start.ground.hypervisor.touch()
    with pytest.raises(EndlessError):
        start.goes_on()
    assert "systemctl reboot" not in start.ran


def test_what_was_good_once_is_never_restarted(start: Start) -> None:
    start.stick.intends(Intent("a", 2))
    start.down = LONG + 1
    with pytest.raises(EndlessError):
        start.goes_on()
    assert start.ran == []


@pytest.mark.parametrize("down", [0.0, LONG + 1])
def test_a_blank_machine_is_well_when_the_set_up_has_its_screens(start: Start, down: float) -> None:
    start.is_set_up, start.agent, start.down = False, None, down
    start.goes_on()
    assert start.ran == ["systemctl reboot"] * bool(down)
    assert start.intent == (TRIED if down else Intent("a", 3))


def test_somebody_elses_failure_is_not_ours(start: Start) -> None:
    start.failed = "systemd-timesyncd.service loaded failed failed x\n"
    start.goes_on()
    assert start.intent == Intent("a", 3)


def test_what_grub_gave_up_is_told(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    start.stick.holds("a", OLD).holds("b", NEW).intends(Intent("a", 2, fallen="b"))
    start.goes_on()
    assert "The update to 0.2.0 did not start; 0.1.0 runs again." in capsys.readouterr().out
    assert news.read(start.ground.news) == News(OLD, fallen=NEW)


def test_an_update_that_waits_is_not_marked(start: Start) -> None:
    """Neither one that was there at the beginning, nor one that came meanwhile."""
    waits = Intent("b", 3, other="a")
    start.stick.intends(waits)
    start.goes_on()
    assert start.intent == waits and start.now == 60.0
    start.stick.intends(TRIED)
    start.now, start.down = 60.0, 100.0
    sleep = start.sleep

    def comes(seconds: float) -> None:
        start.stick.intends(waits)
        sleep(seconds)

    start.sleep = comes  # type: ignore[method-assign]
    start.goes_on()
    assert start.intent == waits


def test_variables_that_grub_cannot_read_are_mended(start: Start) -> None:
    start.stick.disk[ENVIRONMENT] = bytes(grubenv.SIZE)
    start.goes_on()
    assert start.intent == Intent("a", 3)
    assert not medium.standing(start.stick, CMDLINE).is_damaged


@pytest.mark.parametrize("unit", ["drbd-up", "haagent", "heartbeat"])
def test_each_part_counts(unit: str) -> None:
    assert of_pair(THERE, units(), "").trouble is None
    assert of_pair(THERE, units(**{unit[:2]: "failed"}), "").trouble is not None
    assert of_pair(THERE, "\n".join(units().split("\n\n")[:2]), "").trouble is not None
    assert of_pair(None, units(), "").trouble == "The agent does not answer."


def test_a_set_up_that_died_is_not_on_the_screen() -> None:
    assert of_set_up(shown(SET_UP, "activating", "start")).trouble is None
    for state in (("activating", "auto-restart"), ("failed", "failed"), ("inactive", "dead")):
        assert of_set_up(shown(SET_UP, *state)).trouble is not None
