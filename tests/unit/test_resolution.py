# SPDX-License-Identifier: MIT
"""`shoestring resolve`, with a real door to an agent that is played by the test."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from haagent import client, resolution, shoestring
from haagent.command import Exit, Places
from haagent.console.histories import grounds, stage
from haagent.console.snapshot import ResyncView, Snapshot, to_dict
from haagent.core.events import ChoiceAsked
from haagent.core.model import Choice, Disk, Evidence, Link, Measured, Phase
from tests.unit.fake_agent import Agent, Captured, types
from tests.unit.fake_state import (
    WELL,
    Change,
    both,
    guest,
    hello,
    ledger,
    look,
    node,
    resource,
    silent,
    words,
)
from tests.unit.test_config import Machine

RESOLVE = ["resolve", "counter"]
MEASURED = Measured(4000, {"counter": 600}, {"counter": 3 << 20})


def apart(**changes: Any) -> Change:
    """Both wrote alone; the guest runs on anna. CHANGES are to what berta says of it."""
    told: dict[str, Any] = {"is_connected": False, "is_alone": True, "is_refused": True}
    told |= {"term": 1, "differs": 2048, **changes}
    return both(
        resource(link=Link.STANDALONE, peer_disk=Disk.OUTDATED),
        ledger(alone=Evidence.GATEWAY),
        words(**told),
        hello_room(4000),
        node(measured=MEASURED),
    )


def hello_room(room: int) -> Change:
    return hello(room=room)


def choosing(node_: int = 0, **changes: Any) -> Change:
    """A choice is on both disks."""
    choice = Choice(2, node_, STAMP, True, True)
    return both(apart(choice=choice, **changes), ledger(choice=choice))


STAMP = "20260102-0304"
DONE = Choice(2, 0, STAMP, is_open=False, is_agreed=True)
ONE = both(words(choice=replace(DONE, is_kept=True)), ledger(choice=DONE))
SYNCING = both(
    choosing(is_connected=True),
    resource(link=Link.SYNC_SOURCE, peer_disk=Disk.INCONSISTENT),
    ledger(alone=None),
)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    machine = Machine(tmp_path)
    return Places(machine.file, machine.cmdline, tmp_path / "state", tmp_path / "run" / "s")


@pytest.fixture
def agent(places: Places, monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    monkeypatch.setattr(resolution, "AGREE_LIMIT", 2.0)
    monkeypatch.setattr(resolution, "_stamp", lambda: STAMP)
    agent = Agent(places.socket)
    agent.says(apart())
    agent.is_watched.set()
    yield agent
    agent.stop()


def test_both_histories_are_shown_a_copy_is_chosen_and_the_end_is_verified(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.then = (choosing(), SYNCING, ONE)
    screen = types(monkeypatch, "anna\ncounter\n")
    assert shoestring.main(RESOLVE, places) == Exit.PROTECTED
    page = screen.getvalue()
    order = [
        "both copies were written without the other",
        "The copy on anna:",
        "3.0 GiB of it were written since",
        "the guest runs on it now",
        "The copy on berta:",
        "2.0 MiB of it were written since",
        "Whose copy shall count, anna or berta?",
        "berta gives up its own",
        "counter goes on on anna all the time.",
        f"kept first, on berta, as counter-before-{STAMP}",
        "(600 of 4000 MiB",
        "Type the guest's name",
        "both copies are one again, UpToDate on anna and on berta.",
        f"kept on berta as counter-before-{STAMP}",
        f"lvremove shoestring/counter-before-{STAMP}",
    ]
    found = [page.index(line) for line in order]
    assert found == sorted(found)
    # What is typed ends a line on a terminal, and is not in what we see here.
    lines = page.replace("neither) ", "\n").replace("to do it: ", "\n").splitlines()
    assert [line for line in lines if len(line) > 80 and not line.startswith("  losetup")] == []
    (event,) = agent.heard
    assert isinstance(event, ChoiceAsked)
    assert (event.guest, event.node, event.stamp) == ("counter", 0, STAMP)


@pytest.mark.parametrize(
    "typed",
    ["", "\n", "carla\n", "anna\n", "anna\n\n", "anna\nyes\n", "berta\nCounter\n", "0\ncounter\n"],
)
def test_without_both_words_nothing_is_asked(
    places: Places,
    agent: Agent,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
    typed: str,
) -> None:
    types(monkeypatch, typed)
    assert shoestring.main(RESOLVE, places) == Exit.FAILED
    assert "Nothing was done" in capsys.readouterr().err
    assert agent.heard == []


def test_no_script_may_choose(places: Places, agent: Agent, capsys: Captured) -> None:
    assert shoestring.main(RESOLVE, places) == Exit.FAILED
    assert "takes a person at a terminal" in capsys.readouterr().err
    assert agent.heard == []


def test_without_room_the_loss_of_all_is_typed_in_words(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    agent.says(both(apart(), hello_room(100)))
    screen = types(monkeypatch, "anna\nyes\ncounter\n")
    assert shoestring.main(RESOLVE, places) == Exit.FAILED
    assert "600 MiB, 100 MiB are free, 500 MiB are missing" in screen.getvalue()
    assert "lvremove" in capsys.readouterr().err
    assert agent.heard == []
    agent.then = (ONE,)
    types(monkeypatch, "anna\nwithout a copy\ncounter\n")
    assert shoestring.main(RESOLVE, places) == Exit.PROTECTED
    (event,) = agent.heard
    assert isinstance(event, ChoiceAsked)
    assert event.stamp == ""


def test_the_guest_may_be_left_out_where_only_one_is_meant(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.then = (ONE,)
    types(monkeypatch, "anna\ncounter\n")
    assert shoestring.main(["resolve"], places) == Exit.PROTECTED


OFF = guest(phase=Phase.RELEASED, is_running=False)
SILENT_AND_OFF = both(resource(link=Link.CONNECTING, disk=Disk.CONSISTENT), OFF, silent)


@pytest.mark.parametrize(
    ("change", "what", "then"),
    [
        (both(), "both copies are one", "`shoestring status`"),
        (resource(link=Link.SYNC_TARGET), "being brought up to date", "Wait"),
        (SILENT_AND_OFF, "berta is silent", "`shoestring start counter --anyway` on anna"),
        (both(resource(link=Link.CONNECTING), silent), "counter runs on anna", "Switch berta on"),
        (resource(link=Link.CONNECTING), "has not refused", "crossover cable"),
        (both(apart(), silent), "counter runs on anna", "Switch berta on"),
        (both(apart(), OFF, silent), "berta is silent", "`shoestring start counter --anyway`"),
        (apart(phase=Phase.STOPPING), "it is stopping on berta", "Nothing was done"),
    ],
)
def test_where_there_is_nothing_to_choose_it_leads_to_what_is_needed(
    places: Places,
    agent: Agent,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
    change: Change,
    what: str,
    then: str,
) -> None:
    agent.says(change)
    types(monkeypatch, "anna\ncounter\n")
    assert shoestring.main(RESOLVE, places) == Exit.FAILED
    told = capsys.readouterr().err
    assert what in told
    assert then in told
    assert agent.heard == []


def test_without_a_name_and_without_a_split_brain_it_says_so(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    agent.says(both())
    types(monkeypatch, "")
    assert shoestring.main(["resolve"], places) == Exit.FAILED
    assert "no guest has two copies that went apart" in capsys.readouterr().err
    agent.says(SILENT_AND_OFF)
    assert shoestring.main(["resolve"], places) == Exit.FAILED
    assert "--anyway" in capsys.readouterr().err


def test_what_cannot_be_chosen_now_is_said_before_the_last_question(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    agent.says(apart(disk=Disk.INCONSISTENT))
    types(monkeypatch, "berta\ncounter\n")
    assert shoestring.main(RESOLVE, places) == Exit.FAILED
    assert "the copy on berta is Inconsistent" in capsys.readouterr().err
    assert agent.heard == []


def test_the_agents_have_the_last_word(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    agent.refusal = "berta is shutting down"
    types(monkeypatch, "anna\ncounter\n")
    assert shoestring.main(RESOLVE, places) == Exit.FAILED
    assert "Nothing was done: berta is shutting down." in capsys.readouterr().err


def test_a_choice_that_is_not_agreed_to_is_none(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    asking = both(apart(), guest(proposal=Choice(2, 0, STAMP, is_open=True)))
    agent.then = (asking, both(apart(), guest(trouble="berta has given up")))
    types(monkeypatch, "anna\ncounter\n")
    assert shoestring.main(RESOLVE, places) == Exit.FAILED
    told = capsys.readouterr().err
    assert "did not agree" in told
    assert "Nothing was done" in told


def test_an_old_refusal_is_not_taken_for_the_answer(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = both(apart(), hello(troubles={"counter": "it was stopping on berta"}))
    asking = both(old, guest(proposal=Choice(2, 0)))
    ends: list[bool] = []

    def shown(seen: Callable[[dict[str, Any]], bool], timeout: float, path: Path) -> bool:
        ends.extend(seen(to_dict(look(change(WELL)))) for change in (old, asking, choosing()))
        return True

    monkeypatch.setattr(client, "follow", shown)
    agent.says(choosing())
    resolution._await_agreement("counter", 0, places)
    assert ends == [False, False, True]


def test_a_choice_that_waits_for_a_silent_machine_says_the_way_back(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.says(both(choosing(1), silent))
    monkeypatch.setattr(resolution, "_watch", lambda name, places: Exit.PROTECTED)
    screen = types(monkeypatch, "")
    assert shoestring.main(RESOLVE, places) == Exit.PROTECTED
    assert "`shoestring start counter --anyway` on anna" in " ".join(screen.getvalue().split())


def test_a_choice_under_way_is_looked_on(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.says(ONE)
    done = look(ONE(WELL))
    assert stage(done, done.guests[0]) == "counter: the choice is done with"
    agent.says(choosing())
    monkeypatch.setattr(resolution, "_watch", lambda name, places: Exit.PROTECTED)
    screen = types(monkeypatch, "")
    assert shoestring.main(RESOLVE, places) == Exit.PROTECTED
    assert "the copy on anna counts; berta gives up its own" in screen.getvalue()
    assert agent.heard == []


@pytest.mark.parametrize(("typed", "asked"), [("without a copy\n", 1), ("\n", 0), ("yes\n", 0)])
def test_a_choice_that_does_not_get_on_may_go_on_without_a_copy(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, typed: str, asked: int
) -> None:
    agent.says(both(choosing(), hello(troubles={"counter": "no room for the copy"})))
    monkeypatch.setattr(resolution, "_watch", lambda name, places: Exit.PROTECTED)
    screen = types(monkeypatch, typed)
    assert shoestring.main(RESOLVE, places) == Exit.PROTECTED
    assert "no room for the copy" in screen.getvalue()
    about = [(e.node, e.stamp, e.about) for e in agent.heard if isinstance(e, ChoiceAsked)]
    assert about == [(0, "", 2)] * asked


def view(shown: Snapshot) -> Any:
    return shown.guests[0]


def test_each_stage_has_its_words() -> None:
    told = [
        (choosing(phase=Phase.STOPPING), "counter is being shut down on berta"),
        (choosing(), "Keeping a copy on berta"),
        (both(choosing(), words_kept()), "berta gives up its copy, and waits for anna"),
        (both(choosing(), silent), "Waiting for berta, which is silent"),
        (both(choosing(), guest(trouble="no")), "anna: no; it is tried again"),
        (SYNCING, "berta is being brought up to date"),
    ]
    for change, line in told:
        shown = look(change(WELL))
        assert stage(shown, view(shown)).startswith(line)
    shown = look(SYNCING(WELL))
    half = replace(view(shown), resync=ResyncView(53.4, 100))
    assert stage(shown, half) == "berta is being brought up to date, 50 %"


def words_kept() -> Change:
    return hello(
        guests={"counter": replace(apart_words(), choice=Choice(2, 0, STAMP, True, True, True))}
    )


def apart_words() -> Any:
    told = apart()(WELL).peer.hello
    assert told is not None
    return told.guests["counter"]


def test_what_would_be_given_up_is_said_for_either_side() -> None:
    shown = look(apart()(WELL))
    ours, theirs = (grounds(shown, view(shown), number, STAMP) for number in (0, 1))
    assert (ours.given_up, theirs.given_up) == ("berta", "anna")
    assert "counter is shut down on anna first" in "\n".join(theirs.lines)
    assert ours.keeps and theirs.keeps
    resting = look(both(apart(), hello(in_maintenance=True))(WELL))
    told = ["\n".join(grounds(resting, view(resting), n, STAMP).lines) for n in (0, 1)]
    assert "berta IS IN MAINTENANCE: counter does not start there" in told[1]
    assert "as soon as" not in told[1] and "MAINTENANCE" not in told[0]
    unknown = look(both(apart(), hello_room(-1))(WELL))
    assert "not known yet" in "\n".join(grounds(unknown, view(unknown), 0, STAMP).lines)
