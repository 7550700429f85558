# SPDX-License-Identifier: MIT
"""A disk as nbdkit serves it to QEMU's own block layer, of which qemu-io is a shell."""

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm import tools
from tests.vm.disk import Disk
from tests.vm.disk_faults import (
    BROKEN,
    FULL,
    HANGING,
    MIB,
    READ_ONLY,
    REQUEST,
    Effect,
    Fault,
    Operation,
    slower,
)
from tests.vm.drive import Drive
from tests.vm.wait import wait_until

pytestmark = pytest.mark.skipif(not tools.TREE.exists(), reason="no image was built here")

SIZE = 1 << 20
PATIENCE = 60  # seconds, on a busy host
DISK = Disk("data", SIZE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    DISK.create(tmp_path)
    return tmp_path


@pytest.fixture
def drive(folder: Path) -> Iterator[Drive]:
    made = Drive(DISK, folder)
    yield made
    made.stop()


def qemu_io(folder: Path, *commands: str) -> subprocess.Popen[str]:
    """With a cache that it flushes at its end, and when it is told to."""
    argv = tools.command("qemu-io", "-f", "raw", "-t", "writeback")
    argv += [part for one in commands for part in ("-c", one)]
    argv += [f"nbd+unix:///?socket={DISK.socket(folder)}"]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def does(folder: Path, *commands: str) -> str:
    """What qemu-io says of COMMANDS."""
    return qemu_io(folder, *commands).communicate(timeout=PATIENCE)[0]


def first_byte(folder: Path, offset: int = 0) -> int:
    with DISK.file(folder).open("rb") as file:
        file.seek(offset)
        return file.read(1)[0]


def test_a_power_cut(drive: Drive, folder: Path) -> None:
    writer = qemu_io(folder, "write -P 1 0 4k", "flush", "write -P 2 0 64k", "sleep 60000")
    wait_until("the second write", lambda: drive.unflushed == 16, PATIENCE, 0.05)
    writer.send_signal(signal.SIGKILL)
    writer.communicate()
    drive.power_cut()
    assert drive.unflushed == 0
    assert (first_byte(folder), first_byte(folder, 4096)) == (1, 0)


def test_a_seeded_power_cut(drive: Drive, folder: Path) -> None:
    writer = qemu_io(folder, "write -P 2 0 64k", "sleep 60000")
    wait_until("the write", lambda: drive.unflushed == 16, PATIENCE, 0.05)
    writer.kill()
    writer.communicate()
    drive.power_cut(seed=7)
    assert {first_byte(folder, 4096 * number) for number in range(16)} == {0, 2}


def test_what_is_flushed(drive: Drive, folder: Path) -> None:
    does(folder, "write -P 3 0 4k")
    assert first_byte(folder) == 3
    assert (drive.unflushed, drive.met, drive.broken) == (0, 0, 0)


@pytest.mark.parametrize(
    ("fault", "read", "write"),
    [
        (BROKEN, "read failed: Input/output error", "write failed: Input/output error"),
        (READ_ONLY, "read 4096/4096 bytes", "write failed: Input/output error"),
        (FULL, "read 4096/4096 bytes", "write failed: No space left on device"),
        (Fault(Effect.FAIL, begin=8192), "read 4096/4096", "wrote 4096/4096"),
    ],
)
def test_an_error(drive: Drive, folder: Path, fault: Fault, read: str, write: str) -> None:
    drive.hurt(fault)
    said = does(folder, "read 0 4k", "write 0 4k")
    assert read in said
    assert write in said
    drive.heal()
    said = does(folder, "read 0 4k", "write -z 0 4k", "discard 0 4k", "flush")
    assert "failed" not in said
    assert drive.broken == 0, "what was told is no fault of this host"


def test_zeros_trims_and_flushes_fail_too(drive: Drive, folder: Path) -> None:
    drive.hurt(Fault(Effect.FAIL, (Operation.FLUSH,)))
    does(folder, "write 0 4k", "flush")
    assert drive.met > 0, "QEMU had nothing to flush"
    drive.hurt(BROKEN)
    said = does(folder, "write -z 0 4k", "discard 0 4k")
    assert said.count("failed: Input/output error") == 2


def test_it_hangs(drive: Drive, folder: Path) -> None:
    drive.hurt(Fault(Effect.HANG, end=4096))
    hung = qemu_io(folder, "write -P 4 0 4k")
    wait_until("the write to hang", lambda: drive.met == 1, PATIENCE, 0.05)
    assert "read 4096/4096" in does(folder, "read 4k 4k"), "the rest of the disk hangs too"
    assert hung.poll() is None
    drive.heal()
    assert "wrote 4096/4096" in hung.communicate(timeout=PATIENCE)[0]
    assert first_byte(folder) == 4


def test_power_is_cut_while_it_hangs(drive: Drive, folder: Path) -> None:
    drive.hurt(HANGING)
    hung = qemu_io(folder, "write -P 4 0 4k")
    wait_until("the write to hang", lambda: drive.met == 1, PATIENCE, 0.05)
    hung.kill()
    hung.communicate()
    drive.power_cut()
    drive.stop()
    assert first_byte(folder) == 0


def test_it_is_slow(drive: Drive, folder: Path) -> None:
    drive.hurt(slower(500))
    begin = time.monotonic()
    does(folder, "read 0 4k", "read 0 512k")
    assert time.monotonic() - begin >= 500 * (2 * REQUEST + MIB / 2)
    assert drive.met >= 2


def test_it_rots(drive: Drive, folder: Path) -> None:
    assert "read 4096/4096" in does(folder, "write -P 5 0 64k", "read -P 5 0 4k")
    drive.rot(8192, 2, seed=1)
    assert "verification failed" in does(folder, "read -P 5 8192 4k")
    assert "verification failed" not in does(folder, "read -P 5 0 8k", "read -P 5 12k 4k")


def test_a_fault_is_there_from_the_first_request_on(folder: Path) -> None:
    drive = Drive(DISK, folder, [BROKEN])
    try:
        assert "read failed" in does(folder, "read 0 4k")
    finally:
        drive.stop()


def test_what_is_no_word_is_said_and_it_goes_on(drive: Drive, folder: Path) -> None:
    with pytest.raises(AssertionError, match=r"disk data: .*only 1048576 in all"):
        drive.rot(SIZE, 1, seed=1)
    assert "read 4096/4096" in does(folder, "read 0 4k")


def test_whoever_asks_and_goes_away_keeps_nobody_from_asking(drive: Drive, folder: Path) -> None:
    for line in (b"", b"look", b"look\n"):
        with socket.socket(socket.AF_UNIX) as hasty:
            hasty.connect(str(DISK.control(folder)))
            hasty.sendall(line)
    assert drive.met == 0


def test_a_disk_that_cannot_be_served(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="nbdkit ended at once"):
        Drive(DISK, tmp_path)
