# SPDX-License-Identifier: MIT
"""When a heartbeat is started again that stands still."""

from collections.abc import Sequence

import pytest

from haagent.cluster.revival import RESTART, SELDOM, Revival
from haagent.core.model import NodeState, Path
from haagent.errors import ToolError
from tests.unit.states import NOW, survivor, with_path

SILENCE = 20.0


class House:
    """A heartbeat, and a systemd that is asked to start it again."""

    def __init__(self) -> None:
        self.now = self.answered_at = 1000.0
        self.restarts = 0
        self.fails = False
        self.revival = Revival(self, SILENCE, self.run, lambda: self.now)
        self.revival.seen(heard())

    def run(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        assert tuple(argv) == RESTART
        self.restarts += 1
        if self.fails:
            raise ToolError(argv, 1, "no such unit")
        return ""

    def look_after(self, seconds: float) -> int:
        self.now += seconds
        self.revival.look()
        return self.restarts


def heard(but: Path | None = None) -> NodeState:
    """The peer is heard on both cables, and hears us; or not on one of them."""
    state = survivor()
    for path in (Path.CROSSOVER, Path.LAN):
        at = NOW - 6 if path is but else NOW
        state = with_path(state, path, last_word=NOW, two_way=at)
    return state


def test_one_that_is_silent_for_long_is_started_again_but_seldom() -> None:
    house = House()
    assert house.look_after(SILENCE) == 0 and not house.revival.is_hanging
    assert house.look_after(1) == 1 and house.revival.is_hanging
    assert house.look_after(SELDOM - 1) == 1
    assert house.look_after(1) == 2


def test_one_that_gives_anything_is_not() -> None:
    house = House()
    for _ in range(50):
        house.answered_at = house.now
        assert house.look_after(SILENCE) == 0


@pytest.mark.parametrize("path", [Path.CROSSOVER, Path.LAN])
def test_nobody_touches_it_while_a_cable_is_silent(path: Path) -> None:
    house = House()
    house.revival.seen(heard(but=path))
    assert house.look_after(100) == 0 and not house.revival.is_hanging
    house.revival.seen(heard())
    assert house.look_after(0) == 1


def test_a_restart_that_fails_is_no_end() -> None:
    house = House()
    house.fails = True
    assert house.look_after(100) == 1
    assert house.look_after(SELDOM) == 2
