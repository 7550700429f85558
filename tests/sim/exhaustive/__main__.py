# SPDX-License-Identifier: MIT
"""python -m tests.sim.exhaustive: tells all histories, and what became of them."""

import argparse
import sys
from collections.abc import Sequence
from time import monotonic, process_time

from haagent.core.timing import Timing
from tests.sim.exhaustive.alphabet import ALPHABET, FAULTS_ALONE, Kind, Step
from tests.sim.exhaustive.search import Found, Outcome, explore, healthy
from tests.sim.exhaustive.situation import TIGHT


def say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="all histories of a simulated pair, to a bound")
    parser.add_argument("--depth", type=int, default=8, help="steps of a history (8)")
    parser.add_argument("--faults", type=int, default=3, help="faults and orders among them (3)")
    parser.add_argument("--all", action="store_true", help="every letter, not only faults alone")
    parser.add_argument("--shipped", action="store_true", help="the timers of real hardware")
    parser.add_argument("--mend-every", type=int, default=400, metavar="N", help="0: never")
    options = parser.parse_args()
    alphabet = ALPHABET if options.all else FAULTS_ALONE
    say_alphabet(alphabet)
    say(f"depth {options.depth}, faults {options.faults}")
    began = monotonic()
    outcome = explore(
        options.depth,
        options.faults,
        start=healthy(Timing() if options.shipped else TIGHT),
        alphabet=alphabet,
        tell=say,
        stop_at=10,
        mend_every=options.mend_every,
    )
    say_outcome(outcome)
    say(f"{monotonic() - began:.0f} s, {process_time():.0f} s of them computing")
    return 0 if outcome.is_well else 1


def say_alphabet(alphabet: Sequence[Step]) -> None:
    say(f"alphabet: {len(alphabet)} steps")
    for kind in Kind:
        names = [step.name for step in alphabet if step.kind is kind]
        if names:
            say(f"  {kind}: {'; '.join(names)}")


def say_outcome(outcome: Outcome) -> None:
    depths = ", ".join(f"{depth}: {count}" for depth, count in sorted(outcome.by_depth.items()))
    say(f"states {outcome.states} (first seen at depth {depths})")
    say(f"edges {outcome.edges}, {outcome.merged} of them into a state that was there already")
    say(f"frontier {outcome.frontier}")
    for name, count in sorted(outcome.exempt.items()):
        say(f"exempt, {name}: {count}")
    say(f"everything mended at the bound: {outcome.mended} times")
    for title, found in (
        ("a promise is broken", outcome.broken),
        ("an exempt history ends undetected", outcome.undetected),
        ("the mended pair does not serve", outcome.stuck),
    ):
        say(f"{title}: {len(found)}")
        for one in found[:10]:
            say_found(one)


def say_found(found: Found) -> None:
    for name in found.path:
        say(f"    {name}")
    for violation in found.violations:
        say(f"  = {violation}")


if __name__ == "__main__":
    sys.exit(main())
