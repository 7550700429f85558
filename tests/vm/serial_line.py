# SPDX-License-Identifier: MIT
"""Owns how the serial line of a machine is read: by waiting for what it says."""

import time
from typing import TYPE_CHECKING

from pexpect import TIMEOUT
from pexpect.popen_spawn import PopenSpawn

if TYPE_CHECKING:  # only its stubs know that it is generic
    Spawn = PopenSpawn[str]
else:
    Spawn = PopenSpawn

LOOK = 0.02  # seconds between two looks


class SerialLine(Spawn):
    """What QEMU writes to its standard output, and reads from its input.

    pexpect's own one does not wait: it finds nothing and is asked again at once, which takes one of
    the host's processors from the machines for as long as somebody waits for them.
    """

    def read_nonblocking(self, size: int = 1, timeout: float | None = -1) -> str:
        """Up to SIZE characters, as soon as there are any. Raises TIMEOUT after TIMEOUT seconds
        (-1: the default, None: never), and EOF.
        """
        seconds = self.timeout if timeout == -1 else timeout
        end = None if seconds is None else time.monotonic() + seconds
        while not (read := self._look(size)):
            if end is not None and time.monotonic() >= end:
                raise TIMEOUT(f"nothing in {seconds} seconds")
            time.sleep(LOOK)
        return read

    def send(self, s: str) -> int:
        """How many bytes were sent."""
        return int(super().send(s))  # type: ignore[no-untyped-call]

    def _look(self, size: int) -> str:
        return str(super().read_nonblocking(size, 1))  # type: ignore[no-untyped-call]
