# SPDX-License-Identifier: MIT
"""The set-up on any computer: the same questions about machines from files; nothing is changed.

The other machine is played in here, with its screen: what it would show is marked by a bar.
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
from firstboot.faces import line
from firstboot.meeting import Meeting, Met
from firstboot.pairing import ceremony
from firstboot.pairing import code as codes
from firstboot.pairing.announcement import Announcement, Party, party
from firstboot.pairing.ceremony import Asker, Keys, Outputs, Shower
from firstboot.pairing.discovery import Crossover
from firstboot.pairing.session import Session
from firstboot.probe import Machine
from firstboot.standard import Standard
from firstboot.steps import plan
from haagent.errors import OperatorError, ShoestringError
from haagent.folding import WIDTH, folded

BAR = " " * 10 + "| "
INTERRUPTED = 130  # as shells count: 128 and SIGINT


class Stage:
    """A meeting.Meeting that leads nowhere."""

    def __init__(self, screens: Standard, mac: str) -> None:
        self.screens = screens
        self.scale = 1.0
        self.agreement: Agreement | None = None
        self._mac = mac

    def mac(self, card: str) -> str:
        return self._mac

    def wait(self, *others: int) -> str:
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


class Bar:
    """The screen of the other machine, as far as it is played."""

    def __init__(self, screens: Standard) -> None:
        self._screens = screens

    def tell(self, text: str) -> None:
        for one in folded(text, WIDTH - len(BAR)):
            self._screens.tell(BAR + one)


def run(machine: Path, other: Path | None) -> int:
    """The exit status."""
    screens = Standard()
    try:
        _play(screens, _read(machine), _read(other) if other else None)
    except OperatorError as error:
        print(f"\nfirstboot: {error} {error.hint}", file=sys.stderr)
        return 1
    except ShoestringError as error:
        print(f"\nfirstboot: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"\nfirstboot: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nThis was a rehearsal: nothing was changed.")
        return INTERRUPTED
    finally:
        screens.hide(False)
    return 0


def _read(path: Path) -> Machine:
    return machine_json.loads(path.read_bytes())


def _play(screens: Standard, here: Machine, there: Machine | None) -> None:
    there = there or replace(here, machine_id=here.machine_id[::-1])
    screens.tell(line.greeting(here))
    if not here.nics or not there.nics:
        raise OperatorError("A machine without a network card meets nobody.", "Take another one.")
    me, peer = (party(one.machine_id, "rehearsal", one.version or "?") for one in (here, there))
    crossover = Crossover(here.nics[0].name, Announcement(peer, there.nics[0].mac))
    keys = _pair(screens, me, peer)
    stage, others_stage = Stage(screens, here.nics[0].mac), Stage(screens, there.nics[0].mac)
    others_stage.screens = cast(Standard, Bar(screens))
    back = Crossover(there.nics[0].name, Announcement(me, here.nics[0].mac))
    driven = Driven(
        cast(Meeting, others_stage),
        Met(cast(Session, None), keys, back, drives=False),
        lambda: Description(there, ()),
    )
    met = Met(cast(Session, Player(driven)), keys, crossover, drives=True)
    driving = Driving(cast(Meeting, stage), met, lambda: Description(here, ()))
    driving.run()
    driving.show("\n".join(_plans(stage.agreement, others_stage.agreement)))


def _pair(screens: Standard, me: Party, peer: Party) -> Keys:
    """The code, as two machines ask for it."""
    bar = Bar(screens)
    shower, asker = Shower(peer, me), Asker(me, peer)
    screens.tell("\nThe other machine is played in here; behind the bar is its screen.")
    _say(shower.start(), bar)
    while True:
        screens.prompt("code > ")
        typed = screens.read(None)
        try:
            outputs = asker.type_code(codes.parse(typed))
        except OperatorError as error:
            screens.tell(f"{error} {error.hint}")
            continue
        ends, screen = (shower, asker), (bar, screens)
        turn = 0
        while sent := [one.data for one in outputs if isinstance(one, ceremony.Send)]:
            outputs = tuple(o for data in sent for o in ends[turn].receive(data))
            _say(outputs, screen[turn])
            for one in outputs:
                if isinstance(one, ceremony.Paired) and ends[turn] is asker:
                    return one.keys
            turn = 1 - turn
        if any(isinstance(one, ceremony.WantKey) for one in outputs):
            _say(shower.press_key(), bar)


def _say(outputs: Outputs, screen: Standard | Bar) -> None:
    for output in outputs:
        match output:
            case ceremony.ShowCode(code):
                screen.tell(f"{codes.shown(code)}   Type this code on the other machine.")
            case ceremony.TryEnded(_, sentence, _):
                screen.tell(sentence)


def _plans(ours: Agreement | None, theirs: Agreement | None) -> list[str]:
    lines = []
    for name, agreement in (("this machine", ours), ("the other one", theirs)):
        assert agreement is not None
        answers = answer_file.read(agreement.answers)
        lines += ["", f"What {name}, {answers.names[answers.me]}, would do now:"]
        lines += [f"  {n}. {step.title}." for n, step in enumerate(plan(answers, 1.0), 1)]
    return [*lines, "", "This was a rehearsal: nothing was changed."]
