# SPDX-License-Identifier: MIT
"""The acts that move guests: said first, agreed to, asked of the agent, watched, and verified."""

from pathlib import Path

import pytest

from haagent import client, handover, shoestring
from haagent.command import Exit, Places
from haagent.core.events import (
    Leave,
    MaintenanceAsked,
    MoveAsked,
)
from tests.unit.fake_agent import (
    ACTS,
    BACK,
    MOVE,
    OFF,
    STARTING,
    STOPPING,
    THERE,
    Agent,
    Captured,
    Seen,
    Systemctl,
    agent,
    interrupt,
    places,
    systemctl,
    types,
)
from tests.unit.fake_state import (
    Change,
    both,
    elsewhere,
    resting,
    silent,
)

__all__ = ["agent", "places", "systemctl"]  # fixtures


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
