# SPDX-License-Identifier: MIT
"""`make reliability`: writes docs/reliability.md anew from build/vm-results.jsonl."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.vm import tools
from tests.vm.chaos import histories
from tests.vm.runs import results
from tests.vm.runs.marks import marked
from tests.vm.runs.page import NOTHING, SHORT, NotKept, by_hand, page
from tests.vm.runs.record import Record
from tests.vm.runs.rows import ROWS
from tests.vm.soak import summing

PAGE = tools.TOP / "docs/reliability.md"


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
        write(PAGE, results.FILE)
    except NotKept as error:
        print(f"{PAGE}: {error}. Nothing was written.", file=sys.stderr)
        return 1
    print(f"{PAGE} is written: look at what changed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
