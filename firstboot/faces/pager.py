# SPDX-License-Identifier: MIT
"""Cuts what is longer than a screen into parts. Pure.

A monitor's console keeps nothing of what scrolled away, so nothing may, before somebody saw it.
"""

from haagent.folding import folded

LINES = 24  # of the smallest screen there is
ROOM = LINES - 1  # the last line is the cursor's
MORE = "-- Enter for more -- "


def parts(text: str, room: int = ROOM) -> list[str]:
    """TEXT in parts of at most ROOM lines, one at least. A part ends with a whole paragraph where
    that leaves it half full or more.
    """
    lines = folded(text)
    found = []
    while len(lines) > room:
        blank = next((n for n in range(room, room // 2, -1) if not lines[n]), room)
        found.append("\n".join(lines[:blank]))
        lines = lines[blank:]
        while lines and not lines[0]:
            lines.pop(0)
    return [*found, "\n".join(lines)]
