# SPDX-License-Identifier: MIT
"""`make vm-chaos N=n SEED=s`: n histories of two faults each, of the seeds from s on.

After both faults all is mended, and the pair must be protected again and pass the audits of every
scenario. Each history is a line in build/vm-results.jsonl, and loads the checkpoint of a healthy
pair. One that failed is told again by its own seed, with N=1.
"""

import argparse
import sys
from functools import partial

from tests.vm.accel import acceleration
from tests.vm.chaos.histories import Chaos, Grounds, sum_up
from tests.vm.chaos.machines import pair
from tests.vm.lab import TEST_FLAVOUR
from tests.vm.pair import SCALE
from tests.vm.runs import origin, results
from tests.vm.runs.book import Book
from tests.vm.runs.choosing import Now


def chaos(book: Book, grounds: Grounds, seed: int, histories: int) -> int:
    """The exit code: 0 if nothing failed."""
    Chaos(book, grounds, partial(print, flush=True)).run(range(seed, seed + histories))
    total = sum_up(book.written)
    print(total.line)
    return 1 if total.failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.vm.chaos", description=__doc__)
    parser.add_argument("--histories", type=int, default=10, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the first; each has the next one")
    arguments = parser.parse_args()
    if arguments.histories < 1:
        parser.error("--histories takes a number from 1 on")
    accel = acceleration()
    now = Now(origin.tree(), origin.hashes([TEST_FLAVOUR]), SCALE)
    book = Book(results.FILE, now, accel)
    return chaos(book, partial(pair, accel), arguments.seed, arguments.histories)


if __name__ == "__main__":
    sys.exit(main())
