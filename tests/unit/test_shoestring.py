# SPDX-License-Identifier: MIT
"""The operator's command line, with a real door to an agent that is played by the test."""

from pathlib import Path

import pytest

from haagent import shoestring
from haagent.command import Exit, Places
from haagent.core.events import (
    OperatorConfirmed,
)
from haagent.core.model import Disk, Link
from tests.unit.fake_agent import ACTS, Agent, Captured, agent, places, systemctl, types
from tests.unit.fake_state import (
    MEASURED,
    both,
    elsewhere,
    hello,
    resource,
    silent,
)

__all__ = ["agent", "places", "systemctl"]  # fixtures


def test_guests_says_which_can_be_moved(places: Places, agent: Agent, capsys: Captured) -> None:
    assert shoestring.main(["guests"], places) == Exit.PROTECTED
    said = (
        "counter  on anna, mirrored\n  can be moved to berta\n"
        "  its two copies were never compared\n"
    )
    assert capsys.readouterr().out.startswith(said)
    agent.says(silent)
    assert shoestring.main(["guests"], places) == Exit.PROTECTED
    assert "  cannot be moved from anna: berta is silent\n" in capsys.readouterr().out


def test_guests_says_what_memory_there_is_for_them(
    places: Places, agent: Agent, capsys: Captured
) -> None:
    shoestring.main(["guests"], places)
    assert capsys.readouterr().out.endswith(
        "anna: how much memory it has for guests is not known\n"
        "berta: how much memory it has for guests is not known\n"
    )
    agent.says(both(MEASURED, hello(memory=900)))
    shoestring.main(["guests"], places)
    assert capsys.readouterr().out.endswith(
        "anna: 100 MiB of memory for guests, 196 used, 0 left\n"
        "berta: 900 MiB of memory for guests, 0 used, 900 left\n"
    )
    agent.says(both(MEASURED, hello(memory=900), silent))
    shoestring.main(["guests"], places)
    assert capsys.readouterr().out.endswith("0 used, 900 left, when it was heard last\n")


def test_status_report_and_start_are_here_too(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Captured
) -> None:
    assert shoestring.main(["status"], places) == Exit.PROTECTED
    assert capsys.readouterr().out.startswith("PROTECTED")
    agent.says(both(elsewhere, silent))
    assert shoestring.main(["status", "--json"], places) == Exit.STOPPED
    types(monkeypatch, "counter\n")
    assert shoestring.main(["start", "counter", "--anyway"], places) == Exit.PROTECTED
    agent.stop_playing()
    (event,) = agent.heard
    assert isinstance(event, OperatorConfirmed)


@pytest.mark.parametrize("disk", [Disk.INCONSISTENT, Disk.OUTDATED, Disk.DISKLESS])
def test_a_start_that_drbd_would_refuse_is_not_asked_for(
    places: Places,
    agent: Agent,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
    disk: Disk,
) -> None:
    agent.says(both(elsewhere, silent, resource(link=Link.CONNECTING, disk=disk)))
    types(monkeypatch, "counter\n")
    assert shoestring.main(["start", "counter", "--anyway"], places) == Exit.FAILED
    told = capsys.readouterr().err
    assert "our copy " in told and str(disk) in told and "Switch berta on" in told
    assert ("guest backup counter --older` saves" in told) is (disk is not Disk.DISKLESS)
    agent.stop_playing()
    assert agent.heard == []


def test_without_an_agent_nothing_is_done(places: Places, capsys: Captured) -> None:
    for act in ACTS:
        assert shoestring.main([*act, "--yes"], places) == Exit.SILENT
        assert capsys.readouterr().err.startswith("shoestring: The agent does not answer")


@pytest.mark.parametrize(
    "argv", [[], ["move"], ["maintenance"], ["maintenance", "maybe"], ["halt"]]
)
def test_wrong_usage_is_64(places: Places, argv: list[str], capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        shoestring.main(argv, places)
    assert caught.value.code == 64
    assert "usage: shoestring" in capsys.readouterr().err


def test_the_image_has_both_programs() -> None:
    folder = Path(__file__).parents[2] / "image/mkosi.extra/usr/bin"
    for name, module in (("haagent", "haagent"), ("shoestring", "haagent.shoestring")):
        program = folder / name
        assert program.read_text().endswith(f'exec python3 -m {module} "$@"\n')
        assert program.stat().st_mode & 0o777 == 0o755
