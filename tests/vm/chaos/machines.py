# SPDX-License-Identifier: MIT
"""The pair of a history, of emulated machines: all that touches them, beside the faults."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.vm import tools
from tests.vm.chaos.draws import HOLDER, Step
from tests.vm.chaos.faults import FAULTS, CameToNothing, Mend, Scene
from tests.vm.chaos.histories import Ended
from tests.vm.incidents.standing import holder
from tests.vm.lab import FAILED, Lab
from tests.vm.machine import Machine
from tests.vm.pair import SCALE, TIMING, status
from tests.vm.story import BOOT, Story
from tests.vm.wait import wait_until

NUMBERS = 20  # acknowledged before the first fault and after the last mending, at least
HEALED = 2 * BOOT  # seconds; two starts of both machines, one after the other


class Machines:
    """The pair of STORY, which is entered. SEED is of the disks' caches; silence is noticed after
    DEAD seconds.
    """

    def __init__(self, story: Story, seed: int, dead: float = TIMING.dead) -> None:
        assert story.lab.cables is not None
        self._story = story
        self._dead = dead
        a, b = story.pair.both
        self._scene = Scene(a, b, story.lab.cables, seed)
        self._holder = holder(story)
        self._may_wake = False
        self._mends: list[Mend] = []
        story.await_numbers(NUMBERS)

    def happen(self, step: Step) -> str:
        (standby,) = (one for one in self._scene.both if one is not self._holder)
        machine = self._holder if step.who == HOLDER else standby
        fault = FAULTS[step.fault]
        try:
            self._mends.append(fault.happens(self._scene, machine))
        except CameToNothing as error:
            return str(error)
        self._may_wake |= fault.stands_still
        return ""

    def wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds * SCALE
        wait_until("what comes next", lambda: time.monotonic() >= end, seconds * SCALE + 60, 0.1)

    def mend(self) -> None:
        """The first first: a machine that is switched on finds the cables as they are by then."""
        for mend in self._mends:
            mend()
        self._mends.clear()

    def settle(self) -> Ended:
        """PROTECTED counts when it stood for T_dead: what was not noticed yet would say so, too."""
        doubted = time.monotonic()  # when it was not said by both

        def look() -> Ended | None:
            nonlocal doubted
            said = [said_by(machine) for machine in self._scene.both]
            if not all(one.get("verdict") == "PROTECTED" for one in said):
                doubted = time.monotonic()
                return Ended.PARTED if all(map(tells_of_a_split, said)) else None
            return Ended.PROTECTED if time.monotonic() - doubted > self._dead else None

        ended = wait_until("both to be protected, or to say split brain", look, HEALED, 2)
        if ended is Ended.PARTED:
            self._await_both_kept()
        return ended

    def _await_both_kept(self) -> None:
        """One of the two may go on trying for ever; neither gives up what it has."""
        both = self._scene.both

        def links() -> set[str]:
            return {one.run("drbdadm cstate counter").strip() for one in both}

        wait_until("DRBD to hang up", lambda: "StandAlone" in links(), BOOT, 2)
        for one in both:
            disk = one.run("drbdadm dstate counter").strip()
            assert disk.startswith("UpToDate/"), f"split brain, and {one.name}'s copy is {disk}"

    def audit(self) -> None:
        self._story.await_numbers(NUMBERS)
        self._story.audit(may_freeze=True, may_wake=self._may_wake)

    def keep(self, name: str) -> str:
        print(self._story.lab.keep_evidence(name), flush=True)
        return str((FAILED / name).relative_to(tools.TOP))


def said_by(machine: Machine) -> dict[str, Any]:
    """What its agent says; nothing while it starts, or is off."""
    return status(machine) if machine.is_on else {}


def tells_of_a_split(said: dict[str, Any]) -> bool:
    return any("split brain" in one["what"] for one in said.get("complaints", []))


@contextmanager
def pair(accel: str, seed: int) -> Iterator[Machines]:
    """A healthy one, under load, from its checkpoint."""
    lab = Lab(accel)
    try:
        with Story(lab) as story:
            yield Machines(story, seed)
    finally:
        lab.close()
