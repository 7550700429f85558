# SPDX-License-Identifier: MIT
import errno
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.vm.disk_faults import ALL, READS, WRITES, Effect, Fault, Operation, packed
from tests.vm.served_disk import ServedDisk
from tests.vm.volatile import BLOCK
from tests.vm.wait import wait_until

SIZE = 16 * BLOCK
PATIENCE = 60  # seconds, on a busy host


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    path.write_bytes(b"o" * SIZE)
    return path


@pytest.fixture
def disk(file: Path) -> ServedDisk:
    return ServedDisk(file)


@pytest.fixture
def threads(disk: ServedDisk) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool
        disk.obey("heal")  # else one that a failed test left hanging is waited for


def tell(disk: ServedDisk, line: str) -> dict[str, int]:
    answer: dict[str, int] = json.loads(disk.obey(line))
    assert "error" not in answer, answer
    return answer


def hurt(disk: ServedDisk, effect: Effect, operations: tuple[Operation, ...] = ALL) -> None:
    tell(disk, f"hurt {packed(Fault(effect, operations, seconds=60))}")


def await_met(disk: ServedDisk, count: int) -> None:
    wait_until(
        "requests to meet a fault", lambda: tell(disk, "look")["met"] == count, PATIENCE, 0.01
    )


@pytest.mark.parametrize(
    "request_",
    [
        lambda disk: disk.read(9, 0),
        lambda disk: disk.write(b"new", 0),
        lambda disk: disk.zero(9, 0),
        lambda disk: disk.trim(9, 0),
        lambda disk: disk.flush(),
    ],
)
def test_what_fails_fails_with_eio_and_does_nothing(
    disk: ServedDisk, file: Path, request_: Callable[[ServedDisk], object]
) -> None:
    disk.write(b"kept", BLOCK)
    hurt(disk, Effect.FAIL)
    with pytest.raises(OSError) as caught:
        request_(disk)
    assert caught.value.errno == errno.EIO
    assert file.read_bytes() == b"o" * SIZE
    tell(disk, "heal")
    assert disk.read(SIZE, 0) == b"o" * BLOCK + b"kept" + b"o" * (SIZE - BLOCK - 4)


def test_what_hangs_is_served_when_it_is_healed(
    disk: ServedDisk, threads: ThreadPoolExecutor
) -> None:
    hurt(disk, Effect.HANG)
    written, read = threads.submit(disk.write, b"new", 0), threads.submit(disk.read, 3, BLOCK)
    flushed = threads.submit(disk.flush)
    await_met(disk, 3)
    assert not any(future.done() for future in (written, read, flushed))
    tell(disk, "heal")
    assert read.result(PATIENCE) == b"ooo"
    written.result(PATIENCE)
    flushed.result(PATIENCE)
    assert disk.read(3, 0) == b"new"


def test_what_hangs_keeps_nobody_else_waiting(
    disk: ServedDisk, threads: ThreadPoolExecutor
) -> None:
    hurt(disk, Effect.HANG, READS)
    read = threads.submit(disk.read, 3, 0)
    await_met(disk, 1)
    threads.submit(disk.write, b"new", 0).result(PATIENCE)
    threads.submit(disk.flush).result(PATIENCE)
    assert not read.done()
    tell(disk, "heal")
    assert read.result(PATIENCE) == b"new"


def test_the_power_is_cut_while_the_disk_hangs(
    disk: ServedDisk, file: Path, threads: ThreadPoolExecutor
) -> None:
    disk.write(b"gone", 0)
    hurt(disk, Effect.HANG, WRITES)
    flushed = threads.submit(disk.flush)
    await_met(disk, 1)
    assert tell(disk, "cut") == {"unflushed": 0, "met": 1, "broken": 0}
    assert not flushed.done()
    assert file.read_bytes() == b"o" * SIZE


def test_what_is_slow_waits_until_it_is_healed_at_most(
    disk: ServedDisk, threads: ThreadPoolExecutor
) -> None:
    hurt(disk, Effect.SLOW)
    read = threads.submit(disk.read, 3, 0)
    await_met(disk, 1)
    assert not read.done()
    tell(disk, "heal")
    assert read.result(PATIENCE) == b"ooo"


def test_what_is_slow_takes_its_time(disk: ServedDisk) -> None:
    tell(disk, f"hurt {packed(Fault(Effect.SLOW, seconds=0.1))}")
    begin = time.monotonic()
    assert disk.read(3, 0) == b"ooo"
    assert time.monotonic() - begin >= 0.1


def test_the_words(disk: ServedDisk, file: Path) -> None:
    disk.write(b"new", 0)
    assert tell(disk, "look") == {"unflushed": 1, "met": 0, "broken": 0}
    assert tell(disk, "flush") == {"unflushed": 0, "met": 0, "broken": 0}
    assert file.read_bytes()[:4] == b"newo"
    disk.write(b"gone", 0)
    assert tell(disk, "cut 5\n")["unflushed"] == 0
    tell(disk, "rot 8192 2 7")
    assert file.read_bytes()[8192:8194] != b"oo"


@pytest.mark.parametrize(
    "line", ["", "burn", "cut x", "hurt", "hurt {}", "rot 1 2", f"rot {SIZE} 1 7"]
)
def test_a_line_that_says_nothing_is_answered(disk: ServedDisk, line: str) -> None:
    assert set(json.loads(disk.obey(line))) == {"error"}
    assert tell(disk, "look") == {"unflushed": 0, "met": 0, "broken": 0}


def test_what_this_host_cannot_serve_is_told_apart() -> None:
    full = ServedDisk(Path("/dev/full"))  # full(4): no room, whatever is written
    full.write(bytes(BLOCK), 0)
    with pytest.raises(OSError) as caught:
        full.flush()
    assert caught.value.errno == errno.ENOSPC
    assert "No space left on device" in json.loads(full.obey("flush"))["error"]
    assert tell(full, "look") == {"unflushed": 1, "met": 0, "broken": 1}
