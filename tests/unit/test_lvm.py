# SPDX-License-Identifier: MIT
"""LVM's reports as version 2.03.31 prints them, and a small LVM that keeps one machine's disks."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from haagent.errors import OperatorError, ParseError, ToolError
from haagent.storage.lvm import (
    PhysicalVolume,
    Volume,
    create_volume,
    ensure_volume,
    ensure_volume_group,
    parse_physical_volumes,
    parse_volumes,
)

DISK, OTHER = "/dev/disk-a", "/dev/disk-b"  # not there, so they are their own real paths
UUID = "shoest-aaaa-bbbb-cccc-dddd-eeee-ffffff"
MIB = 1 << 20
EXTENT = 4 * MIB

# Captured; with the blanks that LVM puts in.
PVS = """\
  {
      "report": [
          {
              "pv": [
                  {"pv_name":"/dev/loop0", "pv_uuid":"shoest-aaaa-bbbb-cccc-dddd-eeee-ffffff", "vg_name":""}
              ]
          }
      ]
      ,
      "log": [
      ]
  }
"""  # noqa: E501
LVS = """\
  {
      "report": [
          {
              "lv": [
                  {"lv_name":"counter", "lv_size":"4194304", "lv_active":"unknown", "lv_tags":"unfinished"}
              ]
          }
      ]
      ,
      "log": [
      ]
  }
"""  # noqa: E501
NONE = '{"report": [{"lv": []}], "log": []}'


class PowerCut(Exception):
    pass


class Lvm:
    """LVM, wipefs and lsblk, as far as they are asked; it may lose power after any change."""

    def __init__(self) -> None:
        self.physical: dict[str, dict[str, str]] = {}
        self.volumes: dict[str, dict[str, str]] = {}
        self.signatures = ""
        self.blocks: dict[str, object] = {"name": DISK, "type": "disk", "children": []}
        self.power: int | None = None  # changes until it is cut
        self.is_idle = False  # says yes, and does nothing
        self.done: list[tuple[str, ...]] = []

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        answers: dict[str, Callable[[], str]] = {
            "pvs": lambda: report("pv", self.physical),
            "lvs": lambda: report("lv", self.volumes),
            "lsblk": lambda: json.dumps({"blockdevices": [self.blocks]}),
            "wipefs": lambda: self.signatures,
        }
        if argv[0] in answers:
            return answers[argv[0]]()
        self.done.append(tuple(argv))
        if not self.is_idle:
            self.change(argv)
            if self.power is not None:
                self.power -= 1
                if self.power == 0:
                    raise PowerCut
        return ""

    def change(self, argv: Sequence[str]) -> None:
        if argv[0] == "pvcreate":
            assert "--yes" not in argv
            uuid = argv[argv.index("--uuid") + 1] if "--uuid" in argv else "random"
            self.physical[argv[-1]] = {"pv_name": argv[-1], "pv_uuid": uuid, "vg_name": ""}
        elif argv[0] == "vgcreate":
            assert self.physical[argv[-1]]["vg_name"] == ""
            self.physical[argv[-1]]["vg_name"] = argv[1]
        elif argv[0] == "lvcreate":
            name = argv[argv.index("--name") + 1]
            asked = int(argv[argv.index("--size") + 1].removesuffix("b"))
            assert name not in self.volumes and asked % 512 == 0
            tag = argv[argv.index("--addtag") + 1]
            self.volumes[name] = volume(name, -(-asked // EXTENT) * EXTENT, tag=tag)
        elif argv[0] == "lvremove":
            del self.volumes[argv[-1].split("/")[1]]
        elif argv[:2] == ("lvchange", "--deltag"):
            self.volumes[argv[-1].split("/")[1]]["lv_tags"] = ""
        else:
            assert argv[:3] == ("lvchange", "--activate", "y")
            self.volumes[argv[-1].split("/")[1]]["lv_active"] = "active"


def report(kind: str, rows: dict[str, dict[str, str]]) -> str:
    return json.dumps({"report": [{kind: list(rows.values())}], "log": []})


def volume(name: str, size: int, active: str = "active", tag: str = "") -> dict[str, str]:
    return {"lv_name": name, "lv_size": str(size), "lv_active": active, "lv_tags": tag}


def physical(device: str, uuid: str, group: str) -> dict[str, str]:
    return {"pv_name": device, "pv_uuid": uuid, "vg_name": group}


def with_group(lvm: Lvm) -> Lvm:
    lvm.physical[DISK] = physical(DISK, UUID, "shoestring")
    return lvm


def test_the_reports() -> None:
    assert parse_physical_volumes(PVS) == (PhysicalVolume("/dev/loop0", UUID, ""),)
    assert parse_volumes(LVS) == (Volume("counter", EXTENT, False, True),)
    assert parse_volumes(NONE) == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        '{"report": []}',
        '{"report": [{"vg": []}]}',
        '{"report": [{"lv": 7}]}',
        '{"report": [{"lv": [7]}]}',
        '{"report": [{"lv": [{"lv_name": "counter"}]}]}',
        LVS.replace("4194304", "4.00m"),
    ],
)
def test_a_report_that_is_not_understood(text: str) -> None:
    with pytest.raises(ParseError):
        parse_volumes(text)


def test_a_blank_disk_gets_the_group() -> None:
    lvm = Lvm()
    ensure_volume_group(DISK, run=lvm)
    assert lvm.done == [("pvcreate", DISK), ("vgcreate", "shoestring", DISK)]
    ensure_volume_group(DISK, run=lvm)
    assert len(lvm.done) == 2


def test_the_callers_uuid_is_written() -> None:
    lvm = Lvm()
    ensure_volume_group(Path(DISK), "shoestring", uuid=UUID, run=lvm)
    assert lvm.physical[DISK] == physical(DISK, UUID, "shoestring")
    assert "--norestorefile" in lvm.done[0]


def test_a_link_to_the_disk_is_the_disk(tmp_path: Path) -> None:
    link = tmp_path / "by-serial"
    link.symlink_to(DISK)
    ensure_volume_group(link, run=with_group(Lvm()))


@pytest.mark.parametrize("cut_after", [1, 2])
def test_a_group_survives_a_power_cut(cut_after: int) -> None:
    lvm = Lvm()
    lvm.power = cut_after
    with pytest.raises(PowerCut):
        ensure_volume_group(DISK, uuid=UUID, run=lvm)
    lvm.power = None
    ensure_volume_group(DISK, uuid=UUID, run=lvm)
    assert lvm.physical[DISK] == physical(DISK, UUID, "shoestring")
    assert [argv[0] for argv in lvm.done] == ["pvcreate", "vgcreate"]


def refused(lvm: Lvm, uuid: str | None = None) -> OperatorError:
    with pytest.raises(OperatorError) as caught:
        ensure_volume_group(DISK, uuid=uuid, run=lvm)
    assert lvm.done == []
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("signatures", ["ext4\n", "gpt\ngpt\nPMBR\n", "dos\n", "LVM2_member\n"])
def test_a_disk_with_any_mark_is_refused(signatures: str) -> None:
    lvm = Lvm()
    lvm.signatures = signatures
    assert signatures.split()[0] in refused(lvm).message


def test_a_disk_with_partitions_is_refused() -> None:
    lvm = Lvm()
    lvm.blocks["children"] = [{"name": f"{DISK}1", "type": "part"}]
    assert f"{DISK}1" in refused(lvm).message


def test_only_a_whole_disk_is_taken() -> None:
    lvm = Lvm()
    lvm.blocks["type"] = "part"
    assert "part" in refused(lvm).message


@pytest.mark.parametrize(
    ("there", "uuid"),
    [
        (physical(DISK, "theirs", "vg0"), None),
        (physical(DISK, "theirs", "vg0"), UUID),
        (physical(DISK, UUID, "vg0"), UUID),
        (physical(DISK, "theirs", ""), None),
        (physical(DISK, "theirs", ""), UUID),
        (physical(DISK, "theirs", "shoestring"), UUID),  # another pair's disk
        (physical(OTHER, "theirs", "shoestring"), None),
        (physical(OTHER, UUID, "shoestring"), UUID),
    ],
)
def test_somebody_elses_volume_group_is_refused(there: dict[str, str], uuid: str | None) -> None:
    lvm = Lvm()
    lvm.physical[there["pv_name"]] = there
    refused(lvm, uuid)


def test_a_group_on_another_disk_does_not_matter() -> None:
    lvm = Lvm()
    lvm.physical[OTHER] = physical(OTHER, "theirs", "vg0")
    ensure_volume_group(DISK, run=lvm)
    assert lvm.physical[DISK]["vg_name"] == "shoestring"


def test_no_group_without_seeing_it() -> None:
    lvm = Lvm()
    lvm.is_idle = True
    with pytest.raises(ToolError, match="in no group shoestring"):
        ensure_volume_group(DISK, run=lvm)


def test_a_volume_is_made_once() -> None:
    lvm = with_group(Lvm())
    assert ensure_volume("counter", 512 * MIB + 1, run=lvm) == Path("/dev/shoestring/counter")
    assert lvm.volumes["counter"] == volume("counter", 516 * MIB)
    made = len(lvm.done)
    ensure_volume("counter", 512 * MIB + 1, run=lvm)
    assert len(lvm.done) == made


def test_a_size_is_rounded_up_to_sectors_and_old_marks_are_wiped() -> None:
    argv = create_volume("shoestring", "counter", 513)
    assert argv[argv.index("--size") + 1] == "1024b"
    assert "--wipesignatures y --yes" in " ".join(argv)


@pytest.mark.parametrize("cut_after", [1, 2])
def test_a_volume_survives_a_power_cut(cut_after: int) -> None:
    lvm = with_group(Lvm())
    lvm.power = cut_after
    with pytest.raises(PowerCut):
        ensure_volume("counter", 512 * MIB, run=lvm)
    lvm.power = None
    ensure_volume("counter", 512 * MIB, run=lvm)
    assert lvm.volumes["counter"] == volume("counter", 512 * MIB)
    removed = [argv for argv in lvm.done if argv[0] == "lvremove"]
    assert len(removed) == (1 if cut_after == 1 else 0)  # one in use is never removed


def test_a_power_cut_while_the_unfinished_volume_is_removed() -> None:
    lvm = with_group(Lvm())
    lvm.volumes["counter"] = volume("counter", 8 * MIB, tag="unfinished")
    lvm.power = 1
    with pytest.raises(PowerCut):
        ensure_volume("counter", 512 * MIB, run=lvm)
    lvm.power = None
    ensure_volume("counter", 512 * MIB, run=lvm)
    assert lvm.volumes["counter"] == volume("counter", 512 * MIB)


def test_a_larger_volume_will_do() -> None:
    lvm = with_group(Lvm())
    lvm.volumes["counter"] = volume("counter", 600 * MIB)
    ensure_volume("counter", 512 * MIB, run=lvm)
    assert lvm.done == []


def test_a_smaller_volume_is_refused() -> None:
    lvm = with_group(Lvm())
    lvm.volumes["counter"] = volume("counter", 508 * MIB)
    with pytest.raises(OperatorError, match="there already"):
        ensure_volume("counter", 512 * MIB, run=lvm)
    assert lvm.done == []


def test_a_volume_is_activated() -> None:
    lvm = with_group(Lvm())
    lvm.volumes["counter"] = volume("counter", 512 * MIB, active="")
    ensure_volume("counter", 512 * MIB, run=lvm)
    assert lvm.done == [("lvchange", "--activate", "y", "shoestring/counter")]


@pytest.mark.parametrize("name", ["all", "--yes", "a/b", "snapshot1", "pvmove0", ""])
def test_only_a_guests_name_can_be_a_volumes(name: str) -> None:
    lvm = with_group(Lvm())
    with pytest.raises(OperatorError):
        ensure_volume(name, 512 * MIB, run=lvm)
    assert lvm.done == []


@pytest.mark.parametrize("tag", ["", "unfinished"])
def test_no_volume_without_seeing_it(tag: str) -> None:
    lvm = with_group(Lvm())
    lvm.is_idle = True
    if tag:
        lvm.volumes["counter"] = volume("counter", 512 * MIB, tag=tag)
    with pytest.raises(ToolError, match="lvs shows"):
        ensure_volume("counter", 512 * MIB, run=lvm)
