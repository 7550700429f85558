# SPDX-License-Identifier: MIT
"""How a guest's disks lie on one device, and the slices against a small device-mapper."""

import fnmatch
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from haagent.errors import OperatorError, ToolError
from haagent.guests import disks
from haagent.guests.definition import PC_DISKS
from haagent.guests.disks import Slice, cut
from haagent.storage import slices
from haagent.storage.slices import Slices
from tests.unit.fake_mapper import Mapper

EXTRA = Path(__file__).parents[2] / "image/mkosi.extra"
MIB = 1 << 20
NAMED = ("xvda", "xvdb", "xvdc")
# 8 MiB, 16 MiB, and what is left of 32 MiB and a half; in sectors
THREE = {
    "drbd20-xvda": "0 16384 linear 147:20 0",
    "drbd20-xvdb": "0 32768 linear 147:20 16384",
    "drbd20-xvdc": "0 17408 linear 147:20 49152",
}


@pytest.fixture
def mapper(tmp_path: Path) -> Mapper:
    made = Mapper(tmp_path)
    made.has_drbd(20, 32 * MIB + MIB // 2)
    return made


def on(mapper: Mapper) -> Slices:
    return Slices(run=mapper, root=mapper.root)


def test_what_goes_meanwhile_is_not_asked_for(mapper: Mapper) -> None:
    """A backup's snapshot ends as a guest starts."""

    def run(argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        said = mapper(argv, timeout=timeout)
        return said + "shoestring-web_passing\t(253:9)\n" if argv[1] == "ls" else said

    Slices(run=run, root=mapper.root).make(20, NAMED, (8, 16))
    assert mapper.tables == THREE


def make(mapper: Mapper) -> tuple[Path, ...]:
    return on(mapper).make(20, NAMED, (8, 16))


def test_disks_lie_one_behind_the_other_and_the_last_has_the_rest() -> None:
    assert cut(NAMED, (8, 16), 100 * MIB + 512) == (
        Slice("xvda", 0, 8 * MIB),
        Slice("xvdb", 8 * MIB, 16 * MIB),
        Slice("xvdc", 24 * MIB, 76 * MIB + 512),
    )
    assert cut(("xvda",), (), 512) == (Slice("xvda", 0, 512),)


@pytest.mark.parametrize(
    ("names", "sizes", "whole"),
    [(NAMED, (8, 16), 24 * MIB), (NAMED, (8,), 1 << 40), (("xvda",), (8,), 1 << 40)],
)
def test_disks_that_find_no_room_are_none(
    names: tuple[str, ...], sizes: tuple[int, ...], whole: int
) -> None:
    with pytest.raises(OperatorError, match="cannot be on a device"):
        cut(names, sizes, whole)


def test_sizes_are_whole_mebibytes_but_for_the_last() -> None:
    assert disks.in_mebibytes((MIB, MIB + 1, 5)) == (1, 2)
    assert disks.room((MIB, MIB + 1, 5)) == 3 * MIB + 5
    assert (disks.in_mebibytes((7,)), disks.room((7,))) == ((), 7)


def test_what_a_pc_cannot_start_from_is_no_disk_of_it() -> None:
    assert all(PC_DISKS.fullmatch(name) for name in disks.OF_A_PC)
    assert (disks.most(is_pc=True), disks.most(is_pc=False)) == (3, 8)


def test_slices_are_made_and_read_back(mapper: Mapper) -> None:
    links = make(mapper)
    assert links == tuple(Path(f"/run/shoestring/slices/drbd20-{disk}") for disk in NAMED)
    assert mapper.tables == THREE
    assert {leads_to(mapper, link) for link in links} == {"/dev/dm-5", "/dev/dm-6", "/dev/dm-7"}
    on(mapper).remove(20)
    assert mapper.tables == {}
    assert not any((mapper.root / link.relative_to("/")).is_symlink() for link in links)


def leads_to(mapper: Mapper, link: Path) -> str:
    return str((mapper.root / link.relative_to("/")).readlink())


def test_a_link_to_what_is_gone_is_made_anew(mapper: Mapper) -> None:
    link, *_ = make(mapper)
    there = mapper.root / link.relative_to("/")
    there.unlink()
    there.symlink_to("/dev/dm-99")
    make(mapper)
    assert leads_to(mapper, link) == "/dev/dm-5"


def test_what_device_mapper_has_and_the_kernel_does_not_show_is_not_used(mapper: Mapper) -> None:
    make(mapper)
    (mapper.root / "sys/block/drbd20/holders/dm-6").rmdir()
    with pytest.raises(ToolError, match="is not below drbd20-xvdb"):
        make(mapper)


def test_what_an_agent_left_that_died_stays(mapper: Mapper) -> None:
    make(mapper)
    mapper.done.clear()
    mapper.busy = set(THREE)  # its guest runs on
    make(mapper)
    assert mapper.done == []
    assert mapper.tables == THREE


@pytest.mark.parametrize(
    "planted",
    [
        {"drbd20-xvdb": "0 32768 linear 147:20 16385"},  # a sector further
        {"drbd20-xvdb": "0 32760 linear 147:20 16384"},  # shorter
        {"drbd20-xvdb": "0 32768 linear 147:2 16384"},  # of another guest
        {"drbd20-xvdb": ""},  # whoever made it was killed before it had a table
        {"drbd20-xvdd": "0 8 linear 147:20 0"},  # of a guest that had the number before
        {"drbd20-xvda": THREE["drbd20-xvda"] + "\n16384 8 linear 147:20 0"},
        {**THREE, "drbd20-xvdc": "0 8192 linear 147:20 49152"},  # from before the disk has grown
    ],
)
def test_what_lies_otherwise_is_made_anew(mapper: Mapper, planted: dict[str, str]) -> None:
    for device, table in planted.items():
        mapper.plant(device, table)
    make(mapper)
    assert mapper.tables == THREE


def test_what_lies_otherwise_and_is_in_use_is_never_taken(mapper: Mapper) -> None:
    mapper.plant("drbd20-xvdb", "0 32768 linear 147:2 16384")
    mapper.busy = {"drbd20-xvdb"}
    with pytest.raises(ToolError, match="busy"):
        make(mapper)


def test_others_are_left_alone(mapper: Mapper) -> None:
    others = {
        "drbd2-xvda": "0 8 linear 147:2 0",
        "drbd200-xvda": "0 8 linear 147:200 0",
        "shoestring-web": "0 8192 linear 8:3 2048\n8192 8192 linear 8:3 20480",
        "drbd20-x": "0 8 linear 147:20 0",
    }
    for device, table in others.items():
        mapper.plant(device, table)
    make(mapper)
    assert mapper.tables == {**others, **THREE}
    on(mapper).remove(20)
    assert mapper.tables == others


def test_no_success_without_seeing_it(mapper: Mapper) -> None:
    mapper.is_idle = True
    with pytest.raises(ToolError, match="instead of"):
        make(mapper)
    mapper.is_idle = False
    make(mapper)
    mapper.is_idle = True
    with pytest.raises(ToolError, match="still there"):
        on(mapper).remove(20)


def test_there_are_none_of_a_device_without_data(mapper: Mapper) -> None:
    with pytest.raises(ToolError, match="no data"):
        on(mapper).make(21, NAMED, (8, 16))
    assert mapper.done == []


def test_a_guest_with_one_disk_has_nothing_to_do_with_it(mapper: Mapper) -> None:
    on(mapper).remove(20)
    assert mapper.done == []


def test_one_that_is_in_use_stays_and_is_told(mapper: Mapper) -> None:
    make(mapper)
    mapper.busy = {"drbd20-xvdb"}
    with pytest.raises(ToolError, match=slices.BUSY):
        on(mapper).remove(20)
    mapper.busy = set()
    on(mapper).remove(20)
    assert mapper.tables == {}


def test_names_are_read_as_dmsetup_prints_them() -> None:
    assert slices.parse_names("No devices found\n") == []
    assert slices.parse_names("drbd20-xvda\t(253:5)\nroot\t(253:0)\n") == ["drbd20-xvda", "root"]


def is_scanned(*names: str) -> bool:
    """As lvm.conf(5) has it: the first pattern counts for each name, and one name is enough."""
    text = (EXTRA / "etc/lvm/lvm.conf").read_text()
    found = re.search(r"global_filter = \[(.*?)\]", text, re.DOTALL)
    assert found is not None
    patterns = re.findall(r'"([ar])\|([^|]*)\|"', found[1])
    assert len(patterns) == found[1].count('"') / 2
    return any(
        next((what for what, pattern in patterns if re.search(pattern, name)), "a") == "a"
        for name in names
    )


def test_lvm_never_looks_into_a_slice() -> None:
    assert is_scanned("/dev/sda2", "/dev/disk/by-id/ata-X-part2", "/dev/block/8:2")
    assert not is_scanned("/dev/drbd20")
    by_id = "/dev/disk/by-id/dm-name-drbd20-xvdb"
    assert not is_scanned("/dev/dm-7", "/dev/mapper/drbd20-xvdb", by_id, "/dev/block/253:7")


def test_udevd_never_looks_into_a_slice() -> None:
    [file] = (EXTRA / "usr/lib/udev/rules.d").glob("*slices*")
    assert "55-dm.rules" < file.name < "60-persistent-storage-dm.rules"
    text = file.read_text()
    pattern = re.search(r'ATTR\{dm/name\}=="([^"]+)"', text)
    assert pattern is not None
    for disk in disks.USUAL:
        assert fnmatch.fnmatchcase(disks.device(1234567, disk), pattern[1])
    assert not fnmatch.fnmatchcase("shoestring-web", pattern[1])
    assert 'ENV{DM_UDEV_DISABLE_DISK_RULES_FLAG}="1"' in text
