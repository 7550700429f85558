# SPDX-License-Identifier: MIT
"""A story whose machines are objects here: they answer scripts, and note what is done to them."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from haagent.core.model import Phase
from tests.vm.beacons import Beacon
from tests.vm.chaos.faults import ALIVE
from tests.vm.control import Result
from tests.vm.journal import Line
from tests.vm.story import Story


class FakeMachine:
    """It is its own root shell. OUTS are what scripts print, by a part of each; the first that is
    in a script counts. All else succeeds and prints nothing. DID has what was done, in order.
    """

    def __init__(self, name: str, did: list[str]) -> None:
        self.name = name
        self.control = self
        self.is_on = True
        self.is_paused = False
        self.is_dumb = False  # it is on, and no shell answers
        self.refuses = ""  # what any other script says as it fails
        self.status: dict[str, Any] = {"verdict": "PROTECTED", "guests": [{"runs_on": ["a"]}]}
        self.outs: dict[str, str] = {"disable_sendpage": "Y\n", "ps -eo": "heartbeat\nccm\n"}
        self._did = did

    def _note(self, what: str) -> None:
        self._did.append(f"{self.name}: {what}")

    def try_run(self, script: str, timeout: float = 60) -> Result:
        if not self.is_on or self.is_paused or self.is_dumb:
            raise TimeoutError(f"{self.name}: no answer to {script!r}")
        if script == ALIVE:
            return Result(0, "")
        for part, out in self.outs.items():
            if part in script:
                return Result(0, out)
        if self.refuses:
            return Result(1, self.refuses)
        self._note(script)
        unique = {"cat /etc/machine-id", "hostname", "cat /sys/class/net/lan/address"}
        return Result(0, self.name if script in unique else "")

    def try_haagent(self, *argv: str, timeout: float = 60) -> Result:
        assert argv == ("status", "--json")
        return replace(self.try_run(ALIVE), out=json.dumps(self.status))

    def run(self, script: str, timeout: float = 60) -> str:
        return self.try_run(script, timeout).out

    def wait_for_boot(self, deadline: float) -> str:
        return "boot"

    def power_cut(self, seed: int | None = None) -> None:
        self._note(f"power cut {seed}")
        self.is_on = False

    def power_on(self) -> None:
        self._note("power on")
        self.is_on, self.is_paused = True, False

    def unplug(self, segment: str) -> None:
        self._note(f"unplug {segment}")

    def plug(self, segment: str) -> None:
        self._note(f"plug {segment}")

    def qmp(self, command: str, **arguments: object) -> dict[str, str]:
        if command == "query-status":
            return {"status": "paused" if self.is_paused else "running"}
        self._note(command)
        self.is_paused = command == "stop"
        return {}


class FakeCables:
    def __init__(self, did: list[str]) -> None:
        self._did = did

    def unplug(self, segment: str, *ports: str) -> None:
        self._did.append(f"lose {segment} {' '.join(ports)}".strip())

    def cut_between(self, segment: str, one: str, other: str) -> None:
        self._did.append(f"lose {segment} between {one} and {other}")

    def plug(self, segment: str) -> None:
        self._did.append(f"carry {segment}")

    def lose_tcp(self, segment: str, number: int, *ports: str) -> None:
        self._did.append(f"lose {segment} tcp {number}")

    def carry_tcp(self, segment: str, number: int) -> None:
        self._did.append(f"carry {segment} tcp {number}")


class FakeStory:
    """Numbers come as soon as they are waited for."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.a, self.b = FakeMachine("a", self.did), FakeMachine("b", self.did)
        self.pair = SimpleNamespace(a=self.a, b=self.b, both=(self.a, self.b))
        self.lab = SimpleNamespace(
            machines={"a": self.a, "b": self.b},
            cables=FakeCables(self.did),
            keep_evidence=lambda name: f"evidence of {name}",
        )
        self.recorder = SimpleNamespace(
            acknowledged=[1, 2, 3], moments=[1.0, 2.0, 3.0], present=lambda timeout: [1, 2, 3]
        )
        self.beacons = SimpleNamespace(heard=[Beacon(1.0, "01-a", 1, 3)])
        self.audited: list[bool] = []  # whether a machine may have woken
        self.wrong = ""  # what an audit finds

    @property
    def story(self) -> Story:
        return cast(Story, self)

    def __enter__(self) -> Story:
        return self.story

    def __exit__(self, *error: object) -> None:
        self.did.append("the story ends")

    def await_numbers(self, count: int, deadline: float = 0) -> float:
        return 1e9

    def await_line(self, machine: FakeMachine, pattern: str, deadline: float = 0) -> Line:
        text = f"counter: {Phase.RELEASED} -> {Phase.PROMOTING}: peer off: self-fenced; term 3"
        assert pattern in text
        return Line(2.0, text)

    def return_of(self, machine: FakeMachine) -> None:
        machine.power_on()

    def end_asking(self) -> None:
        self.did.append("nobody asks any more")

    def audit(self, *, may_freeze: bool = False, may_wake: bool = False) -> None:
        assert may_freeze
        self.audited.append(may_wake)
        assert not self.wrong, self.wrong
