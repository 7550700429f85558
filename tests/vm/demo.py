# SPDX-License-Identifier: MIT
"""`make demo`: a pair, a guest that counts, and the plug of its machine pulled.

Prints what happened when, in seconds after the cut, and what became of every acknowledged write.
"""

import sys
import time

from tests.vm.accel import acceleration
from tests.vm.audits import lost
from tests.vm.journal import Line, find
from tests.vm.lab import Lab
from tests.vm.pair import SCALE, status
from tests.vm.story import TAKEOVER, Story, lines, wall_clock
from tests.vm.wait import wait_until

WRITES = 200  # acknowledged before the cut, at least

# What the survivor's agent says, in the order in which it must come.
STEPS = (
    ("noticed", r"is silent on every path"),
    ("decided", r"released -> promoting: (?P<why>.*)"),
    ("promoted", r"promoting -> creating"),
    ("guest created", r"creating -> holding"),
)


def timeline(journal: list[Line], offset: float) -> list[tuple[str, float, str]]:
    """What the survivor said, and when on this host's clock; OFFSET is its wall clock's lead."""
    told = []
    after = 0.0
    for name, pattern in STEPS:
        line = find(journal, pattern, after)
        if line is None:
            raise AssertionError(f"the survivor never said {pattern!r}")
        after = line.at
        told.append((name, line.at - offset, line.text if name == "decided" else ""))
    return told


def run(lab: Lab) -> int:
    story = Story(lab)
    with story:
        holder = next(m for m in story.pair.both if m.name in status(m)["guests"][0]["runs_on"])
        (survivor,) = (m for m in story.pair.both if m is not holder)
        print(f"PROTECTED; the guest runs on {holder.name}. Writing ...", flush=True)
        story.await_numbers(WRITES)
        wall, host = wall_clock(survivor)
        seen = len(lines(survivor))
        cut = time.monotonic()
        holder.power_cut(seed=int(cut))
        print(f"{holder.name} has no power any more.", flush=True)
        wait_until("an answer of the guest", lambda: story.recorder.moments[-1] > cut + 1, TAKEOVER)
        first = next(at for at in story.recorder.moments if at > cut + 1)
        story.await_numbers(10)
    present = wait_until("the guest's numbers", story.recorder.present, 300)
    print()
    for name, at, detail in timeline(lines(survivor)[seen:], wall - host):
        print(f"{at - cut:8.1f} s  {name:<15}{detail}")
    print(f"{first - cut:8.1f} s  first answer")
    missing = lost(story.recorder.acknowledged, present)
    print()
    print(f"Every timer takes {SCALE:g} times as long as on real machines; these are emulated.")
    print(f"acknowledged writes: {len(story.recorder.acknowledged)}, lost: {len(missing)}")
    return 1 if missing else 0


def main() -> int:
    lab = Lab(acceleration())
    try:
        return run(lab)
    finally:
        lab.close()


if __name__ == "__main__":
    sys.exit(main())
