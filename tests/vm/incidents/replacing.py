# SPDX-License-Identifier: MIT
"""Another PC takes the place of a dead one; a person at the survivor sees to it."""

from tests.vm import evening
from tests.vm.machine import Machine
from tests.vm.pair import SCALE, is_alone, prepare
from tests.vm.person import Person
from tests.vm.wait import wait_until

ALONE = 300  # seconds; generous


def make_blank(machine: Machine) -> None:
    """Another PC: a stick flashed anew, and a data disk that never held anything."""
    make_anew(machine, 1)
    flash_anew(machine)


def flash_anew(machine: Machine) -> None:
    make_anew(machine, 0)
    prepare(machine, SCALE, "3" * 32)


def make_anew(machine: Machine, index: int) -> None:
    disk = machine.disks[index]
    disk.file(machine.folder).unlink()
    disk.create(machine.folder)


def await_alone(machine: Machine) -> None:
    wait_until("the survivor to be alone", lambda: is_alone(machine), ALONE, 2)


def begin_replacing(survivor: Machine, blank: Machine) -> Person:
    """A person at SURVIVOR, once both machines are sure of each other."""
    person = Person(survivor)
    person.opens_menu()
    person.commands("replace", evening.PASSWORD)
    code = evening.Seats(Person(blank), person).read_code()
    person.answers("Type it here", code)
    return person


def agree(person: Person) -> None:
    """From the page about both machines to the consent, the usual way."""
    person.reads("Press Enter to go on")
    person.types()
    for question in (r"\(1 of 4", r"\(2 of 4", r"\(3 of 4"):
        person.answers(question)
    person.answers(r"\(4 of 4", "DATA")
