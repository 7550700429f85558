# SPDX-License-Identifier: MIT
"""Pytest's side of the runs: what is chosen on the command line, and a line for each scenario.

tests/vm/conftest.py registers it. The scenarios of FOLDER are all that it touches.
"""

import dataclasses
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.vm.runs import choosing, origin, results
from tests.vm.runs.choosing import BadChoice, Now
from tests.vm.runs.record import Outcome, Record
from tests.vm.runs.rows import UnknownRow, checked

# What conftest.py knows and we do not: the files that a scenario's machines were made from, and
# where the evidence of a failure is.
BOOTED = pytest.StashKey[frozenset[Path]]()
KEPT = pytest.StashKey[Path]()
# The same of what this host did to it, in a sentence, if anything.
SPOILED = pytest.StashKey[str]()

PHASES = ("setup", "call", "teardown")


def add_options(parser: pytest.Parser) -> None:
    group = parser.getgroup("scenarios")
    group.addoption("--row", help="only those of this row of tests/vm/rows.txt; A6,B1 for two")
    group.addoption("--shard", help="2/5: the second of five; each scenario is in one of them")
    group.addoption(
        "--leave-out-passed",
        action="store_true",
        help="not those that passed with the same commit, image and time scale",
    )


@dataclass(slots=True)
class Begun:
    """A scenario that runs, and what its phases came to so far."""

    when: str
    at: float
    load: float
    images: Mapping[str, str]
    outcome: Outcome = Outcome.PASSED
    reason: str = ""


BEGUN = pytest.StashKey[Begun]()


@dataclass(slots=True)
class Runs:
    """FILE takes the lines. IMAGES may be booted by a scenario of FOLDER, their hashes are in
    HASHES; SCALE is the time scale of this session.
    """

    folder: Path
    file: Path
    images: tuple[Path, ...]
    hashes: Path
    scale: float
    top: Path
    left_out: list[Record] = dataclasses.field(default_factory=list)
    is_chosen: bool = False
    tree: origin.Tree = dataclasses.field(init=False)

    def pytest_sessionstart(self) -> None:
        # What runs is what was imported now, whatever is changed or committed meanwhile.
        self.tree = origin.tree(self.top)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        ours = [item for item in items if self._is_ours(item)]
        try:
            named = {item.nodeid: rows_of(item) for item in ours}
            chosen = self._chosen(config, ours, named)
        except (UnknownRow, BadChoice) as error:
            raise pytest.UsageError(str(error)) from None
        others = [item for item in ours if item not in chosen]
        if others:
            config.hook.pytest_deselected(items=others)
            items[:] = [item for item in items if item not in others]

    def _chosen(
        self,
        config: pytest.Config,
        items: list[pytest.Item],
        named: Mapping[str, tuple[str, ...]],
    ) -> list[pytest.Item]:
        if row := config.getoption("row"):
            wanted = choosing.rows(row)
            items = [item for item in items if wanted & set(named[item.nodeid])]
            if not items:
                raise BadChoice(f"No scenario shows row {row} yet.")
            self.is_chosen = True
        if text := config.getoption("shard"):
            shard = choosing.shard(text)
            items = [item for item in items if shard.has(item.nodeid)]
            self.is_chosen = True
        if config.getoption("leave_out_passed"):
            done = choosing.passed(results.read(self.file), self._now())
            self.left_out = [done[item.nodeid] for item in items if item.nodeid in done]
            items = [item for item in items if item.nodeid not in done]
        return items

    def _now(self) -> Now:
        return Now(self.tree, origin.hashes(self.images, self.hashes), self.scale)

    def _is_ours(self, item: pytest.Item) -> bool:
        return item.path.is_relative_to(self.folder)

    def pytest_report_collectionfinish(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> list[str]:
        told = [choosing.why_left_out(one) for one in self.left_out]
        if config.getoption("leave_out_passed") and self.tree.is_dirty:
            told.append("nothing is left out: the tree has changes that no commit has")
        if self.is_chosen and not items and not self.left_out:
            told.append("no scenario is in this shard")
        return told

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """That nothing is left to run is no failure."""
        is_empty = exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED
        if is_empty and (self.left_out or self.is_chosen):
            session.exitstatus = pytest.ExitCode.OK

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if self._is_ours(item):
            images = origin.hashes(self.images, self.hashes)
            item.stash[BEGUN] = Begun(origin.now(), time.monotonic(), origin.load(), images)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        begun = item.stash.get(BEGUN, None)
        if begun is not None:
            take(begun, report, item.stash.get(SPOILED, ""))
            if report.when == PHASES[-1]:
                results.append(self._record(item, begun), self.file)
        return report

    def _record(self, item: pytest.Item, begun: Begun) -> Record:
        kept = item.stash.get(KEPT, None)
        return Record(
            when=begun.when,
            name=item.nodeid,
            rows=rows_of(item),
            outcome=begun.outcome,
            seconds=round(time.monotonic() - begun.at, 1),
            commit=self.tree.commit,
            is_dirty=self.tree.is_dirty,
            images=booted(item.stash.get(BOOTED, frozenset()), begun.images),
            seed=seed_of(item),
            accel=str(getattr(item, "funcargs", {}).get("accel", "")),
            scale=self.scale,
            load=begun.load,
            reason=begun.reason,
            kept="" if kept is None else str(kept.relative_to(self.top)),
        )


def rows_of(item: pytest.Item) -> tuple[str, ...]:
    """What ITEM says that it shows. Raises UnknownRow."""
    marks = list(item.iter_markers("row"))
    if any(not mark.args or mark.kwargs for mark in marks):
        raise UnknownRow(f"{item.nodeid} is marked with a row that has no name.")
    return checked((str(name) for mark in reversed(marks) for name in mark.args), item.nodeid)


def booted(files: frozenset[Path], images: Mapping[str, str]) -> dict[str, str]:
    """The hashes of FILES. A scenario that made no lab of its own may have used any of IMAGES."""
    names = {file.name for file in files} & images.keys()
    return {name: images[name] for name in sorted(names or images)}


def seed_of(item: pytest.Item) -> int | None:
    """What it said by `record_property`, has as a parameter, or its module's SEED."""
    callspec = getattr(item, "callspec", None)
    for seed in (
        dict(item.user_properties).get("seed"),
        callspec.params.get("seed") if callspec is not None else None,
        getattr(getattr(item, "module", None), "SEED", None),
    ):
        if isinstance(seed, int):
            return seed
    return None


def take(begun: Begun, report: pytest.TestReport, spoiled: str = "") -> None:
    """What one phase of it came to; a failure stays one, unless this host SPOILED the scenario."""
    if spoiled or begun.outcome is Outcome.SPOILED:
        begun.outcome, begun.reason = Outcome.SPOILED, spoiled or begun.reason
    elif report.failed and begun.outcome is not Outcome.FAILED:
        begun.outcome, begun.reason = Outcome.FAILED, why(report)
    elif report.skipped and begun.outcome is Outcome.PASSED:
        begun.outcome, begun.reason = Outcome.SKIPPED, why(report)


def why(report: pytest.TestReport) -> str:
    """The first line of what it failed by, or why it was skipped."""
    told = report.longrepr
    if isinstance(told, tuple):
        return str(told[2]).removeprefix("Skipped: ")
    crash = getattr(told, "reprcrash", None)
    text = str(crash.message if crash is not None else told)
    return next(iter(text.strip().splitlines()), "")
