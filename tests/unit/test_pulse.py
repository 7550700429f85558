# SPDX-License-Identifier: MIT
"""What is told of volumes that answer late, or not."""

import pytest

from haagent.core.events import DiskHangs, Event
from haagent.core.model import Disk
from haagent.errors import ToolError
from haagent.storage.pulse import Pulse, read
from tests.unit.states import holding, with_guest, with_resource

LIMIT, EVERY = 10.0, 2.0


class Disks:
    """Reads, each of which ends when it is answered."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, ...]] = []
        self.is_answering = True
        self.ends_with = 0
        self.is_startable = True
        self.told: list[tuple[str, bool]] = []
        self.pulse = Pulse(("g",), LIMIT, EVERY, self.begin)
        self.pulse.seen(holding())

    def begin(self, argv: tuple[str, ...]) -> "Disks":
        if not self.is_startable:
            raise ToolError(argv, 127, "Cannot allocate memory")
        self.begun.append(argv)
        return self

    def status(self) -> int | None:
        return self.ends_with if self.is_answering else None

    def post(self, event: Event) -> None:
        assert isinstance(event, DiskHangs)
        self.told.append((event.guest, event.is_hanging))

    def look(self, times: int) -> None:
        for _ in range(times):
            self.pulse.look(self.post)


def test_it_reads_from_the_disk_and_not_from_memory() -> None:
    argv = read("mail")
    assert "if=/dev/shoestring/mail" in argv and "iflag=direct" in argv
    assert ("bs=4096" in argv, "count=1" in argv, "of=/dev/null" in argv) == (True, True, True)


def test_a_disk_that_answers_is_read_at_each_look_and_never_told_of() -> None:
    disks = Disks()
    disks.look(20)
    assert (len(disks.begun), disks.told) == (20, [])


def test_a_read_that_is_owed_for_the_limit_is_told_once_and_so_is_its_answer() -> None:
    disks = Disks()
    disks.look(1)
    disks.is_answering = False
    disks.look(4)
    assert disks.told == [], "eight seconds are what a disk takes to spin up"
    disks.look(1)
    assert disks.told == [("g", True)]
    disks.look(50)
    assert (disks.told, len(disks.begun)) == ([("g", True)], 1), "one read is owed, and no more"
    disks.is_answering = True
    disks.look(1)
    assert disks.told == [("g", True), ("g", False)]
    assert len(disks.begun) == 2


def test_slow_answers_do_not_add_up() -> None:
    """A disk that takes eight seconds for each read hangs never."""
    disks = Disks()
    for _ in range(20):
        disks.is_answering = False
        disks.look(4)
        disks.is_answering = True
        disks.look(1)
    assert disks.told == []


def test_only_a_disk_that_drbd_has_is_read() -> None:
    disks = Disks()
    for disk in (Disk.DISKLESS, Disk.FAILED, Disk.ATTACHING):
        disks.pulse.seen(with_resource(holding(), disk=disk))
        disks.look(2)
    disks.pulse.seen(with_guest(holding(), resource=None))
    disks.look(2)
    assert disks.begun == []


def test_what_is_owed_is_waited_for_also_when_the_disk_is_detached() -> None:
    disks = Disks()
    disks.look(1)
    disks.is_answering = False
    disks.pulse.seen(with_resource(holding(), disk=Disk.DISKLESS))
    disks.look(5)
    assert disks.told == [("g", True)]
    disks.is_answering = True
    disks.look(2)
    assert (disks.told[-1], len(disks.begun)) == (("g", False), 1)


def test_a_read_that_fails_is_an_answer_and_is_in_the_log_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disks = Disks()
    disks.ends_with = 1
    disks.look(20)
    assert (len(disks.begun), disks.told) == (20, [])
    (line,) = caplog.messages
    assert "whether the disk of g answers is not known" in line


def test_a_read_that_cannot_be_begun_says_nothing_about_the_disk(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disks = Disks()
    disks.is_startable = False
    disks.look(10)
    assert (disks.told, len(caplog.messages)) == ([], 1)
    disks.is_startable = True
    disks.look(1)
    assert len(disks.begun) == 1
