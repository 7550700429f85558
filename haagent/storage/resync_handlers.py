# SPDX-License-Identifier: MIT
"""The program that DRBD runs before and after a resync to this machine, as before-resync-target and
after-resync-target: a snapshot is made of what is written over, or removed (overwritten.py).

safety: DRBD drops the connection if the first does not exit with 0 (drbd_start_resync), and then
the copy is never brought up to date. So it exits with 0 whatever becomes of the snapshot; DRBD's
configuration makes sure of that where this program does not come to its end, or is not there.

DRBD's receiver waits for it, and with that every write of the guest on the other machine, which
hangs up after a while (Timing.drbd_expels). So the configuration ends this program in half of that
time. What it has begun is left to end by itself: LVM that is killed may leave the volume suspended.

It does not ask the agent, which may be waiting for DRBD. Only small modules are imported: it runs
when the machine may be short of everything.
"""

import contextlib
import os
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Never

from haagent.storage.overwritten import Overwritten

BEFORE, AFTER = "before-resync-target", "after-resync-target"
LOG = Path("/dev/kmsg")  # beside DRBD's own lines; nobody is waited for there


def main(
    word: str,
    environment: Mapping[str, str] = os.environ,
    snapshots: Overwritten | None = None,
    log: Path = LOG,
) -> int:
    """The exit code, which is 0."""
    signal.signal(signal.SIGTERM, _too_late)
    guest = environment.get("DRBD_RESOURCE", "a guest")
    try:
        # drbdadm sets both for a handler (user/v84/drbdadm_main.c of drbd-utils 9.22, adm_khelper).
        said = _act(word, guest, int(environment["DRBD_MINOR"]), snapshots or Overwritten())
    except Exception as error:
        # safety: no failure, of whatever kind, may keep a copy from being brought up to date.
        said = f"{word} failed, and the resync goes on without a copy: {error!r}"
    with contextlib.suppress(OSError):
        log.write_text(f"<5>shoestring: {guest}: {' '.join(said.split())}\n")
    return 0


def _act(word: str, guest: str, minor: int, snapshots: Overwritten) -> str:
    if word == BEFORE:
        return snapshots.keep(guest, minor, datetime.now(UTC))
    return snapshots.drop(guest, minor)


def _too_late(*_: object) -> Never:
    raise TimeoutError("DRBD cannot wait any longer")
