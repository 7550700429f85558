# SPDX-License-Identifier: MIT
"""Sizes, in words. Pure."""


def size(kib: int) -> str:
    """How much KIB are."""
    for unit, many in (("GiB", 1 << 20), ("MiB", 1 << 10)):
        if kib >= many:
            return f"{kib / many:.1f} {unit}"
    return f"{kib} KiB"
