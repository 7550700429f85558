# SPDX-License-Identifier: MIT
"""`haagent console`: the status page on this terminal, for ever, and the menu behind the Enter key.

One runs on every terminal, all the time, so it loads as little as it can: haagent/__main__.py comes
here directly, and what only the menu needs is loaded when somebody presses Enter.
"""

import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from haagent.console import tty
from haagent.console.guard import Guard
from haagent.console.keys import deaf_to_keys
from haagent.control import SOCKET
from haagent.errors import OperatorError

MenuOf = Callable[[list[Any] | None], tty.Menu]  # for a terminal that is so for programs

WORDS = {("console",): False, ("console", "--menu"): True}  # with a menu?


def main(*, has_menu: bool) -> int:
    """The exit code; only a person's Ctrl-C ends a screen without menu."""
    return show(SOCKET, menu_behind_enter if has_menu else None)


def show(path: Path, menu_of: MenuOf | None) -> int:
    """Shows the agent at PATH."""
    keys, screen = sys.stdin.fileno(), sys.stdout.fileno()
    before = tty.quieten(keys)
    try:
        with deaf_to_keys() if menu_of else nullcontext():
            menu = menu_of(before) if menu_of else None
            tty.Console(keys, screen, path, menu=menu).run()
    except KeyboardInterrupt:
        print()
    finally:
        tty.restore(keys, before)
    return 0


def menu_behind_enter(usual: list[Any] | None) -> tty.Menu:
    with suppress(OperatorError):  # whoever then asks for the password is told
        _ = Guard().has_password  # while the stick is there: a copy of it is kept in memory

    def spend(keys: int, screen: int) -> None:
        from haagent.command import Places
        from haagent.console import entrance

        entrance.menu(Places(), usual)(keys, screen)

    return spend
