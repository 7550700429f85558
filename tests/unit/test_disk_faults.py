# SPDX-License-Identifier: MIT
import errno
import math

import pytest

from tests.vm.disk_faults import (
    ALL,
    BROKEN,
    FULL,
    HANGING,
    READ_ONLY,
    READS,
    WRITES,
    Effect,
    Fault,
    Faults,
    Meeting,
    Operation,
    packed,
    slower,
    unpacked,
)

READ, WRITE, FLUSH = Operation.READ, Operation.WRITE, Operation.FLUSH
FAILS = Meeting(error=errno.EIO)


def faults(*told: Fault) -> Faults:
    made = Faults()
    for fault in told:
        made.hurt(fault)
    return made


@pytest.mark.parametrize(
    ("operations", "meant"),
    [(ALL, [READ, WRITE, FLUSH]), (READS, [READ]), (WRITES, [WRITE, FLUSH])],
)
def test_a_fault_is_for_its_operations(
    operations: tuple[Operation, ...], meant: list[Operation]
) -> None:
    disk = faults(Fault(Effect.FAIL, operations))
    assert [one for one in Operation if disk.meet(one, 0, 0 if one is FLUSH else 9, 5.0)] == meant
    assert disk.met == len(meant)


@pytest.mark.parametrize(
    ("offset", "count", "meeting"),
    [(0, 512, None), (0, 513, FAILS), (600, 1, FAILS), (1023, 9, FAILS), (1024, 512, None)],
)
def test_a_fault_is_for_its_bytes(offset: int, count: int, meeting: Meeting | None) -> None:
    disk = faults(Fault(Effect.FAIL, begin=512, end=1024))
    assert disk.meet(WRITE, offset, count, 5.0) == meeting
    assert disk.meet(FLUSH, 0, 0, 5.0) is None


def test_a_fault_that_begins_somewhere_reaches_to_the_end() -> None:
    disk = faults(Fault(Effect.FAIL, begin=512))
    assert disk.meet(READ, 1 << 40, 1, 5.0) == FAILS
    assert disk.meet(READ, 511, 1, 5.0) is None
    assert disk.meet(FLUSH, 0, 0, 5.0) is None


def test_so_many_times_and_no_more() -> None:
    disk = faults(Fault(Effect.FAIL, READS, times=2))
    met = [disk.meet(one, 0, 1, 5.0) for one in (READ, WRITE, READ, READ)]
    assert met == [FAILS, None, FAILS, None]


def test_until_it_is_healed() -> None:
    disk = faults(Fault(Effect.FAIL), Fault(Effect.HANG))
    assert [disk.meet(READ, 0, 1, 5.0) for _ in range(3)] == [FAILS] * 3
    disk.heal()
    assert disk.meet(READ, 0, 1, 5.0) is None
    assert (disk.met, disk.healings) == (3, 1)


def test_the_first_fault_that_is_for_a_request_meets_it() -> None:
    disk = faults(Fault(Effect.FAIL, times=1), Fault(Effect.HANG))
    assert disk.meet(READ, 0, 1, 5.0) == FAILS
    assert disk.meet(READ, 0, 1, 5.0) == Meeting(until=math.inf)


def test_a_slow_disk_serves_one_after_the_other() -> None:
    disk = faults(Fault(Effect.SLOW, seconds=2))
    until = [disk.meet(READ, 0, 1, now) for now in (10.0, 10.5, 20.0)]
    assert until == [Meeting(until=12.0), Meeting(until=14.0), Meeting(until=22.0)]


def test_a_large_request_takes_a_slow_disk_longer() -> None:
    disk = faults(Fault(Effect.SLOW, seconds=2, per_mib=8))
    assert disk.meet(READ, 0, 1 << 19, 10.0) == Meeting(until=16.0)
    assert disk.meet(FLUSH, 0, 0, 10.0) == Meeting(until=18.0)


def test_slower_by_a_factor() -> None:
    hundred, twice = (faults(slower(factor)).meet(READ, 0, 1 << 20, 0.0) for factor in (100, 2))
    assert hundred is not None and twice is not None
    assert hundred.until == pytest.approx(50 * twice.until)
    assert twice.until > 0


@pytest.mark.parametrize(
    ("fault", "read", "write"),
    [
        (BROKEN, FAILS, FAILS),
        (READ_ONLY, None, FAILS),
        (FULL, None, Meeting(error=errno.ENOSPC)),
        (HANGING, Meeting(until=math.inf), Meeting(until=math.inf)),
    ],
)
def test_the_usual_faults(fault: Fault, read: Meeting | None, write: Meeting | None) -> None:
    disk = faults(fault)
    assert (disk.meet(READ, 0, 9, 5.0), disk.meet(WRITE, 0, 9, 5.0)) == (read, write)


@pytest.mark.parametrize(
    "fault",
    [Fault(Effect.HANG), Fault(Effect.SLOW, WRITES, 512, 1024, times=1, seconds=0.5), slower(9)],
)
def test_a_fault_survives_the_line_that_tells_it(fault: Fault) -> None:
    line = packed(fault)
    assert "\n" not in line
    assert unpacked(line) == fault


@pytest.mark.parametrize(
    "line", ["", "{}", '{"effect": "burn", "operations": []}', packed(Fault(Effect.FAIL))[:-1]]
)
def test_what_is_no_fault_is_refused(line: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        unpacked(line)
