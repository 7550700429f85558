# SPDX-License-Identifier: MIT
"""What programs are answered: `--json`, of every command that needs no person at a terminal."""

import json
import os
import sys
from typing import Any

import pytest

from haagent import handover, shoestring
from haagent.command import CODES, Exit, Places
from haagent.shoestring import command_line
from tests.unit.fake_agent import (
    MOVE,
    STOPPING,
    THERE,
    Agent,
    Captured,
    Terminal,
    agent,
    interrupt,
    places,
    systemctl,
)
from tests.unit.fake_state import both, elsewhere, silent

__all__ = ["agent", "places", "systemctl"]  # fixtures

STOP = ["guest", "stop", "counter"]
# They ask a person, or are the person's terminal; a report is a text for whoever helps.
WITHOUT = {
    "resolve",
    "start",
    "replace",
    "install",
    "lan",
    "report",
    "password",
    "factory-reset",
    "guest console",
    "guest screen",
}
COMMANDS = {
    typed.partition(" ")[2]: parser
    for typed, parser in command_line().all()
    if parser.get_default("run") is not None
}


def answered(
    capsys: Captured, argv: list[str], places: Places, code: Exit = Exit.PROTECTED
) -> tuple[Any, str]:
    """The answer, and what was on standard error meanwhile."""
    assert shoestring.main([*argv, "--json"], places) == code
    caught = capsys.readouterr()
    return json.loads(caught.out), caught.err


def test_every_command_answers_programs_but_those_of_a_person() -> None:
    without = {typed for typed, parser in COMMANDS.items() if "--json" not in parser.format_help()}
    assert without == WITHOUT


@pytest.mark.parametrize("typed", COMMANDS)
def test_every_command_has_an_example_that_is_one(typed: str) -> None:
    example, _, codes = (COMMANDS[typed].epilog or "").partition("  --  ")
    program, *argv = example.removeprefix("example: ").split()
    assert program == "shoestring" and codes == CODES
    assert command_line().parse(argv).run is COMMANDS[typed].get_default("run")


def test_an_act_answers_with_its_sentences(places: Places, agent: Agent, capsys: Captured) -> None:
    agent.then = (both(STOPPING), THERE)
    found, meanwhile = answered(capsys, [*MOVE, "--yes"], places)
    assert found["exit"] == 0 and found["said"][-1] == "counter runs on berta, term 3."
    assert set(found) == {"exit", "said"}
    assert "counter is shutting down on anna ..." in meanwhile, "how far it is"
    assert not any("..." in sentence for sentence in found["said"])


def test_a_question_answers_with_what_it_found(
    places: Places, agent: Agent, capsys: Captured
) -> None:
    found, meanwhile = answered(capsys, ["guests"], places)
    assert [one["name"] for one in found["guests"]] == ["counter"]
    assert {one["name"] for one in found["nodes"]} == {"anna", "berta"}
    assert answered(capsys, ["guest", "list"], places)[0].keys() == found.keys()
    assert not meanwhile
    agent.says(both(elsewhere, silent))
    found, _ = answered(capsys, ["status"], places, Exit.STOPPED)
    assert found["verdict"] == "STOPPED"


def test_what_did_not_come_about_says_why_and_what_to_do(
    places: Places, agent: Agent, capsys: Captured
) -> None:
    agent.says(silent)
    found, meanwhile = answered(capsys, [*MOVE, "--yes"], places, Exit.FAILED)
    assert found == {
        "exit": 70,
        "said": [],
        "error": "counter cannot be moved: berta is silent.",
        "hint": "Nothing was done. `shoestring status` says what is wrong, if anything.",
    }
    assert found["error"] in meanwhile


def test_a_silent_agent_and_an_interruption(
    places: Places, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    found, _ = answered(capsys, ["guests"], places, Exit.SILENT)
    assert found["exit"] == 3 and "does not answer" in found["error"]
    monkeypatch.setattr(handover, "look", interrupt)
    found, _ = answered(capsys, MOVE, places, Exit.INTERRUPTED)
    assert found == {"exit": 130, "said": [], "error": "It was interrupted.", "hint": None}


def test_a_program_is_asked_nothing(places: Places, agent: Agent, capsys: Captured) -> None:
    found, _ = answered(capsys, STOP, places, Exit.FAILED)
    assert found["error"] == "Nothing was done: this takes a yes, typed at a terminal."
    assert found["said"][0].startswith("counter shuts down on anna")
    assert agent.heard == []


def test_a_person_is_asked_beside_the_answer(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stdin", Terminal("no\n"))
    monkeypatch.setattr("sys.stderr", screen)
    found, _ = answered(capsys, STOP, places, Exit.FAILED)
    assert "Type yes to do it: " in screen.getvalue()
    assert found["error"] == "Nothing was done: no yes was typed."


def test_a_reader_that_has_left_is_no_accident(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as nobody, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", nobody)
        assert shoestring.main(["guests", "--json"], places) == Exit.FAILED
