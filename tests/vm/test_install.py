# SPDX-License-Identifier: MIT
"""A machine goes from its stick to an internal disk: blank, or as half of a pair; then the stick is
pulled, and alone it starts nothing.
"""

import pytest

from tests.vm import evening
from tests.vm.disk import GIB, Disk
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import SCALE, SETUP, healthy_pair, prepare, status
from tests.vm.person import Person
from tests.vm.wait import wait_until

COPY = 1800  # seconds; generous: a gigabyte through an emulated USB port
IDENTITY = "4" * 32
DONE = "/state/setup/installed.json"
INSIDE = "inside"


def put_in_disk(machine: Machine) -> None:
    """A blank one behind the stick, in a MACHINE that is off."""
    disk = Disk(INSIDE, 6 * GIB)
    disk.create(machine.folder)
    machine.disks.insert(1, disk)


def pull_stick(machine: Machine) -> Disk:
    """Out of a MACHINE that is off."""
    return machine.disks.pop(0)


def agree(person: Person) -> None:
    """From the list of the disks to the end of the copy."""
    person.reads(r"  1  .*-INSIDE")
    person.reads(r"Enter to stay on the stick: ")
    person.types("1")
    person.reads("it is blank")
    person.reads("characters of that serial number: ")
    person.types("SIDE")
    person.reads("Installing to the disk", within=SETUP)
    person.reads("Pull it out", within=COPY)


def medium(machine: Machine) -> str:
    """The serial number of what MACHINE runs from."""
    return machine.run("lsblk --noheadings --nodeps --output SERIAL /dev/medium/disk").strip()


def assert_starts_nothing(machine: Machine, stick: Disk) -> None:
    """MACHINE is off; with the STICK alone it says why it stays so."""
    machine.disks = [stick]
    machine.power_on()
    person = Person(machine)
    person.reads("This stick was installed to the disk")
    person.reads("It does not start any more")
    person.reads("Enter restarts the machine")
    machine.power_cut()


@pytest.mark.parametrize("uefi", [False, True], ids=["bios", "uefi"])
def test_a_blank_machine_is_installed_and_its_stick_pulled(lab: Lab, uefi: bool) -> None:
    machine = lab.machine("a", stick="usb-storage", uefi=uefi)
    prepare(machine, SCALE, IDENTITY)
    put_in_disk(machine)
    machine.power_on()
    person = Person(machine)
    person.reads("`install` puts the system on an internal disk")
    machine.control.wait_for_boot(SETUP)
    assert medium(machine) == "A-STICK"
    person.types("install")
    agree(person)
    # The firmware starts the stick again, and that leads to the disk.
    person.reads("This stick is not needed any more")
    person.reads("Press Enter to look at the hardware again")
    machine.control.wait_for_boot(SETUP)
    assert medium(machine) == "A-INSIDE"
    machine.power_cut()
    stick = pull_stick(machine)
    machine.power_on()
    person = Person(machine)
    person.reads("Press Enter to look at the hardware again")
    machine.control.wait_for_boot(SETUP)
    assert machine.run("cat /etc/machine-id").strip() == IDENTITY
    machine.run(f"test -e {DONE} && ! test -e /state/setup/install.json")
    machine.power_cut()
    assert_starts_nothing(machine, stick)


def test_power_cuts_on_the_way_end_with_one_machine(lab: Lab) -> None:
    machine = lab.machine("a", stick="usb-storage")
    prepare(machine, SCALE, IDENTITY)
    put_in_disk(machine)
    machine.power_on()
    person = Person(machine)
    person.reads("`install` puts the system on an internal disk")
    person.types("install")
    person.reads(r"Enter to stay on the stick: ")
    person.types("1")
    person.reads("characters of that serial number: ")
    person.types("SIDE")
    for seed, step in enumerate(("Copying the system in slot a", "Copying what this machine")):
        person.reads(step, within=COPY)
        machine.power_cut(seed=seed)
        machine.power_on()
        person = Person(machine)
    person.reads("Pull it out", within=COPY)
    machine.power_cut(seed=2)
    pull_stick(machine)
    machine.power_on()
    machine.control.wait_for_boot(SETUP)
    assert medium(machine) == "A-INSIDE"
    assert machine.run("cat /etc/machine-id").strip() == IDENTITY


def test_the_holder_of_a_healthy_pair_is_installed(lab: Lab) -> None:
    pair = healthy_pair(lab)
    a, b = pair.both
    b.power_cut(seed=1)
    put_in_disk(b)
    b.power_on()
    pair.await_protected(SETUP)
    identity = b.run("cat /etc/machine-id")
    generation = b.run("cat /var/lib/heartbeat/hb_generation")
    a.run("shoestring move counter --yes", SETUP)
    wait_until("b to serve", lambda: status(b)["guests"][0]["runs_on"] == ["b"], SETUP, 2)
    pair.await_protected(SETUP)
    before = wait_until("a number", pair.recorder.next, 120)
    person = Person(b)
    person.opens_menu()
    person.commands("install", evening.PASSWORD)
    person.reads(r"B-DATA.*|sd.*cannot be taken|vd.*cannot be taken")
    person.reads(r"Enter to stay on the stick: ")
    person.types("1")
    person.reads("characters of that serial number: ")
    person.types("SIDE")
    wait_until("a to serve", lambda: status(a)["guests"][0]["runs_on"] == ["a"], SETUP, 2)
    person.reads("Pull it out", within=COPY)
    assert wait_until("a number", pair.recorder.next, 120) > before
    b.power_cut(seed=2)
    stick = pull_stick(b)
    b.power_on()
    pair.await_protected(SETUP)
    assert medium(b) == "B-INSIDE"
    assert b.run("cat /etc/machine-id") == identity
    assert b.run("cat /var/lib/heartbeat/hb_generation") >= generation
    a.power_cut(seed=3)
    wait_until("the installed machine to serve", pair.recorder.next, SETUP)
    b.power_cut(seed=4)
    assert_starts_nothing(b, stick)
