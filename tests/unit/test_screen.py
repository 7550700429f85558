# SPDX-License-Identifier: MIT
"""What runs on every terminal for ever is small: it loads what it shows, and the menu on Enter."""

import subprocess
import sys

from haagent.console import screen

HEAVY = {"argparse", "hashlib", "subprocess", "yaml", "haagent.cli", "haagent.config"}


def test_a_screen_loads_nothing_that_only_the_menu_needs() -> None:
    program = f"import sys, haagent.console.screen; print({HEAVY!r} & set(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True
    )
    assert ended.stdout == "set()\n"


def test_the_words_of_the_units_come_here() -> None:
    assert screen.WORDS == {("console",): False, ("console", "--menu"): True}
