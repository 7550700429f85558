# SPDX-License-Identifier: MIT
"""What is measured while two copies are apart."""

import queue
import threading
from pathlib import Path

from haagent.core.events import Event, MeasuresTaken
from haagent.core.model import Disk, Evidence, Link
from haagent.errors import ToolError
from haagent.measures import Measures
from tests.unit.states import survivor, with_ledger, with_resource, with_words
from tests.unit.test_lookout import GUESTS

TEXT = (Path(__file__).parents[1] / "data/drbd/proc-resync.txt").read_text()
DEADLINE = 10.0


class Group:
    """Room for copies; or LVM does not answer."""

    is_silent = False

    def room(self) -> int:
        if self.is_silent:
            raise ToolError(["vgs"], 5, "no")
        return 100

    def needs(self) -> dict[str, int]:
        return {"g": 10}


def test_what_is_written_alone_is_drbds_count(tmp_path: Path) -> None:
    (tmp_path / "drbd").write_text(TEXT)
    taken = Measures(GUESTS, Group(), tmp_path / "drbd").take()
    assert (taken.room, taken.needs, taken.differs["g"]) == (100, {"g": 10}, 7530908)


def test_what_cannot_be_found_out_is_not_known(tmp_path: Path) -> None:
    group = Group()
    group.is_silent = True
    taken = Measures(GUESTS, group, tmp_path / "drbd").take()
    assert (taken.room, taken.needs, taken.differs) == (-1, {}, {})


def test_nothing_is_measured_before_copies_are_apart(tmp_path: Path) -> None:
    posted: queue.SimpleQueue[Event] = queue.SimpleQueue()
    measures = Measures(GUESTS, Group(), tmp_path / "drbd")
    threading.Thread(target=measures.watch, args=(posted.put,), daemon=True).start()
    measures.seen(with_resource(survivor(), link=Link.CONNECTED, peer_disk=Disk.UP_TO_DATE))
    assert posted.empty()
    apart = with_ledger(survivor(), alone=Evidence.TAKEOVER)
    measures.seen(with_words(with_resource(apart, link=Link.STANDALONE), is_alone=True))
    assert isinstance(posted.get(timeout=DEADLINE), MeasuresTaken)
