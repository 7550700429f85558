# SPDX-License-Identifier: MIT
"""When the two copies of a guest were last seen to be the same, also over a power cut.

For people only: after a bad night it tells how old a copy is. It is of the wall clock, which may be
set at any time, so nothing may ever decide by it.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

KEEP = 60.0  # seconds between two writes while it stays so: what a power cut may hide
LOOK = 10.0  # seconds between two looks whether there is something to write down


class LastInSync:
    """Remembers in memory at once; `keep` writes it down, as the times of files in FOLDER."""

    def __init__(
        self, folder: Path, guests: Iterable[str], wall: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder
        self._files = {guest: folder / f"in-sync-{guest}" for guest in guests}
        self._wall = wall
        self._moments = {
            guest: file.stat().st_mtime for guest, file in self._files.items() if file.exists()
        }
        self._kept = dict(self._moments)

    @property
    def moments(self) -> Mapping[str, float]:
        """Seconds since the epoch, for each guest that was ever seen in sync."""
        return self._moments

    def seen(self, guest: str) -> None:
        """GUEST's copies are the same now."""
        self._moments[guest] = self._wall()

    def keep(self) -> None:
        """Writes down what is new: the first moment, one each KEEP seconds, and the last one. Call
        it each LOOK seconds. Raises OSError.
        """
        if not self._folder.is_dir():
            return  # safety: whoever keeps the agent's state makes it, and makes it last
        for guest, moment in list(self._moments.items()):
            kept = self._kept.get(guest)
            if moment == kept:
                continue
            goes_on = abs(self._wall() - moment) < LOOK
            if goes_on and kept is not None and abs(moment - kept) < KEEP:
                continue  # seldom enough for a USB stick
            descriptor = os.open(self._files[guest], os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.utime(descriptor, (moment, moment))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._kept[guest] = moment
