# SPDX-License-Identifier: MIT
"""Measures how long guests take to serve: one that is brought in, from the command on; and four
that are taken over, from the power cut on, against one alone.

A guest serves when it is heard: its first beacon comes from the program that answers.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from tests.vm.beacons import Beacon
from tests.vm.bench.courses import told
from tests.vm.bench.figures import Figure, ratios
from tests.vm.bench.takeovers import offset
from tests.vm.incidents.arrivals import bring, make_image
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import status
from tests.vm.story import TAKEOVER, Story, lines
from tests.vm.wait import wait_until

NAME = "serving"
OTHERS = {"web": "10.0.2.51", "mail": "10.0.2.52", "db": "10.0.2.53"}
LONG = 1800  # seconds; generous


@dataclass(frozen=True, slots=True)
class Arrival:
    """Seconds from the command on."""

    started: float  # until the agent begins to start it
    served: float


def next_start(heard: Sequence[Beacon], start: str, after: float) -> float | None:
    """When another start of a guest than START was heard first, after the moment AFTER; None while
    there was none.
    """
    return next((one.at for one in heard if one.at > after and one.epoch != start), None)


def measure(accel: str, samples: int) -> Iterator[Figure]:
    lab = Lab(accel)
    try:
        with Story(lab) as story:
            story.await_beacons(10)
            alone = [_takeover(story, seed)["counter"] for seed in range(samples)]
            arrivals = [_arrival(story, name, address) for name, address in OTHERS.items()]
            story.await_protected()
            together = [_takeover(story, seed) for seed in range(samples, 2 * samples)]
    finally:
        lab.close()
    yield from figures(arrivals, alone, together)


def _holder(story: Story) -> Machine:
    """The machine that every guest runs on."""

    def look() -> str:
        guests = status(story.pair.a).get("guests", [])
        where = {tuple(guest["runs_on"]) for guest in guests}
        return "".join(*where) if len(where) == 1 else ""

    name = wait_until("the guests to run on one machine", look, TAKEOVER, 2)
    return story.lab.machines[name]


def _arrival(story: Story, name: str, address: str) -> Arrival:
    machine = _holder(story)
    image = make_image(machine, name, address)
    story.beacons.set_apart(address)
    ahead, began = offset(machine), time.monotonic()
    machine.run(bring(image, address), LONG)
    story.await_beacons(1, of=address)
    machine.run(f"rm {image}")
    starts = told(lines(machine), f"{name}: released -> promoting", began + ahead)
    return Arrival(starts.at - ahead - began, story.beacons.apart[address][0].at - began)


def _takeover(story: Story, seed: int) -> dict[str, float]:
    """Seconds from the power cut of the machine that runs all guests to each one's first beacon on
    the other, by name. It is back, and both are protected, when this returns.
    """
    machine = _holder(story)
    heard: dict[str, list[Beacon]] = {"counter": story.beacons.heard}
    heard |= {name: story.beacons.apart.get(address, []) for name, address in OTHERS.items()}
    before = {name: beacons[-1].epoch for name, beacons in heard.items() if beacons}
    cut = time.monotonic()
    machine.power_cut(seed=seed)

    def served(name: str) -> float | None:
        return next_start(heard[name], before[name], cut)

    found = {
        name: wait_until(f"{name} on the other machine", partial(served, name), TAKEOVER) - cut
        for name in before
    }
    story.return_of(machine)
    return found


def figures(
    arrivals: Sequence[Arrival],
    alone: Sequence[float],
    together: Sequence[Mapping[str, float]],
) -> Iterator[Figure]:
    """ALONE is one guest's takeover, TOGETHER that of all four by their names."""
    last = [max(one.values()) for one in together]
    yield Figure(
        NAME,
        "import: command to first beacon",
        "s",
        tuple(one.served for one in arrivals),
        note="a disk of 192 MiB, of which the built-in guest's system takes 50",
    )
    started = tuple(one.started for one in arrivals)
    yield Figure(NAME, "import: of that, until the agent starts it", "s", started)
    yield Figure(NAME, "one guest: power cut to its first beacon", "s", tuple(alone))
    first = tuple(min(one.values()) for one in together)
    yield Figure(NAME, "four guests: power cut to the first one's beacon", "s", first)
    yield Figure(NAME, "four guests: power cut to the last one's beacon", "s", tuple(last))
    yield Figure(NAME, "the last of four against one", "ratio", ratios(last, alone))
