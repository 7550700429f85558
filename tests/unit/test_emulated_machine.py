# SPDX-License-Identifier: MIT
"""How an emulated machine is told to QEMU, and what its disks do to it. No machine is started."""

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from tests.unit.test_drive import PATIENCE, does
from tests.vm import tools
from tests.vm.disk import Disk
from tests.vm.disk_faults import BROKEN, HANGING, READS, Effect, Fault
from tests.vm.drive import Drive
from tests.vm.lab import Hardware, Lab
from tests.vm.machine import Machine, Nic, WatchdogAction
from tests.vm.wait import wait_until

SIZE = 1 << 20
needs_tools = pytest.mark.skipif(not tools.TREE.exists(), reason="no image was built here")


class Told(Machine):
    """A machine whose QMP commands are only written down, and whose disks can be on without it."""

    def __init__(self, folder: Path) -> None:
        super().__init__("a", folder, [Disk("data", SIZE)])
        self.told: list[tuple[str, dict[str, object]]] = []

    def qmp(self, command: str, **arguments: object) -> dict[str, str]:
        self.told.append((command, arguments))
        return {}

    def switch_disks_on(self) -> None:
        self._start_disks()

    def drive(self) -> Drive:
        return self._drives["data"]

    def stored(self) -> bytes:
        return self.disks[0].file(self.folder).read_bytes()


class Hollow(Machine):
    """A QEMU that can be talked to, with disks, and no board: there is nothing that could run."""

    def __init__(self, folder: Path) -> None:
        super().__init__("a", folder, [Disk("data", SIZE)])

    def arguments(self, clock: datetime | None = None) -> list[str]:
        argv = ["-machine", "none", "-nodefaults", "-S", "-display", "none"]
        argv += ["-chardev", "socket,id=control,path=control,server=on,wait=off"]
        argv += ["-qmp", "unix:qmp,server=on,wait=off"]
        argv += ["-rtc", *value_of("-rtc", super().arguments(clock))]
        return argv + self.disks[0].arguments(0, "A-DATA")[:2]


@pytest.fixture
def hollow(tmp_path: Path) -> Iterator[Hollow]:
    made = Hollow(tmp_path)
    made.power_on()
    yield made
    made.close()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Told]:
    made = Told(tmp_path)
    yield made
    made.close()


def value_of(option: str, arguments: list[str]) -> list[str]:
    return [after for before, after in pairwise(arguments) if before == option]


@pytest.mark.parametrize(
    ("clock", "base"),
    [
        (None, "utc"),
        (datetime(2001, 2, 3, 4, 5, 6), "2001-02-03T04:05:06"),
        (datetime(1970, 1, 1), "1970-01-01T00:00:00"),
    ],
)
def test_the_clock_says_what_it_is_told_to(
    machine: Told, clock: datetime | None, base: str
) -> None:
    assert value_of("-rtc", machine.arguments(clock)) == [f"base={base},clock=vm"]


def test_another_watchdog_is_plugged_in(tmp_path: Path) -> None:
    usual = Machine("a", tmp_path, []).arguments()
    with_it = Machine("a", tmp_path, [], watchdog="i6300esb").arguments()
    assert "i6300esb" in value_of("-device", with_it)
    assert len(with_it) == len(usual) + 2


@needs_tools
def test_a_lab_builds_it_in() -> None:
    lab = Lab("tcg")
    blank = Disk("stick", SIZE), Disk("data", SIZE)
    try:
        with_it, without = lab.unlike(a=Hardware(*blank, watchdog="i6300esb"), b=Hardware(*blank))
        assert "i6300esb" in with_it.arguments()
        assert "i6300esb" not in without.arguments()
    finally:
        lab.close()


@pytest.mark.parametrize("device", ["virtio-blk-pci", "ide-hd", "scsi-hd", "usb-storage", "nvme"])
def test_what_a_disk_fails_is_reported_and_stops_nobody(device: str) -> None:
    (told,) = value_of("-device", Disk("data", SIZE, device=device).arguments(0, "A-DATA"))
    assert ("rerror=report,werror=report" in told) is (device != "nvme")


def test_the_buttons(machine: Told) -> None:
    machine.reset()
    machine.press_power_button()
    machine.stand_still()
    machine.go_on()
    machine.when_unfed("none")
    assert machine.told == [
        ("system_reset", {}),
        ("system_powerdown", {}),
        ("stop", {}),
        ("cont", {}),
        ("watchdog-set-action", {"action": "none"}),
    ]


def test_a_card_loses_its_link_and_has_it_again(machine: Told) -> None:
    machine.unplug("xo")
    machine.plug("xo")
    assert machine.told == [
        ("set_link", {"name": "xo", "up": False}),
        ("set_link", {"name": "xo", "up": True}),
    ]
    (netdev, *_) = Nic("xo", "52:54:00:00:0a:01").arguments(Path("xo-a"))[1].split(",")[1:]
    assert netdev == "id=xo", "set_link names what the card is plugged into"


def test_only_a_disk_that_is_there_can_be_hurt(machine: Told) -> None:
    attempts: tuple[Callable[[], object], ...] = (
        lambda: machine.hurt("stick", BROKEN),
        lambda: machine.heal("stick"),
        lambda: machine.rot("stick", 0),
        lambda: machine.met("stick"),
    )
    for hurt in attempts:
        with pytest.raises(AssertionError, match="a has no disk called 'stick'"):
            hurt()


def test_what_is_counted_needs_a_machine_that_is_on(machine: Told) -> None:
    with pytest.raises(AssertionError, match="a is off"):
        machine.hurt("data", Fault(Effect.FAIL, times=1))
    assert machine.met("data") == 0
    assert machine.broken() == []


def test_a_disk_rots_while_its_machine_is_off(machine: Told) -> None:
    machine.rot("data", 4096, 2, seed=1)
    stored = machine.stored()
    assert [place for place, byte in enumerate(stored) if byte] == [4096, 4097]


@needs_tools
def test_a_fault_outlasts_a_power_cut(machine: Told) -> None:
    machine.hurt("data", BROKEN)
    for _ in range(2):
        machine.switch_disks_on()
        assert "read failed" in does(machine.folder, "read 0 4k")
        assert machine.met("data") > 0
        machine.power_cut()
    machine.heal("data")
    machine.switch_disks_on()
    assert "read 4096/4096" in does(machine.folder, "read 0 4k")
    assert machine.met("data") == 0


@needs_tools
def test_a_disk_is_hurt_and_healed_while_it_is_on(machine: Told) -> None:
    machine.switch_disks_on()
    machine.hurt("data", Fault(Effect.FAIL, READS, times=2))
    assert "read failed" in does(machine.folder, "read 0 4k")
    machine.heal("data")
    machine.rot("data", 0, seed=1)
    assert "verification failed" in does(machine.folder, "read -P 0 0 4k")
    assert machine.broken() == []
    machine.power_cut()
    machine.switch_disks_on()
    assert "verification failed" in does(machine.folder, "read -P 0 0 4k"), "it healed by itself"


@needs_tools
def test_a_disk_that_nobody_serves_any_more_is_a_sentence(machine: Told) -> None:
    machine.switch_disks_on()
    machine.drive().stop()
    (sentence,) = machine.broken()
    assert sentence.startswith("the disk data does not answer")


@needs_tools
def test_qemu_knows_the_buttons(hollow: Hollow) -> None:
    assert hollow.happened("STOP") == 0
    hollow.stand_still()
    assert hollow.qmp("query-status")["status"] == "paused"
    hollow.go_on()
    assert hollow.qmp("query-status")["status"] == "running"
    hollow.reset()
    wait_until("the reset", lambda: hollow.happened("RESET"), PATIENCE, 0.05)
    hollow.stand_still()
    assert hollow.happened("STOP") == 2
    assert hollow.happened("WATCHDOG") == 0
    hollow.press_power_button()
    for action in get_args(WatchdogAction):
        hollow.when_unfed(action)


@needs_tools
def test_qemu_takes_the_clock(tmp_path: Path) -> None:
    machine = Hollow(tmp_path)
    try:
        for year in (1970, 2001):
            machine.power_on(clock=datetime(year, 1, 1))
            machine.power_cut()
    finally:
        machine.close()


@needs_tools
def test_qemu_that_says_nothing_is_waited_for_no_longer_than_that(
    hollow: Hollow, monkeypatch: pytest.MonkeyPatch
) -> None:
    hollow.close()
    monkeypatch.setattr("tests.vm.qmp.SILENCE", 1)
    hollow.power_on()
    hollow.hurt("data", HANGING)
    with pytest.raises(TimeoutError, match="a: QEMU did not answer human-monitor-command"):
        hollow.qmp("human-monitor-command", **{"command-line": 'qemu-io data "read 0 4k"'})
    assert hollow.met("data") == 1
    hollow.power_cut()
    assert not hollow.is_on


@needs_tools
def test_a_machine_that_switched_itself_off_is_switched_on_again(hollow: Hollow) -> None:
    hollow.happened("RESET")
    hollow.hurt("data", BROKEN)
    hollow.qmp("quit")
    wait_until("it to be off", lambda: not hollow.is_on, PATIENCE, 0.05)
    hollow.heal("data")
    hollow.power_on()
    assert hollow.is_on
    assert hollow.happened("RESET") == 0
    assert "read 4096/4096" in does(hollow.folder, "read 0 4k")
