# SPDX-License-Identifier: MIT
"""`make reliability`: takes the runs of build/vm-results.jsonl into docs/vm-results.jsonl, where
those of other hosts and days are, and writes docs/reliability.md anew from all of them.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.vm import tools
from tests.vm.chaos import histories
from tests.vm.runs import results
from tests.vm.runs.choosing import IS_RUN
from tests.vm.runs.marks import marked
from tests.vm.runs.page import NOTHING, SHORT, NotKept, by_hand, page
from tests.vm.runs.record import Record, dump
from tests.vm.runs.rows import ROWS
from tests.vm.soak import summing

PAGE = tools.TOP / "docs/reliability.md"
KEPT = tools.TOP / "docs/vm-results.jsonl"  # of every host, in the order of their being taken in


def take_in(lines: Path, kept: Path) -> int:
    """Puts the runs of LINES behind those that KEPT has, and says how many are new. A run of a tree
    with changes is none that anybody could have again, and one that was skipped is none.
    """
    known = {dump(one) for one in results.read(kept)}
    new = [
        one
        for one in results.read(lines)
        if one.outcome in IS_RUN and not one.is_dirty and dump(one) not in known
    ]
    for one in new:
        results.append(one, kept)
    return len(new)


def write(file: Path, lines: Path) -> None:
    """FILE from the runs in LINES, with what it has by hand. Raises NotKept, having done nothing.
    It is there whole or as it was.
    """
    kept = by_hand(file.read_text()) if file.exists() else NOTHING
    new = file.with_suffix(".new")
    records = results.read(lines)
    new.write_text(page(ROWS, marked(), records, kept, list(sums(records))))
    new.replace(file)


def sums(records: Sequence[Record]) -> Iterator[str]:
    """A line on the newest soak and on the newest chaos, each with its commit."""
    if soak := newest("soak", records):
        yield f"soak, seed {soak[0].name.split('/')[1]}: {summing.sum_up(soak).line}{of(soak[-1])}"
    if chaos := newest("chaos", records):
        yield f"chaos: {histories.sum_up(chaos).line}{of(chaos[-1])}"


def newest(kind: str, records: Sequence[Record]) -> list[Record]:
    """The runs of KIND like the newest one; of a soak those of the same seed."""

    def group(one: Record) -> tuple[object, ...]:
        seed = one.name.split("/")[1] if kind == "soak" else ""
        return seed, one.commit, sorted(one.images.items()), one.scale

    ours = [one for one in records if one.name.split("/")[0] == kind and not one.is_dirty]
    return [one for one in ours if group(one) == group(ours[-1])]


def of(one: Record) -> str:
    return f" (commit {one.commit[:SHORT]}, time scale {one.scale:g})"


def main() -> int:
    try:
        new = take_in(results.FILE, KEPT)
        write(PAGE, KEPT)
    except NotKept as error:
        print(f"{PAGE}: {error}. The page was not written.", file=sys.stderr)
        return 1
    print(f"{new} runs are new. {PAGE} is written: look at what changed, and commit both.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
