# SPDX-License-Identifier: MIT
"""What this host lacks to run a scenario. It is the test bench then that is at fault, and what came
of the scenario says nothing of the pair.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

MIB = 1 << 20
ROOM = 6 << 30  # bytes; for two sticks and two data disks that fill up, or for a checkpoint
LEAST = 64 << 20  # bytes; with less left something could not be written, or will not be
BENCH = "the test bench is at fault, not the pair"


class BenchFault(Exception):
    """A scenario cannot be run on this host, or not be judged; the text says why."""


def assert_room(*folders: Path, needed: int = ROOM) -> None:
    """Before a scenario begins. Raises BenchFault, with what to do."""
    for folder in folders:
        left = shutil.disk_usage(folder).free
        if left < needed:
            raise BenchFault(
                f"{BENCH}: {left // MIB} MiB are free in {folder}, and a scenario may need"
                f" {needed // MIB}. Make room; build/failed and build/checkpoints may be removed."
            )


def blame(error: BaseException | None, folder: Path | None, broken: Iterable[str]) -> str:
    """Why this host is to blame for what came of a scenario; empty if it is not.

    ERROR is what it ended with. FOLDER has the files of its machines, BROKEN says what could not be
    served to them: the pair took that for faults of its disks.
    """
    if isinstance(error, BenchFault):
        return str(error)
    found = list(broken)
    if folder is not None and (left := shutil.disk_usage(folder).free) < LEAST:
        found.append(f"{left // MIB} MiB are free in {folder}")
    return f"{BENCH}: {'; '.join(found)}" if found else ""
