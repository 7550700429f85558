# SPDX-License-Identifier: MIT
"""DRBD's metadata of a new volume: what create-md leaves, and the word that nobody else has it.

Metadata that anybody ever used are not touched, and no refusal of DRBD's is overruled.
"""

import secrets

from firstboot.rendering import volume
from haagent.errors import ToolError
from haagent.run import Run
from haagent.storage.drbd import drbdadm

LIMIT = 120.0  # seconds for one program
# What create-md writes, UUID_JUST_CREATED of linux/drbd.h: no data was ever under this metadata.
JUST_CREATED = "0000000000000004:0000000000000000:"
NEVER_USED = f"{JUST_CREATED}0000000000000000:0000000000000000:0:0:0:0:0:0:0"
# Behind the generation: no bitmap's, no older ones; then consistent and up to date, not Primary,
# not connected, no full sync under way, the other copy outdated, no crash (drbdmeta.c, m_set_uuid).
ONLY = "0000000000000000:0000000000000000:0000000000000000:1:1:0:0:0:1:0"


def create(guest: str, run: Run, which: tuple[str, ...] = ()) -> None:
    """Metadata of a volume that was never used. WHICH names another configuration than the
    machine's own. Raises ToolError.
    """
    argv = ("drbdadm", *which, *drbdadm("create-md", guest)[1:])
    run(argv, timeout=LIMIT)
    found = _read(guest, run, which)
    if not found.startswith(JUST_CREATED):
        raise ToolError(argv, 0, f"the metadata reads {found}")


def declare_only(guest: str, run: Run, which: tuple[str, ...] = ()) -> None:
    """What `create` made says that this copy is the only one there is. DRBD then attaches it as
    UpToDate beside an Outdated one, and makes it Primary without asking anybody (drbd_nl.c,
    drbd_adm_attach). Whoever joins later is just created, and gets a full copy (drbd_receiver.c,
    drbd_uuid_compare, rule 30). Raises ToolError.
    """
    found = _read(guest, run, which)
    generation = f"{secrets.randbits(63) << 1 | 1 << 63:016X}:{ONLY}"
    minor = run(("drbdadm", *which, *drbdadm("sh-minor", guest)[1:]), timeout=LIMIT).strip()
    # safety: --force is the yes to drbdmeta's own question, which it asks at a terminal alone, and
    # which is answered right here: nothing was ever under this metadata. What DRBD has attached it
    # does not write at all.
    argv = ("drbdmeta", "--force", minor, "v08", volume(guest), "internal", "set-gi", generation)
    if found != NEVER_USED:
        raise ToolError(argv, 0, f"not tried: the metadata reads {found}")
    run(argv, timeout=LIMIT)
    now = _read(guest, run, which)
    if now != generation:
        raise ToolError(argv, 0, f"the metadata reads {now}")


def _read(guest: str, run: Run, which: tuple[str, ...]) -> str:
    return run(("drbdadm", *which, *drbdadm("get-gi", guest)[1:]), timeout=LIMIT).strip()
