# SPDX-License-Identifier: MIT
"""What every scenario gets: a lab of its own, closed afterwards, its evidence kept when the
scenario failed.
"""

from collections.abc import Generator, Iterator

import pytest

from tests.vm.accel import acceleration
from tests.vm.lab import Lab

labs = pytest.StashKey[Lab]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    lab = item.stash.get(labs, None)
    if report.failed and lab is not None:
        report.sections.append(("What the machines said last", lab.keep_evidence(item.name)))
    return report


@pytest.fixture(scope="session")
def accel() -> str:
    """`kvm` where the image really boots with it, else `tcg`."""
    return acceleration()


@pytest.fixture
def lab(accel: str, request: pytest.FixtureRequest) -> Iterator[Lab]:
    made = request.node.stash[labs] = Lab(accel)
    try:
        yield made
    finally:
        del request.node.stash[labs]
        made.close()
