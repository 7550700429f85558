# SPDX-License-Identifier: MIT
"""What is measured: the memory always, the room for a copy while two copies are apart."""

import queue
import threading
from pathlib import Path

import pytest

from haagent.core.events import Event, MeasuresTaken
from haagent.core.model import Disk, Evidence, Link, Measured
from haagent.errors import ToolError
from haagent.guests.definition import Kind
from haagent.guests.footprint import footprint
from haagent.guests.xen import Memory
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


class Giver:
    """Xen, with 700 MiB left; or it does not answer."""

    def __init__(self, **guests: int) -> None:
        self.guests = guests
        self.is_silent = False

    def memory(self) -> Memory:
        if self.is_silent:
            raise ToolError(["xl", "info"], None, "no")
        return Memory(700, self.guests)


def measures(proc: Path, group: Group | None = None, xen: Giver | None = None) -> Measures:
    return Measures(GUESTS, group or Group(), xen or Giver(), proc)


def test_what_is_written_alone_is_drbds_count(tmp_path: Path) -> None:
    (tmp_path / "drbd").write_text(TEXT)
    taken = measures(tmp_path / "drbd").take()
    assert (taken.room, taken.needs, taken.differs["g"]) == (100, {"g": 10}, 7530908)


def test_what_cannot_be_found_out_is_not_known(tmp_path: Path) -> None:
    group = Group()
    group.is_silent = True
    taken = measures(tmp_path / "drbd", group).take()
    assert (taken.room, taken.needs, taken.differs) == (-1, {}, {})


def first(measured: Measures) -> tuple[Measured, queue.SimpleQueue[Event]]:
    """What is posted first, and where the rest comes."""
    posted: queue.SimpleQueue[Event] = queue.SimpleQueue()
    threading.Thread(target=measured.watch, args=(posted.put,), daemon=True).start()
    return told(posted), posted


def told(posted: queue.SimpleQueue[Event]) -> Measured:
    event = posted.get(timeout=DEADLINE)
    assert isinstance(event, MeasuresTaken)
    return event.measured


def test_no_disk_is_measured_before_copies_are_apart(tmp_path: Path) -> None:
    (tmp_path / "drbd").write_text(TEXT)
    watched = measures(tmp_path / "drbd")
    watched.seen(with_resource(survivor(), link=Link.CONNECTED, peer_disk=Disk.UP_TO_DATE))
    calm, posted = first(watched)
    assert (calm.room, calm.needs, calm.differs) == (-1, {}, {})
    assert posted.empty()
    apart = with_ledger(survivor(), alone=Evidence.TAKEOVER)
    watched.seen(with_words(with_resource(apart, link=Link.STANDALONE), is_alone=True))
    found = told(posted)
    assert (found.room, found.needs, found.memory) == (100, {"g": 10}, calm.memory)


def test_what_guests_have_is_for_guests(tmp_path: Path) -> None:
    """So much is left when it is taken off again, wherever a guest runs."""
    takes = footprint(192, 1)
    found, _ = first(measures(tmp_path, xen=Giver(g=192)))
    assert (found.memory, found.takes) == (700 + takes, {"g": takes, "mail": takes})
    ballooned, _ = first(measures(tmp_path, xen=Giver(g=150)))
    assert ballooned.memory == 700 + takes - 42
    none, _ = first(measures(tmp_path))
    assert none.memory == 700


def test_a_xen_that_does_not_answer_has_what_it_had(tmp_path: Path) -> None:
    xen = Giver()
    xen.is_silent = True
    watched = measures(tmp_path, xen=xen)
    unknown, _ = first(watched)
    assert unknown.memory == -1
    xen.is_silent = False
    watched.look_at_memory()
    xen.is_silent = True
    watched.look_at_memory()
    assert first(watched)[0].memory == 700


@pytest.mark.parametrize(
    ("memory", "vcpus", "takes"),
    [
        (192, 1, 196),  # 0.75 MiB for pages
        (1024, 1, 1030),
        (1024, 4, 1034),
        (4096, 2, 4116),  # 4115 is no even number
    ],
)
def test_a_guest_takes_more_than_it_has(memory: int, vcpus: int, takes: int) -> None:
    assert footprint(memory, vcpus) == takes


def test_without_the_help_of_its_kernel_it_takes_more() -> None:
    assert footprint(1024, 1, Kind.PVH) == 1036  # 1035 is no even number
    assert footprint(1024, 1, Kind.HVM) == 1036
