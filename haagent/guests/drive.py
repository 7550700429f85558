# SPDX-License-Identifier: MIT
"""Owns the CD drive of a guest of type hvm: which CD a start on this machine finds in it.

A CD is there for one start, and is out at the next one, like that of an installer that is done.
Nothing of it lasts, and the other machine does not know: whoever takes the guest over starts it
from its disk. It must not look at what is on a CD.
"""

from pathlib import Path

from haagent.guests.name import checked

FOLDER = Path("/run/shoestring/cds")


class Drives:
    """Of the guests on this machine. A CD is a link to where it lies."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    def insert(self, guest: str, cd: Path) -> None:
        """GUEST finds CD at its next start here."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.take_back(guest)
        self._next(guest).symlink_to(cd)

    def take_back(self, guest: str) -> bool:
        """Whether what was inserted was still there: no start has found it."""
        try:
            self._next(guest).unlink()
        except FileNotFoundError:
            return False
        return True

    def load(self, guest: str) -> Path | None:
        """What the start of GUEST finds that comes now."""
        cd = self._folder / checked(guest)
        try:
            return self._next(guest).replace(cd)
        except FileNotFoundError:
            cd.unlink(missing_ok=True)
            return None

    def _next(self, guest: str) -> Path:
        return self._folder / f"{checked(guest)}.next"
