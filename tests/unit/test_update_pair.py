# SPDX-License-Identifier: MIT
"""The update of a pair, led from the machine with the guests; the other one is played here."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from haagent import handover, shoestring
from haagent.command import Exit, Places
from haagent.console.snapshot import Snapshot
from haagent.core.model import Disk
from haagent.errors import PeerError
from haagent.update import act, machine, pair
from haagent.update.installing import Progress
from haagent.update.machine import Ground
from haagent.update.manifest import BadUpdate
from haagent.update.slots import Intent
from haagent.update.visit import Refused, Told
from haagent.update.well import Clock
from tests.unit.fake_agent import OFF
from tests.unit.fake_state import WELL, Change, both, elsewhere, hello, look, resource, silent
from tests.unit.fake_stick import (
    CMDLINE,
    KEY,
    NEW,
    OLD,
    PACK,
    FakeStick,
    ground_of,
    grub_starts,
    pairs,
    update_file,
)

BEHIND = resource(peer_disk=Disk.INCONSISTENT)


class EndlessError(Exception):
    """It waits on."""


@dataclass(frozen=True, slots=True)
class Second:
    """What there is to see of the other machine at some time after it began to restart."""

    told: Told | None  # None: it cannot be asked
    shown: Snapshot


def peer_says(release: str) -> Change:
    return hello(release=release)


def second(told: Told | None, *changes: Change) -> Second:
    return Second(told, look(both(*changes)(WELL)))


RESTARTING = second(None, silent)
UP = second(Told(NEW, "", "", True), peer_says(NEW), BEHIND)
TRIED = second(Told(NEW, "", "", True), peer_says(NEW))
GOOD = second(Told(NEW, "", "", False), peer_says(NEW))
FALLEN = second(Told(OLD, "", NEW, False), peer_says(OLD))
BEFORE = second(Told(OLD, "", "", False), peer_says(OLD))


@dataclass
class Evening:
    """Somebody at the machine with the guest."""

    folder: Path
    stick: FakeStick
    seconds: list[Second] = field(default_factory=lambda: [BEFORE])
    done: list[str] = field(default_factory=list)
    refusal: Exception | None = None
    pulls_stick: bool = False  # as soon as the other one has it
    now: float = 0.0

    @property
    def current(self) -> Second:
        return self.seconds[0]

    def run(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        self.done.append(" ".join(argv))
        return ""

    def sleep(self, seconds: float) -> None:
        assert seconds == pair.LOOK
        self.now += seconds
        if len(self.seconds) > 1:
            self.seconds.pop(0)
        if self.now > 10 * pair.BACK:
            raise EndlessError

    @property
    def places(self) -> Places:
        (self.folder / "cmdline").write_text(CMDLINE)
        none = self.folder / "none"
        return Places(none, self.folder / "cmdline", none, none, self.run)

    @property
    def ground(self) -> Ground:
        return ground_of(self.folder, self.stick)

    # A `Peer`:

    def standing(self) -> Told:
        if self.current.told is None:
            raise PeerError("no route to host")
        return self.current.told

    def install(self, path: Path, progress: Progress, *, is_older_wanted: bool) -> None:
        if self.refusal is not None:
            raise self.refusal
        assert path.exists() and not self.has_installed, "the other one is first"
        progress("Sending to berta", 1.0)
        self.done.append("there")
        if self.pulls_stick:
            path.unlink()
        self.sleep(pair.LOOK)

    @property
    def has_installed(self) -> bool:
        return "slot-b/slot.cfg" in self.stick.files

    def says(self, *words: str) -> int:
        return shoestring.main(["update", *words], self.places)

    def updates(self) -> int:
        return self.says(str(update_file(self.folder)), "--yes")


@pytest.fixture
def evening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evening:
    made = Evening(tmp_path, FakeStick().holds("a", OLD).intends(Intent("a")))
    PACK.write_public(KEY, tmp_path / "update.pub")
    pairs(tmp_path)
    monkeypatch.setattr(act.update, "__defaults__", (made.ground,))
    clock = Clock(lambda: made.now, made.sleep)
    monkeypatch.setattr(pair.update, "__defaults__", (lambda places: made, clock))
    monkeypatch.setattr(machine, "snapshot", lambda places: made.current.shown)

    def go_down(shown: Snapshot, places: Places, verb: str) -> Exit:
        made.done.append(f"{verb}, {'on trial' if made.has_installed else 'as before'}")
        return Exit.PROTECTED

    monkeypatch.setattr(handover, "go_down", go_down)
    return made


def test_the_other_machine_first_and_this_one_when_that_does_well(
    evening: Evening, capsys: pytest.CaptureFixture[str]
) -> None:
    evening.seconds += [RESTARTING, RESTARTING, UP, TRIED, GOOD]
    assert evening.updates() == Exit.PROTECTED
    assert evening.done == ["there", "reboot, on trial"]
    assert grub_starts(evening.stick) == NEW
    said = " ".join(capsys.readouterr().out.split())
    order = [
        "First berta gets 0.2.0, and restarts with it. Until it is back, nothing protects",
        "Then 0.2.0 is installed into slot b of anna.",
        "counter shuts down on anna and starts on berta.",
        "0.2.0 is on the stick of berta, which restarts.",
        "berta restarts ...",
        "The copy of counter on berta is brought up to date ...",
        "berta is watched for a while: whether it does well with 0.2.0 ...",
        "0.2.0 is on the stick of anna, too.",
    ]
    found = [said.find(line) for line in order]
    assert -1 not in found and found == sorted(found), said


@pytest.mark.parametrize("last", [RESTARTING, UP, TRIED, FALLEN, BEFORE])
def test_until_it_does_well_this_one_is_not_touched(
    evening: Evening, last: Second, capsys: pytest.CaptureFixture[str]
) -> None:
    """safety: with both on trial at once there is no machine left that is known to work."""
    evening.seconds += [RESTARTING, last]
    assert evening.updates() == Exit.FAILED
    assert not evening.has_installed and evening.done == ["there"]
    told = capsys.readouterr().err
    assert "anna was not touched" in told
    if last is FALLEN:
        assert "0.2.0 did not start on berta, or did not do well: berta runs 0.1.0 again." in told
        assert evening.now < 60
    else:
        assert evening.now >= pair.BACK


def test_a_guest_that_cannot_move_keeps_this_one_up(evening: Evening) -> None:
    guest = replace(GOOD.shown.guests[0], blocker="berta has no room")
    stays = replace(GOOD, shown=replace(GOOD.shown, guests=(guest,)))
    evening.seconds += [RESTARTING, stays]
    assert evening.updates() == Exit.FAILED
    assert not evening.has_installed


def test_a_stick_that_is_pulled_too_early_is_told_and_it_can_be_said_again(
    evening: Evening, capsys: pytest.CaptureFixture[str]
) -> None:
    evening.pulls_stick = True
    evening.seconds += [RESTARTING, GOOD]
    assert evening.updates() == Exit.FAILED
    told = " ".join(capsys.readouterr().err.split())
    assert "berta runs 0.2.0, and anna does not: This update is not taken: the file cannot" in told
    assert evening.done == ["there"] and not evening.has_installed
    assert evening.updates() == Exit.PROTECTED
    assert evening.done == ["there", "reboot, on trial"]


def test_said_again_it_leaves_out_what_is_done(evening: Evening) -> None:
    evening.seconds = [GOOD]
    assert evening.updates() == Exit.PROTECTED
    assert evening.done == ["reboot, on trial"]


def test_it_brings_the_other_one_to_what_runs_here(evening: Evening) -> None:
    evening.stick.holds("a", NEW)
    evening.seconds += [RESTARTING, GOOD]
    assert evening.updates() == Exit.PROTECTED
    assert evening.done == ["there"] and not evening.has_installed


def test_with_nothing_to_do_nothing_is_done(
    evening: Evening, capsys: pytest.CaptureFixture[str]
) -> None:
    evening.stick.holds("a", NEW)
    evening.seconds = [GOOD]
    assert evening.updates() == Exit.FAILED
    assert "Both machines run 0.2.0 already." in capsys.readouterr().err
    assert evening.done == []


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (Refused("berta does not take it. No room.", "Another stick."), "No room."),
        (PeerError("it ended the conversation"), "berta was lost on the way"),
        (BadUpdate("the file cannot be read: gone"), "The update did not get to berta"),
    ],
)
def test_a_peer_that_does_not_take_it_ends_it(
    evening: Evening, refusal: Exception, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    evening.refusal = refusal
    assert evening.updates() == Exit.FAILED
    assert told in capsys.readouterr().err
    assert evening.done == [] and not evening.has_installed


def test_a_peer_that_cannot_be_asked_is_sent_nothing(
    evening: Evening, capsys: pytest.CaptureFixture[str]
) -> None:
    evening.seconds = [replace(BEFORE, told=None)]
    assert evening.updates() == Exit.FAILED
    assert "cannot be asked over the crossover cable" in capsys.readouterr().err
    assert evening.done == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (silent, "berta is silent"),
        (elsewhere, "counter runs on berta, and both are updated from there"),
        (BEHIND, "counter could not move to berta"),
    ],
)
def test_it_is_led_from_a_machine_that_can_hand_over(
    evening: Evening, change: Change, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    evening.seconds = [second(BEFORE.told, change)]
    assert evening.updates() == Exit.FAILED
    said = capsys.readouterr().err
    assert told in said, said
    assert evening.done == []


def test_a_machine_on_trial_leads_nothing(
    evening: Evening, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both would be on trial at once, and none known to be well."""
    evening.stick.holds("a", NEW).holds("b", OLD).intends(Intent("a", 2, other="b"))
    assert evening.updates() == Exit.FAILED
    assert "0.2.0 is on trial" in capsys.readouterr().err
    assert evening.done == []


def test_without_a_guest_anywhere_it_goes_on(evening: Evening) -> None:
    off = both(OFF, peer_says(NEW))
    evening.seconds = [
        second(BEFORE.told, OFF, peer_says(OLD)),
        RESTARTING,
        Second(GOOD.told, look(off(WELL))),
    ]
    assert evening.updates() == Exit.PROTECTED
    assert evening.done == ["there", "reboot, on trial"]


def test_an_older_one_takes_a_word(evening: Evening, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(update_file(evening.folder, "0.0.9"))
    assert evening.says(path, "--yes") == Exit.FAILED
    assert "`--older`" in capsys.readouterr().err
    assert evening.done == []


def test_without_a_yes_nothing_is_sent(evening: Evening) -> None:
    assert evening.says(str(update_file(evening.folder))) == Exit.FAILED
    assert evening.done == []
