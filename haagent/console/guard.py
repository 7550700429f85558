# SPDX-License-Identifier: MIT
"""Whether somebody at a screen may change something: the password, and the wait after wrong ones.

Tries are counted for all screens together, in one file that a restart of the machine forgets. What
is kept of the password is on the stick, and copied to memory when it is read: a machine whose stick
died needs somebody who gets in. It must not ask or print anything, and keeps no password.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from haagent import password
from haagent.errors import OperatorError
from haagent.folder import Folder

KEPT = Path(password.KEPT)
TRIES = Path("/run/shoestring/tries")
COPY = "password"  # of what is kept, beside the tries: as long as this boot lasts
FREE = 3  # wrong ones before the first wait
WAIT = 30.0  # seconds after the last free one; twice as long after each further one
LONGEST_WAIT = 900.0
SIZE = 128  # bytes of the file


class TooSoon(OperatorError):
    """The last wrong password is too fresh."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"Too many wrong passwords: the next one is taken in {seconds:.0f} s.",
            "Wrong ones at any screen of this machine count. Everything goes on meanwhile.",
        )
        self.seconds = seconds


class Guard:
    """The password kept in KEPT. CLOCK is the machine's, the same for all processes."""

    def __init__(
        self, kept: Path = KEPT, tries: Path = TRIES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._kept = kept
        self._tries = tries
        self._copy = tries.with_name(COPY)
        self._clock = clock

    @property
    def has_password(self) -> bool:
        """Whether there is one that could fit. Raises OperatorError if that cannot be found out."""
        return password.is_kept(self._text())

    def check_wait(self) -> None:
        """Raises TooSoon while nobody is heard."""
        with self._locked() as file:
            self._refuse_early(*_read(file))

    def admits(self, typed: str) -> bool:
        """Whether TYPED is the password. Raises TooSoon, without having looked at it."""
        with self._locked() as file:
            count, at = _read(file)
            self._refuse_early(count, at)
            # safety: counted before it is looked at, or several screens at once, or a pulled
            # plug, would make tries that nobody counts.
            _write(file, count + 1, self._clock())
        if not password.fits(typed, self._text()):
            return False
        with self._locked() as file:
            _write(file, 0, 0.0)
        return True

    def keep(self, new: str) -> None:
        """From now on NEW is the password of this machine. Raises OperatorError."""
        folder = Folder(self._kept.parent)
        try:
            self._kept.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            fresh = f"{self._kept.name}.new"
            folder.write(fresh, f"{password.kept(new, os.urandom(16))}\n".encode())
            folder.rename(fresh, self._kept.name)
            folder.sync()
        except OSError as error:
            raise OperatorError(
                f"The password cannot be written down: {error.strerror}.",
                "What was kept before counts on. The stick may be full or failing.",
            ) from error
        if not password.fits(new, self._text()):
            raise OperatorError(
                "The new password was written down, and something else is read back.",
                "The stick is failing. Use another one.",
            )

    def _text(self) -> str:
        try:
            found = self._kept.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            return ""
        except OSError as error:
            copied = self._copied()
            if copied:
                return copied
            raise OperatorError(
                f"The kept password cannot be read: {error.strerror}.",
                "The stick is failing. Use another one.",
            ) from error
        if found != self._copied():
            self._remember(found)
        return found

    def _copied(self) -> str:
        with suppress(OSError):
            return self._copy.read_text(encoding="ascii", errors="replace").strip()
        return ""

    def _remember(self, text: str) -> None:
        folder, fresh = Folder(self._copy.parent), f"{self._copy.name}.new"
        with suppress(OSError):  # then the stick alone has it, as before
            self._copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            folder.write(fresh, f"{text}\n".encode())
            folder.rename(fresh, self._copy.name)

    def _refuse_early(self, count: int, at: float) -> None:
        if count < FREE:
            return
        # The exponent is bounded, for somebody may sit there for a year.
        wait = min(LONGEST_WAIT, WAIT * 2 ** min(count - FREE, 16))
        left = at + wait - self._clock()
        if left > 0:
            raise TooSoon(left)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The file with the tries. Whoever holds it does nothing that takes time."""
        try:
            self._tries.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            file = os.open(self._tries, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            # safety: nobody is admitted where nobody can count.
            raise OperatorError(
                f"Wrong passwords cannot be counted: {self._tries}: {error.strerror}.",
                "Restart this machine.",
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)


def _read(file: int) -> tuple[int, float]:
    """How many wrong ones there were since the last right one, and when the last one was."""
    with suppress(ValueError, KeyError, TypeError):
        found = json.loads(os.pread(file, SIZE, 0))
        return int(found["count"]), float(found["at"])
    return 0, 0.0


def _write(file: int, count: int, at: float) -> None:
    # All of one length, in one write: no moment in which there is nothing to read.
    os.pwrite(file, json.dumps({"count": count, "at": at}).encode().ljust(SIZE), 0)
