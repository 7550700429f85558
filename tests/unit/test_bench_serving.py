# SPDX-License-Identifier: MIT
"""What is heard of guests, and printed of disks and commands -> figures, each against its own."""

import pytest

from tests.vm.beacons import Beacon
from tests.vm.bench import images, serving
from tests.vm.bench.disks import NotTold
from tests.vm.bench.images import Raw, Round
from tests.vm.bench.serving import Arrival, next_start

HEARD = [
    Beacon(10.0, "01-a", 1, 0),
    Beacon(20.0, "01-a", 2, 0),
    Beacon(20.5, "01-a", 3, 0),  # it was on its way when the power went
    Beacon(95.0, "02-b", 1, 0),
    Beacon(95.1, "02-b", 2, 0),
]


def test_a_guest_serves_when_its_next_start_is_heard() -> None:
    assert next_start(HEARD, "01-a", 20.2) == 95.0
    assert next_start(HEARD[:3], "01-a", 20.2) is None
    assert next_start(HEARD, "02-b", 95.0) is None


def test_the_last_of_four_is_compared_with_the_one_of_its_round() -> None:
    together = [
        {"counter": 110.0, "web": 130.0, "mail": 150.0, "db": 120.0},
        {"counter": 180.0, "web": 140.0, "mail": 170.0, "db": 160.0},
    ]
    told = {
        one.name: one.samples
        for one in serving.figures([Arrival(60.0, 95.0)], [100.0, 120.0], together)
    }
    assert told["import: command to first beacon"] == (95.0,)
    assert told["import: of that, until the agent starts it"] == (60.0,)
    assert told["four guests: power cut to the first one's beacon"] == (110.0, 140.0)
    assert told["four guests: power cut to the last one's beacon"] == (150.0, 180.0)
    assert told["the last of four against one"] == (1.5, 1.5)


def test_what_the_raw_disk_does_is_told_whole_or_not_at_all() -> None:
    assert images.raw_rates("raw 41.5 96.25\n") == Raw(41.5, 96.25)
    with pytest.raises(NotTold):
        images.raw_rates("Traceback (most recent call last):\n")


def test_an_import_writes_and_a_backup_reads() -> None:
    rounds = [
        Round(Raw(40.0, 90.0), 10.0, Raw(50.0, 80.0), 20.0),
        Round(Raw(20.0, 90.0), 10.0, Raw(50.0, 40.0), 30.0),
    ]
    told = {one.name: one.samples for one in images.figures(rounds)}
    assert told["the raw disk, written"] == (40.0, 20.0)
    assert told["import against the raw disk"] == (0.25, 0.5)
    assert told["the raw disk, read"] == (80.0, 40.0)
    assert told["backup against the raw disk"] == (0.25, 0.75)
