# SPDX-License-Identifier: MIT
"""What a backup is, for `--json` and for a person, without reading its blocks."""

from typing import Any

from haagent.backup.layout import NO_SUM
from haagent.backup.reading import Backup


def summary(backup: Backup) -> dict[str, Any]:
    """For JSON."""
    head = backup.head
    counts = [0, 0, 0]
    for found, stored in backup.index:
        counts[0 if stored else 1 if found == NO_SUM else 2] += 1
    return {
        "file": backup.title,
        "guest": head.guest,
        "at": head.at.isoformat(),
        "kind": str(head.kind),
        "id": head.id,
        "digest": backup.digest.hex(),
        "base": head.base and {"file": head.base.name, "id": head.base.id},
        "depth": head.depth,
        "disks": [{"name": disk.name, "bytes": disk.size} for disk in head.disks],
        "bytes": backup.length,
        "block": head.block,
        "blocks": dict(zip(("stored", "zero", "in-base"), counts, strict=True)),
    }


def lines(told: dict[str, Any]) -> list[str]:
    """What `summary` TOLD, for a person."""
    blocks, block = told["blocks"], told["block"]
    found = [
        f"{told['file']}: guest {told['guest']}, {told['at']}, {told['kind']}, "
        f"{_size(told['bytes'])}",
        *(f"  disk {disk['name']}: {_size(disk['bytes'])}" for disk in told["disks"]),
        f"  in it {_size(blocks['stored'] * block)} of data before packing; "
        f"{_size(blocks['zero'] * block)} are zero",
    ]
    if told["base"]:
        found.append(
            f"  the other {_size(blocks['in-base'] * block)} are in {told['base']['file']}, which "
            "restoring needs"
        )
    return [*found, f"  id {told['id']}", f"  digest {told['digest']}"]


def _size(count: int) -> str:
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"
