# SPDX-License-Identifier: MIT
"""The set-up on any computer: the same questions about machines from files; nothing is changed.

The other machine is played in here. The code is left out: it joins two real machines.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from firstboot import answers as answer_file
from firstboot import machine_json
from firstboot.agreement import Agreement
from firstboot.description import Description
from firstboot.driven import Driven
from firstboot.driving import Driving
from firstboot.meeting import Meeting, Met
from firstboot.pairing.announcement import Announcement, party
from firstboot.pairing.ceremony import Keys
from firstboot.pairing.discovery import Crossover
from firstboot.pairing.session import Session
from firstboot.probe import Machine
from firstboot.steps import plan
from firstboot.terminals import Terminals
from haagent.errors import ShoestringError

TERMINAL = Path("/dev/tty")
SECRET = "0" * 31 + "123456789abcdef0" * 2 + "0"  # nobody's; a real one is made while pairing


class Stage:
    """A meeting.Meeting that leads nowhere."""

    def __init__(self, screens: Terminals, mac: str) -> None:
        self.screens = screens
        self.agreement: Agreement | None = None
        self._mac = mac

    def mac(self, card: str) -> str:
        return self._mac

    def wait(self, *others: int) -> str | int | None:
        return self.screens.read(None)

    def keep(self, agreement: Agreement) -> None:
        self.agreement = agreement


class Player:
    """A session.Session with the other machine, which is in here."""

    def __init__(self, driven: Driven) -> None:
        self._driven = driven

    def fileno(self) -> int:
        return -1

    def say(self, message: Mapping[str, Any]) -> None:
        self._driven.answer(message)

    def ask(self, message: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        return self._driven.answer(message) or {}


def run(machine: Path, other: Path | None) -> int:
    """The exit status."""
    try:
        _play(_read(machine), _read(other) if other else None)
    except ShoestringError as error:
        print(f"firstboot: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"firstboot: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _read(path: Path) -> Machine:
    return machine_json.loads(path.read_bytes())


def _play(here: Machine, there: Machine | None) -> None:
    there = there or replace(here, machine_id=here.machine_id[::-1])
    if len(here.nics) < 1 or len(there.nics) < 1:
        print("A machine without a network card meets nobody.")
        return
    screens = Terminals([TERMINAL], has_journal=False)
    me, peer = (party(one.machine_id, "rehearsal", one.version or "?") for one in (here, there))
    crossover = Crossover(here.nics[0].name, Announcement(peer, there.nics[0].mac))
    keys = Keys(b"", b"", SECRET)
    stage, others_stage = Stage(screens, here.nics[0].mac), Stage(screens, there.nics[0].mac)
    back = Crossover(there.nics[0].name, Announcement(me, here.nics[0].mac))
    driven = Driven(
        cast(Meeting, others_stage),
        Met(cast(Session, None), keys, back, drives=False),
        lambda: Description(there, ()),
    )
    met = Met(cast(Session, Player(driven)), keys, crossover, drives=True)
    Driving(cast(Meeting, stage), met, lambda: Description(here, ())).run()
    for name, agreement in (
        ("this machine", stage.agreement),
        ("the other", others_stage.agreement),
    ):
        assert agreement is not None
        answers = answer_file.read(agreement.answers)
        screens.tell(f"\nWhat {name}, {answers.names[answers.me]}, would do now:")
        for number, step in enumerate(plan(answers, 1.0), 1):
            screens.tell(f"  {number}. {step.title}.")
    screens.tell("\nThis was a rehearsal: nothing was changed.")
