# SPDX-License-Identifier: MIT
"""Two blank machines, and a person who types them into a pair."""

from dataclasses import dataclass

from tests.vm.cables import GATEWAY, GUEST
from tests.vm.machine import Machine
from tests.vm.person import Person

LAN = ("10.0.2.11", "10.0.2.12")
PASSWORD = "horse battery"  # of these emulated machines, which nobody else can reach
CODE = r"(\d{3}) (\d{3})\s+Type this code on the other machine"
ASKED = r"code > "


@dataclass(frozen=True, slots=True)
class Seats:
    """A person before each machine, by what the machines decided between them."""

    shows: Person
    asks: Person


def sit_down(a: Machine, b: Machine) -> tuple[Seats, str]:
    """Waits until the machines found each other; the seats, and the code on the screen."""
    people = Person(a), Person(b)
    found = people[0].reads(CODE, ASKED)
    if found.re.groups:
        people[1].reads(ASKED)
        return Seats(*people), "".join(found.groups())
    return Seats(people[1], people[0]), read_code(people[1])


def read_code(shows: Person) -> str:
    return "".join(shows.reads(CODE).groups())


def another(code: str) -> str:
    """A code that is not CODE."""
    return f"{(int(code) + 1) % 1_000_000:06}"


def answer_all(person: Person, names: str) -> None:
    """From the page about both machines to the consent, the usual way."""
    person.reads("Press Enter to go on to the questions")
    person.types()
    person.answers(r"What shall the two machines be called", names)
    person.answers(r"Which addresses", f"{LAN[0]}/24 {LAN[1]} {GATEWAY} {GUEST}")
    person.answers(r"Which disks")
    person.answers(r"What if both cables fail")
    person.answers(r"Choose a password", PASSWORD, is_hidden=True)
    person.answers(r"The same password again", PASSWORD, is_hidden=True)
    # Both serial numbers end in it (tests/vm/machine.py).
    person.answers(r"This will be erased on both machines", "DATA DATA")
