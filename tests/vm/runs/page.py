# SPDX-License-Identifier: MIT
"""docs/reliability.md, made of the rows and of the runs; what is written by hand is kept. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.vm.chaos import histories
from tests.vm.runs.choosing import IS_RUN
from tests.vm.runs.record import Outcome, Record
from tests.vm.runs.rows import Row
from tests.vm.soak.cuts import COPIES_ROWS, CUT_ROWS

BEGIN, END = "<!-- by hand, from here -->", "<!-- by hand, to here -->"
SHORT = 12  # digits of a hash; enough to find what it is of
NO_SCENARIO = "no scenario yet"
# What is no scenario of pytest's, and says its rows in each line: the first word of its name, and
# those rows.
LONG_RUNS = {"soak": {*CUT_ROWS, *COPIES_ROWS}, "chaos": {*histories.ROWS}}

ABOUT = """\
<!-- Made by `make reliability` of docs/vm-results.jsonl; a test compares. What is between the two
marks below is written by hand, and kept. -->
# Reliability

What a pair is to survive, a row for each fault, and what was seen of it on emulated machines. The
rows are in tests/vm/rows.txt; a scenario of tests/vm is marked with those that it shows, and each
run is a line of [vm-results.jsonl](vm-results.jsonl). A row passed if the newest run of each of its
scenarios did. Runs of a tree with changes do not count.
"""
HEAD = """\
| row | what happens | what the pair promises | result | passed | median s | image |
|---|---|---|---|---:|---:|---|
"""
NOTHING = "## What failed first, and what mended it\n\nNothing is written down yet.\n"


class NotKept(ValueError):
    """What was written by hand cannot be told from the rest."""


def by_hand(page: str) -> str:
    """What stands between the marks of PAGE, without them. Raises NotKept."""
    before, begin, rest = page.partition(f"{BEGIN}\n")
    kept, end, after = rest.partition(f"{END}\n")
    if not begin or not end or BEGIN in kept + after or END in before + after:
        raise NotKept(f"it does not have `{BEGIN}` and `{END}` once each, on lines of their own")
    return kept


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one row."""

    scenarios: int  # that show it
    never_run: int  # of these
    is_of_long_runs: bool  # one of them shows it, whether or not it ever ran
    runs: Sequence[Record]  # the oldest first
    newest: Mapping[str, Record]  # of each name

    @property
    def result(self) -> str:
        failed = sorted(name for name, run in self.newest.items() if run.outcome is Outcome.FAILED)
        if failed:
            return f"**failed**: {', '.join(f'`{name}`' for name in failed)}"
        if not self.newest:
            return "not run yet" if self.scenarios or self.is_of_long_runs else NO_SCENARIO
        if self.never_run:
            return f"passed, but {self.never_run} of {self.scenarios} scenarios did not run yet"
        return "passed"

    @property
    def is_passed(self) -> bool:
        return self.result == "passed"

    def cells(self) -> tuple[str, str, str, str]:
        passed = [run.seconds for run in self.runs if run.outcome is Outcome.PASSED]
        images = {digest[:SHORT] for run in self.newest.values() for digest in run.images.values()}
        return (
            self.result,
            f"{len(passed)} of {len(self.runs)}" if self.runs else "",
            f"{median(passed):.0f}" if passed else "",
            " ".join(sorted(images)),
        )


def look(row: str, scenarios: Mapping[str, Sequence[str]], records: Sequence[Record]) -> Seen:
    """What RECORDS say of ROW. SCENARIOS have their rows by node id, without parameters."""
    showing = {name for name, rows in scenarios.items() if row in rows}
    runs = [
        run
        for run in records
        if run.outcome in IS_RUN
        and not run.is_dirty
        and (scenario_of(run) in showing or (is_long(run) and row in run.rows))
    ]
    never_run = showing - {scenario_of(run) for run in runs}
    is_of_long_runs = any(row in rows for rows in LONG_RUNS.values())
    newest = {run.name: run for run in runs}
    return Seen(len(showing), len(never_run), is_of_long_runs, runs, newest)


def scenario_of(run: Record) -> str:
    return run.name.partition("[")[0]


def is_long(run: Record) -> bool:
    return run.name.split("/")[0] in LONG_RUNS


def page(
    rows: Mapping[str, Row],
    scenarios: Mapping[str, Sequence[str]],
    records: Sequence[Record],
    kept: str,
    sums: Sequence[str] = (),
) -> str:
    """All of it. KEPT is by hand; SUMS are sentences about what ran for long."""
    return "\n".join([ABOUT, f"{BEGIN}\n{kept}{END}\n", *_rows(rows, scenarios, records, sums)])


def _rows(
    rows: Mapping[str, Row],
    scenarios: Mapping[str, Sequence[str]],
    records: Sequence[Record],
    sums: Sequence[str],
) -> Iterator[str]:
    seen = {name: look(name, scenarios, records) for name in rows}
    passed = sum(one.is_passed for one in seen.values())
    failed = sum(one.result.startswith("**") for one in seen.values())
    without = sum(one.result == NO_SCENARIO for one in seen.values())
    yield "## The rows\n"
    yield (
        f"{len(rows)} rows: {passed} passed, {failed} failed,"
        f" {len(rows) - passed - failed - without} not run or not all of it,"
        f" {without} without a scenario.\n"
    )
    if sums:
        yield "\n".join(f"- {one}" for one in sums) + "\n"
    table = (
        f"| {' | '.join((name, row.fault, row.promise, *seen[name].cells()))} |\n"
        for name, row in rows.items()
    )
    yield HEAD + "".join(table)
