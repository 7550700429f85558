# SPDX-License-Identifier: MIT
"""What every scenario gets: a lab of its own, closed afterwards, its evidence kept when the
scenario failed.
"""

from collections.abc import Generator, Iterator

import pytest

from tests.vm.accel import acceleration
from tests.vm.lab import Lab

failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[failed] = True
    return report


@pytest.fixture(scope="session")
def accel() -> str:
    """`kvm` where the image really boots with it, else `tcg`."""
    return acceleration()


@pytest.fixture
def lab(accel: str, request: pytest.FixtureRequest) -> Iterator[Lab]:
    made = Lab(accel)
    try:
        yield made
        if request.node.stash.get(failed, False):
            kept = made.keep_evidence(request.node.name)
            print(f"\nconsoles and journals of this failure: {kept}; read them with: less {kept}/*")
    finally:
        made.close()
