# SPDX-License-Identifier: MIT
"""What DRBD's kernel module runs for a handler, with the stick and without it."""

import os
import subprocess
from pathlib import Path

import pytest

from haagent.storage.spare import KEPT, SPARE, copy
from tests.unit.test_units import EXTRA

SCRIPT = EXTRA / "usr/lib/shoestring/drbd-helper"
MODPROBE = EXTRA / "etc/modprobe.d/shoestring.conf"
CALL = ("before-resync-target", "minor-0")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with a stick that has DRBD's configuration."""
    for path in (tmp_path / "bin", inside(tmp_path, KEPT), inside(tmp_path, SPARE).parent):
        path.mkdir(parents=True)
    drbdadm = tmp_path / "bin/drbdadm"
    drbdadm.write_text('#!/bin/sh\necho "$@"\nexit 7\n')
    drbdadm.chmod(0o755)
    (inside(tmp_path, KEPT) / "counter.res").write_text("resource counter { }\n")
    return tmp_path


def inside(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def calls(root: Path) -> str:
    """What drbdadm is asked; its exit code is what the kernel gets."""
    path = f"{root / 'bin'}:{os.environ['PATH']}"
    environment = {"PATH": path, "ROOT": str(root)}
    done = subprocess.run(
        [SCRIPT, *CALL], env=environment, timeout=60, stdout=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 7
    return done.stdout.strip()


def test_with_its_stick_it_is_drbdadm(root: Path) -> None:
    assert calls(root) == " ".join(CALL), "before the agent has made its spare"
    copy(inside(root, KEPT), inside(root, SPARE))
    assert calls(root) == " ".join(CALL)


def test_without_the_stick_drbdadm_reads_the_spare(root: Path) -> None:
    spare = copy(inside(root, KEPT), inside(root, SPARE))
    (inside(root, KEPT) / "counter.res").unlink()
    assert calls(root) == f"--config-file {spare} {' '.join(CALL)}"


def test_without_either_it_is_drbdadm_that_says_so(root: Path) -> None:
    (inside(root, KEPT) / "counter.res").unlink()
    assert calls(root) == " ".join(CALL)


def test_the_kernel_module_is_told_of_it() -> None:
    (line,) = [one for one in MODPROBE.read_text().splitlines() if not one.startswith("#")]
    assert line.startswith("options drbd ")
    path = line.partition("usermode_helper=")[2].split()[0]
    assert EXTRA / path.removeprefix("/") == SCRIPT and os.access(SCRIPT, os.X_OK)
