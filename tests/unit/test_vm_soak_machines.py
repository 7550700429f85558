# SPDX-License-Identifier: MIT
"""What a soak does to machines, with machines that only note it."""

from pathlib import Path

import pytest

from tests.unit.fake_story import FakeStory
from tests.vm.soak.machines import ALIKE, Machines


@pytest.fixture
def fake() -> FakeStory:
    made = FakeStory()
    for machine in (made.a, made.b):
        machine.outs |= {"drbdadm role": f"{ALIKE}\n", "hashlib": "1\n2\n3\n"}
    return made


def test_a_cut_and_a_takeover(fake: FakeStory) -> None:
    ground = Machines(fake.story)
    assert ground.holder() == "a"
    ground.cut("a", 77)
    assert fake.did == ["a: power cut 77"]
    takeover = ground.takeover("b")
    assert takeover.why == "peer off: self-fenced; term 3" and takeover.seconds > 0
    ground.bring_back("a")
    assert fake.did[-1] == "a: power on" and fake.a.is_on


def test_what_is_seen_is_judged(fake: FakeStory) -> None:
    ground = Machines(fake.story)
    assert ground.judge().reason == ""
    fake.recorder.acknowledged.append(4)
    assert ground.judge().lost == (4,)
    sick = "[ 1.0] BUG: unable to handle page fault"
    fake.b.outs["dmesg"] = f"{sick}\n"
    assert sick in ground.judge().others


@pytest.mark.parametrize(("holder", "standby"), ["ab", "ba"])
def test_copies_are_compared_when_the_guest_is_nowhere(
    fake: FakeStory, holder: str, standby: str
) -> None:
    fake.a.status["guests"][0]["runs_on"] = [holder]
    assert Machines(fake.story).compare() == ""
    assert fake.did == [
        "nobody asks any more",
        f"{standby}: shoestring maintenance on --yes",
        f"{holder}: haagent leave",
    ]
    fake.b.outs["hashlib"] = "1\n9\n3\n"
    assert Machines(fake.story).compare() == "the copies differ in 1 of 3 MiB: 1"


def test_the_evidence_is_where_it_says(fake: FakeStory, capsys: pytest.CaptureFixture[str]) -> None:
    assert Path(Machines(fake.story).keep("soak-1-2")) == Path("build/failed/soak-1-2")
    assert "evidence of soak-1-2" in capsys.readouterr().out
