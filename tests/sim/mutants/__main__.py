# SPDX-License-Identifier: MIT
"""Tries every mutant, or those that are asked for, and tells which of them nobody sees.

Ends with 1 if one survives that is not known as equivalent, or if that list is wrong.
"""

import argparse
import gc
import pickle
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate
from math import inf
from zlib import crc32

from tests.sim.mutants import equivalent, grammar, named
from tests.sim.mutants.court import TESTS, sit
from tests.sim.mutants.planting import plant
from tests.sim.mutants.results import CORE, KEPT, Results
from tests.sim.mutants.sources import Mutant, module_of
from tests.sim.mutants.trial import Course, Trial, Verdict, courses, try_out

EVERY = 10.0  # seconds between two words on how far it is


def all_mutants() -> list[Mutant]:
    return [
        *named.mutants(),
        *(mutant for name in grammar.MODULES for mutant in grammar.mutants(module_of(name))),
    ]


def chosen(mutants: Sequence[Mutant], only: str, sample: str) -> list[Mutant]:
    """Those with ONLY in their names; of them, with `k/n`, the k-th of n shares."""
    share, _, shares = sample.partition("/")
    return [
        mutant
        for mutant in mutants
        if only in mutant.name and crc32(mutant.name.encode()) % int(shares) == int(share) - 1
    ]


def hear(trials: list[Trial], mutants: list[Mutant], results: Results, seconds: float) -> None:
    """Tries the mutants of which nothing is known yet, each for about so many SECONDS at most."""
    same = equivalent.read(equivalent.FILE.read_text())
    open_ones = [mutant for mutant in mutants if results.fresh(mutant.name) is None]
    open_ones.sort(key=lambda mutant: mutant.name in same)  # those take longest: all is asked
    if not open_ones:
        return
    known = _courses(trials, results)
    gc.collect()
    gc.freeze()  # so a child does not copy what it does not change
    began = told = time.monotonic()
    asked = 0
    for number, mutant in enumerate(open_ones, 1):
        verdict, is_cut = _try(mutant, trials, known, results, seconds)
        asked += verdict.asked
        if verdict.caught_by is not None or not is_cut:
            results.add(mutant.name, _function(mutant), verdict.caught_by)
        if verdict.caught_by is None:
            print(f"{'not caught yet' if is_cut else 'survives'}: {_shown(mutant)}", flush=True)
        if time.monotonic() - told > EVERY:
            told = time.monotonic()
            mean = (told - began) / number
            print(f"{number}/{len(open_ones)}, {mean:.2f} s and {asked / number:.0f} tests each")
            sys.stdout.flush()
    print(f"{len(open_ones)} tried in {time.monotonic() - began:.0f} s")


def _try(
    mutant: Mutant,
    trials: list[Trial],
    known: Mapping[str, Course],
    results: Results,
    seconds: float,
) -> tuple[Verdict, bool]:
    """What came of it, and whether there were more tests to ask."""
    lines = {(module_of(mutant.module).__file__ or "", line) for line in mutant.lines}
    asked = [
        trial
        for trial in trials
        if (not mutant.function or known[trial.name].lines & lines)
        and (_is_about_disk(mutant) or "power_cut" not in trial.name)
    ]
    order, function = results.order, _function(mutant)
    asked.sort(key=lambda one: order.cost(function, one.name, known[one.name].seconds))
    passed = accumulate(known[trial.name].seconds for trial in asked)
    among = [trial for trial, until in zip(asked, passed, strict=True) if until <= seconds]
    verdict = try_out(partial(plant, mutant), among, lambda trial: known[trial.name].seconds)
    order.note(function, (trial.name for trial in asked[: verdict.asked]), verdict.caught_by)
    return verdict, len(among) < len(asked)


def _shown(mutant: Mutant) -> str:
    return f"{mutant.name}  [{mutant.lines.start}: {mutant.text}]"


def _function(mutant: Mutant) -> str:
    return f"{mutant.module}.{mutant.function}"


def _is_about_disk(mutant: Mutant) -> bool:
    """A cut of the power at the right moment may be what shows it; that takes many of them."""
    return mutant.name.startswith(("named.Ledger", "named.Durable")) or "turn.write" in mutant.text


def _courses(trials: list[Trial], results: Results) -> Mapping[str, Course]:
    """From the run before, where nothing changed since."""
    file = KEPT / "courses.pickle"
    kept: dict[str, tuple[str, Course]] = pickle.loads(file.read_bytes()) if file.exists() else {}
    rests_on = {trial.name: results.rests_on(trial.name) for trial in trials}
    known = {name: one for name, one in kept.items() if rests_on.get(name) == one[0]}
    new = [trial for trial in trials if trial.name not in known]
    if new:
        print(f"watching what {len(new)} tests do with nothing broken", flush=True)
        for name, course in courses(new, map(str, CORE)).items():
            known[name] = (rests_on[name], course)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pickle.dumps(known))
    return {name: course for name, (_, course) in known.items()}


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("--only", default="", help="what a mutant's name has in it, as `proofs.`")
    parser.add_argument("--sample", default="1/1", help="k/n: the k-th of n shares, for a gate")
    parser.add_argument("--list", action="store_true", help="tell the names, and try nothing")
    parser.add_argument("--anew", action="store_true", help="forget what is known of runs before")
    parser.add_argument(
        "--seconds", type=float, default=inf, help="of tests for each, as they took when watched"
    )
    options = parser.parse_args(argv)
    every = all_mutants()
    mutants = chosen(every, options.only, options.sample)
    if options.list:
        print(*map(_shown, mutants), sep="\n")
        return 0
    if options.anew:
        (KEPT / "results.jsonl").unlink(missing_ok=True)
    results = Results(TESTS)
    sit(lambda trials: hear(trials, mutants, results, options.seconds))
    return report(every, mutants, results, print)


def report(
    every: Sequence[Mutant], mutants: Sequence[Mutant], results: Results, say: Callable[[str], None]
) -> int:
    """The number of what is wrong, as an exit status: 0 or 1."""
    told = equivalent.read(equivalent.FILE.read_text())
    caught = {
        one.name: found.caught_by
        for one in mutants
        if (found := results.fresh(one.name)) and found.caught_by
    }
    survivors = [one for one in mutants if one.name not in caught and one.name not in told]
    for one in survivors:
        say(f"survives: {_shown(one)}")
    wrong = equivalent.complaints(told, {one.name for one in every}, caught)
    for complaint in wrong:
        say(f"{equivalent.FILE.name}: {complaint}")
    known = sum(one.name in told and one.name not in caught for one in mutants)
    say(f"{len(caught)}/{len(mutants) - known} caught, {known} more are known to change nothing")
    return 1 if survivors or wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
