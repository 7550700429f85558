# SPDX-License-Identifier: MIT
"""What the machines print of writes, streams and resyncs -> figures; and the sizes of an image."""

from pathlib import Path

import pytest

from tests.vm.bench import disks, sizes, writes

# As Linux 6.12's DRBD 8.4.11 logs it.
KERNEL = """\
[  412.100000] drbd bench/0 drbd9: Began resync as SyncTarget (will sync 163840 KB [40960 bits set])
[  414.500000] drbd counter/0 drbd0: Resync done (total 2 sec; paused 0 sec; 100 K/sec)
[  420.100000] drbd bench/0 drbd9: Resync done (total 7 sec; paused 0 sec; 23404 K/sec)
"""
OLDER = KERNEL.replace("[  4", "[  1").replace("163840", "81920")


def test_a_resync_is_timed_by_its_own_first_and_last_line() -> None:
    assert disks.resync_rate(KERNEL) == pytest.approx(20.0)
    assert disks.resync_rate(KERNEL.replace("drbd bench/0 drbd9", "block drbd9")) == 20.0


def test_the_last_resync_counts() -> None:
    assert disks.resync_rate(OLDER + KERNEL) == pytest.approx(20.0)


@pytest.mark.parametrize("lines", [(0, 1), (1, 2), (0, 2)])
def test_a_resync_that_is_not_done_has_no_rate(lines: tuple[int, int]) -> None:
    """Neither has one of another device, nor the end of the one before."""
    begun, *_ = KERNEL.splitlines(keepends=True)
    told = KERNEL.splitlines(keepends=True)
    with pytest.raises(disks.NotTold):
        disks.resync_rate("".join(told[slice(*lines)]))
    with pytest.raises(disks.NotTold):
        disks.resync_rate(OLDER + begun)


def test_a_stream_that_was_cut_off_has_no_rate() -> None:
    assert disks.stream_rate(f"received {disks.SIZE} 8.0\n") == disks.SIZE / (1 << 20) / 8
    with pytest.raises(disks.NotTold):
        disks.stream_rate(f"received {disks.SIZE - 1} 8.0\n")


def told_of(rounds: int, count: int = writes.COUNT) -> str:
    lines = [
        f"{name} {turn} {seconds}\n"
        for turn in range(rounds)
        for name, seconds in ((writes.PLAIN, 0.004), (writes.MIRRORED, 0.006))
        for _ in range(count)
    ]
    return "".join((*lines, "end\n"))


def test_all_writes_must_be_there() -> None:
    assert writes.rounds_of(told_of(2), 2) == [writes.Round(0.004, 0.006)] * 2
    with pytest.raises(disks.NotTold, match="199 plain writes of 200 in round 0"):
        writes.rounds_of(told_of(2, 199), 2)
    with pytest.raises(disks.NotTold, match="0 plain writes of 200 in round 2"):
        writes.rounds_of(told_of(2), 3)
    with pytest.raises(disks.NotTold, match="cut off"):
        writes.rounds_of(told_of(1).removesuffix("end\n"), 1)


def test_an_erofs_tells_its_size(tmp_path: Path) -> None:
    """fs/erofs/erofs_fs.h: the superblock is at 1024, in it the block size and their number."""
    head = bytearray(128)
    head[:4] = (0xE0F5E1E2).to_bytes(4, "little")
    head[12] = 12
    head[36:40] = (60_000).to_bytes(4, "little")
    image = tmp_path / "image"
    image.write_bytes(bytes(4096 + 1024) + head + bytes(4096))
    assert sizes.erofs_size(image, 4096) == 60_000 * 4096
    with pytest.raises(ValueError, match="no erofs"):
        sizes.erofs_size(image, 0)
