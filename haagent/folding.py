# SPDX-License-Identifier: MIT
"""How what is said fits a terminal: the width of every screen, and lines broken to it. Pure."""

import textwrap

WIDTH = 79  # the last column makes some terminals wrap


def folded(text: str, width: int = WIDTH) -> list[str]:
    """TEXT in lines of WIDTH, broken between words, and not within a command that may be typed,
    such as save-report. What is set in stays so, and its later lines two columns more.
    """
    lines = []
    for line in text.splitlines():
        set_in = len(line) - len(line.lstrip())
        # A log may begin with any number of blanks; its words must still fit.
        indent = " " * (min(set_in + 2, width // 4) if set_in else 0)
        lines += textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) or [
            ""
        ]
    return lines
