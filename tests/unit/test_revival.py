# SPDX-License-Identifier: MIT
"""When a heartbeat is started again that stands still, or lets nothing of the peer through."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from haagent.cluster.revival import PATIENCE, RESTART, SELDOM, Revival
from haagent.core.model import NodeState, Path, PathState
from haagent.errors import ToolError
from tests.unit.states import NOW, survivor, with_path

SILENCE = 20.0
SURVIVOR = survivor()
DEAD = SURVIVOR.timing.dead
DEAF = PATIENCE * DEAD  # seconds that node 0 waits for a word by heartbeat


class House:
    """A heartbeat, and a systemd that is asked to start it again."""

    def __init__(self, me: int = 0) -> None:
        self.now = self.answered_at = 1000.0
        self.signed_on_at: float | None = 0.0
        self.me = me
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

    def live(
        self,
        seconds: float,
        by_heartbeat: bool = False,
        but: Path | None = None,
        is_stateless: bool = False,
    ) -> int:
        """So long with a heartbeat that runs; BY_HEARTBEAT it carries the peer's words, too."""
        end = self.now + seconds
        while self.now < end:
            self.now = self.answered_at = min(self.now + DEAD, end)
            state = heard_at(self.now, self.me, by_heartbeat, but)
            self.revival.seen(replace(state, is_stateless=is_stateless))
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


def heard_at(now: float, me: int, by_heartbeat: bool, but: Path | None) -> NodeState:
    """As `heard`, on node ME at the time NOW."""
    paths = {
        path: PathState(now, now - 2 * DEAD if path is but else now, 7)
        for path in (Path.CROSSOVER, Path.LAN)
    }
    if by_heartbeat:
        paths[Path.HEARTBEAT] = PathState(now, now, 7)
    pair, peer = replace(SURVIVOR.pair, me=me), replace(SURVIVOR.peer, paths=paths)
    return replace(SURVIVOR, pair=pair, now=now, peer=peer)


def test_one_that_drops_the_peers_words_is_started_again_at_ever_longer_distances() -> None:
    house = House()
    assert house.live(1000, by_heartbeat=True) == 0
    assert house.live(DEAF) == 0 and not house.revival.is_deaf
    assert house.live(2 * DEAD) == 1 and house.revival.is_deaf
    for number, pause in enumerate((2 * SELDOM, 4 * SELDOM), start=1):
        assert house.live(pause - 2 * DEAD) == number, "too soon"
        assert house.live(2 * DEAD) == number + 1


def test_once_it_carries_words_again_all_begins_anew() -> None:
    house = House()
    assert house.live(5 * SELDOM) == 2
    house.live(DEAD, by_heartbeat=True)
    assert not house.revival.is_deaf
    assert house.live(SELDOM) == 3


@pytest.mark.parametrize("path", [Path.CROSSOVER, Path.LAN])
def test_nobody_wonders_that_nothing_comes_while_a_cable_is_silent(path: Path) -> None:
    house = House()
    for _ in range(10):
        assert house.live(DEAF) == 0
        assert house.live(DEAD, but=path) == 0


def test_one_that_does_not_run_or_just_began_is_left_alone() -> None:
    house = House()
    house.signed_on_at = None
    assert house.live(10 * DEAF) == 0 and house.revival.is_deaf
    house.signed_on_at = house.now
    assert house.live(DEAF) == 0
    assert house.live(2 * DEAD) == 1


def test_without_the_stick_nobody_ends_one_that_runs() -> None:
    """It could not count its start up, nor read its settings: no other one would follow it."""
    house = House()
    assert house.live(10 * DEAF, is_stateless=True) == 0 and not house.revival.is_deaf


def test_two_that_are_both_deaf_never_go_at_once() -> None:
    """As with a port that is filtered: nothing mends that, and the one may not wait for ever."""
    houses = House(me=0), House(me=1)
    moments: list[tuple[float, int]] = []
    for _ in range(int(8 * SELDOM / DEAD)):
        for house in houses:
            was = house.restarts
            if house.live(DEAD) > was:
                moments.append((house.now, house.me))
    assert [me for _, me in moments] == [0, 1] * 3
    ours, theirs = moments[::2], moments[1::2]
    assert all(later[0] - at[0] >= DEAF for at, later in zip(ours, theirs, strict=True))


def test_one_that_stands_still_is_not_called_deaf() -> None:
    house = House()
    house.live(DEAF)
    for _ in range(10):
        house.now += DEAD
        house.revival.seen(heard_at(house.now, 0, by_heartbeat=False, but=None))
        house.revival.look()
    assert house.restarts == 1 and house.revival.is_hanging
