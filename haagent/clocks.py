# SPDX-License-Identifier: MIT
"""Notices that the machine stood still together with its monotonic clock.

A paused virtual machine, or a PC in a long system-management interrupt, wakes up and believes that
no time has passed. The real-time clock runs on a battery and knows better. It is only ever used to
distrust ourselves; no timer depends on it.
"""

import logging
from pathlib import Path

SINCE_EPOCH = Path("/sys/class/rtc/rtc0/since_epoch")  # whole seconds, rtc(4)
GRAIN = 1.0  # seconds: what its whole seconds may be wrong by

log = logging.getLogger(__name__)


class Clocks:
    """Compares the real-time clock with the monotonic one, once a turn of the loop."""

    def __init__(self, tolerance: float, since_epoch: Path = SINCE_EPOCH) -> None:
        self._tolerance = tolerance + GRAIN
        self._file = since_epoch
        self._offset: float | None = None
        if not since_epoch.exists():
            log.warning("no real-time clock at %s: a frozen machine is not noticed", since_epoch)

    def gap(self, monotonic: float) -> float | None:
        """How long we stood still since the last look, in seconds; None if we did not.

        Only a real-time clock that ran ahead counts: one that was set back proves nothing.
        """
        try:
            offset = int(self._file.read_text()) - monotonic
        except (OSError, ValueError):
            return None
        before, self._offset = self._offset, offset
        if before is None or offset - before <= self._tolerance:
            return None
        return offset - before
