# SPDX-License-Identifier: MIT
"""The one place where a test waits for something that sends no event."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(what: str, look: Callable[[], T | None], deadline: float, every: float = 0.5) -> T:
    """The first truthy thing that LOOK returns. Raises TimeoutError with what it saw last after
    DEADLINE seconds.
    """
    end = time.monotonic() + deadline
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > end:
            raise TimeoutError(f"waited {deadline:.0f} s for {what}; last seen: {seen!r}")
        time.sleep(every)
