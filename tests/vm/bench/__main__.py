# SPDX-License-Identifier: MIT
"""`make bench`: measures, and writes build/bench.json and build/bench.md.

A run replaces the figures of the measures that it ran; with --add its samples count with those of
the same image that are there. What is measured is written at once, so that a run that is cut short
loses little.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from tests.vm import tools
from tests.vm.accel import acceleration
from tests.vm.bench import boots, disks, idle, images, serving, sizes, takeovers, writes
from tests.vm.bench.figures import (
    ENOUGH,
    Figure,
    Measured,
    Origin,
    from_dict,
    merge,
    to_dict,
)
from tests.vm.bench.first_image import CannotBuild
from tests.vm.bench.table import markdown
from tests.vm.lab import SHIPPED, TEST_FLAVOUR
from tests.vm.pair import SCALE
from tests.vm.runs import origin as runs

FIGURES = tools.BUILD / "bench.json"
TABLE = tools.BUILD / "bench.md"
Measure = Callable[[str, int], Iterable[Figure]]  # of the acceleration and how many samples

# What is booted in each, and how; in the order in which `make bench` goes.
MEASURES: dict[str, tuple[Path, Measure]] = {
    sizes.NAME: (SHIPPED, lambda accel, samples: sizes.measure()),
    idle.NAME: (TEST_FLAVOUR, idle.measure),
    **{name: (TEST_FLAVOUR, partial(takeovers.measure, name)) for name in takeovers.ACTS},
    writes.NAME: (TEST_FLAVOUR, writes.measure),
    disks.RESYNC: (TEST_FLAVOUR, disks.resync),
    images.NAME: (TEST_FLAVOUR, images.measure),
    serving.NAME: (TEST_FLAVOUR, serving.measure),
    boots.PHASES: (TEST_FLAVOUR, boots.phases),
    boots.SIDE_BY_SIDE: (SHIPPED, boots.side_by_side),
}
# Each sample of these is machines of its own: it is written when it is there.
PIECEMEAL = {*takeovers.ACTS, boots.PHASES, boots.SIDE_BY_SIDE}


def origin(image: Path) -> Origin:
    tree = runs.tree()
    commit = f"{tree.commit} and changes" if tree.is_dirty else tree.commit
    return Origin(commit, runs.hashes([image])[image.name], runs.now())


def read_figures() -> list[Measured]:
    """What earlier runs found; nothing when there was none."""
    try:
        return [from_dict(one) for one in json.loads(FIGURES.read_text())["figures"]]
    except FileNotFoundError:
        return []


def about(accel: str) -> str:
    return (
        f"Measured on {os.cpu_count()} processors, machines run by {accel}, every timer {SCALE:g}"
        " times as long as on real machines. Compare within one measure only: this host is noisy."
    )


def write(measured: Sequence[Measured], said: str) -> None:
    """Both files; each is there whole or as it was."""
    figures = [to_dict(one) for one in measured]
    for path, text in (
        (FIGURES, json.dumps({"about": said, "figures": figures}, indent=1) + "\n"),
        (TABLE, markdown(measured, said)),
    ):
        new = path.with_suffix(".new")
        new.write_text(text)
        new.replace(path)


def run(names: Iterable[str], samples: int, *, is_added: bool) -> int:
    accel = acceleration()
    skipped = []
    for name in names:
        image, measure = MEASURES[name]
        print(f"{name} ...", flush=True)
        came_from = origin(image)
        counts = [1] * samples if name in PIECEMEAL else [samples]
        try:
            for number, count in enumerate(counts):
                found = [Measured(one, came_from) for one in measure(accel, count)]
                known = merge(read_figures(), found, is_added=is_added or number > 0)
                write(known, about(accel))
        except CannotBuild as error:
            skipped.append(f"{name} was not measured. {error}")
    print(TABLE.read_text() if TABLE.exists() else "Nothing was measured.")
    for line in skipped:
        print(line)
    return 1 if skipped else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.vm.bench", description=__doc__)
    parser.add_argument("--only", choices=sorted(MEASURES), help="one measure alone")
    parser.add_argument("--samples", type=int, default=ENOUGH, help="how many of each")
    parser.add_argument(
        "--add", action="store_true", help="count them with those of the same image"
    )
    arguments = parser.parse_args()
    if arguments.samples < 1:
        parser.error("--samples takes a number from 1 on")
    names = [arguments.only] if arguments.only else list(MEASURES)
    return run(names, arguments.samples, is_added=arguments.add)


if __name__ == "__main__":
    sys.exit(main())
