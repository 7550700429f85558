# SPDX-License-Identifier: MIT
"""A soak's pair, of emulated machines: all that touches them, and no more."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.vm import tools
from tests.vm.incidents.standing import holder
from tests.vm.lab import FAILED, Lab
from tests.vm.machine import Machine
from tests.vm.soak.copies import script
from tests.vm.soak.cuts import Takeover
from tests.vm.soak.judging import Judge, Verdict, differing
from tests.vm.story import OVERLAP, TAKEOVER, Story, ailing
from tests.vm.wait import wait_until

BEFORE, AFTER = 30, 10  # acknowledged numbers before a cut and after it, at least
READ = 300.0  # seconds; generous: after a day the guest reads a million numbers
ALIKE = "Secondary/Secondary Connected UpToDate/UpToDate"
LOOK = "echo $(drbdadm role counter) $(drbdadm cstate counter) $(drbdadm dstate counter)"


class Machines:
    """The pair of STORY, which is entered."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._judge = Judge(OVERLAP)
        self._cut_at = 0.0

    def _machine(self, name: str) -> Machine:
        return self._story.lab.machines[name]

    def holder(self) -> str:
        return holder(self._story).name

    def cut(self, name: str, seed: int) -> None:
        self._story.await_numbers(BEFORE)
        self._cut_at = time.monotonic()
        self._machine(name).power_cut(seed=seed)

    def takeover(self, by: str) -> Takeover:
        line = self._story.await_line(self._machine(by), "released -> promoting")
        first = self._story.await_numbers(AFTER)
        return Takeover(first - self._cut_at, line.text.partition("promoting: ")[2])

    def bring_back(self, name: str) -> None:
        self._story.return_of(self._machine(name))

    def judge(self) -> Verdict:
        story = self._story
        acknowledged = list(story.recorder.acknowledged)
        present = wait_until("the guest's numbers", lambda: story.recorder.present(READ), TAKEOVER)
        return self._judge.look(
            acknowledged, present, list(story.beacons.heard), ailing(story.pair)
        )

    def compare(self) -> str:
        """The standby is in maintenance, so that it does not start what the holder signs off."""
        serves = holder(self._story)
        (standby,) = (one for one in self._story.pair.both if one is not serves)
        self._story.end_asking()
        standby.run("shoestring maintenance on --yes", TAKEOVER)
        serves.run("haagent leave", TAKEOVER)
        both = self._story.pair.both
        wait_until(
            "both copies to be in sync, and nobody's",
            lambda: all(one.run(LOOK).strip() == ALIKE for one in both),
            TAKEOVER,
            2,
        )
        return differing([one.run(script(), TAKEOVER).split() for one in both])

    def keep(self, name: str) -> str:
        print(self._story.lab.keep_evidence(name), flush=True)
        return str((FAILED / name).relative_to(tools.TOP))


@contextmanager
def pair(accel: str) -> Iterator[Machines]:
    """A healthy one, under load, of machines of its own."""
    lab = Lab(accel)
    try:
        with Story(lab) as story:
            yield Machines(story)
    finally:
        lab.close()
