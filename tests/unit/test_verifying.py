# SPDX-License-Identifier: MIT
"""`shoestring guest verify` and `guest verified`: asked, watched, and told what came of it."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from haagent import client, shoestring
from haagent.command import Exit, Places
from haagent.console.snapshot import Snapshot, to_dict
from haagent.storage.findings import Finding
from haagent.storage.resync import Progress
from haagent.storage.verification import Verified
from haagent.verifying import BEGIN_LIMIT
from tests.unit.fake_agent import Agent, Captured, agent, interrupt, places, systemctl, types
from tests.unit.fake_state import AROUND, WELL, look

__all__ = ["agent", "places", "systemctl"]  # fixtures

VERIFY, VERIFIED = (["guest", verb, "counter"] for verb in ("verify", "verified"))
WALL = 1_790_000_000.0
BEFORE = Finding(at=WALL - 86400)
AFTER = Finding(at=WALL)
DIFFERS = Finding(at=WALL, differs=8, since=WALL)


def shown(finding: Finding, percent: int | None = None) -> Snapshot:
    """PERCENT of what is under way is done."""
    progress = None if percent is None else Progress(100 - percent, 100, 200 - percent)
    known = Verified(finding, is_under_way=percent is not None, progress=progress)
    return look(WELL, replace(AROUND, wall=WALL, verified={"counter": known}))


class Shows:
    """What a watcher sees, one after the other; then its time is up."""

    def __init__(self, *snapshots: Snapshot) -> None:
        self.left = [to_dict(replace(one, at=time.monotonic())) for one in snapshots]
        self.limits: list[float] = []

    def __call__(self, seen: Callable[[dict[str, Any]], bool], timeout: float, path: Path) -> bool:
        self.limits.append(timeout)
        while self.left:
            if seen(self.left.pop(0)):
                return True
        return False


def verify(monkeypatch: pytest.MonkeyPatch, places: Places, *snapshots: Snapshot) -> int:
    monkeypatch.setattr(client, "follow", Shows(*snapshots))
    return shoestring.main(VERIFY, places)


def test_two_that_are_the_same(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    agent.shows(shown(BEFORE))
    course = (shown(BEFORE), *(shown(BEFORE, percent) for percent in (0, 3, 12, 13)), shown(AFTER))
    assert verify(monkeypatch, places, *course) == Exit.PROTECTED
    assert agent.verifier.asked == [("verify", "counter")]
    page = capsys.readouterr().out
    assert page.startswith("The two copies of counter are compared block by block.")
    assert "counter: 0 % ...\ncounter: 10 %, about 3 min ...\nThe two copies" in page
    assert page.endswith("The two copies of counter are the same.\n")


def test_one_that_is_done_before_anybody_looks(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    agent.shows(shown(BEFORE))
    assert verify(monkeypatch, places, shown(AFTER), shown(AFTER)) == Exit.PROTECTED
    assert capsys.readouterr().out.endswith("The two copies of counter are the same.\n")


def test_two_that_differ(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    agent.shows(shown(BEFORE))
    assert verify(monkeypatch, places, shown(BEFORE, 50), shown(DIFFERS)) == Exit.FAILED
    told = capsys.readouterr().err
    assert "8 KiB differ between the two copies of counter.\n  Nothing was changed." in told


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (DIFFERS.taken_note_of(), "are the same, but for 8 KiB that you know of.\n"),
        (replace(DIFFERS, copied_from="anna", is_past=True), "are the same.\n"),
        (
            replace(DIFFERS, is_first=True),
            "no guest has written yet is as each data disk had it.\n",
        ),
        (replace(DIFFERS, is_first=True, copied_from="a", is_past=True), "are the same.\n"),
    ],
)
def test_what_was_found_long_ago_is_not_found_again(
    places: Places,
    agent: Agent,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
    after: Finding,
    said: str,
) -> None:
    agent.shows(shown(BEFORE))
    assert verify(monkeypatch, places, shown(BEFORE, 50), shown(after)) == Exit.PROTECTED
    assert capsys.readouterr().out.endswith(said)


@pytest.mark.parametrize("course", [(BEFORE,), (BEFORE, None, BEFORE)])
def test_one_that_does_not_come_to_its_end(
    places: Places,
    agent: Agent,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
    course: tuple[Finding | None, ...],
) -> None:
    """It never begins, or the cable is pulled."""
    agent.shows(shown(BEFORE))
    seen = [shown(BEFORE, 50) if one is None else shown(one) for one in course]
    assert verify(monkeypatch, places, *seen) == Exit.FAILED
    assert "The comparison of counter did not come to its end." in capsys.readouterr().err


def test_it_is_not_waited_for_ever_that_one_begins(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.shows(shown(BEFORE))
    shows = Shows()
    monkeypatch.setattr(client, "follow", shows)
    assert shoestring.main(VERIFY, places) == Exit.FAILED
    assert shows.limits == [BEGIN_LIMIT]


def test_one_that_runs_is_watched(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.shows(shown(BEFORE, 20))
    assert verify(monkeypatch, places, shown(BEFORE, 20), shown(AFTER)) == Exit.PROTECTED
    assert agent.verifier.asked == []


def test_ctrl_c_does_not_end_it(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(client, "follow", interrupt)
    assert shoestring.main(VERIFY, places) == Exit.INTERRUPTED
    assert "The comparison of counter goes on." in capsys.readouterr().err


@pytest.mark.parametrize("argv", [VERIFY, [*VERIFIED, "--yes"]])
def test_a_refusal_is_told(places: Places, agent: Agent, capsys: Captured, argv: list[str]) -> None:
    agent.shows(shown(DIFFERS))
    agent.verifier.refusal = "berta is silent"
    assert shoestring.main(argv, places) == Exit.FAILED
    assert "Nothing was done: berta is silent." in capsys.readouterr().err
    assert shoestring.main([*argv[:2], "nobody"], places) == Exit.FAILED
    assert len(agent.verifier.asked) == 1


def test_a_person_takes_note(places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    agent.shows(shown(DIFFERS))
    screen = types(monkeypatch, "no\n")
    assert shoestring.main(VERIFIED, places) == Exit.FAILED
    assert agent.verifier.asked == []
    screen = types(monkeypatch, "yes\n")
    assert shoestring.main(VERIFIED, places) == Exit.PROTECTED
    assert agent.verifier.asked == [("noted", "counter")]
    page = screen.getvalue()
    assert page.startswith("8 KiB differed between the two copies of counter. That was found on ")
    assert "Nothing is changed on either disk" in page
    assert page.endswith("anna has taken note. Say it on berta, too, if its screen still tells.\n")


def test_nothing_was_found_that_could_be_noted(
    places: Places, agent: Agent, capsys: Captured
) -> None:
    agent.shows(shown(AFTER))
    assert shoestring.main(VERIFIED, places) == Exit.PROTECTED
    assert "Nothing was found to differ" in capsys.readouterr().out
    assert agent.verifier.asked == []
