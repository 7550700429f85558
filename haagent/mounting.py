# SPDX-License-Identifier: MIT
"""Mounts a file system that a person may have written to, for as long as it is needed."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from haagent.run import Run, run

LIMIT = 120.0  # seconds for one program; a bad stick is slow
DRIVERS = {"ntfs": "ntfs3"}  # that of the kernel, as mount(8) names it


@contextlib.contextmanager
def mounted(
    device: str, kind: str, point: Path, *, is_writable: bool = False, run: Run = run
) -> Iterator[Path]:
    """As `mount`, and unmounted afterwards."""
    if point.is_mount():
        run(("umount", str(point)), timeout=LIMIT)
    mount(device, kind, point, is_writable=is_writable, run=run)
    try:
        yield point
    finally:
        run(("umount", str(point)), timeout=LIMIT)


def mount(
    device: str, kind: str, point: Path, *, is_writable: bool = False, run: Run = run
) -> None:
    """/dev/DEVICE, a file system of this KIND of lsblk(8)'s that knows no users, is the folder
    POINT. Raises ToolError.
    """
    point.mkdir(parents=True, exist_ok=True)
    # safety: what is in there may be a secret, and nothing of it says who may read it.
    options = f"{'rw' if is_writable else 'ro'},nosuid,nodev,noexec,umask=0077"
    run(
        ("mount", "-t", DRIVERS.get(kind, kind), "-o", options, f"/dev/{device}", str(point)),
        timeout=LIMIT,
    )
