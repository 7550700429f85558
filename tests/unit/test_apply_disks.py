# SPDX-License-Identifier: MIT
"""Whose a disk is: the set-up erases what it began itself, and nothing else, ever."""

from dataclasses import replace

import pytest

from firstboot.apply import set_up
from firstboot.keys import physical_volume
from firstboot.probe import LVM
from firstboot.rendering import SETTINGS
from haagent.errors import OperatorError
from tests.unit.fake_machine import (
    SECRET,
    TEXTS,
    DataDisk,
    FakeMachine,
    Volume,
    blank,
    done,
    effects,
    finished,
    hardware,
    run_into,
)


@pytest.mark.parametrize(
    "disk",
    [
        DataDisk(kinds=("gpt",)),
        DataDisk(kinds=("ext4",)),
        # Half made by somebody else: a physical volume, with and without a group.
        DataDisk(kinds=(LVM,), physical_volume=physical_volume("0123456789", 0)),
        DataDisk((LVM,), physical_volume("0123456789", 0), True, {"counter": Volume(1 << 30)}),
        # Ours by its name; but no journal says so, so it may be full of data.
        DataDisk((LVM,), physical_volume(SECRET, 0), True, {"counter": Volume(1 << 30)}),
    ],
)
def test_a_disk_that_holds_anything_is_never_touched(disk: DataDisk) -> None:
    machine = blank("a")
    machine.disk = disk
    before = str(disk)
    with pytest.raises(OperatorError, match="is not empty"):
        set_up(machine, machine.tell)
    assert str(machine.disk) == before
    assert machine.effects == 0


@pytest.mark.parametrize("kinds", [("ext4",), (LVM,), (LVM, "dos")])
def test_nor_is_one_that_was_swapped_in_after_a_cut(kinds: tuple[str, ...]) -> None:
    """At every moment before the storage is done: what is found then is not what was begun."""
    for cut in range(1, effects("a")):
        machine = blank("a")
        run_into(machine, cut)
        if SETTINGS in machine.files:
            break
        foreign = DataDisk(kinds=kinds, physical_volume=physical_volume("0123456789", 0))
        machine.disk = foreign
        before = str(foreign)
        with pytest.raises(OperatorError):
            set_up(machine, machine.tell)
        assert str(machine.disk) == before, cut


class Swapping(FakeMachine):
    """Its data disk becomes another one after it was probed, before it is written to."""

    other: DataDisk | None = None

    def host_name(self) -> str:
        if self.other is not None:
            self.disk = self.other
        return super().host_name()


@pytest.mark.parametrize(
    "other",
    [
        DataDisk(kinds=("xfs",)),
        DataDisk(kinds=(LVM,), physical_volume=physical_volume("0123456789", 0)),
        DataDisk(kinds=(LVM,), physical_volume=physical_volume(SECRET, 0)),  # no journal says so
    ],
)
def test_the_last_look_is_at_the_disk_itself(other: DataDisk) -> None:
    machine = Swapping(TEXTS["a"], hardware("a"), is_leader=True)
    machine.other = other
    before = str(other)
    with pytest.raises(OperatorError, match="is not empty"):
        set_up(machine, machine.tell)
    assert str(machine.disk) == before


@pytest.mark.parametrize("kinds", [("xfs",), (LVM,)])
def test_so_it_is_when_ours_was_begun(kinds: tuple[str, ...]) -> None:
    for cut in range(1, effects("a")):
        machine = Swapping(TEXTS["a"], hardware("a"), is_leader=True)
        run_into(machine, cut)
        if machine.disk.kinds and "storage" not in done(machine):
            machine.other = DataDisk(kinds, physical_volume("0123456789", 0))
            before = str(machine.other)
            with pytest.raises(OperatorError, match="is not empty"):
                set_up(machine, machine.tell)
            assert str(machine.disk) == before
            return
    raise AssertionError("the storage was never half made")


def test_a_disk_that_lost_its_storage_is_not_made_again() -> None:
    """Somebody emptied the disk between two boots of a set-up: that is told, not mended."""
    for cut in range(1, effects("a")):
        machine = blank("a")
        run_into(machine, cut)
        if "storage" in done(machine) and SETTINGS not in machine.files:
            machine.disk = DataDisk()
            with pytest.raises(OperatorError, match="that is gone from it"):
                set_up(machine, machine.tell)
            assert machine.disk == DataDisk()
            return
    raise AssertionError("the storage was never done")


def test_a_guest_that_was_filled_is_never_filled_again() -> None:
    for cut in range(1, effects("a")):
        machine = blank("a")
        run_into(machine, cut)
        if "guest counter" in done(machine) and SETTINGS not in machine.files:
            machine.disk.volumes["counter"].content = "what the guest wrote"
            assert set_up(machine, machine.tell)
            assert machine.disk.volumes["counter"].content == "what the guest wrote"
            return
    raise AssertionError("the guest was never done")


def test_a_guest_that_should_be_another_one_is_made_anew_before_it_ever_ran() -> None:
    for cut in range(1, effects("a")):
        machine = blank("a")
        run_into(machine, cut)
        if "guest counter" in done(machine) and SETTINGS not in machine.files:
            machine.stick["answers.yaml"] = TEXTS["a"].replace("10.0.2.50", "10.0.2.51")
            assert set_up(machine, machine.tell)
            assert machine.disk.volumes["counter"].content == "10.0.2.51/24 10.0.2.2"
            return
    raise AssertionError("the guest was never done")


def test_once_the_settings_are_there_no_answer_touches_a_disk() -> None:
    """The guest may have run by then, and what it wrote is on that disk."""
    for cut in range(1, effects("a") + 1):
        machine = blank("a")
        run_into(machine, cut)
        if SETTINGS not in machine.files or not machine.answers():
            continue
        machine.disk.volumes["counter"].content = "what the guest wrote"
        machine.stick["answers.yaml"] = TEXTS["a"].replace("10.0.2.50", "10.0.2.51")
        assert set_up(machine, machine.tell)
        assert machine.disk.volumes["counter"].content == "what the guest wrote"
        assert "answers.yaml" not in machine.stick
        return
    raise AssertionError("no cut left the settings with the answers still there")


ERASING = TEXTS["a"].replace("serial: A-DATA", "serial: A-DATA\n  erase: true")
FULL = [
    DataDisk(kinds=("gpt",)),
    DataDisk(kinds=("gpt", "PMBR", "ntfs")),
    DataDisk(kinds=(LVM,), physical_volume=physical_volume("0123456789", 0)),
]


@pytest.mark.parametrize("disk", FULL)
def test_what_a_person_consented_to_lose_is_erased(disk: DataDisk) -> None:
    machine = FakeMachine(ERASING, hardware("a"), is_leader=True)
    machine.disk = replace(disk)
    assert set_up(machine, machine.tell)
    assert machine.disk == finished("a").disk
    assert "  Erasing what is on it, as you agreed." in machine.said


def test_so_it_is_with_the_power_cut_after_every_effect() -> None:
    whole = FakeMachine(ERASING, hardware("a"), is_leader=True)
    whole.disk = replace(FULL[1])
    assert set_up(whole, whole.tell)
    for cut in range(1, whole.effects + 1):
        machine = FakeMachine(ERASING, hardware("a"), is_leader=True)
        machine.disk = replace(FULL[1])
        run_into(machine, cut)
        assert set_up(machine, machine.tell), cut
        assert machine.kept() == whole.kept(), cut


def test_no_consent_is_for_the_guests_of_a_pair() -> None:
    """Whoever consented to lose a Windows disk did not see this one."""
    machine = FakeMachine(ERASING, hardware("a"), is_leader=True)
    guests = {"counter": Volume(1 << 30)}
    machine.disk = DataDisk((LVM,), physical_volume("0123456789", 0), True, guests)
    before = str(machine.disk)
    with pytest.raises(OperatorError, match="holds the guests of a Shoestring pair"):
        set_up(machine, machine.tell)
    assert str(machine.disk) == before


def test_a_storage_that_is_done_is_no_longer_anything_to_erase() -> None:
    for cut in range(1, effects("a")):
        machine = FakeMachine(ERASING, hardware("a"), is_leader=True)
        run_into(machine, cut)
        if "guest counter" in done(machine) and SETTINGS not in machine.files:
            machine.disk.volumes["counter"].content = "what the guest wrote"
            assert set_up(machine, machine.tell)
            assert machine.disk.volumes["counter"].content == "what the guest wrote"
            return
    raise AssertionError("the guest was never done")
