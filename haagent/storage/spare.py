# SPDX-License-Identifier: MIT
"""A spare of DRBD's configuration, in memory: drbdadm(8) reads it anew for each verb, and the stick
that it is on may be pulled. It must not change what it copies.

A copy is of the moment when the agent starts, and an agent is started anew after each change.
"""

import os
from pathlib import Path

KEPT = Path("/state/etc/drbd.d")
SPARE = Path("/run/shoestring/drbd.conf")
PATTERNS = ("*.conf", "*.res")  # as /etc/drbd.conf of the image includes them, in this order


def copy(kept: Path = KEPT, spare: Path = SPARE) -> Path | None:
    """What `drbdadm --config-file` takes; None if there is nothing to copy. Raises OSError, and
    leaves an older copy as it was then.
    """
    found = [file.read_text() for pattern in PATTERNS for file in sorted(kept.glob(pattern))]
    if not found:
        return spare if spare.exists() else None
    new = spare.with_suffix(".new")
    new.unlink(missing_ok=True)
    # safety: it has the shared secret.
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(found))
    new.replace(spare)
    return spare


def is_readable(kept: Path = KEPT) -> bool:
    """The stick still has what drbdadm needs. A stick that hangs holds the caller up."""
    try:
        return any([file.read_bytes() for file in kept.glob("*.res")])
    except OSError:
        return False
