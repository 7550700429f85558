# SPDX-License-Identifier: MIT
"""`make sim RUNS=n SEED=s`: random histories of two machines with the core as it is.

One line sums them up. What goes wrong is shrunk, written below build/sim, and printed with the
command that tells it again. Exit code 1 if anything did.
"""

import argparse
import gc
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.sim.draws import draw
from tests.sim.histories import Outcome, tell
from tests.sim.scripts import Script, dump, load
from tests.sim.shrinking import as_it_did, shrink

KEPT = Path("build/sim")
SHRUNK = 5  # of all that goes wrong
TELLS_EVERY = 30  # seconds
SWEEP = 100  # histories between two collections of garbage: a world is full of cycles


@dataclass(slots=True)
class Sum:
    """What a run of histories comes to."""

    schedules: int = 0
    events: int = 0
    faults: int = 0
    with_fault: int = 0
    with_takeover: int = 0  # of those that no farewell allowed
    aimed: int = 0
    aimable: int = 0
    hole: int = 0
    frozen: int = 0
    persons: int = 0
    parted: int = 0
    grounds: Counter[str] = field(default_factory=Counter)
    broken: list[Outcome] = field(default_factory=list)

    def add(self, one: Outcome) -> None:
        self.schedules += 1
        self.events += one.events
        self.faults += one.faults
        self.with_fault += one.faults > 0
        self.with_takeover += any(not ground.startswith("farewell") for ground in one.grounds)
        self.aimed += one.aimed
        self.aimable += one.aimable
        self.hole += one.is_hole
        self.frozen += one.is_frozen
        self.persons += one.is_persons
        self.parted += one.end.name == "PARTED"
        self.grounds.update(one.grounds)
        if one.problems:
            self.broken.append(one)

    @property
    def events_per_node(self) -> float:
        return self.events / 2 / max(1, self.schedules)

    @property
    def share_faulty(self) -> float:
        return self.with_fault / max(1, self.schedules)

    @property
    def share_taken_over(self) -> float:
        return self.with_takeover / max(1, self.schedules)

    @property
    def share_aimed(self) -> float:
        return self.aimed / max(1, self.aimable)

    def averages(self) -> str:
        return (
            f"on average {self.events_per_node:.0f} events a node, a fault in"
            f" {self.share_faulty:.0%}, a takeover without farewell in {self.share_taken_over:.0%},"
            f" {self.share_aimed:.0%} aimed at the holder; persons={self.persons}"
            f" parted={self.parted}"
        )

    def line(self) -> str:
        by_proof = ",".join(f"{name}:{n}" for name, n in sorted(self.grounds.items())) or "-"
        return (
            f"schedules={self.schedules} events={self.events} faults={self.faults}"
            f" takeovers={self.grounds.total()} by-proof={by_proof}"
            f" hole={self.hole} frozen={self.frozen} violations={len(self.broken)}"
        )


def run(scripts: Iterable[Script]) -> Sum:
    """Tells them all."""
    total = Sum()
    for script in _swept(scripts):
        total.add(tell(script))
    return total


def _swept(scripts: Iterable[Script]) -> Iterator[Script]:
    """A history is over before its garbage is worth a look."""
    gc.disable()
    try:
        for number, script in enumerate(scripts):
            if number % SWEEP == 0:
                gc.collect()
            yield script
    finally:
        gc.enable()


def _counted(seeds: range) -> Iterator[int]:
    """Says now and then how far it is: many take an hour."""
    told = time.monotonic()
    for number, seed in enumerate(seeds):
        if time.monotonic() - told > TELLS_EVERY:
            told = time.monotonic()
            print(f"{number} of {len(seeds)} are told", file=sys.stderr)
        yield seed


def report(one: Outcome) -> None:
    """Shrinks what went wrong, and says how to see it again."""
    problem = one.problems[0]
    short = shrink(one.script, as_it_did(problem))
    KEPT.mkdir(parents=True, exist_ok=True)
    file = KEPT / f"{one.script.seed}.yaml"
    file.write_text(dump(short))
    print(f"seed {one.script.seed}: {problem}", dump(short), sep="\n")
    print(f"{sys.executable} -m tests.sim.random --replay {file}\n")


def replay(file: Path) -> int:
    one = tell(load(file.read_text()))
    print(*one.log, "", *(one.problems or [f"all is well: {one.end}"]), sep="\n")
    return 1 if one.problems else 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests.sim.random", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="how many histories")
    parser.add_argument("--seed", type=int, default=0, help="of the first; the others follow it")
    parser.add_argument("--mixed", action="store_true", help="of two releases: ten times slower")
    parser.add_argument("--replay", type=Path, help="tells a script again, with its log")
    said = parser.parse_args(arguments)
    if said.replay is not None:
        return replay(said.replay)
    begin = time.process_time()
    seeds = _counted(range(said.seed, said.seed + said.runs))
    total = run(draw(seed, is_mixed=said.mixed) for seed in seeds)
    minutes = (time.process_time() - begin) / 60
    for one in total.broken[:SHRUNK]:
        report(one)
    if len(total.broken) > SHRUNK:
        print("also:", *(one.script.seed for one in total.broken[SHRUNK:]))
    print(f"{total.schedules / minutes:.0f} histories/min of processor time")
    print(total.averages())
    print(total.line())
    return 1 if total.broken else 0


if __name__ == "__main__":
    sys.exit(main())
