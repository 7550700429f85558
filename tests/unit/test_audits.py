# SPDX-License-Identifier: MIT
"""Each audit is silent about a healthy run, and speaks when its violation is planted."""

import json

import pytest

from tests.vm import audits
from tests.vm.beacons import Beacon, parse


def test_lost_names_what_is_missing() -> None:
    assert audits.lost([1, 2, 3], [1, 2, 3, 4]) == []
    assert audits.lost([1, 2, 3], [1, 3]) == [2]


def test_a_number_handed_out_twice_is_two_writers() -> None:
    assert audits.acknowledged_twice([1, 2, 5]) == []
    assert audits.acknowledged_twice([1, 2, 3, 3]) == ["3 was acknowledged after 3"]
    assert audits.acknowledged_twice([1, 3, 2]) == ["2 was acknowledged after 3"]


def beacons(*told: tuple[float, str, int]) -> list[Beacon]:
    return [Beacon(at, epoch, 1, last) for at, epoch, last in told]


def test_an_older_start_that_is_still_heard_overlaps() -> None:
    after = beacons((1.0, "01-a", 1), (2.0, "01-a", 2), (9.0, "02-b", 3))
    assert audits.overlapping(after, 0.5) == []
    late = [*after, *beacons((9.4, "01-a", 3))]
    assert audits.overlapping(late, 0.5) == []
    assert audits.overlapping([*late, *beacons((12.0, "01-a", 3))], 0.5) == [
        "start 01-a was heard 3.0 s after a newer one"
    ]


def test_who_wakes_may_be_heard_late_and_not_for_long() -> None:
    slept = beacons((1.0, "01-a", 1), (9.0, "02-b", 3), (80.0, "01-a", 1), (80.4, "01-a", 1))
    assert audits.overlapping(slept, 0.5) == ["start 01-a was heard 71.0 s after a newer one"]
    assert audits.overlapping(slept, 0.5, may_wake=True) == []
    stays = [*slept, *beacons((81.0, "01-a", 1))]
    assert audits.overlapping(stays, 0.5, may_wake=True) == [
        "start 01-a was heard 1.0 s after a newer one"
    ]


def test_a_start_from_an_older_copy_finds_less() -> None:
    healthy = beacons((1.0, "01-a", 7), (9.0, "02-b", 7), (10.0, "02-b", 8))
    assert audits.last_went_back(healthy) == []
    assert audits.last_went_back(beacons((1.0, "01-a", 7), (9.0, "02-b", 5))) == [
        "start 02-b found 5, 01-a had 7"
    ]


@pytest.mark.parametrize(
    "line",
    [
        "[  1.0] BUG: unable to handle page fault for address: 0000",
        "[  1.0] Oops: 0000 [#1] PREEMPT SMP",
        "[  1.0] INFO: task jbd2/drbd0-8:812 blocked for more than 120 seconds.",
        "[  1.0] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!",
        "[  1.0] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks",
        "[  1.0] EXT4-fs error (device drbd0): ext4_find_entry:1463",
    ],
)
def test_a_sick_kernel_is_noticed(line: str) -> None:
    healthy = "[  0.1] drbd counter: Starting worker thread\n[  0.2] all is well\n"
    assert audits.sick_kernel(healthy) == []
    assert audits.sick_kernel(healthy + line + "\n") == [line]


WARNED = """\
[  294.0] ------------[ cut here ]------------
[  294.0] Voluntary context switch within RCU read-side critical section!
[  294.0] RIP: e030:rcu_note_context_switch+0x5ad/0x630
[  294.0] Call Trace:
[  294.0]  drbd_{what}+0xc2/0x100 [drbd]
[  294.0] ---[ end trace 0000000000000000 ]---
"""


def test_the_one_warning_that_is_known_is_passed_over_and_no_other() -> None:
    known, other = WARNED.format(what="uuid_new_current"), WARNED.format(what="al_begin_io")
    assert audits.sick_kernel(known) == []
    assert audits.sick_kernel(known + other) == ["[  294.0] Call Trace:"]
    assert audits.sick_kernel(other + known) == ["[  294.0] Call Trace:"]
    assert audits.sick_kernel(known + "[ 295.0] BUG: bad page\n") == ["[ 295.0] BUG: bad page"]


def test_a_writer_that_waits_for_a_frozen_device_may_be_expected() -> None:
    line = "[  1.0] INFO: task jbd2/drbd0-8:812 blocked for more than 120 seconds."
    assert audits.sick_kernel(line, may_freeze=True) == []


def test_a_unit_that_systemd_leaves_out_is_seen() -> None:
    said = "systemd[1]: Job a.socket/start deleted to break ordering cycle starting with b.target\n"
    assert audits.cycles(f"systemd[1]: Started c.\n{said}") == [said.strip()]
    assert audits.cycles("systemd[1]: Started c.\n") == []


def test_what_was_waited_for_in_vain_is_seen() -> None:
    said = "systemd[1]: Timed out waiting for device /sys/subsystem/net/devices/crossover.\n"
    assert audits.timed_out(f"systemd[1]: Started c.\n{said}") == [said.strip()]


def test_failed_units_are_named() -> None:
    assert audits.failed_units("\n") == []
    assert audits.failed_units("haagent.service loaded failed failed The agent\n") == [
        "haagent.service"
    ]


def test_identities_must_differ() -> None:
    ours = {"machine-id": "1", "host name": "a"}
    assert audits.shared_identities(ours, {"machine-id": "2", "host name": "b"}) == []
    assert audits.shared_identities(ours, {"machine-id": "1", "host name": "b"}) == [
        "both have machine-id 1"
    ]


def test_the_longest_gap() -> None:
    assert audits.longest_gap([]) == 0
    assert audits.longest_gap([1.0, 2.5, 3.0]) == 1.5


def test_a_beacon_is_read_from_its_frame() -> None:
    said = {"guest": "counter", "epoch": "00000001-ab", "seq": 4, "last": 9}
    udp = b"\x00\x01\x00\x02\x00\x00\x00\x00" + json.dumps(said).encode()
    ip = b"\x45" + bytes(8) + b"\x11" + bytes(10)
    frame = b"\xff" * 6 + b"\x00" * 6 + b"\x08\x00" + ip + udp
    assert parse(frame, 5.0) == Beacon(5.0, "00000001-ab", 4, 9)
    assert parse(frame[:40], 5.0) is None
    assert parse(frame.replace(b"\x11", b"\x06"), 5.0) is None
    assert parse(b"", 5.0) is None


def test_whoever_manages_guests_beside_the_agent_is_noticed() -> None:
    healthy = "systemd\nheartbeat\nccm\npython3\n"
    assert audits.managers(healthy) == []
    assert audits.managers(healthy + "crmd\n") == ["crmd runs"]
    assert audits.managers("systemd\nheartbeat\n") == ["ccm does not run"]


def test_pages_that_tcp_may_keep_are_found() -> None:
    assert audits.lent_pages("Y\n") == []
    assert audits.lent_pages("N\n") != []
