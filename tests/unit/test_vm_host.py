# SPDX-License-Identifier: MIT
"""What this host lacks is told apart from what the pair does wrong."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from tests.vm.runs import host
from tests.vm.runs.host import BENCH, MIB, BenchFault, assert_room, blame

Usage = namedtuple("Usage", ("total", "used", "free"))


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> dict[Path, int]:
    """Bytes, by the folder."""
    known: dict[Path, int] = {}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, known[path]))
    return known


def test_a_scenario_does_not_begin_without_room(free: dict[Path, int]) -> None:
    labs, build = Path("/tmp"), Path("/tree/build")
    free.update({labs: host.ROOM, build: host.ROOM})
    assert_room(labs, build)
    free[build] = 100 * MIB + 1
    with pytest.raises(BenchFault) as caught:
        assert_room(labs, build)
    assert str(caught.value) == (
        f"{BENCH}: 100 MiB are free in /tree/build, and a scenario may need 6144. Make room;"
        " build/failed and build/checkpoints may be removed."
    )
    assert blame(caught.value, None, ()) == str(caught.value)


def test_a_failure_of_the_pair_is_not_laid_to_this_host(free: dict[Path, int]) -> None:
    free[Path("/tmp/lab")] = host.LEAST
    assert blame(AssertionError("two writers"), Path("/tmp/lab"), ()) == ""
    assert blame(None, None, ()) == ""


def test_requests_that_were_not_served_are_this_hosts_fault(free: dict[Path, int]) -> None:
    folder = Path("/tmp/lab")
    free[folder] = host.LEAST
    served = "a: this host failed 3 requests to the disk data"
    assert blame(AssertionError("lost: [7]"), folder, (served,)) == f"{BENCH}: {served}"
    assert blame(None, folder, (served,)) == f"{BENCH}: {served}", "it passed by luck"
    free[folder] = MIB
    assert blame(OSError(28, "no room"), folder, (served,)) == (
        f"{BENCH}: {served}; 1 MiB are free in /tmp/lab"
    )
