# SPDX-License-Identifier: MIT
"""Which boot of this machine this is: the kernel names each (random(4)). It only reads."""

from pathlib import Path

_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """A UUID that no other boot of any machine has."""
    return _ID.read_text().strip()
