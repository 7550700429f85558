# SPDX-License-Identifier: MIT
"""`shoestring guest start, stop, restart`: said first, agreed to, asked, watched, and verified."""

import pytest

from haagent import shoestring
from haagent.command import Exit, Places
from haagent.core.events import RestartAsked, WishAsked
from haagent.core.model import Phase
from haagent.core.wish import Target, Wish
from tests.unit.fake_agent import (
    STOPPING,
    Agent,
    Captured,
    agent,
    places,
    systemctl,
    types,
)
from tests.unit.fake_state import Change, both, elsewhere, guest, ledger, words

__all__ = ["agent", "places", "systemctl"]  # fixtures

GONE = both(guest(phase=Phase.RELEASED, is_running=False), words(phase=Phase.RELEASED))
STOPPED = both(GONE, ledger(wish=Wish(2, Target.STOPPED)))
FAILED = both(GONE, ledger(wish=Wish(2, Target.FAILED)))
CREATING = guest(phase=Phase.CREATING)
START, STOP, RESTART = (["guest", verb, "counter"] for verb in ("start", "stop", "restart"))


def test_a_stop_is_said_done_shown_and_verified(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = ledger(wish=Wish(2, Target.STOPPED))
    agent.then = (both(STOPPING, wanted), STOPPED)
    screen = types(monkeypatch, "yes\n")
    assert shoestring.main(STOP, places) == Exit.PROTECTED
    page = screen.getvalue()
    assert page.startswith("counter shuts down on anna; that is forced after 60 s.")
    assert "It stays off until you say `shoestring guest start counter`" in page
    assert "counter is shutting down on anna ...\n" in page
    assert page.endswith("counter is off, and stays so until you say `shoestring guest start "
                         "counter`.\n")  # fmt: skip
    (event,) = agent.heard
    assert isinstance(event, WishAsked) and event.target is Target.STOPPED


def test_a_stop_from_the_other_machine_waits_for_that_one(
    places: Places, agent: Agent, capsys: Captured
) -> None:
    wanted = ledger(wish=Wish(2, Target.STOPPED))
    agent.says(elsewhere)
    agent.then = (both(elsewhere, wanted), both(elsewhere, wanted, words(phase=Phase.STOPPING)))
    assert shoestring.main([*STOP, "--yes"], places) == Exit.FAILED
    assert "counter has not ended yet" in capsys.readouterr().err
    agent.says(elsewhere)
    agent.then = (both(elsewhere, wanted), STOPPED)
    assert shoestring.main([*STOP, "--yes"], places) == Exit.PROTECTED


def test_what_is_off_is_not_stopped_again(places: Places, agent: Agent, capsys: Captured) -> None:
    agent.says(STOPPED)
    assert shoestring.main(STOP, places) == Exit.PROTECTED
    assert capsys.readouterr().out == "counter is off already, and stays so.\n"
    assert agent.heard == []


@pytest.mark.parametrize("argv", [START, ["start", "counter", "--anyway"]])
@pytest.mark.parametrize("before", [STOPPED, FAILED])
def test_what_is_off_is_started(
    places: Places, agent: Agent, capsys: Captured, before: Change, argv: list[str]
) -> None:
    """The last resort asks nothing where nothing is lost."""
    agent.says(before)
    agent.then = (both(CREATING), both())
    assert shoestring.main(argv, places) == Exit.PROTECTED
    assert capsys.readouterr().out.endswith("counter runs on anna.\n")
    (event,) = agent.heard
    assert isinstance(event, WishAsked) and event.target is Target.STARTED


def test_a_start_that_does_not_come_about_says_what_is_missing(
    places: Places, agent: Agent, capsys: Captured
) -> None:
    agent.says(STOPPED)
    agent.then = (GONE,)
    assert shoestring.main(START, places) == Exit.FAILED
    told = capsys.readouterr().err
    assert "counter is to run, and does not yet: counter is not ready; berta is there." in told


@pytest.mark.parametrize(
    ("before", "code", "said"),
    [
        (both(), Exit.PROTECTED, "counter runs on anna already."),
        (GONE, Exit.FAILED, "counter is to run already, and does not: counter is not"),
    ],
)
def test_what_is_to_run_already_is_not_asked_for(
    places: Places, agent: Agent, capsys: Captured, before: Change, code: Exit, said: str
) -> None:
    agent.says(before)
    assert shoestring.main(START, places) == code
    told = capsys.readouterr()
    assert said in told.out + told.err
    assert agent.heard == []


def test_a_restart_is_seen(places: Places, agent: Agent, capsys: Captured) -> None:
    agent.then = (CREATING, both())
    assert shoestring.main([*RESTART, "--yes"], places) == Exit.PROTECTED
    assert capsys.readouterr().out.endswith("counter runs on anna.\n")
    (event,) = agent.heard
    assert isinstance(event, RestartAsked)


def test_a_guest_that_does_not_listen_runs_on(
    places: Places, agent: Agent, capsys: Captured
) -> None:
    agent.then = (both(),)
    assert shoestring.main([*RESTART, "--yes"], places) == Exit.FAILED
    assert "was asked to start anew, and has not done so" in capsys.readouterr().err


def test_a_restart_is_asked_for_where_it_runs(
    places: Places, agent: Agent, capsys: Captured
) -> None:
    agent.says(elsewhere)
    assert shoestring.main([*RESTART, "--yes"], places) == Exit.FAILED
    assert "counter runs on berta, which is where to ask for that." in capsys.readouterr().err
    assert agent.heard == []


@pytest.mark.parametrize("act", [STOP, RESTART])
def test_without_a_yes_nothing_is_done(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, act: list[str]
) -> None:
    types(monkeypatch, "no\n")
    assert shoestring.main(act, places) == Exit.FAILED
    assert agent.heard == []


@pytest.mark.parametrize("act", [START, STOP, RESTART])
def test_the_agent_has_the_last_word(
    places: Places, agent: Agent, capsys: Captured, act: list[str]
) -> None:
    if act is START:
        agent.says(STOPPED)
    agent.refusal = "b runs an older release"
    assert shoestring.main([*act, *(["--yes"] if act is not START else [])], places) == Exit.FAILED
    assert "Nothing was done: b runs an older release." in capsys.readouterr().err
