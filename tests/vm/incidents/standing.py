# SPDX-License-Identifier: MIT
"""How a pair stands, and that it stands so still: the reactions that must not be there."""

import re

from tests.vm.chaos.faults import BOOT_ID
from tests.vm.journal import Line, find
from tests.vm.machine import Machine
from tests.vm.pair import status
from tests.vm.story import BOOT, TAKEOVER, Story, lines
from tests.vm.wait import wait_until


def boot_id(machine: Machine) -> str:
    return machine.run(f"cat {BOOT_ID}").strip()


def runs_on(machine: Machine) -> list[str]:
    """Where the guest runs, as MACHINE sees it."""
    found: list[str] = status(machine)["guests"][0]["runs_on"]
    return found


def is_gone(machine: Machine) -> bool:
    """Xen on MACHINE has no domain of the guest."""
    return machine.control.try_run("xl list counter").rc != 0


def holder(story: Story) -> Machine:
    """The machine that the guest runs on, as soon as it is one."""
    pair = story.pair

    def look() -> list[str]:
        guests = status(pair.a).get("guests", [])
        names = [name for guest in guests for name in guest["runs_on"]]
        return names if len(names) == 1 else []

    (name,) = wait_until("the guest to run on one machine", look, TAKEOVER, 2)
    return next(machine for machine in pair.both if machine.name == name)


def starts(story: Story) -> set[str]:
    """Those of the guest that were heard since STORY began."""
    return {beacon.epoch for beacon in story.beacons.heard}


SELF_FENCED = "promoting: peer off: self-fenced; our copy: unbroken"


def expect_takeover(story: Story, before: str, proofs: str = SELF_FENCED) -> None:
    """From a, which boots anew by itself: it was in the boot BEFORE. It does not get the guest
    back. PROOFS is a pattern of those that b has.
    """
    a, b = story.pair.both
    story.await_line(b, proofs)
    story.await_numbers(10)
    a.control.wait_for_boot(BOOT)
    assert boot_id(a) != before
    story.await_protected()
    assert runs_on(b) == ["b"], "it failed back"
    assert len(starts(story)) == 2, "it moved more than once"
    story.audit()


def await_time(machine: Machine, seconds: float) -> None:
    """MACHINE's agent has gone on deciding for SECONDS, by its own clock."""
    began = status(machine)["at"]
    wait_until(
        f"{seconds:.0f} s of {machine.name}'s agent",
        lambda: status(machine).get("at", 0) > began + seconds,
        seconds + BOOT,
        1,
    )


class Standing:
    """How the pair of STORY stands now. What its agents say is counted, not dated: a wall clock
    may jump.
    """

    def __init__(self, story: Story) -> None:
        self._story = story
        self._heard = len(story.beacons.heard)
        self._start = story.beacons.heard[-1].epoch
        self._boots = {machine.name: boot_id(machine) for machine in story.pair.both}
        self._said = {machine.name: len(lines(machine)) for machine in story.pair.both}
        (self._holder,) = runs_on(story.pair.a)

    def said(self, machine: Machine) -> list[Line]:
        """What MACHINE's agent has said since, in the same boot."""
        return lines(machine)[self._said[machine.name] :]

    def await_line(self, machine: Machine, pattern: str, deadline: float = TAKEOVER) -> Line:
        """The first of these lines that matches PATTERN."""
        return wait_until(
            f"{machine.name}'s agent to say {pattern!r}",
            lambda: find(self.said(machine), pattern),
            deadline,
            1,
        )

    def await_next_start(self, deadline: float = TAKEOVER) -> None:
        """The guest was started anew, on whichever machine."""
        heard = self._story.beacons.heard
        wait_until("the guest's next start", lambda: heard[-1].epoch != self._start, deadline)

    def assert_unmoved(self) -> None:
        """The same holder, the same start of the guest, no boot of any machine."""
        self.assert_guest_stayed()
        for machine in self._story.pair.both:
            assert boot_id(machine) == self._boots[machine.name], f"{machine.name} was reset"

    def assert_guest_stayed(self) -> None:
        """The same holder, which was not reset, and the same start of the guest."""
        heard = {beacon.epoch for beacon in self._story.beacons.heard[self._heard :]}
        assert heard <= {self._start}, "the guest was started anew"
        for machine in self._story.pair.both:
            assert runs_on(machine) == [self._holder], f"{machine.name} sees it elsewhere"
            if machine.name == self._holder:
                assert boot_id(machine) == self._boots[machine.name], "its holder was reset"

    def assert_nobody_was_missed(self) -> None:
        """No word of the agents was so late that one took the other for silent, or stood still."""
        for machine in self._story.pair.both:
            late = [
                line.text
                for line in self.said(machine)
                if re.search("is silent on every path|our loop stood still", line.text)
            ]
            assert not late, f"{machine.name}: {late}"
