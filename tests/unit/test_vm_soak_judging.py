# SPDX-License-Identifier: MIT
"""What a soak sees, judged; and two copies, compared."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.vm.beacons import Beacon
from tests.vm.soak.copies import DIRECT, script
from tests.vm.soak.judging import Judge, differing

MIB = 1 << 20


def heard(*told: tuple[float, str, int]) -> list[Beacon]:
    return [Beacon(at, epoch, 1, last) for at, epoch, last in told]


WELL = heard((1.0, "01-a", 1), (2.0, "01-a", 2), (90.0, "02-b", 2), (95.0, "02-b", 4))


def test_a_healthy_pair_has_nothing_said_about_it() -> None:
    verdict = Judge(2.0).look([1, 2, 4], [1, 2, 3, 4], WELL)
    assert verdict.reason == "" and verdict.acknowledged == 3


def test_each_promise_that_is_broken_is_told() -> None:
    late = [*WELL, *heard((99.0, "01-a", 4), (100.0, "03-a", 1))]
    verdict = Judge(2.0).look([1, 2, 2, 9], [1, 2], late, ["a kernel is sick"])
    assert verdict.lost == (9,)
    assert verdict.doubles == (
        "2 was acknowledged after 2",
        "start 01-a was heard 9.0 s after a newer one",
    )
    assert verdict.others == ("start 03-a found 1, 02-b had 4", "a kernel is sick")
    assert verdict.reason.startswith("lost: [9]; 2 was acknowledged after 2; start 01-a")


def test_silence_is_no_promise_kept() -> None:
    assert "no beacon was heard" in Judge(2.0).look([1], [1], []).reason


@pytest.mark.parametrize("number", [3, 4, 5])
def test_an_old_start_is_found_also_where_what_is_new_begins(number: int) -> None:
    """Its beacon is the first since the look before: what is newer was heard before that."""
    judge, beacons = Judge(2.0), list[Beacon]()
    for n in range(1, 6):
        if n == number:
            beacons += heard((100.0 * n - 50.0, "01-x", n))
        beacons += heard((100.0 * n, f"0{n}-x", n))
        found = judge.look([], [], beacons).doubles
        assert bool(found) == (n == number)


def test_copies_are_compared_by_the_mebibyte() -> None:
    one = [f"{n:064x}" for n in range(192)]
    assert differing([one, list(one)]) == ""
    other = [*one[:7], "f" * 64, *one[8:]]
    assert differing([one, other]) == "the copies differ in 1 of 192 MiB: 7"
    assert differing([one, one[:-1]]) == "one copy has 192 MiB, the other 191"
    assert differing([[], []]) == "one copy has 0 MiB, the other 0"
    assert differing([one, ["f"] * 192]).endswith("192 of 192 MiB: 0, 1, 2, 3, 4, 5, 6, 7, ...")


def sums(folder: Path, content: bytes, sectors: int, flags: str = "0") -> list[str]:
    """What the script says of a volume with CONTENT under a disk of so many SECTORS."""
    (folder / "size").write_text(f"{sectors}\n")
    (folder / "volume").write_bytes(content)
    text = script(str(folder / "size"), str(folder / "volume"), flags)
    return subprocess.run(
        ["bash", "-c", text], stdout=subprocess.PIPE, check=True, encoding="utf-8"
    ).stdout.split()


def test_the_sums_leave_out_what_is_behind_the_disk(tmp_path: Path) -> None:
    parts = [b"a" * MIB, b"b" * MIB, b"c" * 4096]
    wanted = [hashlib.sha256(part).hexdigest() for part in parts]
    sectors = sum(map(len, parts)) // 512
    assert sums(tmp_path, b"".join(parts) + b"metadata", sectors) == wanted
    changed = [parts[0], b"b" * (MIB - 1) + b"x", parts[2]]
    found = sums(tmp_path, b"".join(changed), sectors)
    assert differing([wanted, found]) == "the copies differ in 1 of 3 MiB: 1"


def test_a_volume_that_is_too_short_is_no_sum(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        sums(tmp_path, b"a" * 1000, 4096)


def test_the_volume_is_read_past_the_page_cache() -> None:
    assert f"os.O_RDONLY | {DIRECT})" in script()
