# SPDX-License-Identifier: MIT
"""`shoestring guest rename`: a guest that is off is called otherwise, on both machines or on
neither. Its disk stays, with all that is on it.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace

from firstboot.roster.change import Change, Kind
from firstboot.roster.pair import Pair, meet, next_number, refuse
from firstboot.roster.properties import as_it_is
from haagent import config, running
from haagent.asking import tell
from haagent.command import Exit, Places, look
from haagent.core.wish import Target
from haagent.errors import OperatorError
from haagent.guests.name import checked
from haagent.handover import agree, guest_of


def rename(
    arguments: argparse.Namespace, places: Places, meet: Callable[[Places], Pair] = meet
) -> Exit:
    """Raises ShoestringError."""
    _, shown = look(places)
    refuse(shown)
    view = guest_of(shown, arguments.guest)
    name = checked(arguments.name)
    if name == view.name:
        raise OperatorError(f"{name} is called so already. Nothing was done.", "Say another name.")
    running.refuse_unless_off(view)
    found, pair = config.load(places.file, places.cmdline), meet(places)
    number = next_number(pair, shown)
    tell(
        f"{view.name} is called {name} from now on, on {' and on '.join(shown.machines)}. Its disk"
        " and its addresses stay; inside it nothing changes. It stays off until you start it. The"
        f" backups that there are stay {view.name}'s, and the next one is a whole one.",
    )
    agree(arguments)
    guest = replace(as_it_is(view.name, found), name=name, begins=Target.STOPPED.value)
    pair.lead(Change(number, Kind.RENAMED, guest, was=view.name), lambda: None)
    tell(f"{view.name} is called {name}, {pair.where}. `shoestring guest start {name}` starts it.")
    return Exit.PROTECTED
