# SPDX-License-Identifier: MIT
"""A guest's volume as it is in one moment, for as long as somebody reads it.

What the guest writes meanwhile goes to the volume, and what was there before to the snapshot. When
that has no room left, LVM gives it up: whoever reads it gets an error, and the guest nothing of it.
The volume is never touched. What a power cut or a kill left is removed by the next one, and by
drbd-up at every start, for it makes writes slower.

Below DRBD a snapshot is a disk as a power cut would leave it, and nothing more is lost: a guest
writes what must come later when it was told that the earlier is on both disks (protocol C).
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from haagent.alone import alone
from haagent.errors import OperatorError, ToolError
from haagent.guests.name import checked
from haagent.run import Run, run
from haagent.storage.kept import LIST, MIB, PASSING, Kept, Volume, needed, parse_volumes
from haagent.storage.lvm import GROUP, LIMIT

LEAST_SHARE = 10  # a tenth of a volume may change while it is read, at least
LEAST = 64 * MIB
LOCKS = Path("/run/shoestring")


@contextlib.contextmanager
def snapshot(guest: str, run: Run = run) -> Iterator[Path]:
    """The device of a snapshot of GUEST's volume on this machine.

    Raises OperatorError if there is no room or somebody reads such a one already; ToolError.
    """
    with undisturbed(guest, LOCKS):
        yield from _made(guest, run)


def undisturbed(guest: str, locks: Path) -> contextlib.AbstractContextManager[None]:
    """Nobody else reads GUEST's volume by a snapshot meanwhile, or makes it larger. Raises
    OperatorError.
    """
    busy = OperatorError(
        f"{guest} is being read already, by another backup, export or clone, or its disk is being"
        " made larger.",
        "Nothing was done. Wait until that has ended.",
    )
    # safety: a second one that begins in the same moment would take the first one's snapshot for
    # what a power cut left, and remove it before it is opened.
    return alone(locks / f"reading-{checked(guest)}.lock", busy)


def _made(guest: str, run: Run) -> Iterator[Path]:
    name = f"{guest}_passing"  # what no guest and no kept copy can be called
    volumes = _volumes(run)
    origin = volumes.get(guest)
    if origin is None:
        raise OperatorError(
            f"The volume of {guest} is not in the group {GROUP}.",
            "Its data disk may have failed: `shoestring status` says more.",
        )
    _clear(guest, volumes.get(name), run)
    size = _size(guest, origin, Kept(run).room() * MIB)
    how = ("--snapshot", "--size", f"{size}b", "--permission", "r", "--monitor", "n")
    # lvcreate(8): one volume in one command, so that no other moment comes between.
    run(
        ("lvcreate", "--yes", *how, "--addtag", PASSING, "--name", name, f"{GROUP}/{guest}"),
        timeout=LIMIT,
    )
    try:
        yield Path("/dev") / GROUP / name
    finally:
        _remove(name, run)


def _size(guest: str, origin: Volume, room: int) -> int:
    """Bytes for what is written meanwhile: all that can ever be used, or what there is."""
    least = max(LEAST, origin.size // LEAST_SHARE)
    if room < min(least, needed(origin.size)):
        raise OperatorError(
            f"There are {room // MIB} MiB free for what {guest} writes while it is read; it takes"
            f" {-(-least // MIB)}.",
            "Nothing was done. Remove a kept copy that nobody needs: `lvs` lists them, `lvremove`"
            " removes one.",
        )
    return min(needed(origin.size), room)


def _clear(guest: str, left: Volume | None, run: Run) -> None:
    """Removes what an earlier one LEFT."""
    if left is None:
        return
    if PASSING not in left.tags or not left.origin:
        raise OperatorError(
            f"There is a volume {left.name} that is no snapshot of ours.",
            "Nothing was done. Give it another name with `lvrename`.",
        )
    try:
        _remove(left.name, run)
    except ToolError as error:
        why = error.stderr.strip().rpartition("\n")[2] or "LVM did not come to an end"
        raise OperatorError(
            f"{guest} is being read already, or {left.name}, which an earlier backup left, cannot"
            f" be removed: {why}",
            "Nothing was done. Wait until the other backup has ended. If there is none: `lvremove"
            f" {GROUP}/{left.name}` says more.",
        ) from error


def _remove(name: str, run: Run) -> None:
    # safety: by its full name, which no guest's volume can have. LVM refuses what is open.
    run(("lvremove", "--yes", f"{GROUP}/{name}"), timeout=LIMIT)


def _volumes(run: Run) -> dict[str, Volume]:
    return {volume.name: volume for volume in parse_volumes(run(LIST, timeout=LIMIT))}
