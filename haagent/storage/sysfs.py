# SPDX-License-Identifier: MIT
"""What the kernel says of a block device."""

from pathlib import Path

SECTOR = 512  # bytes; what it counts in
SYSFS = Path("/sys/class/block")


def disk_size(device: str, sysfs: Path = SYSFS) -> int | None:
    """Bytes of DEVICE, as whoever uses it sees them; None while there is none, or DRBD has no data
    behind it. Documentation/ABI/stable/sysfs-block.
    """
    try:
        sectors = int((sysfs / Path(device).name / "size").read_text())
    except (OSError, ValueError):
        return None
    return sectors * SECTOR or None
