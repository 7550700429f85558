# SPDX-License-Identifier: MIT
"""`shoestring guest show` and `guest console`: one guest, looked at closely."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from haagent import describing, shoestring
from haagent.command import Exit, Places
from tests.unit.fake_agent import OFF, Agent, Captured, agent, cut_in_two, places, systemctl, types
from tests.unit.fake_state import elsewhere

__all__ = ["agent", "places", "systemctl"]  # fixtures


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What sysfs says of it."""
    show = describing.show
    monkeypatch.setattr(describing, "show", lambda a, p: show(a, p, tmp_path))
    path = tmp_path / "drbd0" / "size"
    path.parent.mkdir()
    path.write_text("40960000\n")
    return path


def test_all_that_is_set_about_a_guest(
    places: Places, agent: Agent, disk: Path, capsys: Captured
) -> None:
    assert shoestring.main(["guest", "show", "counter"], places) == Exit.PROTECTED
    page = capsys.readouterr().out.splitlines()
    assert page[0].startswith("counter  on anna, mirrored")
    assert "  memory: 192 MiB; processors: 1; type: pv" in page
    assert "  disk xvda: 19.5 GiB" in page
    assert "  can be moved to berta" in page
    disk.write_text("0\n")
    agent.says(OFF)
    shoestring.main(["guest", "show", "counter"], places)
    page = capsys.readouterr().out.splitlines()
    assert page[0].startswith("counter  not running")
    assert "  disk xvda: its size is not known" in page


def test_each_of_several_disks(places: Places, agent: Agent, disk: Path, capsys: Captured) -> None:
    cut_in_two(places)
    shoestring.main(["guest", "show", "counter"], places)
    page = capsys.readouterr().out
    assert "  disk xvda: 1.0 MiB\n  disk xvdb: 19.5 GiB\n" in page
    shoestring.main(["guest", "show", "counter", "--json"], places)
    told = json.loads(capsys.readouterr().out)["settings"]["disks"]
    assert told == {"xvda": 1 << 20, "xvdb": 40960000 * 512 - (1 << 20)}
    disk.write_text("0\n")
    shoestring.main(["guest", "show", "counter"], places)
    assert "  disk xvdb: its size is not known\n" in capsys.readouterr().out


def test_for_programs(places: Places, agent: Agent, disk: Path, capsys: Captured) -> None:
    assert shoestring.main(["guest", "show", "counter", "--json"], places) == Exit.PROTECTED
    told = json.loads(capsys.readouterr().out)
    assert told["settings"]["disks"] == {"xvda": 40960000 * 512}
    assert told["settings"]["first_node"] == "anna"
    assert told["state"]["runs_on"] == ["anna"]


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was run at the terminal."""
    ran: list[str] = []
    console = describing.console

    def call(argv: Sequence[str]) -> int:
        ran.append(" ".join(argv))
        return 0

    monkeypatch.setattr(describing, "console", lambda a, p: console(a, p, call))
    return ran


def console(places: Places) -> int:
    return shoestring.main(["guest", "console", "counter"], places)


def test_a_console_is_where_the_guest_runs(
    places: Places,
    agent: Agent,
    called: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    assert console(places) == Exit.FAILED
    assert "needs a terminal" in capsys.readouterr().err
    screen = types(monkeypatch, "")
    assert console(places) == Exit.PROTECTED
    assert called == ["xl console counter"]
    assert "Ctrl-] ends this; the guest runs on." in screen.getvalue()
    agent.says(elsewhere)
    assert console(places) == Exit.FAILED
    agent.says(OFF)
    assert console(places) == Exit.FAILED
    assert called == ["xl console counter"]


def test_a_console_that_xen_does_not_give_is_told(
    places: Places, agent: Agent, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    given = describing.console
    monkeypatch.setattr(describing, "console", lambda a, p: given(a, p, lambda argv: 2))
    types(monkeypatch, "")
    assert console(places) == Exit.FAILED
    assert "Xen does not give the console of counter." in capsys.readouterr().err
