# SPDX-License-Identifier: MIT
"""Two blank machines, and somebody who types them into a pair."""

import re
from dataclasses import dataclass
from typing import Protocol

from tests.vm.cables import GATEWAY, GUEST
from tests.vm.machine import Machine
from tests.vm.monitor import Viewer
from tests.vm.person import PAGE, Person

NAMES = ("a", "b")
LAN = ("10.0.2.11", "10.0.2.12")
PASSWORD = "horse battery"  # of these emulated machines, which nobody else can reach
MOST_PROMPTS = 9  # that need a key, the usual way
CODE = r"(\d{3}) (\d{3})\s+Type this code on the other machine"


class Typist(Protocol):
    """Somebody who reads a console of a machine and types: tests.vm.person, tests.vm.monitor."""

    prompts: int

    def reads(self, *patterns: str, within: float = PAGE) -> re.Match[str]: ...
    def types(self, text: str = "", *, is_hidden: bool = False) -> None: ...
    def answers(self, question: str, text: str = "", *, is_hidden: bool = False) -> None: ...


@dataclass(frozen=True, slots=True)
class Seats:
    """Who sits where: the code is shown on one machine and asked for on the other."""

    shows: Typist
    asks: Typist

    def read_code(self) -> str:
        """The code on the screen, once it is there."""
        return "".join(self.shows.reads(CODE).groups())


def sit_down(a: Machine, b: Machine) -> Seats:
    """Before the serial lines. Their identities make A the one that asks."""
    return Seats(Person(b), Person(a))


def type_all(a: Machine, b: Machine) -> None:
    """The usual way, at the monitor of A, from the first page to the consent."""
    seats = Seats(Person(b), Viewer(a))
    code = seats.read_code()
    seats.asks.answers("Type it here", code)
    go_on(seats.asks)
    answer_all(seats.asks)
    assert seats.asks.prompts <= MOST_PROMPTS, f"{seats.asks.prompts} prompts"


def another(code: str) -> str:
    """A code that is not CODE."""
    return f"{(int(code) + 1) % 1_000_000:06}"


def go_on(typist: Typist) -> None:
    """From the page about both machines to the questions."""
    typist.reads("Press Enter to go on to the questions")
    typist.types()


def answer_all(typist: Typist) -> None:
    """From the first question to the consent, the usual way."""
    typist.answers(r"What shall the two machines be called", " ".join(NAMES))
    typist.answers(r"Which addresses", f"{LAN[0]}/24 {LAN[1]} {GATEWAY} {GUEST}")
    typist.answers(r"Which disks")
    typist.answers(r"What if both cables fail")
    typist.answers(r"Choose a password", PASSWORD, is_hidden=True)
    typist.answers(r"The same password again", PASSWORD, is_hidden=True)
    # Both serial numbers end in it (tests/vm/machine.py).
    typist.answers(r"This will be erased on both machines", "DATA DATA")
