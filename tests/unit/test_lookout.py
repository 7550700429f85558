# SPDX-License-Identifier: MIT
"""What the agent keeps for its screens: fresh, cheap, and never in the way of a decision."""

import logging
import threading
import time
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from haagent import lookout
from haagent.config import GuestConfig
from haagent.core.foresight import Fate
from haagent.core.model import Disk, Link, NodeState
from haagent.lookout import Lookout
from haagent.storage.resync import Progress
from tests.unit.states import with_resource
from tests.unit.test_foresight import standby

DISK = ("xvda", "/dev/drbd0")
GUEST = GuestConfig(0, "00:16:3e:00:00:01", IPv4Address("10.0.2.20"), 192, 1, (DISK,))
GUESTS = {"g": GUEST, "mail": replace(GUEST, address=None)}
DEADLINE = 10.0


@pytest.fixture
def look(tmp_path: Path) -> Lookout:
    return Lookout(GUESTS, tmp_path / "drbd", wall=lambda: 1000.0)


def test_only_a_guest_with_an_address_has_one(look: Lookout) -> None:
    assert look.addresses == {"g": "10.0.2.20"}


def test_the_last_decisions_are_kept_the_newest_first(look: Lookout) -> None:
    look.decided(["1", "2"])
    look.decided([])
    look.decided(["3", "4", "5", "6"])
    assert look.lately == tuple((1000.0, sentence) for sentence in "65432")


def test_what_is_foreseen_is_about_the_newest_state(look: Lookout) -> None:
    look.look_ahead()
    assert look.outlooks == {}
    look.seen(standby())
    behind = with_resource(standby(), link=Link.CONNECTING, disk=Disk.OUTDATED)
    for state, fate in ((standby(), Fate.STARTS), (behind, Fate.NOT)):
        look.seen(state)
        look.look_ahead()
        assert look.outlooks["g"].fate is fate


def test_a_bug_in_what_is_imagined_ends_nothing(
    look: Lookout, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    look.seen(standby())
    look.look_ahead()

    def broken(state: NodeState) -> None:
        raise KeyError("g")

    monkeypatch.setattr(lookout, "foresee", broken)
    with caplog.at_level(logging.ERROR):
        look.look_ahead()
        look.look_ahead()
    assert look.outlooks == {}  # nothing is said rather than something old
    assert len(caplog.records) == 1


def test_progress_is_read_from_drbds_own_account(look: Lookout, tmp_path: Path) -> None:
    text = " 0: cs:SyncSource\n\t[=>..] sync'ed:  3.6% (459876/476792)K\n\tfinish: 0:01:02 x\n"
    (tmp_path / "drbd").write_text(text)
    look.look_at_resyncs()
    assert look.resyncs["g"] == Progress(459876, 476792, 62)
    (tmp_path / "drbd").unlink()
    look.look_at_resyncs()
    assert look.resyncs == {}


def test_it_is_read_only_while_a_resync_runs(
    look: Lookout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "LOOK_AT_RESYNC", 0.01)
    monkeypatch.setattr(lookout, "LOOK_AHEAD", 0.01)
    reads = threading.Semaphore(0)
    monkeypatch.setattr(look, "look_at_resyncs", reads.release)
    ahead = threading.Semaphore(0)
    monkeypatch.setattr(look, "look_ahead", ahead.release)
    look.seen(standby())
    look.start()
    assert ahead.acquire(timeout=DEADLINE)
    assert not reads.acquire(blocking=False)
    look.seen(with_resource(standby(), link=Link.SYNC_TARGET))
    assert reads.acquire(timeout=DEADLINE)
    look.resyncs = {"g": Progress(1, 2, None)}
    look.seen(standby())
    deadline = time.monotonic() + DEADLINE
    while look.resyncs:
        assert time.monotonic() < deadline, "an old progress stays"
        assert ahead.acquire(timeout=DEADLINE)
