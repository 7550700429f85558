# SPDX-License-Identifier: MIT
"""What programs tell about a machine, and what is made of those that fail."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from firstboot.contents import MOST, UNREADABLE, Mark, find_marks, holds, parse_marks
from firstboot.examine import examine
from firstboot.health import Health, ask_disk, parse_health
from firstboot.hypervisor import parse_hypervisor
from firstboot.machine_json import loads
from firstboot.probe import Disk
from haagent.errors import ParseError, ToolError

DATA = Path(__file__).parents[1] / "data"
VIRTIO = loads((DATA / "machine-virtio.json").read_text())
PV = "CcKxoH-s0fg-abcd-efgh-ijkl-mnop-qrstuv"
ARGV = ("a", "program")


def text(name: str) -> str:
    return (DATA / "hardware" / name).read_text()


class Programs:
    """Answers by what a command line holds; whatever has no answer fails."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.ran: list[tuple[str, ...]] = []

    def __call__(self, argv: Sequence[str], *, timeout: float, stdin: str | None = None) -> str:
        self.ran.append(tuple(argv))
        for word, answer in self.answers.items():
            if word in argv:
                return answer
        raise ToolError(argv, 1, "no such program")


def volumes(device: str, group: str) -> str:
    row = {"pv_name": f"/dev/{device}", "pv_uuid": PV, "vg_name": group}
    return json.dumps({"report": [{"pv": [row]}]})


def data_disk(**programs: str) -> Disk:
    machine = examine(VIRTIO, Programs(**programs))
    return next(disk for disk in machine.disks if not disk.is_boot_medium)


def test_xen_tells_the_memory_of_the_whole_machine() -> None:
    found = parse_hypervisor(text("xl-info.txt"))
    assert (found.total_memory, found.free_memory) == (2047 << 20, 954 << 20)
    assert (found.has_hvm, found.processors) == (True, 1)
    assert not parse_hypervisor(text("xl-info-without-hvm.txt")).has_hvm


@pytest.mark.parametrize("broken", ["", "total_memory : 1", "nr_cpus : many\n"])
def test_half_an_answer_of_xen_is_none(broken: str) -> None:
    with pytest.raises(ParseError):
        parse_hypervisor(broken)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sata", Health(False, 36055)),
        (
            "sata-worn",
            Health(
                False,
                41203,
                ("120 sectors replaced because it failed", "1 sector waiting to be replaced"),
            ),
        ),
        (
            "sata-failing",
            Health(
                True,
                52811,
                (
                    "Raw_Read_Error_Rate is beyond its limit",
                    "2048 sectors replaced because it failed",
                    "616 sectors waiting to be replaced",
                    "616 sectors that cannot be read",
                ),
            ),
        ),
        ("nvme", Health(False, 3150)),
        (
            "nvme-worn-out",
            Health(
                True,
                28411,
                (
                    "it is not reliable any more",
                    "104 % of its life is used",
                    "3 errors in what it stored",
                ),
            ),
        ),
        ("virtio", Health()),
        ("usb-bridge", Health()),
    ],
)
def test_the_health_of_a_disk(name: str, expected: Health) -> None:
    assert parse_health(ARGV, text(f"smartctl-{name}.json")) == expected


@pytest.mark.parametrize(
    "broken", ["", "[]", "smartctl: not found", '{"smart_status": 1}', '{"smart_status": null}']
)
def test_what_is_no_answer_of_smartctl_is_not_taken_for_good(broken: str) -> None:
    with pytest.raises(ParseError):
        parse_health(ARGV, broken)


def test_an_unbelievable_age_is_not_known() -> None:
    told = '{"smart_status": {"passed": true}, "power_on_time": {"hours": 18446744073709551615}}'
    assert parse_health(ARGV, told) == Health(is_failing=False)


def test_smartctl_is_heard_whatever_its_exit_status() -> None:
    shell, option, script, *argv = ask_disk("sda")
    assert (shell, option) == ("sh", "-c") and script.endswith("|| :")
    assert argv[-1] == "/dev/sda", "the name is an argument and no part of the script"


def test_what_is_on_the_disk_of_an_old_pc() -> None:
    marks = parse_marks(ARGV, text("wipefs-pc.json"))
    partitions = ("sda1", "sda2", "sda3", "sda4", "sda5")
    assert holds("sda", partitions, marks) == (
        "a GPT partition table",
        'a FAT file system called "STICK" in sda1',
        "the partition sda2",
        'a Linux file system (ext4) called "backup" in sda3',
        "an encrypted volume (LUKS) in sda4",
        "Linux swap space in sda5",
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("blank", ()),
        ("mbr", ("an MBR partition table",)),
        ("drbd", ("DRBD metadata",)),
        ("lvm", ("an LVM volume",)),
        ("two", ("an LVM volume", 'a Linux file system (ext4) called "backup"')),
    ],
)
def test_what_is_on_a_whole_disk(name: str, expected: tuple[str, ...]) -> None:
    assert holds("sdb", (), parse_marks(ARGV, text(f"wipefs-{name}.json"))) == expected


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("isw_raid_member", "a member of a RAID (isw_raid_member)"),
        ("linux_raid_member", "a member of a Linux RAID"),
        ("BitLocker", "an encrypted Windows volume (BitLocker)"),
        ("cramfs", "something called cramfs"),
        ("\x1b[2J", "something called ?[2J"),
    ],
)
def test_what_has_no_word_keeps_its_own(kind: str, words: str) -> None:
    assert holds("sdb", (), (Mark("sdb", kind),)) == (words,)


def test_a_disk_full_of_partitions_is_told_in_short() -> None:
    told = holds("sdb", [f"sdb{n}" for n in range(1, 129)], ())
    assert len(told) == MOST and told[-1] == "105 more"


@pytest.mark.parametrize("broken", ["{}", '{"signatures": [{}]}', '{"signatures": [1]}', "x"])
def test_what_is_no_answer_of_wipefs_says_nothing(broken: str) -> None:
    with pytest.raises(ParseError):
        parse_marks(ARGV, broken)
    assert parse_marks(ARGV, "\n") == ()  # wipefs before 2.39 about a blank disk


def test_looks_at_a_disk_and_all_its_partitions() -> None:
    assert find_marks(("sdb", "sdb1"))[-2:] == ("/dev/sdb", "/dev/sdb1")
    assert "--all" not in find_marks(("sdb",))


def test_a_blank_disk_stays_blank() -> None:
    programs = Programs(systemctl="", xl=text("xl-info.txt"), wipefs=text("wipefs-blank.json"))
    machine = examine(replace(VIRTIO, total_memory=None, free_memory=None, has_hvm=None), programs)
    assert machine.disks[1].holds == ()
    assert (machine.total_memory, machine.has_hvm) == (2047 << 20, True)
    assert not any("wipefs" in argv and "/dev/vda" in argv for argv in programs.ran), (
        "the boot medium is in use"
    )


def test_finds_a_pairs_own_volume() -> None:
    lvm = text("wipefs-lvm.json").replace("sdb", "vdb")
    disk = data_disk(wipefs=lvm, pvs=volumes("vdb", "shoestring"))
    assert (disk.group, disk.physical_volume) == ("shoestring", PV)
    assert disk.holds == ("an LVM volume of the group shoestring",)
    assert data_disk(wipefs=lvm).group == ""


def test_a_disk_with_more_on_it_than_a_volume_is_not_filled_by_it() -> None:
    two = text("wipefs-two.json").replace("sdb", "vdb")
    assert data_disk(wipefs=two).physical_volume == ""


def test_a_disk_that_cannot_be_read_is_not_blank() -> None:
    for wipefs in ({}, {"wipefs": "not what we know"}):
        assert data_disk(**wipefs).holds == (UNREADABLE,)


def test_asks_no_xen_where_there_is_none() -> None:
    programs = Programs()
    machine = examine(replace(VIRTIO, xen=None), programs)
    assert not {"xl", "systemctl"} & {argv[0] for argv in programs.ran}
    assert machine.total_memory == VIRTIO.total_memory


def test_health_is_asked_of_every_disk() -> None:
    machine = examine(VIRTIO, Programs(smartctl=text("smartctl-sata.json")))
    assert {disk.health for disk in machine.disks} == {Health(False, 36055)}
