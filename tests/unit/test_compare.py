# SPDX-License-Identifier: MIT
"""Two machines as one pair: each thing in the way is found, and nothing is said without cause."""

from dataclasses import replace
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from firstboot.compare import Comparison, compare
from firstboot.machine_json import loads
from firstboot.probe import Bus, Disk, Health, Machine
from firstboot.proposal import (
    LEAST_DATA_DISK,
    PRIVATE,
    Between,
    Blocker,
    blocker,
    choose_disk,
    crossover_network,
    in_words,
    propose,
)
from firstboot.refusals import DOM0_MEMORY, LEAST_MEMORY, LEAST_STICK, PROMISED_MEMORY, Reason
from firstboot.remarks import Topic
from firstboot.validate import LARGEST_PREFIX, LEAST_BUILT_IN, LVM_OVERHEAD
from firstboot.values import HOST_NAME
from firstboot.wording import Side

TOP = Path(__file__).parents[2]
MACHINES = {
    name: loads((TOP / f"tests/data/machine-{name}.json").read_text())
    for name in ("virtio", "nvme", "sata", "usb-4k", "foreign")
}
PV = "CcKxoH-s0fg-abcd-efgh-ijkl-mnop-qrstuv"


def disk(name: str = "sdb", **changes: Any) -> Disk:
    whole = Disk(
        name=name,
        model="Good Disk",
        serial=f"{name.upper()}-1",
        size=1 << 40,
        is_removable=False,
        is_boot_medium=False,
        bus=Bus.SATA,
        logical_sector=512,
        is_rotational=False,
        health=Health(is_failing=False),
    )
    return replace(whole, **changes)


STICK = disk("sda", is_boot_medium=True, is_removable=True, bus=Bus.USB, holds=("much",))
# Two of a kind: about them there is nothing to say.
HERE = replace(
    MACHINES["nvme"],
    machine_id="a" * 32,
    has_hvm=True,
    disks=(STICK, disk()),
)
THERE = replace(HERE, machine_id="b" * 32)


def with_disks(*disks: Disk, machine: Machine = HERE) -> Machine:
    return replace(machine, disks=(STICK, *disks))


def reasons(found: Comparison) -> list[tuple[Reason, Side]]:
    for refusal in found.refusals:
        assert refusal.sentence.endswith(".") and refusal.remedy.endswith(".")
        assert refusal.sentence[0].isupper()
    return [(refusal.reason, refusal.side) for refusal in found.refusals]


def topics(found: Comparison) -> list[tuple[Topic, Side]]:
    for remark in found.remarks:
        assert remark.sentence.endswith(".") and remark.sentence[0].isupper()
    return [(remark.topic, remark.side) for remark in found.remarks]


def test_about_two_good_machines_of_a_kind_there_is_nothing_to_say() -> None:
    found = compare(HERE, THERE)
    assert reasons(found) == [] and topics(found) == []


BAD = [
    ({"xen": None, "watchdogs": ()}, Reason.NO_XEN),
    ({"drbd": None}, Reason.NO_DRBD),
    ({"state_size": None}, Reason.NO_STATE),
    ({"watchdogs": ()}, Reason.NO_WATCHDOG),
    ({"watchdogs": ("Software Watchdog", "")}, Reason.NO_WATCHDOG),
    ({"total_memory": LEAST_MEMORY - 1}, Reason.TOO_LITTLE_MEMORY),
    ({"disks": (replace(STICK, size=LEAST_STICK - 1), disk())}, Reason.STICK_TOO_SMALL),
    ({"nics": HERE.nics[:1]}, Reason.TOO_FEW_CARDS),
    ({"nics": ()}, Reason.TOO_FEW_CARDS),
    ({"disks": (STICK,)}, Reason.NO_DATA_DISK),
    ({"disks": ()}, Reason.NO_DATA_DISK),
    ({"disks": (STICK, disk(holds=("a",), group="shoestring"))}, Reason.DISK_OURS),
    ({"disks": (STICK, disk(size=LEAST_DATA_DISK - 1))}, Reason.DISK_TOO_SMALL),
    ({"disks": (STICK, disk(size=1, holds=("a",)))}, Reason.DISK_TOO_SMALL),
    ({"disks": (STICK, disk(is_read_only=True))}, Reason.DISK_UNFIT),
    ({"disks": (STICK, disk(serial=""))}, Reason.DISK_UNFIT),
    ({"disks": (STICK, disk(serial="with a space"))}, Reason.DISK_UNFIT),
    ({"disks": (STICK, disk(serial=STICK.serial))}, Reason.DISK_UNFIT),
]


@pytest.mark.parametrize(("changes", "reason"), BAD)
def test_a_bad_machine_is_refused_on_either_side(changes: dict[str, Any], reason: Reason) -> None:
    assert reasons(compare(replace(HERE, **changes), THERE)) == [(reason, Side.HERE)]
    assert reasons(compare(HERE, replace(THERE, **changes))) == [(reason, Side.THERE)]


MINIMUM = replace(
    HERE,
    total_memory=(2 << 30) - (200 << 20),  # firmware keeps some
    free_memory=700 << 20,
    disks=(replace(STICK, size=3_700_000_000), disk(size=LEAST_DATA_DISK)),  # a stick of 4 GB
    nics=HERE.nics[:2],
)


def test_what_the_readme_asks_for_is_enough_and_asked_for() -> None:
    assert reasons(compare(MINIMUM, replace(MINIMUM, machine_id="b" * 32))) == []
    readme = " ".join((TOP / "README.md").read_text().split())
    for words in (
        "64-bit x86 processor",
        f"at least {PROMISED_MEMORY >> 30} GiB of memory",
        "two wired network cards",
        "at least 4 GB",
        f"at least {LEAST_DATA_DISK >> 20} MiB",
        "1 Gbit/s",
    ):
        assert words in readme, words


def test_a_copied_stick_is_found() -> None:
    copy = replace(THERE, machine_id=HERE.machine_id)
    assert reasons(compare(HERE, copy)) == [(Reason.COPIED_STICK, Side.BOTH)]
    nameless = replace(HERE, machine_id="")
    assert reasons(compare(nameless, nameless)) == [], "that nobody knows is no sign of a copy"


@pytest.mark.parametrize("changes", [{"version": "0.0.9"}, {"kernel": "6.1.0-9-amd64"}])
def test_different_images_are_refused(changes: dict[str, str]) -> None:
    other = replace(THERE, **changes)  # type: ignore[arg-type]
    assert reasons(compare(HERE, other)) == [(Reason.DIFFERENT_IMAGES, Side.BOTH)]


def test_every_disk_is_told_if_none_will_do_and_none_otherwise() -> None:
    locked, small = disk("sdb", is_read_only=True), disk("sdc", size=1 << 20)
    assert reasons(compare(with_disks(locked, small), THERE)) == [
        (Reason.DISK_UNFIT, Side.HERE),
        (Reason.DISK_TOO_SMALL, Side.HERE),
    ]
    assert reasons(compare(with_disks(locked, small, disk("sdd")), THERE)) == []
    assert reasons(compare(with_disks(locked, disk("sdd", holds=("a",))), THERE)) == []


@pytest.mark.parametrize("group", ["", "other"])
def test_a_disk_that_holds_something_is_a_way_on_that_says_what_is_lost(group: str) -> None:
    full = disk("sdb", holds=("a", "b", "c", "d"), group=group)
    found = compare(with_disks(full), THERE)
    assert reasons(found) == []
    assert (Topic.NOT_BLANK, Side.HERE) in topics(found)
    assert "it holds a, b, c, and 1 more" in found.remarks[0].sentence
    choice = found.proposal.disks[0]
    assert choice.disk is None and choice.candidates == (full,), "nobody proposes to lose anything"
    beside = compare(with_disks(full, disk("sdc")), THERE)
    assert topics(beside) == [] and beside.proposal.disks[0].candidates[1] == full


def test_another_pairs_disk_is_in_the_way_beside_a_blank_one() -> None:
    """LVM cannot tell two groups of one name apart: see ensure_volume_group."""
    for other in (disk("sdc", holds=("a",)), disk("sdc", holds=("a",), serial="")):
        here = with_disks(disk(), replace(other, group="shoestring"))
        assert reasons(compare(here, THERE)) == [(Reason.DISK_OURS, Side.HERE)]
    begun = disk("sdb", holds=("a",), group="shoestring", physical_volume=PV)
    between = Between(begun=frozenset({PV}))
    assert reasons(compare(with_disks(begun, disk("sdc", size=1)), THERE, between)) == []


LARGE_SECTORS = disk("sdb", logical_sector=4096)


def test_disks_with_different_sectors_are_refused() -> None:
    for here, there in ((disk(), LARGE_SECTORS), (LARGE_SECTORS, disk())):
        pair = with_disks(here), with_disks(there, machine=THERE)
        found = compare(*pair)
        assert reasons(found) == [(Reason.SECTORS, Side.BOTH)]
        sizes = f"{here.logical_sector} bytes here and {there.logical_sector} on the other"
        assert sizes in found.refusals[0].sentence
        assert [choice.disk for choice in found.proposal.disks] == [None, None]


@pytest.mark.parametrize("sector", [None, 4096])
def test_disks_of_a_kind_are_taken_whatever_their_sectors(sector: int | None) -> None:
    """What nobody knows is no reason to refuse."""
    there = with_disks(disk(logical_sector=sector), machine=THERE)
    assert reasons(compare(with_disks(LARGE_SECTORS), there)) == []


def test_a_smaller_disk_that_goes_with_the_other_one_is_a_way_on() -> None:
    here = with_disks(LARGE_SECTORS, disk("sdc", size=1 << 39))
    found = compare(here, with_disks(disk(), machine=THERE))
    assert reasons(found) == []
    assert [choice.disk for choice in found.proposal.disks] == [None, None], "a person chooses"
    assert "their sectors differ" in found.proposal.disks[0].why
    full = with_disks(LARGE_SECTORS, disk("sdc", holds=("a",)))
    assert reasons(compare(full, with_disks(disk(), machine=THERE))) == []


def test_a_machine_without_a_disk_is_told_only_that() -> None:
    alone = with_disks(machine=THERE)
    assert reasons(compare(with_disks(LARGE_SECTORS), alone)) == [(Reason.NO_DATA_DISK, Side.THERE)]


def test_every_reason_is_found_somewhere() -> None:
    found = {reason for _, reason in BAD}
    found |= {Reason.COPIED_STICK, Reason.DIFFERENT_IMAGES, Reason.SECTORS}
    assert found == set(Reason)


REMARKABLE = [
    ({"has_hvm": False}, Topic.NO_HVM),
    ({"has_hvm": None}, Topic.HVM_UNKNOWN),
    ({"total_memory": None, "free_memory": None}, Topic.MEMORY_UNKNOWN),
    ({"rtc": HERE.clock and HERE.clock - 61}, Topic.CLOCK_BATTERY),
    ({"disks": (disk(bus=Bus.USB),)}, Topic.USB_DISK),
    ({"disks": (disk(is_rotational=True),)}, Topic.SPINNING),
    ({"disks": (disk(health=Health(True)),)}, Topic.FAILING),
    ({"disks": (disk(health=Health(True, 1, ("it is old",))),)}, Topic.FAILING),
    ({"disks": (disk(health=Health(False, 1, ("it is old",))),)}, Topic.WORN),
    ({"disks": (disk(health=Health()),)}, Topic.HEALTH_UNKNOWN),
    ({"nics": (HERE.nics[0], replace(HERE.nics[1], has_carrier=False))}, Topic.NO_CABLE),
    ({"disks": (disk(holds=("a",)),)}, Topic.NOT_BLANK),
]


@pytest.mark.parametrize(("changes", "topic"), REMARKABLE)
def test_remarks_on_either_machine(changes: dict[str, Any], topic: Topic) -> None:
    assert topics(compare(replace(HERE, **changes), THERE)) == [(topic, Side.HERE)]
    assert topics(compare(HERE, replace(THERE, **changes))) == [(topic, Side.THERE)]


CROSSOVER = (HERE.nics[0].mac, THERE.nics[0].mac)
SLOW_CARD = replace(THERE, nics=(replace(THERE.nics[0], speed=100), THERE.nics[1]))
DIFFERENT = [
    (replace(THERE, vendor="AMD"), Between(), Topic.VENDORS),
    (replace(THERE, free_memory=1 << 30), Between(), Topic.MEMORY),
    (replace(THERE, disks=(disk(size=900 << 30),)), Between(), Topic.DISK_SIZES),
    (THERE, Between(speed=94), Topic.SLOW_CROSSOVER),
    (SLOW_CARD, Between(crossover=CROSSOVER), Topic.SLOW_CROSSOVER),
    (THERE, Between(apart=61), Topic.CLOCKS),
    (THERE, Between(apart=-7200), Topic.CLOCKS),
]


@pytest.mark.parametrize(("there", "between", "topic"), DIFFERENT)
def test_remarks_on_what_differs(there: Machine, between: Between, topic: Topic) -> None:
    assert topics(compare(HERE, there, between)) == [(topic, Side.BOTH)]


def test_every_topic_is_found_somewhere() -> None:
    assert {topic for _, topic in REMARKABLE} | {topic for *_, topic in DIFFERENT} == set(Topic)


ALIKE = [
    (replace(THERE, vendor=""), Between()),
    (replace(THERE, free_memory=(HERE.free_memory or 0) - (100 << 20)), Between()),
    (replace(THERE, disks=(disk(size=(1 << 40) - (5 << 30)),)), Between()),
    (replace(THERE, disks=(disk(logical_sector=None),)), Between()),
    (THERE, Between(speed=941)),
    (SLOW_CARD, Between()),  # it may be the LAN's
    (SLOW_CARD, Between(crossover=CROSSOVER, speed=930)),  # what was measured counts
    (SLOW_CARD, Between(crossover=("gone", "gone"))),
    (THERE, Between(crossover=CROSSOVER, apart=59)),
    (replace(THERE, rtc=None), Between()),
]


@pytest.mark.parametrize(("there", "between"), ALIKE)
def test_says_nothing_about_what_does_not_matter(there: Machine, between: Between) -> None:
    assert topics(compare(HERE, there, between)) == []


def test_says_what_the_clocks_are_apart() -> None:
    ahead, behind = (compare(HERE, THERE, Between(apart=s)).remarks[0] for s in (7200, -150.5))
    assert "clock is 2 hours ahead of this one's" in ahead.sentence
    assert "clock is 2 minutes behind this one's" in behind.sentence


def test_a_card_without_a_cable_matters_unless_two_others_have_one() -> None:
    empty = replace(HERE.nics[0], name="eth9", has_carrier=False)
    (spare,) = compare(replace(HERE, nics=(*HERE.nics, empty)), THERE).remarks
    (needed,) = compare(replace(HERE, nics=(HERE.nics[0], empty)), THERE).remarks
    assert "stays unused" in spare.sentence
    assert "needs two cables" in needed.sentence


def test_the_chosen_disks_are_judged_and_not_the_proposed_ones() -> None:
    large, spinning = disk("sdb"), disk("sdc", size=1 << 39, is_rotational=True)
    here = with_disks(large, spinning)
    assert topics(compare(here, THERE)) == []
    assert topics(compare(here, THERE, chosen=(spinning, None))) == [
        (Topic.SPINNING, Side.HERE),
        (Topic.DISK_SIZES, Side.BOTH),
    ]


def test_the_room_for_guests_is_what_dom0_leaves() -> None:
    grub = (TOP / "image/menu.cfg").read_text()
    assert f"dom0_mem={DOM0_MEMORY >> 20}M,max:{DOM0_MEMORY >> 20}M" in grub
    small = replace(THERE, total_memory=2 << 30, free_memory=None)
    (remark,) = compare(HERE, small).remarks
    assert "2.9 GiB here, 1.0 GiB on the other machine" in remark.sentence
    assert "only the other machine is left" in remark.sentence


def test_the_smallest_disk_that_is_taken_holds_the_built_in_guest() -> None:
    assert LEAST_DATA_DISK >= 2 * LEAST_BUILT_IN + LVM_OVERHEAD


@pytest.mark.parametrize(
    ("disks", "proposed"),
    [
        ((), None),
        ((disk("sdb"),), "sdb"),
        ((disk("sdb"), disk("sdc", size=2 << 40)), "sdc"),
        ((disk("sdb"), disk("sdc")), None),  # which one?
        ((disk("sdb"), disk("sdc", size=2 << 40, holds=("a",))), "sdb"),
        ((disk("sdb"), disk("sdc", size=2 << 40, is_removable=True)), "sdb"),
        ((disk("sdb"), disk("sdc", size=2 << 40, bus=Bus.USB)), "sdb"),
        ((disk("sdc", bus=Bus.USB),), "sdc"),
        ((disk("sdc", is_removable=True),), None),
        ((disk("sdb"), disk("sdc"), disk("sdd", size=2 << 40)), "sdd"),
    ],
)
def test_proposes_the_largest_blank_disk_that_is_built_in(
    disks: tuple[Disk, ...], proposed: str | None
) -> None:
    choice = choose_disk(with_disks(*disks))
    assert (choice.disk.name if choice.disk else None) == proposed
    assert choice.why.endswith(".")
    assert STICK not in choice.candidates
    assert choice.disk is None or choice.candidates[0] == choice.disk


def test_a_person_may_choose_what_is_not_proposed() -> None:
    names = [
        one.name
        for one in choose_disk(
            with_disks(
                disk("sdb", is_removable=True, size=4 << 40),
                disk("sdc", bus=Bus.USB),
                disk("sdd"),
                disk("sde", size=2 << 40),
                disk("sdf", holds=("a",)),
            )
        ).candidates
    ]
    assert names == ["sde", "sdd", "sdc", "sdb", "sdf"]


def test_only_what_this_set_up_began_may_be_on_a_disk() -> None:
    begun = disk(holds=("an LVM volume",), physical_volume=PV, group="shoestring")
    machine = with_disks(begun)
    assert blocker(begun, machine) is Blocker.OURS
    assert blocker(begun, machine, {PV}) is None
    assert blocker(replace(begun, physical_volume=""), machine, {PV, ""}) is Blocker.OURS
    assert blocker(replace(begun, is_boot_medium=True), machine, {PV}) is Blocker.BOOT_MEDIUM
    assert reasons(compare(machine, THERE, Between(begun=frozenset({PV})))) == []


def test_both_screens_propose_the_same_names() -> None:
    ours, theirs = propose(HERE, THERE).names, propose(THERE, HERE).names
    assert ours == theirs[::-1] and len(set(ours)) == 2
    assert all(HOST_NAME.fullmatch(name) for name in ours)


LANS: list[list[str]] = [
    [],
    ["192.168.1.0/24"],
    ["172.16.0.0/12"],
    ["172.31.0.0/16", "192.168.0.0/16"],
    ["172.31.255.0/24", "172.31.254.252/30"],
    ["172.16.0.0/12", "192.168.0.0/16", "10.128.0.0/9"],
]


@pytest.mark.parametrize("texts", LANS)
def test_the_crossovers_network_is_private_and_unused(texts: list[str]) -> None:
    lans = [IPv4Network(text) for text in texts]
    network = crossover_network(lans)
    assert network is not None and network.prefixlen == LARGEST_PREFIX
    assert not any(network.overlaps(lan) for lan in lans)
    assert any(network.subnet_of(private) for private in PRIVATE)
    assert len([IPv4Interface((host, 30)) for host in network.hosts()]) == 2


def test_no_network_is_proposed_if_all_are_in_use() -> None:
    assert crossover_network(PRIVATE) is None
    assert propose(HERE, THERE, Between(lans=PRIVATE)).crossover is None


def test_a_disk_in_words() -> None:
    assert in_words(disk()) == "sdb: 1024.0 GiB SATA (SSD) Good Disk, serial SDB-1"
    assert in_words(LARGE_SECTORS).endswith("Good Disk, 4096-byte sectors, serial SDB-1")
    unknown = disk(bus=Bus.UNKNOWN, is_rotational=None, serial="")
    assert in_words(unknown) == "sdb: 1024.0 GiB Good Disk, serial unknown"


@pytest.mark.parametrize("there", MACHINES)
@pytest.mark.parametrize("here", MACHINES)
def test_any_two_machines_can_be_compared(here: str, there: str) -> None:
    found = compare(MACHINES[here], MACHINES[there])
    reasons(found), topics(found)
    mirrored = compare(MACHINES[there], MACHINES[here])
    assert len(mirrored.refusals) == len(found.refusals)
    assert len(mirrored.remarks) == len(found.remarks)
    assert ("foreign" in (here, there) or here == there) == bool(found.refusals)
