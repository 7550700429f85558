# SPDX-License-Identifier: MIT
"""What every scenario gets: a lab of its own, closed afterwards, its evidence kept when the
scenario failed; and a line in build/vm-results.jsonl.
"""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.vm import tools
from tests.vm.accel import acceleration
from tests.vm.lab import FAILED, SHIPPED, TEST_FLAVOUR, Lab
from tests.vm.pair import SCALE
from tests.vm.runs import hooks, host, origin, results

labs = pytest.StashKey[Lab]()


def pytest_addoption(parser: pytest.Parser) -> None:
    hooks.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    runs = hooks.Runs(
        folder=Path(__file__).parent,
        file=results.FILE,
        images=(SHIPPED, TEST_FLAVOUR),
        hashes=origin.HASHES,
        scale=SCALE,
        top=tools.TOP,
    )
    config.pluginmanager.register(runs, "runs")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    lab = item.stash.get(labs, None)
    if told := blame(call, lab):
        item.stash[hooks.SPOILED] = told
        if report.failed or report.when == "call":
            report.sections.append(("What it met", report.longreprtext))
            report.outcome, report.longrepr = "failed", told
    if report.failed and lab is not None:
        try:
            said = lab.keep_evidence(item.name)
            item.stash[hooks.KEPT] = FAILED / item.name
        except OSError as error:
            said = f"It could not be kept: {error}"
        report.sections.append(("What the machines said last", said))
    return report


def blame(call: pytest.CallInfo[None], lab: Lab | None) -> str:
    """Why this host is at fault for what CALL of a scenario in LAB came to; empty if it is not."""
    error = call.excinfo.value if call.excinfo is not None else None
    machines = lab.machines.values() if lab is not None else ()
    broken = [f"{machine.name}: {told}" for machine in machines for told in machine.broken()]
    return host.blame(error, lab.folder if lab is not None else None, broken)


@pytest.fixture(scope="session")
def accel() -> str:
    """`kvm` where the image really boots with it, else `tcg`."""
    return acceleration()


@pytest.fixture
def lab(accel: str, request: pytest.FixtureRequest) -> Iterator[Lab]:
    host.assert_room(Path("/tmp"), tools.BUILD)
    made = request.node.stash[labs] = Lab(accel)
    try:
        yield made
    finally:
        request.node.stash[hooks.BOOTED] = images_of(made)
        del request.node.stash[labs]
        made.close()


def images_of(lab: Lab) -> frozenset[Path]:
    """What the disks of its machines were made from."""
    disks = (disk for machine in lab.machines.values() for disk in machine.disks)
    return frozenset(disk.base for disk in disks if disk.base is not None)
