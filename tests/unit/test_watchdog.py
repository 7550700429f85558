# SPDX-License-Identifier: MIT
"""The watchdog, on a machine made of files: which one is taken, and what is ever written to it."""

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from haagent.errors import BugError
from haagent.fencing import watchdog
from haagent.fencing.watchdog import (
    SOFTWARE,
    WDIOC_GETTIMEOUT,
    WDIOC_SETTIMEOUT,
    Watchdog,
    WatchdogError,
    find,
)

GOOD = "0x8180"  # SETTIMEOUT, KEEPALIVEPING, MAGICCLOSE: what xen_wdt shows


class Machine:
    """A sysfs, and device files that keep what was written; `timeout` is what the driver counts."""

    def __init__(self, folder: Path) -> None:
        self.sysfs = folder / "sys"
        self.devices = folder / "dev"
        self.sysfs.mkdir()
        self.devices.mkdir()
        self.timeout = 60
        self.rounds_up_to = 1
        self.refuses = False
        self.watchdog = Watchdog(self.sysfs, self.devices, self.ioctl)

    def add(self, number: int, identity: str, options: str = GOOD, least: int = 0) -> Path:
        folder = self.sysfs / f"watchdog{number}"
        folder.mkdir()
        (folder / "identity").write_text(f"{identity}\n")
        (folder / "options").write_text(f"{options}\n")
        (folder / "min_timeout").write_text(f"{least}\n")
        (folder / "max_timeout").write_text("0\n")
        device = self.devices / folder.name
        device.touch()
        return device

    def ioctl(self, descriptor: int, request: int, argument: bytes) -> bytes:
        assert stat.S_ISREG(os.fstat(descriptor).st_mode)
        (value,) = struct.unpack("i", argument)
        if self.refuses:
            raise OSError(22, "Invalid argument")
        if request == WDIOC_SETTIMEOUT:
            self.timeout = max(value, self.rounds_up_to)
        else:
            assert request == WDIOC_GETTIMEOUT
        return struct.pack("i", self.timeout)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.watchdog.close()


def test_xens_watchdog_is_taken_first_whatever_its_number(machine: Machine) -> None:
    machine.add(0, "iTCO_wdt")
    machine.add(1, "xen_wdt")
    assert [one.name for one in find(5, machine.sysfs)] == ["watchdog1", "watchdog0"]


def test_without_xen_one_in_hardware_is_taken(machine: Machine) -> None:
    machine.add(0, SOFTWARE)
    machine.add(1, "iTCO_wdt")
    assert [one.name for one in find(5, machine.sysfs)] == ["watchdog1"]


@pytest.mark.parametrize(
    ("identity", "options", "least", "flaw"),
    [
        (SOFTWARE, GOOD, 0, "it stops when the kernel is stuck"),
        ("iTCO_wdt", "0x8080", 0, "it stops counting when the agent dies"),
        ("iTCO_wdt", "0x8100", 0, "its time cannot be set"),
        ("iTCO_wdt", "0x8580", 0, "it does not reset the machine"),
        ("iTCO_wdt", GOOD, 6, "it does not take 5 s"),
    ],
)
def test_what_cannot_be_relied_on_is_not_even_opened(
    machine: Machine, identity: str, options: str, least: int, flaw: str
) -> None:
    machine.add(0, identity, options, least).unlink()
    with pytest.raises(WatchdogError, match=flaw):
        machine.watchdog.open(5)


def test_a_machine_without_one_is_told_so(machine: Machine) -> None:
    with pytest.raises(WatchdogError, match="this machine shows none"):
        machine.watchdog.open(5)


def test_open_sets_the_time_and_feeds(machine: Machine) -> None:
    device = machine.add(1, "xen_wdt")
    machine.watchdog.open(5.0)
    assert machine.timeout == 5
    assert machine.watchdog.identities == ("xen_wdt",)
    assert len(device.read_bytes()) == 1


def test_one_beside_it_is_armed_and_fed_and_disarmed_as_well(machine: Machine) -> None:
    """For what takes Xen's along."""
    board, xen = machine.add(0, "iTCO_wdt"), machine.add(1, "xen_wdt")
    machine.watchdog.open(5)
    assert machine.watchdog.identities == ("xen_wdt", "iTCO_wdt")
    machine.watchdog.feed()
    assert board.read_bytes() == xen.read_bytes() == watchdog.FOOD * 2
    machine.watchdog.disarm()
    assert board.read_bytes() == xen.read_bytes() == watchdog.FOOD * 2 + watchdog.MAGIC


def test_one_beside_it_that_is_busy_is_no_error(machine: Machine) -> None:
    machine.add(0, "iTCO_wdt").unlink()
    machine.add(1, "xen_wdt")
    machine.watchdog.open(5)
    machine.watchdog.feed()
    assert machine.watchdog.identities == ("xen_wdt",)


def test_one_beside_it_that_counts_with_a_time_of_its_own_is_fed(machine: Machine) -> None:
    """It counts since it was opened, and would reset the machine."""
    board, xen = machine.add(0, "iTCO_wdt"), machine.add(1, "xen_wdt")

    def ioctl(descriptor: int, request: int, argument: bytes) -> bytes:
        if os.path.samestat(os.fstat(descriptor), board.stat()):
            raise OSError(22, "Invalid argument")
        return machine.ioctl(descriptor, request, argument)

    armed = Watchdog(machine.sysfs, machine.devices, ioctl)
    armed.open(5)
    armed.feed()
    armed.close()
    assert (board.read_bytes(), xen.read_bytes()) == (watchdog.FOOD, watchdog.FOOD * 2)


def test_a_fraction_of_a_second_is_never_rounded_up(machine: Machine) -> None:
    machine.add(1, "xen_wdt")
    machine.watchdog.open(7.9)
    assert machine.timeout == 7


def test_a_longer_time_than_asked_for_is_refused(machine: Machine) -> None:
    device = machine.add(1, "xen_wdt")
    machine.rounds_up_to = 8
    with pytest.raises(WatchdogError, match="set to 5 s and says 8 s"):
        machine.watchdog.open(5)
    assert device.read_bytes() == b""
    with pytest.raises(BugError):
        machine.watchdog.feed()


def test_a_shorter_time_will_do(machine: Machine) -> None:
    machine.add(1, "xen_wdt")

    def ioctl(descriptor: int, request: int, argument: bytes) -> bytes:
        return struct.pack("i", 4)

    Watchdog(machine.sysfs, machine.devices, ioctl).open(5)


def test_a_driver_that_refuses_is_an_error_and_the_device_is_let_go(machine: Machine) -> None:
    machine.add(1, "xen_wdt")
    machine.refuses = True
    with pytest.raises(WatchdogError, match="cannot be armed: Invalid argument"):
        machine.watchdog.open(5)
    machine.refuses = False
    machine.watchdog.open(5)


def test_a_device_that_is_busy_is_an_error_with_a_hint(machine: Machine) -> None:
    machine.add(1, "xen_wdt").unlink()
    with pytest.raises(WatchdogError, match="cannot be armed: No such file") as caught:
        machine.watchdog.open(5)
    assert "fuser" in caught.value.hint


def test_nothing_that_is_ever_written_disarms(machine: Machine) -> None:
    device = machine.add(1, "xen_wdt")
    machine.watchdog.open(5)
    for _ in range(3):
        machine.watchdog.feed()
    machine.watchdog.close()
    # watchdog_dev.c: a V anywhere in a write makes the next close stop the device.
    assert device.read_bytes() == watchdog.FOOD * 4
    assert b"V" not in device.read_bytes()


def test_an_agent_that_comes_back_opens_and_feeds_again(machine: Machine) -> None:
    device = machine.add(1, "xen_wdt")
    machine.watchdog.open(5)
    machine.watchdog.close()
    machine.watchdog.open(5)
    assert len(device.read_bytes()) >= 1


def test_it_is_opened_once_and_fed_only_when_open(machine: Machine) -> None:
    machine.add(1, "xen_wdt")
    with pytest.raises(BugError):
        machine.watchdog.feed()
    machine.watchdog.open(5)
    with pytest.raises(BugError):
        machine.watchdog.open(5)


def test_less_than_a_second_cannot_be_counted(machine: Machine) -> None:
    machine.add(1, "xen_wdt")
    with pytest.raises(BugError):
        machine.watchdog.open(0.9)


def test_a_device_that_takes_no_food_is_an_error(machine: Machine) -> None:
    machine.add(1, "xen_wdt").unlink()
    (machine.devices / "watchdog1").symlink_to("/dev/full")

    def ioctl(descriptor: int, request: int, argument: bytes) -> bytes:
        return argument if request == WDIOC_SETTIMEOUT else struct.pack("i", 5)

    with pytest.raises(WatchdogError, match="takes no food: No space left"):
        Watchdog(machine.sysfs, machine.devices, ioctl).open(5)


def test_the_requests_are_those_of_the_header() -> None:
    # asm-generic/ioctl.h: direction << 30 | size << 16 | type << 8 | number; write 1, read 2
    assert 3 << 30 | 4 << 16 | ord("W") << 8 | 6 == WDIOC_SETTIMEOUT
    assert 2 << 30 | 4 << 16 | ord("W") << 8 | 7 == WDIOC_GETTIMEOUT
