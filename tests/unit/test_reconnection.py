# SPDX-License-Identifier: MIT
"""When DRBD is to connect anew because a resync hangs at its end.

The hang cannot be made on an emulated machine: it is a race in the kernel of the source, and nobody
knows how to lose it on purpose. What the source shows then is in tests/data/drbd, in the form that
was reported of this kernel; tests/sim/resyncs.py tells what comes of it.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from haagent.core.model import Disk, Evidence, Link, NodeState, Phase
from haagent.storage.reconnection import PATIENCE, SELDOM, Hang, Reconnection, may_reconnect
from tests.unit.states import (
    NOW,
    holding,
    with_guest,
    with_ledger,
    with_peer,
    with_resource,
    with_words,
)

PROC = Path(__file__).parents[1] / "data/drbd/proc-resync-hangs.txt"


def hung() -> NodeState:
    """Ours is the source, and the peer says that its copy is whole."""
    state = with_resource(holding(), link=Link.SYNC_SOURCE, peer_disk=Disk.INCONSISTENT)
    return with_words(state, phase=Phase.RELEASED, disk=Disk.UP_TO_DATE)


class Room:
    """What looks, and whom it had connect anew."""

    def __init__(self, proc: Path = PROC, *devices: int) -> None:
        self.told: list[str] = []
        self.reconnection = Reconnection({"g": devices or (0,)}, 5.0, proc)
        self.reconnection.seen(hung())

    def look(self, times: int = 1) -> int:
        for _ in range(times):
            self.reconnection.look(self.told.append)
        return len(self.told)


def test_what_hangs_for_long_connects_anew_but_seldom(caplog: pytest.LogCaptureFixture) -> None:
    room = Room()
    assert room.look(PATIENCE - 1) == 0 and not room.reconnection.hanging
    assert room.look() == 1 and room.reconnection.hanging == {"g"}
    assert room.look(SELDOM - 1) == 1 and room.reconnection.hanging == {"g"}
    assert room.look() == 2
    assert room.told == ["g", "g"]
    assert [line.partition(":")[0] for line in caplog.messages] == ["g", "g"]


def test_one_that_ends_late_begins_to_be_counted_anew() -> None:
    hang = Hang()
    for _ in range(20):
        assert not any(hang.look(True) for _ in range(PATIENCE - 1))
        assert not hang.look(False) and not hang.is_one


def test_what_hangs_again_soon_waits() -> None:
    hang = Hang()
    assert [hang.look(True) for _ in range(PATIENCE)][-1]
    assert not hang.look(False) and not hang.is_one
    again = [hang.look(True) for _ in range(SELDOM)]
    assert again.index(True) == SELDOM - 2, "the look in between counts"


@pytest.mark.parametrize(
    ("devices", "hangs"),
    [
        ((0,), True),
        ((0, 2), True),
        ((0, 1), False),  # one of the two has something to copy
        ((1,), False),
        ((2,), False),
        ((3,), False),  # the target
        ((4,), False),  # a person has paused it
        ((5,), False),
        ((0, 7), False),  # of that one nothing is known
    ],
)
def test_it_is_in_drbds_own_account(devices: tuple[int, ...], hangs: bool) -> None:
    assert Room(PROC, *devices).look(PATIENCE) == hangs


def test_what_cannot_be_read_is_no_hang(tmp_path: Path) -> None:
    assert Room(tmp_path / "drbd").look(2 * PATIENCE) == 0


def test_without_a_state_nothing_is_touched() -> None:
    reconnection = Reconnection({"g": (0,)}, 5.0, PROC)
    told: list[str] = []
    for _ in range(2 * PATIENCE):
        reconnection.look(told.append)
    assert told == []


def test_a_source_may() -> None:
    assert may_reconnect(hung(), "g")
    assert may_reconnect(with_guest(hung(), phase=Phase.RELEASED), "g")
    assert may_reconnect(with_words(hung(), disk=Disk.INCONSISTENT, phase=Phase.RELEASED), "g")
    assert may_reconnect(with_words(hung(), phase=Phase.HOLDING), "g")


OTHERS: dict[str, Callable[[NodeState], NodeState]] = {
    "DRBD has not told": lambda s: with_guest(s, resource=None),
    "the target": lambda s: with_resource(s, link=Link.SYNC_TARGET),
    "one that is in sync": lambda s: with_resource(s, link=Link.CONNECTED),
    "one that lost the peer": lambda s: with_resource(s, link=Link.CONNECTING),
    "one that is not whole": lambda s: with_resource(s, disk=Disk.INCONSISTENT),
    "one that is at something": lambda s: with_guest(s, phase=Phase.STOPPING),
    "a peer at something": lambda s: with_words(s, phase=Phase.PROMOTING),
    "a peer that was never heard": lambda s: with_peer(s, hello=None),
    "a peer that is silent": lambda s: with_peer(s, hello_at=NOW - 6),
    "one that leaves": lambda s: replace(s, left=NOW),
    "one without its stick": lambda s: replace(s, is_stateless=True),
}


@pytest.mark.parametrize("why", OTHERS)
def test_all_others_may_not(why: str) -> None:
    state = OTHERS[why](hung())
    assert not may_reconnect(state, "g")
    room = Room()
    room.look(PATIENCE - 1)
    room.reconnection.seen(state)
    assert room.look(2 * PATIENCE) == 0


def test_it_may_have_written_alone_before() -> None:
    assert may_reconnect(with_ledger(hung(), alone=Evidence.GATEWAY), "g")


def test_it_looks_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)

    def end(guest: str) -> None:
        raise StopIteration(guest)

    with pytest.raises(StopIteration):
        Room().reconnection.watch(end)
    assert slept == [5.0] * (PATIENCE - 1)
