# SPDX-License-Identifier: MIT
"""Owns what /proc/drbd tells of a resync: its text -> how far each device is, or how far apart.

Pure. events2 does not carry it. A line that is not known is no progress, and no error: a screen
shows it, storage/reconnection.py has a resync that hangs at its end begun anew,
storage/verification.py tells a person what differs, storage/overwritten.py keeps what is written
over, and nothing else may ever be decided by it.

The text is that of DRBD 8.4, drivers/block/drbd/drbd_proc.c: a block for each device that begins
with ` 0: cs:SyncSource ...`, and while a resync runs

    [===>................] sync'ed: 23.1% (8972/11664)K
    finish: 0:01:02 speed: 12,345 (11,111) K/sec

with K or M. `verified:` in the place of `sync'ed:` is a verification, which is no resync, and
` (stalled)` at the end means that nothing moved for minutes. `oos:` is always there: KiB that are
marked as different; without a connection that is what was written here since, and with one that
copies nothing it is what verifications have found.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

DEVICE = re.compile(r"^ *(\d+): cs:", re.MULTILINE)
DONE = re.compile(
    r"(?P<what>sync'ed|verified): *\d+\.\d% *\((?P<left>\d+)/(?P<total>\d+)\)(?P<unit>[KM])"
)
RESYNC, VERIFICATION = "sync'ed", "verified"
ONE = re.compile(r"(Connected|VerifyS|VerifyT) ro:\S+ ds:UpToDate/UpToDate ")  # behind a DEVICE
STATE = re.compile(r"(?P<link>\w+) ro:\S+ ds:(?P<disk>\w+)/")  # behind a DEVICE
FINISH = re.compile(r"finish: (?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d) (?P<rest>.*)")
OUT_OF_SYNC = re.compile(r"\boos:(?P<left>\d+)")
STALLED = "(stalled)"
SOURCE = "SyncSource"  # its resync runs; one that is paused, or begins, is called otherwise
KIB = {"K": 1, "M": 1024}


@dataclass(frozen=True, slots=True)
class Progress:
    """A resync or a verification, of one device or of several that belong together."""

    left: int  # KiB that are still to be copied, or compared
    total: int  # KiB when it began
    seconds: int | None  # until it is done, by DRBD's estimate; None: nothing moves

    @property
    def percent(self) -> float:
        """What is done, with one decimal, rounded down: 100 only when nothing is left."""
        return 1000 * (self.total - self.left) // self.total / 10 if self.total else 100.0


@dataclass(frozen=True, slots=True)
class State:
    """Of one device, in DRBD's own words."""

    link: str
    disk: str


def parse(text: str, what: str = RESYNC) -> dict[int, Progress]:
    """The resyncs that TEXT tells of, or the verifications, by the number of their device."""
    return {minor: found for minor, block in _blocks(text) if (found := _progress(block, what))}


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    """What TEXT says of each device, behind `cs:`."""
    _, *parts = DEVICE.split(text)
    for minor, block in zip(parts[::2], parts[1::2], strict=True):
        yield int(minor), block


def _progress(block: str, what: str) -> Progress | None:
    done, finish = DONE.search(block), FINISH.search(block)
    if done is None or done["what"] != what:
        return None
    kib = KIB[done["unit"]]
    seconds = None
    if finish is not None and STALLED not in finish["rest"]:
        hours, minutes = int(finish["hours"]), int(finish["minutes"])
        seconds = hours * 3600 + minutes * 60 + int(finish["seconds"])
    return Progress(int(done["left"]) * kib, int(done["total"]) * kib, seconds)


def states(text: str) -> dict[int, State]:
    """By the number of the device."""
    return {
        minor: State(found["link"], found["disk"])
        for minor, block in _blocks(text)
        if (found := STATE.match(block))
    }


def out_of_sync(text: str) -> dict[int, int]:
    """KiB that are marked as different, by the number of the device."""
    return {
        n: int(found["left"]) for n, block in _blocks(text) if (found := OUT_OF_SYNC.search(block))
    }


def apart(text: str, minors: Mapping[str, Collection[int]]) -> dict[str, int]:
    """KiB that are marked as different of each guest of MINORS whose copies are one to DRBD: they
    are what verifications have found. Of any other guest the same figure means something else.
    """
    marked = out_of_sync(text)
    ones = {minor for minor, block in _blocks(text) if ONE.match(block)} & marked.keys()
    return {
        guest: sum(marked[n] for n in numbers)
        for guest, numbers in minors.items()
        if numbers and ones >= set(numbers)
    }


def copied(text: str, minors: Mapping[str, Iterable[int]]) -> frozenset[str]:
    """Those of the guests of MINORS that are brought up to date from here, and of whose devices
    none has anything left to copy: a resync that is about to end, or that never does.
    """
    left = out_of_sync(text)
    sources = {minor for minor, block in _blocks(text) if block.split(maxsplit=1)[:1] == [SOURCE]}
    return frozenset(
        guest
        for guest, numbers in minors.items()
        if sources & set(numbers) and all(left.get(n) == 0 for n in numbers)
    )


def together(found: Iterable[Progress]) -> Progress | None:
    """Several devices as one; None if there are none. They are copied side by side."""
    parts = list(found)
    if not parts:
        return None
    times = [part.seconds for part in parts if part.seconds is not None]
    return Progress(
        sum(part.left for part in parts),
        sum(part.total for part in parts),
        max(times) if len(times) == len(parts) else None,
    )


def by_guest(
    text: str, minors: Mapping[str, Iterable[int]], what: str = RESYNC
) -> dict[str, Progress]:
    """What TEXT tells, for each guest of MINORS, whose devices are those."""
    devices = parse(text, what)
    return {
        guest: whole
        for guest, numbers in minors.items()
        if (whole := together(devices[n] for n in numbers if n in devices))
    }
