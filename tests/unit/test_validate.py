# SPDX-License-Identifier: MIT
"""What stands in the way of a set-up: each reason is found, and nothing is found without one."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

import pytest

from firstboot.answers import Answers, read
from firstboot.keys import physical_volume
from firstboot.probe import Disk, Machine, Nic
from firstboot.validate import Reason, find_disk, problems
from haagent.guests.definition import Kind

ANSWERS = read((Path(__file__).parents[1] / "data/answers/a.yaml").read_text())
STICK = Disk("sda", "Stick", "STICK-1", 4 << 30, True, True, ("gpt", "sda1"))
DATA = Disk("sdb", "Disk", "A-DATA", 2 << 30, False, False)
MACHINE = Machine(
    processor="Old Faithful 3000",
    cores=2,
    memory=1 << 30,
    machine_id="0123456789abcdef0123456789abcdef",
    kernel="6.12.0-amd64",
    xen="4.20.1",
    drbd="8.4.11",
    watchdogs=("xen_wdt",),
    root_is_read_only=True,
    state_size=2 << 30,
    nics=(
        Nic("enp0s2", "52:54:00:00:0a:01", "e1000e", None, None),
        Nic("enp0s3", "52:54:00:00:0a:02", "e1000e", None, None),
        Nic("enp0s4", "52:54:00:00:0a:03", "e1000e", None, None),
    ),
    disks=(STICK, DATA),
)
OURS = physical_volume(ANSWERS.secret, ANSWERS.me)
(COUNTER,) = ANSWERS.guests
OTHER = replace(COUNTER, name="mail", mac="00:16:3e:00:00:02", address=None)


def reasons(answers: Answers = ANSWERS, machine: Machine = MACHINE, scale: float = 1) -> list[str]:
    found = problems(answers, machine, scale)
    assert all(problem.sentence.endswith(".") for problem in found)
    return [problem.reason for problem in found]


def crossover(**changes: Any) -> Answers:
    return replace(ANSWERS, crossover=replace(ANSWERS.crossover, **changes))


def lan(**changes: Any) -> Answers:
    return replace(ANSWERS, lan=replace(ANSWERS.lan, **changes))


def guest(**changes: Any) -> Answers:
    return replace(ANSWERS, guests=(replace(COUNTER, **changes),))


def disk(**changes: Any) -> Machine:
    return replace(MACHINE, disks=(STICK, replace(DATA, **changes)))


def test_good_answers_on_a_good_machine_meet_nothing() -> None:
    assert reasons() == []
    assert reasons(scale=20) == []
    assert reasons(guest(address=None)) == []


BAD_ANSWERS = [
    (replace(ANSWERS, names=("a", "a")), Reason.NAMES_EQUAL),
    (replace(ANSWERS, disk="B-DATA"), Reason.DISK_NOT_FOUND),
    (crossover(mac="52:54:00:00:0c:01"), Reason.NIC_NOT_FOUND),
    (lan(mac="52:54:00:00:0c:01"), Reason.NIC_NOT_FOUND),
    (lan(mac="52:54:00:00:0a:01"), Reason.MAC_TWICE),
    (lan(peer_mac="52:54:00:00:0a:01"), Reason.MAC_TWICE),
    (guest(mac="52:54:00:00:0b:02"), Reason.MAC_TWICE),
    (replace(ANSWERS, guests=(*ANSWERS.guests, OTHER)), Reason.NUMBER_TWICE),
    (crossover(peer=IPv4Address("192.168.78.2")), Reason.PEER_ELSEWHERE),
    (lan(peer=IPv4Address("10.0.3.12")), Reason.PEER_ELSEWHERE),
    (replace(ANSWERS, gateway=IPv4Address("10.0.3.2")), Reason.GATEWAY_ELSEWHERE),
    (guest(address=IPv4Interface("10.0.3.50/24")), Reason.GUEST_ELSEWHERE),
    (guest(address=IPv4Interface("10.0.2.50/16")), Reason.GUEST_ELSEWHERE),
    (crossover(address=IPv4Interface("192.168.77.1/31")), Reason.NOT_A_HOST),
    (crossover(address=IPv4Interface("192.168.77.0/24")), Reason.NOT_A_HOST),
    (lan(peer=IPv4Address("10.0.2.255")), Reason.NOT_A_HOST),
    (lan(peer=IPv4Address("10.0.2.11")), Reason.ADDRESS_TWICE),
    (guest(address=IPv4Interface("10.0.2.12/24")), Reason.ADDRESS_TWICE),
    (replace(ANSWERS, gateway=IPv4Address("10.0.2.11")), Reason.ADDRESS_TWICE),
    (replace(ANSWERS, referees=(IPv4Address("10.0.2.2"),) * 2), Reason.ADDRESS_TWICE),
    (replace(ANSWERS, referees=(IPv4Address("10.0.2.50"),)), Reason.REFEREE_IS_OURS),
    (replace(ANSWERS, referees=(IPv4Address("10.0.2.12"),)), Reason.REFEREE_IS_OURS),
    (replace(ANSWERS, referees=(IPv4Address("192.168.77.1"),)), Reason.REFEREE_IS_OURS),
    (replace(ANSWERS, referees=(IPv4Address("192.168.77.9"),)), Reason.REFEREE_ELSEWHERE),
    (guest(disk=64 << 20), Reason.GUEST_TOO_SMALL),
    (guest(slices=(8,) * 8), Reason.GUEST_TOO_SMALL),
    (guest(slices=(ANSWERS.guests[0].disk >> 20,)), Reason.GUEST_TOO_SMALL),
    (guest(kind=Kind.PVH), Reason.GUEST_TYPE),
    (guest(disk=4 << 30), Reason.DISK_TOO_SMALL),
]


@pytest.mark.parametrize(("answers", "reason"), BAD_ANSWERS)
def test_finds_what_is_wrong_with_the_answers(answers: Answers, reason: Reason) -> None:
    assert reason in reasons(answers)


def test_finds_two_networks_that_overlap() -> None:
    overlapping = crossover(address=IPv4Interface("10.0.2.21/28"), peer=IPv4Address("10.0.2.22"))
    assert reasons(overlapping) == [Reason.NETWORKS_OVERLAP]


BAD_MACHINES = [
    (replace(MACHINE, disks=(STICK,)), Reason.DISK_NOT_FOUND),
    (replace(MACHINE, disks=(STICK, DATA, replace(DATA, name="sdc"))), Reason.DISK_TWICE),
    (disk(is_boot_medium=True), Reason.DISK_IS_BOOT_MEDIUM),
    (disk(holds=("gpt",)), Reason.DISK_NOT_EMPTY),
    (disk(holds=("LVM2_member",), physical_volume=OURS), Reason.DISK_NOT_EMPTY),
    (disk(holds=("gpt",), group="shoestring"), Reason.DISK_OURS),
    (disk(size=512 << 20), Reason.DISK_TOO_SMALL),
    (disk(logical_sector=4096), Reason.DISK_SECTORS),
    (replace(MACHINE, nics=MACHINE.nics[:1]), Reason.NIC_NOT_FOUND),
    (replace(MACHINE, state_size=None), Reason.STATE_MISSING),
]


@pytest.mark.parametrize(("machine", "reason"), BAD_MACHINES)
def test_finds_what_is_wrong_with_the_machine(machine: Machine, reason: Reason) -> None:
    assert reasons(machine=machine) == [reason]


def test_the_sectors_of_the_disk_are_those_of_the_answers() -> None:
    large = replace(ANSWERS, sector=4096)
    assert reasons(large, disk(logical_sector=4096)) == []
    assert reasons(large, disk(logical_sector=512)) == [Reason.DISK_SECTORS]
    assert reasons(machine=disk(logical_sector=512)) == []


def test_what_a_person_consented_to_lose_is_no_problem_and_guests_are() -> None:
    erasing = replace(ANSWERS, erases=True)
    assert reasons(erasing, disk(holds=("gpt", "ntfs"))) == []
    assert reasons(erasing, disk(holds=("lvm",), group="other")) == []
    assert reasons(erasing, disk(holds=("lvm",), group="shoestring")) == [Reason.DISK_OURS]
    assert reasons(erasing, disk(holds=("gpt",), is_boot_medium=True)) == [
        Reason.DISK_IS_BOOT_MEDIUM
    ]


@pytest.mark.parametrize("scale", [0.5, 30.5, float("nan"), float("inf")])
def test_finds_a_time_scale_that_nothing_can_be_stretched_to(scale: float) -> None:
    assert reasons(scale=scale) == [Reason.TIME_SCALE]


def test_every_reason_has_its_case() -> None:
    tested = {reason for _, reason in BAD_ANSWERS} | {reason for _, reason in BAD_MACHINES}
    assert set(Reason) - tested == {Reason.NETWORKS_OVERLAP, Reason.TIME_SCALE}


def test_our_own_half_made_disk_is_no_problem_and_anybody_elses_is() -> None:
    ours = disk(holds=("LVM2_member",), physical_volume=OURS)
    assert problems(ANSWERS, ours, 1, OURS) == ()
    other = disk(holds=("LVM2_member",), physical_volume=physical_volume("00", 0))
    assert [p.reason for p in problems(ANSWERS, other, 1, OURS)] == [Reason.DISK_NOT_EMPTY]
    # blkid knew no identity: that is not ours either.
    nameless = disk(holds=("LVM2_member",))
    assert [p.reason for p in problems(ANSWERS, nameless, 1, "")] == [Reason.DISK_NOT_EMPTY]


def test_all_that_is_wrong_is_told_at_once() -> None:
    bad = replace(lan(mac="52:54:00:00:0c:01"), disk="NONE", names=("a", "a"))
    found = problems(bad, MACHINE, 1)
    assert [p.reason for p in found] == [
        Reason.DISK_NOT_FOUND,
        Reason.NIC_NOT_FOUND,
        Reason.NAMES_EQUAL,
    ]
    assert "Serial numbers here: STICK-1, A-DATA." in found[0].sentence
    assert "Cards here: 52:54:00:00:0a:01, " in found[1].sentence


def test_a_disk_is_found_by_its_serial_number_alone() -> None:
    renamed = replace(DATA, name="nvme0n1")
    assert find_disk(replace(MACHINE, disks=(STICK, renamed)), "A-DATA") == renamed
    assert find_disk(MACHINE, "sdb") is None
    assert find_disk(replace(MACHINE, disks=(DATA, renamed)), "A-DATA") is None
