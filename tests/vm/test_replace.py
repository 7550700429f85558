# SPDX-License-Identifier: MIT
"""A machine dies for good, and a blank one takes its place; typed by a person at the survivor."""

import re
import shlex
from collections.abc import Iterator

import pytest

from tests.vm import evening, stick
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import SCALE, SETUP, Pair, healthy_pair, status
from tests.vm.wait import wait_until

ALONE = 300  # seconds; generous
KEYS, SCREEN = "/run/replace.keys", "/run/replace.screen"


@pytest.fixture
def pair(lab: Lab) -> Iterator[Pair]:
    yield healthy_pair(lab)


class Command:
    """COMMAND in a terminal of MACHINE's own, with a person before it."""

    def __init__(self, machine: Machine, command: str) -> None:
        self._machine = machine
        self._read = 0  # characters
        inner = f"script -qefc {shlex.quote(command)} {SCREEN} <{KEYS} >/dev/null 2>&1"
        # The terminal ends when nobody holds the other end of its keys any more.
        machine.run(f"mkfifo {KEYS}; (sleep infinity >{KEYS}) & setsid bash -c {inner!r} & :")

    def reads(self, pattern: str, within: float = SETUP) -> None:
        def look() -> bool:
            screen = self._machine.control.try_run(f"cat {SCREEN}").out
            found = re.search(pattern, screen[self._read :])
            if found:
                self._read += found.end()
            return found is not None

        wait_until(f"{pattern!r} on the survivor's screen", look, within, 2)

    def types(self, text: str = "") -> None:
        self._machine.run(f"printf '%s\\n' {shlex.quote(text)} >{KEYS}")

    def answers(self, pattern: str, text: str = "") -> None:
        self.reads(pattern)
        self.types(text)


def make_blank(machine: Machine) -> None:
    """Another PC: a stick flashed anew, and a data disk that never held anything."""
    for disk in machine.disks:
        disk.file(machine.folder).unlink()
        disk.create(machine.folder)
    stick.stretch_time(machine.disks[0].file(machine.folder), SCALE)


def is_alone(machine: Machine) -> bool:
    guests = status(machine).get("guests", [])
    return bool(guests) and all(guest["is_alone"] for guest in guests)


def test_a_blank_machine_takes_the_place_of_a_dead_one(pair: Pair) -> None:
    a, b = pair.both
    domain = a.run("xl domid counter")
    number = wait_until("a number", pair.recorder.next, 120)
    b.power_cut(seed=1)
    wait_until("the survivor to be alone", lambda: is_alone(a), ALONE, 2)
    make_blank(b)
    b.power_on()
    typed = Command(a, "shoestring replace")
    code = evening.sit_down(a, b).read_code()
    typed.answers("code > ", code)
    typed.answers("Press Enter to go on")
    typed.answers(r"\(1 of 4[\s\S]*> ")
    typed.answers(r"\(2 of 4[\s\S]*> ")
    typed.answers(r"\(3 of 4[\s\S]*> ")
    typed.answers(r"\(4 of 4[\s\S]*> ", "DATA")
    typed.reads("is the second half of this pair now")
    pair.await_protected(SETUP)
    assert a.run("xl domid counter") == domain, "the guest was started anew"
    after = wait_until("a number", pair.recorder.next, 120)
    assert after > number
    assert "SyncSource" in a.run("journalctl -k -b")
    a.power_cut(seed=2)
    wait_until("the new machine to serve", pair.recorder.next, SETUP)
    assert status(b)["guests"][0]["runs_on"] == ["b"]
