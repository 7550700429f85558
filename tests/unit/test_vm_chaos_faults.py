# SPDX-License-Identifier: MIT
"""What each fault does to machines, and how it is mended, with machines that only note it."""

import time
from typing import cast

import pytest

from tests.unit.fake_story import FakeCables, FakeMachine
from tests.vm.cables import Cables
from tests.vm.chaos.faults import ALIVE, BOOT_ID, FAULTS, CameToNothing, Mend, Scene
from tests.vm.control import Result
from tests.vm.machine import Machine

AGENT = "systemctl kill --kill-whom=main --signal={} haagent"
HEARTBEAT = "systemctl kill --kill-whom=main --signal={} heartbeat"
PULL, PLUG = ["a: unplug xo", "b: unplug xo"], ["a: plug xo", "b: plug xo"]

# What is noted when it happens to a, and when it is mended.
NOTED = {
    "power": (["a: power cut 9"], ["a: power on"]),
    "freeze": (["a: stop"], ["a: cont"]),
    "reboot": (["a: systemctl --no-block reboot"], []),
    "crossover": (PULL, PLUG),
    "silent-crossover": (["lose xo"], ["carry xo"]),
    "lan-between": (["lose lan between a and b"], ["carry lan"]),
    "lan-cable": (["lose lan a"], ["carry lan"]),
    "switch": (["lose lan"], ["carry lan"]),
    "gateway": (["lose lan gw"], ["carry lan"]),
    "cards": (["lose xo a", "lose lan a"], ["carry xo", "carry lan"]),
    "drbd-port": (["lose xo tcp 7788"], ["carry xo tcp 7788"]),
    "kill-agent": ([f"a: {AGENT.format('KILL')}"], []),
    "hang-agent": ([f"a: {AGENT.format('STOP')}"], [f"a: {AGENT.format('CONT')}"]),
    "kill-heartbeat": ([f"a: {HEARTBEAT.format('KILL')}"], []),
    "hang-heartbeat": ([f"a: {HEARTBEAT.format('STOP')}"], [f"a: {HEARTBEAT.format('CONT')}"]),
    "kill-guest": (["a: xl destroy counter"], []),
    "clock-forward": (["jumps"], ["jumps"]),
    "clock-back": (["jumps"], ["jumps"]),
}


class Room:
    """Two machines and their cables. Each boot of a has an id, and its clock says when it jumps."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.a, self.b = FakeMachine("a", self.did), FakeMachine("b", self.did)
        self.scene = Scene(
            cast(Machine, self.a),
            cast(Machine, self.b),
            cast(Cables, FakeCables(self.did)),
            seed=9,
        )

    def happens(self, name: str) -> Mend:
        return FAULTS[name].happens(self.scene, self.scene.a)

    def taken(self) -> list[str]:
        did = self.did.copy()
        self.did.clear()
        return did


@pytest.fixture
def room() -> Room:
    return Room()


def test_every_fault_is_noted_here() -> None:
    assert set(NOTED) == set(FAULTS)


@pytest.mark.parametrize("name", [name for name, (does, _) in NOTED.items() if does != ["jumps"]])
def test_what_happens_and_how_it_is_mended(room: Room, name: str) -> None:
    does, mends = NOTED[name]
    room.a.outs[f"cat {BOOT_ID}"] = "1\n"
    mend = room.happens(name)
    assert room.taken() == does
    room.a.outs[f"cat {BOOT_ID}"] = "2\n"
    mend()
    assert room.taken() == mends


@pytest.mark.parametrize(
    ("name", "change", "back"),
    [("clock-forward", "+1 hour", "-1 hour"), ("clock-back", "-1 hour", "+1 hour")],
)
def test_a_clock_is_put_back_in_the_same_boot_alone(
    room: Room, name: str, change: str, back: str
) -> None:
    asked: list[str] = []

    def try_run(script: str, timeout: float) -> Result:
        asked.extend({script} - {ALIVE})
        return Result(0, "boot-1\n")

    room.a.try_run = try_run  # type: ignore[method-assign, assignment]
    room.happens(name)()
    jumps, puts_back = asked
    assert jumps == f"date --set='{change}' >/dev/null; cat {BOOT_ID}"
    assert puts_back == f'[ "$(cat {BOOT_ID})" != "boot-1" ] || date --set="{back}"'


INSIDE = ("reboot", "kill-agent", "hang-agent", "kill-heartbeat", "kill-guest", "clock-back")


@pytest.mark.parametrize("name", [*INSIDE, "freeze"])
@pytest.mark.parametrize("state", ["is_paused", "is_off", "is_dumb"])
def test_nothing_happens_to_who_cannot_be_reached(room: Room, name: str, state: str) -> None:
    if state == "is_off":
        room.a.is_on = False
    else:
        setattr(room.a, state, True)
    if (name, state) == ("freeze", "is_dumb"):
        return  # needs no shell
    with pytest.raises(CameToNothing):
        room.happens(name)
    assert room.taken() == []


def test_nobody_is_asked_what_would_be_done_at_its_next_start(room: Room) -> None:
    """Whoever does not answer gets no more than a harmless script."""
    asked = []

    def try_run(script: str, timeout: float) -> Result:
        asked.append(script)
        raise TimeoutError("a: no answer")

    room.a.try_run = try_run  # type: ignore[method-assign, assignment]
    with pytest.raises(CameToNothing, match="no answer"):
        room.happens("hang-heartbeat")
    assert asked == [ALIVE]


def test_who_is_off_cannot_lose_its_power(room: Room) -> None:
    room.happens("power")
    with pytest.raises(CameToNothing, match="a is off"):
        room.happens("power")


def test_what_a_program_refuses_came_to_nothing(room: Room) -> None:
    room.a.refuses = "no such domain"
    with pytest.raises(CameToNothing, match="ended with 1: no such domain"):
        room.happens("kill-guest")


def test_who_lost_its_power_is_mended_by_that(room: Room) -> None:
    """Whatever happened to it before, or to its cables."""
    mends = [room.happens(name) for name in ("crossover", "hang-agent", "reboot", "power")]
    room.taken()
    for mend in mends:
        mend()
    assert room.taken() == ["b: plug xo", "a: power on"]


def test_a_restart_is_waited_for(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the machine goes down, it looks healthy."""
    room.a.outs[f"cat {BOOT_ID}"] = "1\n"
    mend = room.happens("reboot")
    looks = iter(["1\n", None, "2\n"])

    def try_run(script: str, timeout: float) -> Result:
        if script == ALIVE:
            return Result(0, "")
        if (out := next(looks)) is None:
            raise TimeoutError("a: no answer")
        return Result(0, out)

    room.a.try_run = try_run  # type: ignore[method-assign, assignment]
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    mend()
    assert list(looks) == []
