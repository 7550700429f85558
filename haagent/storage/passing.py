# SPDX-License-Identifier: MIT
"""A volume for what is fetched from elsewhere, for as long as somebody reads it.

What a power cut or a kill left is removed by the next one, and by drbd-up at every start. It must
not touch another volume.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from haagent.alone import alone
from haagent.errors import OperatorError
from haagent.run import Run, run
from haagent.storage.kept import LIST, MIB, PASSING, Kept, parse_volumes
from haagent.storage.lvm import GROUP, LIMIT

NAME = "fetched_passing"  # what no guest and no kept copy can be called
EXTENT = 4 * MIB  # bytes; LVM's, which it rounds up to
LOCKS = Path("/run/shoestring")


@contextlib.contextmanager
def volume(size: int, run: Run = run) -> Iterator[Path]:
    """The device of a volume of SIZE bytes at least, whatever they are. Raises OperatorError if
    there is no room or another command has it; ToolError.
    """
    busy = OperatorError(
        "Another image is being fetched already.", "Nothing was done. Wait until that has ended."
    )
    # safety: a second one that begins in the same moment would take the first one's volume for what
    # a power cut left, and remove it before it is opened.
    with alone(LOCKS / "fetching.lock", busy):
        _clear(run)
        _refuse_without_room(size, Kept(run).room() * MIB)
        how = ("--wipesignatures", "y", "--size", f"{-(-size // EXTENT) * EXTENT}b")
        # lvcreate(8): tagged in the same command, so that it is never there without.
        run(
            ("lvcreate", "--yes", *how, "--addtag", PASSING, "--name", NAME, GROUP),
            timeout=LIMIT,
        )
        try:
            yield Path("/dev") / GROUP / NAME
        finally:
            _remove(run)


def _clear(run: Run) -> None:
    """Removes what an earlier one left."""
    found = {volume.name: volume for volume in parse_volumes(run(LIST, timeout=LIMIT))}
    left = found.get(NAME)
    if left is None:
        return
    if PASSING not in left.tags:
        raise OperatorError(
            f"There is a volume {NAME} that is not ours.",
            "Nothing was done. Give it another name with `lvrename`.",
        )
    _remove(run)


def _remove(run: Run) -> None:
    # safety: by its full name, which no guest's volume can have. LVM refuses what is open.
    run(("lvremove", "--yes", f"{GROUP}/{NAME}"), timeout=LIMIT)


def _refuse_without_room(size: int, room: int) -> None:
    if size > room:
        raise OperatorError(
            f"The image has {-(-size // MIB)} MiB, which lie on the data disk while it is brought"
            f" in, and {max(room, 0) // MIB} MiB are free there. Nothing was changed.",
            "Bring it on a USB stick, over NFS or over SSH: it is read from there. Or remove a kept"
            " copy that nobody needs: `lvs` lists them, `lvremove` removes one.",
        )
