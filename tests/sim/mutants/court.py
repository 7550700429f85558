# SPDX-License-Identifier: MIT
"""The tests that a mutant is asked about: those of the core, the golden logs, and some histories.

They are collected once, by pytest, and their modules stay loaded: a child has all that it needs.
"""

from collections.abc import Callable

import pytest

from tests.sim.draws import draw
from tests.sim.histories import tell
from tests.sim.mutants.trial import Trial

CORE = (
    "decide",
    "proofs",
    "vacant",
    "stateless",
    "moving",
    "relocating",
    "resolving",
    "replacing",
    "speaking",
    "foresight",
    "fitting",
    "timing",
    "durable",
    "moments",
    "agreeing",
    "unknown",
    "starting",
    "rules",
    "feeding",
    "failed_disks",
    "hanging",
    "turns",
    "hearing",
    "lacking",
    "wishing",
    "ordering",
    "outcomes",
    "invariants",
)
TESTS = (
    *(f"tests/unit/test_{name}.py" for name in CORE),
    "tests/sim/test_scenarios.py::test_keeps_both_promises_and_reads_as_before",
    "tests/sim/test_scenarios.py::test_power_cut_in_every_save",
)
BY_WIRE = ("[mixed-", "[crosswise-")  # the same once more, about bytes; not about rules
SEEDS = range(24)


class Court:
    """A plugin of pytest that has HEAR do something with the tests instead of running them."""

    def __init__(self, hear: Callable[[list[Trial]], None]) -> None:
        self.hear = hear
        self.has_failed = False

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("the tests cannot be collected")
        items = [item for item in session.items if not any(one in item.name for one in BY_WIRE)]
        self.hear([*map(self._trial, items), *map(_history, SEEDS)])
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> pytest.TestReport:
        """Whether it failed; where and why takes time, and nobody reads it."""
        failed = call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception)
        self.has_failed |= failed
        outcome = "failed" if failed else "passed"
        return pytest.TestReport(item.nodeid, item.location, {}, outcome, None, call.when)  # type: ignore[arg-type]

    def _trial(self, item: pytest.Item) -> Trial:
        def passes() -> bool:
            self.has_failed = False
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            return not self.has_failed

        return Trial(item.nodeid, passes)


def _history(seed: int) -> Trial:
    """A random one; a broken core may end it by any exception."""

    def passes() -> bool:
        try:
            return not tell(draw(seed)).problems
        except Exception:
            return False

    return Trial(f"history {seed}", passes)


def sit(hear: Callable[[list[Trial]], None]) -> None:
    """Collects the tests and calls HEAR with them. Raises RuntimeError if that is not possible."""
    options = ["-o", "addopts=", "-p", "no:cacheprovider", "-p", "no:terminal", "-s"]
    status = pytest.main([*options, *TESTS], plugins=[Court(hear)])
    if status is not pytest.ExitCode.OK:
        raise RuntimeError(f"the tests cannot be collected: pytest ended with {status!r}")
