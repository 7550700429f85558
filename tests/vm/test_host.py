# SPDX-License-Identifier: MIT
"""A fault of the test bench itself is not taken for one of the pair."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm.lab import Lab
from tests.vm.pair import SETUP
from tests.vm.runs.host import BENCH, blame

WRITE = "dd if=/dev/zero of=/dev/vdb bs=1M count=8 conv=fsync,notrunc status=none"


@pytest.fixture
def small() -> Iterator[Path]:
    """A folder of this host with room for a mebibyte."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a small file system on this host")
    with tempfile.TemporaryDirectory(prefix="shoestring-small-", dir="/tmp") as name:
        mount = ("mount", "-t", "tmpfs", "-o", "size=1m", "shoestring-small", name)
        subprocess.run(mount, check=True)
        try:
            yield Path(name)
        finally:
            subprocess.run(("umount", name), check=True)


@pytest.mark.row("C10")
def test_the_disk_of_this_host_is_full(small: Path, lab: Lab) -> None:
    """The machine is told an error, as by a disk that fails, and does not stand still, as QEMU has
    it by itself. Whoever judges the scenario is told whose fault it was.
    """
    machine = lab.machine("a", data=True)
    data = machine.disks[1]
    file = data.file(machine.folder)
    file.unlink()
    file.symlink_to(small / file.name)
    data.create(machine.folder)
    machine.power_on()
    machine.control.wait_for_boot(SETUP)
    assert blame(None, lab.folder, machine.broken()) == ""

    refused = machine.control.try_run(WRITE, 120)
    assert refused.rc == 1 and "error" in refused.out, refused.out
    assert machine.happened("STOP") == 0
    assert machine.qmp("query-status")["status"] == "running"
    machine.run("true")
    told = blame(AssertionError("the guest's disk failed"), lab.folder, machine.broken())
    assert told.startswith(BENCH) and "this host failed" in told and "disk data" in told
    machine.power_cut()  # with what failed, for which this very scenario would be called spoiled
