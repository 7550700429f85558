# SPDX-License-Identifier: MIT
"""The keys that send a signal to whoever is in front of a terminal."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

KEYS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)


@contextmanager
def deaf_to_keys() -> Iterator[None]:
    """Ctrl-C and its like reach the programs in front of us, and not us.

    They are heard and forgotten: a program that is started inherits what is ignored, and would be
    deaf as well.
    """

    def hear(number: int, frame: FrameType | None) -> None:
        pass

    before: dict[int, Callable[[int, FrameType | None], Any] | int | None] = {
        key: signal.signal(key, hear) for key in KEYS
    }
    try:
        yield
    finally:
        for key, handler in before.items():
            signal.signal(key, handler)
