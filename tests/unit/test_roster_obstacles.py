# SPDX-License-Identifier: MIT
"""What is in the way of a change of the list of guests is said in a sentence, before anything."""

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from firstboot import answers as answer_file
from firstboot.roster.change import Change, Stage
from firstboot.roster.change import Kind as Act
from firstboot.roster.machine import memory_left
from firstboot.roster.obstacles import Ground, obstacle
from haagent.core.wish import Target
from haagent.guests.definition import Kind
from haagent.storage.growth import usable
from tests.unit.fake_machine import TEXTS
from tests.unit.fake_roster import WEB
from tests.unit.fake_state import WELL, look
from tests.unit.test_survivor import loaded

NEW = replace(WEB, number=5, mac="00:16:3e:00:00:05")
VOLUME = 1 << 30


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    config = loaded(tmp_path, answer_file.read(TEXTS["b"]))
    return Ground(config, dict.fromkeys(config.guests, VOLUME), 1028, {})


def why(ground: Ground, **changes: Any) -> str | None:
    return obstacle(Change(4, Act.ADDED, replace(NEW, **changes)), ground)


def test_nothing_is_in_the_way_of_a_new_guest(ground: Ground) -> None:
    assert why(ground) is None
    assert why(ground, address="10.0.2.60") is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"name": "counter"}, "there is a guest counter already."),
        ({"number": 0}, "the number 0 is that of the guest counter."),
        ({"mac": "00:16:3e:00:00:01"}, "the guest counter has the MAC address"),
        ({"address": "10.0.2.50"}, "the guest counter has the address 10.0.2.50."),
        ({"address": "10.0.2.2"}, "10.0.2.2 is an address of the pair or of its gateway."),
        ({"address": "10.0.2.11"}, "10.0.2.11 is an address of the pair"),
        ({"mac": "52:54:00:00:0a:02"}, "MAC address of a card of the other machine"),
        ({"size": (1 << 30) + 1}, "of b has 1028 MiB free, and it takes 1029."),
    ],
)
def test_what_another_has_is_not_given_again(
    ground: Ground, changes: dict[str, Any], sentence: str
) -> None:
    assert sentence in (why(ground, **changes) or "")


def test_a_volume_that_is_no_guests_is_never_taken(ground: Ground) -> None:
    odd = replace(ground, volumes={**ground.volumes, "web": VOLUME})
    assert "has a volume web that is no guest's" in (why(odd) or "")


def test_there_is_a_limit_and_a_disk_is_needed(ground: Ground) -> None:
    assert why(replace(ground, room=-1)) == "the data disk of b is not there."
    (one, *_) = ground.config.guests.values()
    many = {
        f"g{n}": replace(
            one, mac=f"00:16:3e:00:01:{n:02x}", disks=(("xvda", f"/dev/drbd{n + 10}"),)
        )
        for n in range(20, 40)
    }
    full = replace(ground, config=replace(ground.config, guests=many))
    assert "20 guests at most" in (why(full) or "")
    assert IPv4Address("10.0.2.2") in ground.config.referees


def test_only_a_guest_that_is_stopped_is_removed(ground: Ground) -> None:
    (view,) = look(WELL).guests
    remove = Change(4, Act.REMOVED, replace(WEB, name=view.name))
    sure = replace(ground, views={view.name: replace(view, runs_on=(), target=Target.STOPPED)})
    assert obstacle(remove, sure) is None
    for odd in (
        replace(view, runs_on=(), target=Target.STARTED),
        replace(view, runs_on=("b",), target=Target.STOPPED),
    ):
        said = obstacle(remove, replace(ground, views={view.name: odd}))
        assert said == f"{view.name} is not stopped. `shoestring guest stop {view.name}` first."
    assert obstacle(remove, ground) == "the agent of b does not answer."
    assert obstacle(Change(4, Act.REMOVED, NEW), sure) == "there is no guest web."
    last = replace(sure.config, guests={view.name: sure.config.guests[view.name]})
    assert "is the last guest" in (obstacle(remove, replace(sure, config=last)) or "")


def test_only_a_guest_that_is_off_and_one_is_renamed(ground: Ground) -> None:
    (view,) = look(WELL).guests
    off = replace(view, runs_on=(), target=Target.STOPPED)
    assert off.is_in_sync
    sure = replace(ground, views={"counter": off})
    rename = Change(4, Act.RENAMED, replace(WEB, name="shop"), was="counter")
    assert obstacle(rename, sure) is None
    torn = replace(sure, views={"counter": replace(off, is_in_sync=False)})
    assert obstacle(rename, torn) == (
        "the two copies of counter are not one. `shoestring status` says why."
    )
    lone = replace(ground.config, pair=replace(ground.config.pair, is_vacant=True))
    assert obstacle(rename, replace(torn, config=lone)) is None
    decided = rename.at(Stage.DECIDED)
    assert obstacle(decided, torn) is None, "the other machine has taken its copy down"
    assert "counter is not stopped" in (
        obstacle(decided, replace(ground, views={"counter": view})) or ""
    )
    taken = replace(sure, volumes={**sure.volumes, "shop": 1 << 30})
    assert "has a volume shop that is no guest's" in (obstacle(rename, taken) or "")
    left = replace(sure, copies={"counter_resync": "counter"})
    assert "counter_resync is still there on b, from before" in (obstacle(rename, left) or "")
    assert obstacle(decided, left) is None
    same = replace(rename, guest=replace(WEB, name="counter"))
    assert obstacle(same, sure) == "there is a guest counter already."
    assert obstacle(replace(rename, was="mail"), sure) == "there is no guest mail."


def test_what_is_set_about_a_guest_changes_unless_it_is_another_one(ground: Ground) -> None:
    guest = ground.config.guests["counter"]
    same = replace(
        WEB,
        name="counter",
        number=0,
        mac=guest.mac,
        address=str(guest.address),
        memory=guest.memory + 64,
    )
    shown = {view.name: view for view in look(WELL).guests}
    running = replace(ground, views=shown)

    def edits(where: Ground, **changes: Any) -> str | None:
        return obstacle(Change(4, Act.EDITED, replace(same, **changes)), where)

    assert edits(running) is None
    assert edits(ground) == "the agent of b does not answer."
    assert edits(running, name="mail") == "there is no guest mail."
    for other in ({"number": 7}, {"slices": (8,)}):
        assert edits(running, **other) == "the disk of counter is another one on b."
    card = {"mac": "00:16:3e:00:00:07"}
    assert edits(running, **card) == (
        "counter runs, and its card's addresses change only while it is off."
    )
    off = replace(ground, views={"counter": replace(shown["counter"], runs_on=())})
    assert edits(off, **card) is None
    assert edits(off, address="10.0.2.2") == (
        "10.0.2.2 is an address of the pair or of its gateway."
    )


def resizing(ground: Ground, size: int = 2 * VOLUME, **changes: Any) -> str | None:
    guest = ground.config.guests["counter"]
    same = replace(WEB, name="counter", number=0, mac=guest.mac, size=size)
    return obstacle(Change(4, Act.RESIZED, replace(same, **changes)), ground)


@pytest.fixture
def mirrored(ground: Ground) -> Ground:
    """The guest runs, and both copies are one."""
    return replace(ground, views={view.name: view for view in look(WELL).guests})


def test_nothing_is_in_the_way_of_a_larger_disk(mirrored: Ground) -> None:
    assert resizing(mirrored) is None
    assert resizing(mirrored, VOLUME) is None, "this machine has done its part"
    grown = replace(mirrored, views={}, disk=usable(2 * VOLUME))
    assert resizing(grown) is None, "DRBD has it already, whatever the guest does"


@pytest.mark.parametrize(
    ("odd", "size", "sentence"),
    [
        ({"volumes": {}}, 2 * VOLUME, "the data disk of b is not there."),
        ({"room": -1}, 2 * VOLUME, "the data disk of b is not there."),
        ({"views": {}}, 2 * VOLUME, "the agent of b does not answer."),
        ({}, VOLUME // 2, "the volume of counter on b is larger already."),
        ({}, VOLUME + 4096, "too small a step for the mirror: --disk 1024M is the least."),
        ({}, 3 * VOLUME, "of b has 1028 MiB free, and it takes 2048 more."),
        (
            {"copies": {"counter-before-20260102-0304": "counter"}},
            2 * VOLUME,
            "there is a copy of the volume on b, counter-before-20260102-0304, and LVM makes none",
        ),
    ],
)
def test_what_a_volume_cannot_become_is_said(
    mirrored: Ground, odd: dict[str, Any], size: int, sentence: str
) -> None:
    assert sentence in (resizing(replace(mirrored, **odd), size) or "")


def test_the_least_size_is_of_the_last_disk(mirrored: Ground) -> None:
    counter = replace(mirrored.config.guests["counter"], slices=(24,))
    several = replace(mirrored, config=replace(mirrored.config, guests={"counter": counter}))
    said = resizing(several, VOLUME + 4096, slices=(24,))
    assert said == "that is too small a step for the mirror: --disk 1000M is the least."


def test_drbd_has_memory_for_a_larger_bitmap(mirrored: Ground) -> None:
    roomy = replace(mirrored, room=9 << 20, memory=64 + 32)
    assert resizing(roomy, VOLUME + (1 << 40)) is None
    assert resizing(roomy, VOLUME + (1 << 40) + 4096 * 8) == (
        "the mirror of so large a disk takes 33 MiB of the memory that b keeps for itself, and 32"
        " are left."
    )
    assert resizing(replace(roomy, memory=3)) == (
        "the mirror of so large a disk takes 1 MiB of the memory that b keeps for itself, and 0"
        " are left."
    )


def test_what_linux_says_of_its_memory() -> None:
    text = "MemTotal:         996148 kB\nMemFree:          12345 kB\nMemAvailable:     501760 kB\n"
    assert memory_left(text) == 490
    assert memory_left("MemTotal:         996148 kB\n") == -1


def test_a_copy_of_another_guest_is_in_nobodys_way(mirrored: Ground) -> None:
    assert resizing(replace(mirrored, copies={"web_passing": "web"})) is None


def test_a_larger_disk_is_of_the_same_guest(mirrored: Ground) -> None:
    assert resizing(mirrored, name="mail") == "there is no guest mail."
    assert resizing(mirrored, number=7) == "the disk of counter is another one on b."


@pytest.mark.parametrize(
    ("odd", "sentence"),
    [
        ({"runs_on": ()}, "counter is off, and the mirror takes a larger disk only while"),
        ({"is_in_sync": False}, "the copies of counter are not both whole and connected."),
        ({"peer_phase": "promoting"}, "counter is being started, moved or ended."),
        ({"phase": "stopping"}, "counter is being started, moved or ended."),
    ],
)
def test_what_drbd_would_refuse_is_refused_before(
    mirrored: Ground, odd: dict[str, Any], sentence: str
) -> None:
    view = replace(mirrored.views["counter"], **odd)
    assert sentence in (resizing(replace(mirrored, views={"counter": view})) or "")


def test_where_there_is_no_second_machine_only_the_guests_own_haste_is_in_the_way(
    mirrored: Ground,
) -> None:
    lone = replace(mirrored.config, pair=replace(mirrored.config.pair, is_vacant=True))
    view = replace(mirrored.views["counter"], is_in_sync=False, peer_phase="")
    for phase, why in (
        ("holding", None),
        ("released", None),
        ("stopping", "counter is being started or ended."),
    ):
        views = {"counter": replace(view, phase=phase, runs_on=())}
        assert resizing(replace(mirrored, config=lone, views=views)) == why
    assert resizing(replace(mirrored, config=lone, views={})) == "the agent of b does not answer."


def test_two_copies_that_are_compared_are_left_alone(mirrored: Ground) -> None:
    view = mirrored.views["counter"]
    busy = replace(view, verification=replace(view.verification, is_under_way=True))
    said = resizing(replace(mirrored, views={"counter": busy}))
    assert said == "the two copies of counter are being compared."


def test_a_processor_that_cannot_run_it_is_told(ground: Ground) -> None:
    weak = replace(ground, kinds=frozenset({Kind.PV}))
    assert why(weak) is None and why(ground, kind="pvh") is None
    assert why(weak, kind="pvh") == (
        "the processor of b cannot run a guest of type pvh. Look whether virtualization (VT-x, SVM)"
        " is off in its firmware, or say --type pv."
    )


def test_a_pc_has_three_disks_at_most(ground: Ground) -> None:
    assert why(ground, kind="hvm", slices=(8, 8)) is None
    assert why(ground, kind="pvh", slices=(8,) * 7) is None
    said = "a guest of type hvm has 3 disks at most, and web 4."
    assert why(ground, kind="hvm", slices=(8, 8, 8)) == said


def test_a_machine_has_no_memory_of_its_own_for_many_pcs(ground: Ground) -> None:
    counter = ground.config.guests["counter"]
    pcs = {
        f"pc-{n}": replace(counter, mac=f"00:16:3e:00:01:{n:02}", address=None, kind=Kind.HVM)
        for n in range(4)
    }

    def with_pcs(count: int) -> Ground:
        guests = {**ground.config.guests, **dict(list(pcs.items())[:count])}
        return replace(ground, config=replace(ground.config, guests=guests))

    assert why(with_pcs(3), kind="hvm") is None and why(with_pcs(4)) is None
    assert why(with_pcs(4), kind="hvm") == (
        "a pair has 4 guests of type hvm at most, for each takes memory of the machine's own"
        " system, and there are pc-0, pc-1, pc-2, pc-3."
    )
