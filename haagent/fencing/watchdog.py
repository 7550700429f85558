# SPDX-License-Identifier: MIT
"""The one owner of the watchdogs: finds the devices, arms them, feeds them.

The peer relies on one of them. The others are armed as well, for what takes that one along: Xen's
is no use when it is Xen that hangs, and the board's fires then.

It must not decide when to feed. safety: it has no way to disarm. Closing the device, however the
agent ends, leaves it counting, and an agent that comes back opens it and feeds it again; else an
agent that died would leave its guests running with nothing to end them.

Facts: Documentation/watchdog/watchdog-api.rst and drivers/watchdog/watchdog_dev.c of Linux 6.12.
Opening starts the device. A write feeds it, and the letter V in a write would let the next close
stop it. A driver without WDIOF_MAGICCLOSE is stopped by any close: such a device is not taken.
"""

import contextlib
import fcntl
import logging
import math
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from haagent.errors import BugError, OperatorError

log = logging.getLogger(__name__)

SYSFS = Path("/sys/class/watchdog")  # Documentation/ABI/testing/sysfs-class-watchdog
DEVICES = Path("/dev")

XEN = "xen_wdt"  # DRV_NAME in drivers/watchdog/xen_wdt.c: the hypervisor counts, not this kernel
SOFTWARE = "Software Watchdog"  # drivers/watchdog/softdog.c: a stuck kernel takes it along

# include/uapi/linux/watchdog.h
WDIOC_SETTIMEOUT = 0xC0045706  # _IOWR('W', 6, int)
WDIOC_GETTIMEOUT = 0x80045707  # _IOR('W', 7, int)
WDIOF_SETTIMEOUT = 0x0080
WDIOF_MAGICCLOSE = 0x0100
WDIOF_ALARMONLY = 0x0400  # it tells somebody, and resets nothing
_INT = struct.Struct("i")

FOOD = b"\0"  # safety: never b"V", see above
MAGIC = b"V"

Ioctl = Callable[[int, int, bytes], bytes]


class WatchdogError(OperatorError):
    """There is no watchdog that can be relied on, or it does not obey. It is not armed by us."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A watchdog as sysfs shows it."""

    name: str  # watchdog0
    identity: str
    options: int  # WDIOF_*
    min_timeout: int  # seconds; 0 if the driver does not say
    max_timeout: int

    def flaw(self, timeout: int) -> str | None:
        """Why it cannot be relied on with TIMEOUT seconds; None if it can."""
        if self.identity == SOFTWARE:
            return "it stops when the kernel is stuck"
        if self.options & WDIOF_ALARMONLY:
            return "it does not reset the machine"
        if not self.options & WDIOF_MAGICCLOSE:
            return "it stops counting when the agent dies"
        if not self.options & WDIOF_SETTIMEOUT:
            return "its time cannot be set"
        if self.min_timeout > timeout or 0 < self.max_timeout < timeout:
            return f"it does not take {timeout} s"
        return None


def find(timeout: int, sysfs: Path = SYSFS) -> list[Candidate]:
    """The watchdogs of this machine, the best first: Xen's, then those in hardware.

    By identity, never by number: numbers are given in the order in which drivers load. Raises
    WatchdogError, with what is wrong with each, if there is none.
    """
    found, flaws = [], []
    for candidate in sorted(_candidates(sysfs), key=lambda c: (c.identity != XEN, c.name)):
        flaw = candidate.flaw(timeout)
        if flaw is None:
            found.append(candidate)
        else:
            flaws.append(f"{candidate.identity} ({candidate.name}): {flaw}")
    if found:
        return found
    raise WatchdogError(
        f"No watchdog can be relied on: {'; '.join(flaws) or 'this machine shows none'}.",
        "Under Xen there is always one: boot the first menu entry, and look for xen_wdt with "
        "`lsmod`. Without a watchdog the peer must not take over by itself.",
    )


def _candidates(sysfs: Path) -> list[Candidate]:
    return [
        Candidate(
            name=folder.name,
            identity=_text(folder / "identity"),
            options=int(_text(folder / "options") or "0", 16),
            min_timeout=int(_text(folder / "min_timeout") or "0"),
            max_timeout=int(_text(folder / "max_timeout") or "0"),
        )
        for folder in sysfs.glob("watchdog[0-9]*")
    ]


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""  # a driver that went away meanwhile; without options it is not taken


def _ioctl(descriptor: int, request: int, argument: bytes) -> bytes:
    return fcntl.ioctl(descriptor, request, argument)


class Watchdog:
    """The machine's watchdogs, as one. One object for the life of the agent; one thread."""

    def __init__(self, sysfs: Path = SYSFS, devices: Path = DEVICES, ioctl: Ioctl = _ioctl) -> None:
        self._sysfs = sysfs
        self._devices = devices
        self._ioctl = ioctl
        self._descriptor: int | None = None  # the one that is relied on
        self._others: list[int] = []
        self.identities: tuple[str, ...] = ()  # of those that are armed, the relied on one first

    def open(self, timeout: float) -> None:
        """Arms it: from here on the machine resets TIMEOUT seconds after the last feed.

        Drivers count whole seconds; a fraction is cut off, never rounded up. Raises WatchdogError;
        the device may count then, with a time of its own, and nobody may rely on it. That another
        one than the best cannot be armed is no error.
        """
        seconds = math.floor(timeout)
        if seconds < 1:
            raise BugError(f"watchdog: {timeout} s is less than a driver can count")
        if self._descriptor is not None:
            raise BugError("watchdog: opened twice")
        candidate, *others = find(seconds, self._sysfs)
        device = self._devices / candidate.name
        try:
            # PEP 446: no program that we run inherits it and keeps it busy.
            self._descriptor = os.open(device, os.O_WRONLY)
            actual = self._set(self._descriptor, seconds)
        except OSError as error:
            self.close()
            raise WatchdogError(
                f"The watchdog {candidate.identity} ({device}) cannot be armed: {error.strerror}.",
                "If it is busy, something else feeds it: find it with `fuser -v "
                f"{device}` and stop it. Only the agent may own the watchdog.",
            ) from error
        if not 0 < actual <= seconds:
            # safety: the peer counts on our figure; a longer one would let it start a second copy.
            self.close()
            raise WatchdogError(
                f"The watchdog {candidate.identity} ({device}) was set to {seconds} s and says "
                f"{actual} s.",
                "It cannot be relied on: remove its driver, so that another one is taken.",
            )
        self.identities = (candidate.identity,)
        self.feed()
        for other in others:
            self._open_beside(other, seconds)

    def _open_beside(self, candidate: Candidate, seconds: int) -> None:
        """One more. safety: nobody relies on it, but once it is open it counts, and is fed."""
        try:
            descriptor = os.open(self._devices / candidate.name, os.O_WRONLY)
        except OSError as error:
            log.warning("the watchdog %s is not armed: %s", candidate.identity, error.strerror)
            return
        self._others.append(descriptor)
        self.identities += (candidate.identity,)
        with contextlib.suppress(OSError):  # then it has a time of its own
            self._set(descriptor, seconds)
            os.write(descriptor, FOOD)

    def _set(self, descriptor: int, seconds: int) -> int:
        """The time that it counts from now on. Raises OSError."""
        self._ioctl(descriptor, WDIOC_SETTIMEOUT, _INT.pack(seconds))
        (actual,) = _INT.unpack(self._ioctl(descriptor, WDIOC_GETTIMEOUT, _INT.pack(0)))
        return int(actual)

    def feed(self) -> None:
        """The machine lives for another timeout. Raises WatchdogError if the device is gone.

        Nothing but a write: it must work when there is no memory and no process to be had.
        """
        if self._descriptor is None:
            raise BugError("watchdog: fed before it was opened")
        try:
            os.write(self._descriptor, FOOD)
        except OSError as error:
            raise WatchdogError(
                f"The watchdog {self.identities[0]} takes no food: {error.strerror}.",
                "The machine may reset at any moment. Look at `journalctl -k`.",
            ) from error
        for other in self._others:
            with contextlib.suppress(OSError):
                os.write(other, FOOD)

    def disarm(self) -> None:
        """Stops the counting, for good; only for a machine that goes down holding nothing.

        watchdog-api.rst: a V right before the close, on a driver with WDIOF_MAGICCLOSE.
        """
        if self._descriptor is not None:
            for descriptor in (self._descriptor, *self._others):
                os.write(descriptor, MAGIC)
            self.close()

    def close(self) -> None:
        """Lets go of the devices. safety: they go on counting, for no V was ever written."""
        if self._descriptor is not None:
            for descriptor in (self._descriptor, *self._others):
                os.close(descriptor)
            self._descriptor, self._others = None, []
