# SPDX-License-Identifier: MIT
"""Random histories, on a pair that is a few fields, and on machines that only note."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from tests.unit.fake_book import book
from tests.unit.fake_story import FakeMachine, FakeStory
from tests.vm.chaos.__main__ import chaos
from tests.vm.chaos.draws import HOLDER, STANDBY, Exempt, Step, draw
from tests.vm.chaos.histories import Ended, sum_up
from tests.vm.chaos.machines import Machines, said_by
from tests.vm.control import Result
from tests.vm.runs import results
from tests.vm.runs.record import Outcome, Record


class FakePair:
    def __init__(self) -> None:
        self.did: list[str] = []
        self.ends = Ended.PROTECTED
        self.wrong = ""
        self.is_slow = False
        self.refuses = ""

    def happen(self, step: Step) -> str:
        self.did.append(str(step))
        return self.refuses

    def wait(self, seconds: float) -> None:
        self.did.append(f"wait {seconds:g}")

    def mend(self) -> None:
        self.did.append("mend")

    def settle(self) -> Ended:
        if self.is_slow:
            raise TimeoutError("waited 1800 s for both to be protected\nlast seen: nothing")
        self.did.append(f"settle {self.ends}")
        return self.ends

    def audit(self) -> None:
        self.did.append("audit")
        assert not self.wrong, self.wrong

    def keep(self, name: str) -> str:
        return f"build/failed/{name}"


class Bench:
    """Every history has the same PAIR; of which seeds they were."""

    def __init__(self, pair: FakePair) -> None:
        self.pair = pair
        self.seeds: list[int] = []

    @contextmanager
    def grounds(self, seed: int) -> Iterator[FakePair]:
        self.seeds.append(seed)
        yield self.pair


def run(folder: Path, pair: FakePair, seed: int, histories: int = 1) -> tuple[int, list[Record]]:
    paper = book(folder)
    bench = Bench(pair)
    code = chaos(paper, bench.grounds, seed, histories)
    assert bench.seeds == list(range(seed, seed + histories))
    return code, results.read(paper.file)


def seed_with(exempt: Exempt) -> int:
    return next(seed for seed in range(10_000) if draw(seed).exempt() is exempt)


def test_a_history_is_two_faults_the_mending_and_the_audit(tmp_path: Path) -> None:
    pair, drawn = FakePair(), draw(3)
    code, (line,) = run(tmp_path, pair, 3)
    assert code == 0
    assert pair.did == [
        str(drawn.first),
        f"wait {drawn.between:g}",
        str(drawn.second),
        f"wait {drawn.after:g}",
        "mend",
        "settle protected",
        "audit",
    ]
    assert (line.name, line.rows, line.outcome) == ("chaos/3", ("H7",), Outcome.PASSED)
    assert line.seed == 3 and line.about["again"] == "make vm-chaos SEED=3 N=1"
    assert (line.about["first"], line.about["second"]) == (str(drawn.first), str(drawn.second))
    assert line.about["came to nothing"] == []


@pytest.mark.parametrize("exempt", list(Exempt))
def test_a_parted_pair_is_a_failure_unless_that_is_known(tmp_path: Path, exempt: Exempt) -> None:
    pair = FakePair()
    pair.ends = Ended.PARTED
    code, (line,) = run(tmp_path, pair, seed_with(exempt))
    assert "audit" not in pair.did
    if exempt is Exempt.NOTHING:
        assert (code, line.reason) == (1, "split brain, and nothing explains it")
    else:
        assert (code, line.outcome, line.about["exempt"]) == (0, Outcome.PASSED, str(exempt))
        assert sum_up([line]).parted == 1


def test_what_is_exempt_is_audited_where_it_did_not_part(tmp_path: Path) -> None:
    pair = FakePair()
    pair.wrong = "lost: [7]"
    code, (line,) = run(tmp_path, pair, seed_with(Exempt.FROZEN))
    assert (code, line.reason) == (1, "lost: [7]")


def test_a_failure_is_told_with_the_command_and_the_next_one_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = FakePair()
    pair.is_slow = True
    code, lines = run(tmp_path, pair, 20, 3)
    assert code == 1 and [line.seed for line in lines] == [20, 21, 22]
    assert lines[0].kept == "build/failed/chaos-20"
    told = capsys.readouterr().out
    assert "failed: waited 1800 s for both to be protected\n" in told
    assert "its evidence: build/failed/chaos-20; again: make vm-chaos SEED=20 N=1" in told
    assert "histories 3, failed 3 (seeds 20, 21, 22)" in told.splitlines()[-1]


@pytest.mark.parametrize(
    "trouble",
    [
        TimeoutError("waited 120 s for a's checkpoint to load"),
        pexpect.TIMEOUT("Timeout exceeded."),  # of somebody who types it in
    ],
)
def test_a_pair_that_cannot_be_made_is_a_failure_without_evidence(
    tmp_path: Path, trouble: Exception
) -> None:
    @contextmanager
    def grounds(seed: int) -> Iterator[FakePair]:
        raise trouble
        yield FakePair()

    paper = book(tmp_path)
    assert chaos(paper, grounds, 0, 1) == 1
    (line,) = results.read(paper.file)
    assert (line.reason, line.kept) == (str(trouble), "")
    assert sum_up([line]).failed == [0]


def test_what_came_to_nothing_is_written_down(tmp_path: Path) -> None:
    pair = FakePair()
    pair.refuses = "a is off"
    _, (line,) = run(tmp_path, pair, 3)
    assert line.about["came to nothing"] == [f"{step}: a is off" for step in draw(3).steps]


def test_the_sum_counts_what_was_aimed_at_the_holder(tmp_path: Path) -> None:
    _, lines = run(tmp_path, FakePair(), 0, 40)
    steps = [step for seed in range(40) for step in draw(seed).steps]
    total = sum_up(lines)
    assert total.at_holder == sum(step.who == HOLDER for step in steps)
    assert total.aimed == sum(bool(step.who) for step in steps)
    assert total.line.startswith("histories 40, failed 0; hole ")


# what touches machines


@pytest.fixture
def fake() -> FakeStory:
    return FakeStory()


def ground(fake: FakeStory) -> Machines:
    return Machines(fake.story, seed=9, dead=-1.0)  # what was said once counts


def test_faults_happen_to_who_held_the_guest_at_first(fake: FakeStory) -> None:
    fake.a.status["guests"][0]["runs_on"] = ["b"]
    pair = ground(fake)
    assert pair.happen(Step("power", HOLDER)) == ""
    assert pair.happen(Step("lan-cable", STANDBY)) == ""
    assert pair.happen(Step("kill-agent", HOLDER)) == "b is off, or stands still"
    assert fake.did == ["b: power cut 9", "lose lan a"]
    pair.mend()
    assert fake.did[2:] == ["b: power on", "carry lan"]
    pair.wait(0.0)
    assert pair.settle() is Ended.PROTECTED
    pair.audit()
    assert fake.audited == [False]


def test_who_stood_still_may_wake(fake: FakeStory) -> None:
    pair = ground(fake)
    assert pair.happen(Step("freeze", HOLDER)) == ""
    pair.mend()
    pair.audit()
    assert fake.audited == [True]


def test_both_say_split_brain_and_both_copies_are_there(fake: FakeStory) -> None:
    for machine in (fake.a, fake.b):
        machine.status |= {"verdict": "STOPPED", "complaints": [{"what": "counter: split brain"}]}
        machine.outs |= {"cstate": "StandAlone\n", "dstate": "UpToDate/DUnknown\n"}
    assert ground(fake).settle() is Ended.PARTED
    fake.b.outs["dstate"] = "Outdated/DUnknown\n"
    with pytest.raises(AssertionError, match="b's copy is Outdated"):
        ground(fake).settle()


def test_protected_counts_when_it_stood_for_a_while(
    fake: FakeStory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At first both may say so of what they have not noticed yet. A look every two seconds."""
    pair = Machines(fake.story, seed=9, dead=5.0)
    shown = ["PROTECTED", "NOT PROTECTED", *["PROTECTED"] * 9]
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def try_run(script: str, timeout: float = 60) -> Result:
        fake.b.status["verdict"] = shown.pop(0)
        return FakeMachine.try_run(fake.b, script, timeout)

    fake.b.try_run = try_run  # type: ignore[method-assign]
    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert pair.settle() is Ended.PROTECTED
    assert now == 8.0  # it was doubted at 2


def test_a_machine_that_starts_says_nothing_yet(fake: FakeStory) -> None:
    fake.a.is_dumb = True
    assert said_by(fake.story.pair.a) == {}
    fake.a.is_on = False
    assert said_by(fake.story.pair.a) == {}
    assert said_by(fake.story.pair.b)["verdict"] == "PROTECTED"


def test_the_evidence_is_where_it_says(fake: FakeStory) -> None:
    assert ground(fake).keep("chaos-9") == "build/failed/chaos-9"
