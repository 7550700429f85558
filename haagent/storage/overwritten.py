# SPDX-License-Identifier: MIT
"""A guest's volume as it was before a resync, for as long as DRBD writes over it.

A machine that was away has an old copy, but a whole one. While it is brought up to date it is
neither the old disk nor the new one, and nothing starts from it; lost with the other machine in
those hours would be all that there is. So a snapshot is made before, and removed at the end. It has
room for what is copied and for a tenth of the volume, which the guest may write meanwhile; when
that is used up LVM gives it up, and the volume is none the worse.

The volume is never touched, and no snapshot but one of this name and tag.

What DRBD does (drivers/block/drbd of Linux 6.12): a target has taken the bitmaps of both together
(receive_bitmap) when receive_sync_uuid calls drbd_start_resync. That has its handler run first, and
makes the disk Inconsistent, and that known on the disk, before the first block comes in. So what
/proc/drbd tells just then is how much will be copied, and a disk that is whole is Outdated, as
WFSyncUUID leaves none UpToDate (sanitize_state). The other handler runs when the state has changed
(drbd_resync_finished), also where blocks have failed and the disk stays Inconsistent.
"""

import contextlib
import fcntl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from haagent.errors import OperatorError
from haagent.guests.name import checked
from haagent.run import Run, run
from haagent.storage.kept import (
    LIST,
    MIB,
    RESYNC,
    STAMP,
    Kept,
    Volume,
    name_of,
    needed,
    parse_volumes,
)
from haagent.storage.lvm import GROUP, LIMIT, UNFINISHED
from haagent.storage.resync import State, out_of_sync, states
from haagent.storage.snapshot import LEAST, LEAST_SHARE, undisturbed

LOCKS = Path("/run/shoestring")
PROC_DRBD = Path("/proc/drbd")
WHOLE = frozenset({"UpToDate", "Consistent", "Outdated"})
# From when it is known that this machine's copy is the older one until all of it is copied.
TARGET = frozenset({"StartingSyncT", "WFBitMapT", "WFSyncUUID", "SyncTarget", "PausedSyncT"})
JUST = timedelta(minutes=10)
# lvcreate(8). What is kept is copied in pieces of this many bytes: with the usual 4096 a disk that
# turns does little else than move its head between the volume and the snapshot.
CHUNK = 64 << 10
SCATTERED = 4  # what is copied takes so many times its size in such pieces, as a rule


def called(guest: str) -> str:
    return f"{checked(guest)}_resync"  # what no guest and no kept copy can be called


def size_of(differs: int, volume: int) -> int:
    """Bytes for a snapshot of VOLUME bytes, of which so many that DIFFERS are copied."""
    changes = SCATTERED * differs + max(LEAST, volume // LEAST_SHARE)
    return -(-min(needed(changes), needed(volume)) // MIB) * MIB


class Overwritten:
    """The snapshots of this kind in our volume group. What is done is told in a sentence; a refusal
    of LVM's is a ToolError.
    """

    def __init__(self, run: Run = run, proc: Path = PROC_DRBD, locks: Path = LOCKS) -> None:
        self._run = run
        self._proc = proc
        self._locks = locks

    def keep(self, guest: str, minor: int, now: datetime) -> str:
        """Before a resync of GUEST, whose device has that MINOR number, to this machine."""
        with self._in_turn(guest):
            name, state, volumes = called(guest), self._state(minor), self._volumes()
            origin, left = volumes.get(guest), volumes.get(name)
            if origin is None:
                return f"it has no volume in the group {GROUP}, and nothing is kept of it"
            if left is not None and not (_is_of(left, guest) and state.disk not in WHOLE):
                self._remove(left, guest)
                left = None
            if state.disk not in WHOLE:
                # safety: what an earlier resync left is older, and whole. It stays.
                stays = f"; {name} stays" if left else ""
                return f"its copy is {state.disk}, not whole, and nothing is kept of it{stays}"
            if (kept := _just_kept(guest, volumes, now)) is not None:
                return f"{kept} is of this moment, and no other copy is kept"
            differs = out_of_sync(self._proc.read_text()).get(minor, 0) << 10
            size, room = size_of(differs, origin.size), Kept(self._run).room() * MIB
            if room < size:
                return (
                    "nothing is kept of what is written over: it takes"
                    f" {size // MIB} MiB, and {room // MIB} MiB are free"
                )
            self._make(guest, name, size)
            return f"{name} is what its copy was, until the resync is over ({size // MIB} MiB)"

    def drop(self, guest: str, minor: int) -> str:
        """After a resync, or at a start of the machine."""
        with self._in_turn(guest):
            name, state = called(guest), self._state(minor)
            left = self._volumes().get(name)
            if left is None:
                return f"there is no {name}"
            is_over = state.disk in WHOLE and state.link not in TARGET
            if _is_of(left, guest) and not is_over:
                # safety: it is the only whole copy on this machine.
                return f"its copy is {state.disk} ({state.link}), and {name} stays"
            self._remove(left, guest)
            return f"{name} is removed"

    @contextlib.contextmanager
    def opened(self, guest: str) -> Iterator[Path]:
        """The device of the snapshot, for who reads it. Raises OperatorError where there is none
        that is whole.
        """
        with undisturbed(guest, self._locks):
            found = self._volumes().get(called(guest))
            if found is None or not _is_of(found, guest) or not found.is_active:
                raise OperatorError(
                    f"What this machine has of {guest} is a part: it was being written over, and"
                    " of what was there before nothing is kept, or not all.",
                    "Nothing was done. Bring the other machine back, whose copy is the newest. If"
                    " that is lost for good, the last backup is what is left.",
                )
            yield Path("/dev") / GROUP / found.name

    def _make(self, guest: str, name: str, size: int) -> None:
        room = ("--size", f"{size}b", "--chunksize", f"{CHUNK}b")
        how = ("--snapshot", *room, "--permission", "r", "--monitor", "n")
        tags = ("--addtag", RESYNC, "--addtag", UNFINISHED)
        # safety: DRBD does not wait for ever, nor is LVM killed between its steps. One that is made
        # when the resync has begun has blocks of two disks, and keeps this tag.
        create = ("lvcreate", "--yes", *how, *tags, "--name", name, f"{GROUP}/{guest}")
        self._run(create, timeout=LIMIT)
        self._run(("lvchange", "--deltag", UNFINISHED, f"{GROUP}/{name}"), timeout=LIMIT)

    def _remove(self, left: Volume, guest: str) -> None:
        if RESYNC not in left.tags or left.origin != guest:
            raise OperatorError(
                f"{left.name} is no snapshot of ours", "Give it another name with `lvrename`."
            )
        # safety: by its full name, which no guest's volume can have. LVM refuses what is open.
        self._run(("lvremove", "--yes", f"{GROUP}/{left.name}"), timeout=LIMIT)

    def _state(self, minor: int) -> State:
        return states(self._proc.read_text()).get(minor, State("Unconfigured", "Diskless"))

    def _volumes(self) -> dict[str, Volume]:
        return {one.name: one for one in parse_volumes(self._run(LIST, timeout=LIMIT))}

    @contextlib.contextmanager
    def _in_turn(self, guest: str) -> Iterator[None]:
        """The start of the machine and DRBD may be at the same one in the same moment."""
        self._locks.mkdir(mode=0o755, parents=True, exist_ok=True)
        with (self._locks / f"resync-{checked(guest)}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _is_of(found: Volume, guest: str) -> bool:
    """Whether it is what GUEST's copy was, and all of it."""
    is_ours = RESYNC in found.tags and found.origin == guest
    return is_ours and not found.is_unfinished and not found.is_invalid


def _just_kept(guest: str, volumes: dict[str, Volume], now: datetime) -> str | None:
    """A copy for a choice that was made just now: it has all that this one would have, and would
    be one more to write to for each block. One of longer ago is of another disk.
    """
    for volume in volumes.values():
        stamp = volume.name.removeprefix(f"{guest}-before-")
        if volume.origin != guest or not STAMP.fullmatch(stamp):
            continue
        at = datetime.strptime(stamp, "%Y%m%d-%H%M").replace(tzinfo=UTC)
        is_whole = volume.is_active and not volume.is_invalid and not volume.is_unfinished
        if is_whole and volume.name == name_of(guest, stamp) and abs(now - at) < JUST:
            return volume.name
    return None
