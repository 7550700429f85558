# SPDX-License-Identifier: MIT
"""`make vm-soak N=100`: cuts the power of the holder so many times, and compares both copies.

Each cut is a line in build/vm-results.jsonl. Said again after an interruption it goes on with the
first cut that has no line of the same commit, image and time scale, on a healthy pair.
"""

import argparse
import sys
from functools import partial

from tests.vm.accel import acceleration
from tests.vm.lab import TEST_FLAVOUR
from tests.vm.pair import SCALE
from tests.vm.runs import origin, results
from tests.vm.runs.book import Book
from tests.vm.runs.choosing import Now
from tests.vm.soak.cuts import Legs, Soak, first_word, to_do
from tests.vm.soak.machines import pair
from tests.vm.soak.summing import sum_up


def soak(book: Book, legs: Legs, cuts: int, seed: int, *, is_again: bool) -> int:
    """The exit code: 0 if every cut so far was as promised, and there are CUTS of them."""
    known = [] if is_again else book.earlier(first_word(seed))
    numbers = to_do(known, cuts)
    if known:
        print(f"{cuts - len(numbers)} of {cuts} cuts have their line already.", flush=True)
    is_whole = Soak(book, seed, legs).run(numbers)
    total = sum_up([*known, *book.written])
    print(total.line)
    if not is_whole:
        print("It was given up: too many failures, one after the other.")
    elif not total.compared:
        print(f"No two copies were compared: N={cuts + 1} makes one more cut, and does.")
    return 0 if is_whole and total.is_well else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.vm.soak", description=__doc__)
    parser.add_argument("--cuts", type=int, default=100, help="how many there are in the end")
    parser.add_argument("--seed", type=int, default=1, help="of what is lost in the disks' caches")
    parser.add_argument("--again", action="store_true", help="from the first cut on")
    arguments = parser.parse_args()
    if arguments.cuts < 1:
        parser.error("--cuts takes a number from 1 on")
    accel = acceleration()
    now = Now(origin.tree(), origin.hashes([TEST_FLAVOUR]), SCALE)
    return soak(
        Book(results.FILE, now, accel),
        partial(pair, accel),
        arguments.cuts,
        arguments.seed,
        is_again=arguments.again,
    )


if __name__ == "__main__":
    sys.exit(main())
