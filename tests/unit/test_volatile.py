# SPDX-License-Identifier: MIT
from pathlib import Path

import pytest

from tests.vm.volatile import BLOCK, VolatileCache

SIZE = 16 * BLOCK


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    path.write_bytes(b"o" * SIZE)
    return path


def test_reads_see_writes_that_are_not_durable_yet(file: Path) -> None:
    disk = VolatileCache(file)
    disk.write(b"new", BLOCK - 1)
    assert disk.read(5, BLOCK - 2) == b"onewo"
    assert file.read_bytes() == b"o" * SIZE


def test_a_power_cut_forgets_what_was_not_flushed(file: Path) -> None:
    disk = VolatileCache(file)
    disk.write(b"kept", 0)
    disk.flush()
    disk.write(b"gone", 0)
    disk.power_cut(None)
    assert disk.read(4, 0) == b"kept"
    assert disk.unflushed == 0


def test_a_seeded_power_cut_keeps_whole_blocks_and_the_same_ones_each_time(file: Path) -> None:
    survivors = []
    for _ in range(2):
        file.write_bytes(b"o" * SIZE)
        disk = VolatileCache(file)
        for block in range(16):
            disk.write(b"n" * BLOCK, block * BLOCK)
        disk.power_cut(seed=7)
        content = file.read_bytes()
        survivors.append([content[n * BLOCK : (n + 1) * BLOCK] for n in range(16)])
    assert survivors[0] == survivors[1]
    assert set(survivors[0]) == {b"n" * BLOCK, b"o" * BLOCK}


@pytest.mark.parametrize(
    ("offset", "count"), [(0, SIZE), (3, 10), (BLOCK - 1, 2), (2 * BLOCK, BLOCK)]
)
def test_zeroing_is_durable_and_touches_nothing_else(file: Path, offset: int, count: int) -> None:
    disk = VolatileCache(file)
    disk.write(b"w", offset)
    disk.zero(count, offset)
    expected = b"o" * offset + bytes(count) + b"o" * (SIZE - offset - count)
    assert file.read_bytes() == expected == disk.read(SIZE, 0)


def test_zeroing_the_hole_behind_the_last_data(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(SIZE)
    disk = VolatileCache(path)
    disk.zero(SIZE, 0)
    assert disk.read(SIZE, 0) == bytes(SIZE)


def test_what_rots_is_a_bit_of_each_byte_and_the_same_one_for_a_seed(file: Path) -> None:
    disk = VolatileCache(file)
    disk.rot(BLOCK - 1, 9, seed=7)
    content = file.read_bytes()
    assert content == disk.read(SIZE, 0)
    changed = [byte ^ ord("o") for byte in content]
    assert [bits.bit_count() for bits in changed] == [
        int(BLOCK - 1 <= place < BLOCK + 8) for place in range(SIZE)
    ]
    assert len(set(changed)) > 2, "always the same bit"
    disk.rot(BLOCK - 1, 9, seed=7)
    assert file.read_bytes() == b"o" * SIZE


def test_rot_outlasts_what_was_not_flushed(file: Path) -> None:
    disk = VolatileCache(file)
    disk.write(b"new", 0)
    disk.rot(0, 1, seed=7)
    disk.flush()
    assert disk.read(3, 0) == file.read_bytes()[:3]
    assert disk.read(3, 0)[:1] != b"n"
    assert disk.read(3, 0)[1:] == b"ew"


def test_nothing_rots_behind_the_end(file: Path) -> None:
    disk = VolatileCache(file)
    with pytest.raises(ValueError, match=f"only {SIZE} in all"):
        disk.rot(SIZE - 1, 2, seed=7)
    assert file.read_bytes() == b"o" * SIZE
