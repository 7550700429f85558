# SPDX-License-Identifier: MIT
"""Measures what the agent and the screens cost an idle pair, against heartbeat's own processes in
the same minute of the same machine.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.vm.bench.figures import Bound, Figure, Target, ratios
from tests.vm.bench.readings import READ, Reading, Service, parse, program, without
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.pair import SCALE, Pair, healthy_pair, status
from tests.vm.wait import wait_until

NAME = "idle"
MINUTE = 60.0  # seconds
MIB = 1 << 20
AGENT = r"haagent\.service"
SCREENS = r"console@.*\.service"
HEARTBEAT = r"heartbeat\.service"
XENS = {"xl"}  # a guest's own watcher, which `xl create` leaves in the agent's group
MOST_MEMORY = Target(Bound.AT_MOST, 80)
MOST_TIME = Target(Bound.AT_MOST, 1.5)


@dataclass(frozen=True, slots=True)
class Minute:
    """Two readings of one machine, a minute apart."""

    begin: Reading
    end: Reading

    def used(self, pattern: str) -> float:
        """Milliseconds of processor time for each second that passed."""
        spent = self.end.of(pattern).used - self.begin.of(pattern).used
        return 1000 * spent / (self.end.at - self.begin.at)

    def memory(self, pattern: str) -> Service:
        return without(self.end.of(pattern), XENS)


def measure(accel: str, samples: int) -> Iterator[Figure]:
    lab = Lab(accel)
    try:
        pair = healthy_pair(lab)
        minutes = _minutes(pair, samples)
        holder = next(m.name for m in pair.both if m.name in status(m)["guests"][0]["runs_on"])
    finally:
        lab.close()
    for name, told in minutes.items():
        where = "with the guest" if name == holder else "without it"
        yield from _figures(where, told)


def _minutes(pair: Pair, samples: int) -> dict[str, list[Minute]]:
    """What a checkpoint leaves undone is done in a minute that nobody counts."""
    told: dict[str, list[Minute]] = {machine.name: [] for machine in pair.both}
    _pass(MINUTE)
    before = {machine.name: read(machine) for machine in pair.both}
    for _ in range(samples):
        _pass(MINUTE)
        after = {machine.name: read(machine) for machine in pair.both}
        for name, reading in after.items():
            told[name].append(Minute(before[name], reading))
        before = after
    return told


def _pass(seconds: float) -> None:
    end = time.monotonic() + seconds
    wait_until("time to pass", lambda: time.monotonic() >= end, seconds + 1)


def read(machine: Machine) -> Reading:
    return parse(machine.run(READ))


def _figures(where: str, told: list[Minute]) -> Iterator[Figure]:
    def times(pattern: str) -> tuple[float, ...]:
        return tuple(minute.used(pattern) for minute in told)

    ours = tuple(map(sum, zip(times(AGENT), times(SCREENS), strict=True)))
    for name, used in (
        ("agent", times(AGENT)),
        ("screens", times(SCREENS)),
        ("heartbeat", times(HEARTBEAT)),
    ):
        yield Figure(NAME, f"processor time of {name}, {where}", "ms/s", used)
    yield Figure(
        NAME,
        f"agent and screens against heartbeat, {where}",
        "ratio",
        ratios(ours, times(HEARTBEAT)),
        MOST_TIME,
        f"processor time; both with timers {SCALE:g} times as long as on real machines",
    )
    for name, pattern in (("agent", AGENT), ("screens", SCREENS), ("heartbeat", HEARTBEAT)):
        memory = [minute.memory(pattern) for minute in told]
        programs = sorted(program(process) for process in memory[-1].processes)
        note = f"RSS of {', '.join(programs)}"
        yield Figure(NAME, f"RSS of {name}, {where}", "MiB", _rss(memory), note=note)
        yield Figure(NAME, f"PSS of {name}, {where}", "MiB", _pss(memory))
    together = [minute.memory(f"{AGENT}|{SCREENS}") for minute in told]
    yield Figure(
        NAME, f"RSS of agent and screens together, {where}", "MiB", _rss(together), MOST_MEMORY
    )
    yield Figure(NAME, f"PSS of agent and screens together, {where}", "MiB", _pss(together))


def _rss(memory: list[Service]) -> tuple[float, ...]:
    return tuple(service.rss / MIB for service in memory)


def _pss(memory: list[Service]) -> tuple[float, ...]:
    return tuple(service.pss / MIB for service in memory)
