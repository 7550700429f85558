# SPDX-License-Identifier: MIT
"""What the scenarios start with is made once, each from the one before; a machine may be off in
it.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from tests.unit.fake_story import FakeMachine, FakeStory
from tests.vm import pair as pairs
from tests.vm.counter import Recorder
from tests.vm.disk import Disk
from tests.vm.lab import Lab
from tests.vm.machine import STATE, Machine
from tests.vm.pair import Pair, is_alone, lone_holder, status

SIZE = 1 << 16


class Shelf:
    """A lab's checkpoints."""

    def __init__(self, folder: Path, did: list[str]) -> None:
        self._folder, self._did = folder, did

    def checkpoint_key(self, name: str) -> Path:
        return self._folder / name

    def save(self, checkpoint: Path) -> None:
        self._did.append(f"save {checkpoint.name}")
        checkpoint.touch()

    def load(self, checkpoint: Path) -> None:
        self._did.append(f"load {checkpoint.name}")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeStory:
    """Its `a` is alone as soon as it is asked; numbers come, and are not noted."""
    made = FakeStory()
    made.a.status["guests"][0]["is_alone"] = True
    recorder = cast(Recorder, SimpleNamespace(next=lambda: 1))
    blank = Pair(
        cast(Lab, Shelf(tmp_path, made.did)),
        cast(Machine, made.a),
        cast(Machine, made.b),
        recorder,
    )
    monkeypatch.setattr(pairs, "blank_pair", lambda lab: blank)
    monkeypatch.setattr(pairs, "set_up", lambda pair, is_typed: made.did.append("set up"))
    return made


def test_the_second_checkpoint_is_made_of_the_first_and_each_once(fake: FakeStory) -> None:
    lab = cast(Lab, None)
    lone_holder(lab)
    healthy, lone = f"healthy-pair-x{pairs.SCALE:g}", f"lone-holder-x{pairs.SCALE:g}"
    assert fake.did == ["set up", f"save {healthy}", "b: power cut 1", f"save {lone}"]
    assert fake.a.is_on and not fake.b.is_on
    fake.did.clear()
    lone_holder(lab)
    pairs.healthy_pair(lab)
    assert fake.did == [f"load {lone}", f"load {healthy}"]


def test_who_runs_it_and_raised_its_term_is_alone(fake: FakeStory) -> None:
    assert is_alone(cast(Machine, fake.a))
    fake.a.status["guests"][0]["runs_on"] = []
    assert not is_alone(cast(Machine, fake.a))


def test_a_machine_that_does_not_answer_has_no_status(fake: FakeStory) -> None:
    fake.b.is_dumb = True
    assert status(cast(Machine, fake.b)) == {}


def test_of_a_machine_that_is_off_the_disks_are_saved_and_it_is_off_again(tmp_path: Path) -> None:
    machine = Machine("a", tmp_path, [Disk("data", SIZE)])
    stored = machine.disks[0].file(machine.folder)
    stored.write_bytes(b"1" * SIZE)
    machine.save(tmp_path / "saved")
    assert not (tmp_path / "saved" / STATE).exists()
    stored.write_bytes(b"2" * SIZE)
    machine.load(tmp_path / "saved")
    assert stored.read_bytes() == b"1" * SIZE
    assert not machine.is_on


class Kept(FakeMachine):
    """One that a lab saves and loads."""

    def save(self, folder: Path) -> None:
        self._note("save")

    def load(self, folder: Path) -> None:
        self._note("load")

    def hello(self, deadline: float) -> str:
        self._note("hello")
        return "boot"


def test_a_lab_stops_and_greets_only_what_runs(tmp_path: Path) -> None:
    did: list[str] = []
    lab = Lab("tcg")
    a, b = Kept("a", did), Kept("b", did)
    b.is_on = False
    lab.machines = {"a": cast(Machine, a), "b": cast(Machine, b)}
    lab.save(tmp_path / "one")
    lab.load(tmp_path / "one")
    saved, loaded = ["a: save", "b: save"], ["a: load", "b: load"]
    assert did == ["a: stop", *saved, "a: cont", *loaded, "a: cont", "a: hello"]
    lab.folder.rmdir()
