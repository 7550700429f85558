# SPDX-License-Identifier: MIT
"""One at a time: whoever comes second is told, or waits. What ends, however it does, is in nobody's
way.
"""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def alone(lock: Path, refusal: Exception) -> Iterator[None]:
    """Raises REFUSAL if somebody else has LOCK, a file below /run."""
    lock.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise refusal from None
        yield


@contextlib.contextmanager
def in_turn(lock: Path) -> Iterator[None]:
    """Waits until nobody else has LOCK, a file below /run."""
    lock.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
