# SPDX-License-Identifier: MIT
"""`shoestring guest remove`: a guest goes from both machines, with its disk."""

import argparse
from collections.abc import Callable

from firstboot.roster.change import Change, Kind
from firstboot.roster.pair import Pair, meet, next_number, refuse
from firstboot.roster.properties import as_it_is
from haagent import config, running
from haagent.asking import ask, tell
from haagent.command import Exit, Places, is_at_a_terminal, look
from haagent.errors import OperatorError
from haagent.handover import guest_of


def remove(
    arguments: argparse.Namespace, places: Places, meet: Callable[[Places], Pair] = meet
) -> Exit:
    """`guest remove`. Raises ShoestringError."""
    _, shown = look(places)
    refuse(shown)
    view = guest_of(shown, arguments.guest)
    running.refuse_unless_off(view)
    if not is_at_a_terminal():
        raise OperatorError(
            "To remove a guest takes a person at a terminal.",
            "Log in, and type the command yourself; no script may do it.",
        )
    found, pair = config.load(places.file, places.cmdline), meet(places)
    number = next_number(pair, shown)
    tell(
        f"{view.name} goes, with its disk, on {' and on '.join(shown.machines)}. All that is on it"
        " is lost for good; a backup that was made of it elsewhere stays. None is made by itself"
        " any more.",
    )
    if ask("Type the guest's name to remove it: ") != view.name:
        raise OperatorError(
            "The name was not typed: nothing was done.", "Say it again if you want it."
        )
    change = Change(number, Kind.REMOVED, as_it_is(view.name, found))
    pair.lead(change, lambda: None)
    tell(f"{view.name} is removed, {pair.where}.")
    return Exit.PROTECTED
