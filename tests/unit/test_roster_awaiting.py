# SPDX-License-Identifier: MIT
"""Whoever brings a guest is told when the other machine is lost, and waits no longer."""

from collections.abc import Callable, Sequence
from threading import Event, Timer
from typing import ClassVar

import pytest

from firstboot.roster.awaiting import await_both
from haagent.core.model import Disk, Link, Resource
from haagent.errors import PeerError

ALONE = Resource(link=Link.CONNECTING, disk=Disk.UP_TO_DATE)
COPIED = Resource(link=Link.SYNC_SOURCE, disk=Disk.UP_TO_DATE, peer_disk=Disk.INCONSISTENT)
SAME = Resource(link=Link.CONNECTED, disk=Disk.UP_TO_DATE, peer_disk=Disk.UP_TO_DATE)
LONG, SHORT = 3600.0, 0.01  # seconds


class FakeDrbd:
    """It tells of what SEEN has, and then of nothing until it is stopped."""

    def __init__(self, *seen: Resource) -> None:
        self._seen: Sequence[Resource] = seen
        self._stopped = Event()

    def watch(self, post: Callable[[str, Resource], None]) -> None:
        for now in self._seen:
            post("counter", SAME)
            post("web", now)
        assert self._stopped.wait(60), "nobody ended it"

    def stop(self) -> None:
        self._stopped.set()


@pytest.mark.parametrize("seen", [(SAME,), (ALONE, COPIED, SAME), (COPIED, ALONE, SAME, ALONE)])
def test_both_have_it(seen: Sequence[Resource]) -> None:
    await_both(FakeDrbd(*seen), "web", lambda now: now.is_in_sync, LONG)


@pytest.mark.parametrize("seen", [(ALONE,), (COPIED, ALONE), (ALONE, COPIED, ALONE, ALONE)])
def test_a_machine_that_is_lost_is_told(seen: Sequence[Resource]) -> None:
    with pytest.raises(PeerError, match="the mirror of web was not connected for 0 s"):
        await_both(FakeDrbd(*seen), "web", lambda now: now.is_in_sync, SHORT)


class Kept(Timer):
    """It never comes, and tells whether it was taken back."""

    made: ClassVar[list["Kept"]] = []

    def __init__(self, seconds: float, call: Callable[[], None]) -> None:
        super().__init__(LONG, call)
        self.is_taken_back = False
        self.made.append(self)

    def cancel(self) -> None:
        self.is_taken_back = True
        super().cancel()


def test_who_is_back_in_time_is_waited_for() -> None:
    class Back(FakeDrbd):
        def watch(self, post: Callable[[str, Resource], None]) -> None:
            post("web", ALONE)
            post("web", ALONE)
            assert not Kept.made[-1].is_taken_back
            post("web", COPIED)
            assert Kept.made[-1].is_taken_back, "it would be given up"
            post("web", SAME)

    await_both(Back(), "web", lambda now: now.is_in_sync, SHORT, Kept)
    assert len(Kept.made) == 1
