# SPDX-License-Identifier: MIT
"""How much of a guest the kernel kept off the LAN, and how its owner is told."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from haagent import shoestring
from haagent.command import Exit, Places
from haagent.errors import ParseError, ToolError
from haagent.guests.filter import dropped, parse_dropped
from tests.unit.fake_agent import Agent, Captured, agent, places, systemctl
from tests.unit.fake_state import elsewhere

__all__ = ["agent", "places", "systemctl"]  # fixtures

DATA = Path(__file__).parents[1] / "data"
FILTER = (DATA / "tc/filter.json").read_text()


class Dom0:
    """Where the guest is domain 1, as xl and tc tell of it."""

    def __init__(self, filter: str = FILTER, domains: str = "list-running") -> None:
        self.filter = filter
        self.domains = (DATA / f"xen/{domains}.txt").read_text()

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        if argv[0] == "xl":
            return self.domains
        if argv[-2] not in ("vif1.0", "vif1.0-emu"):
            raise ToolError(argv, 1, f'Cannot find device "{argv[-2]}"')
        return self.filter


def test_what_the_kernel_dropped_is_counted() -> None:
    assert dropped("counter", Dom0()) == 27
    assert dropped("other", Dom0()) is None
    assert dropped("counter", Dom0(domains="list-only-dom0")) is None


@pytest.mark.parametrize("text", ["", "[]\n", "{}", "[1]", FILTER.replace("drops", "drop")])
def test_no_filter_is_not_nothing_dropped(text: str) -> None:
    with pytest.raises(ParseError, match="tc -json"):
        parse_dropped("vif1.0", text)


def test_a_pc_has_two_cards(tmp_path: Path) -> None:
    (tmp_path / "vif1.0").mkdir()
    assert dropped("counter", Dom0(), tmp_path) == 27
    (tmp_path / "vif1.0-emu").mkdir()
    assert dropped("counter", Dom0(), tmp_path) == 2 * 27


def shown(places: Places, run: Dom0, capsys: Captured) -> str:
    assert shoestring.main(["guest", "show", "counter"], replace(places, run=run)) == Exit.PROTECTED
    return capsys.readouterr().out


def test_the_owner_is_told(places: Places, agent: Agent, capsys: Captured) -> None:
    page = shown(places, Dom0(), capsys)
    assert "  27 frames that it sent under another MAC address were kept off the LAN.\n" in page
    assert "`shoestring guest edit counter --mac ADDRESS`" in page
    assert "another MAC" not in shown(places, Dom0(FILTER.replace("27", "0")), capsys)


def test_what_cannot_be_told_is_said_and_the_rest_as_well(
    places: Places, agent: Agent, capsys: Captured
) -> None:
    page = shown(places, Dom0("[]"), capsys)
    assert "  memory: 192 MiB" in page
    assert "  whether it speaks under its own MAC address alone is not known: tc" in page


def test_it_is_asked_where_the_guest_runs(places: Places, agent: Agent, capsys: Captured) -> None:
    agent.says(elsewhere)
    assert "MAC address were" not in shown(places, Dom0(), capsys)
