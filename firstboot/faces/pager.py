# SPDX-License-Identifier: MIT
"""Cuts what is longer than a screen into parts. Pure.

A monitor's console keeps nothing of what scrolled away, so nothing may, before somebody saw it.
"""

import textwrap

LINES = 24  # of the smallest screen there is
ROOM = LINES - 1  # the last line is the cursor's
WIDTH = 79  # the last column makes some terminals wrap
MORE = "-- Enter for more -- "


def wrapped(text: str, width: int = WIDTH) -> list[str]:
    """TEXT in lines of WIDTH; what was set in stays so, and its later lines two columns more."""
    lines = []
    for line in text.splitlines():
        set_in = len(line) - len(line.lstrip())
        indent = " " * (set_in + 2 if set_in else 0)
        lines += textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) or [
            ""
        ]
    return lines


def parts(text: str, room: int = ROOM) -> list[str]:
    """TEXT in parts of at most ROOM lines, one at least. A part ends with a whole paragraph where
    that leaves it half full or more.
    """
    lines = wrapped(text)
    found = []
    while len(lines) > room:
        blank = next((n for n in range(room, room // 2, -1) if not lines[n]), room)
        found.append("\n".join(lines[:blank]))
        lines = lines[blank:]
        while lines and not lines[0]:
            lines.pop(0)
    return [*found, "\n".join(lines)]
