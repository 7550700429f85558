# SPDX-License-Identifier: MIT
"""`shoestring install`: half of a pair asks the same as a blank machine does at its first page
(asking.py), and hands its guests over before it restarts.
"""

import argparse
from collections.abc import Callable

from firstboot.installing.asking import STAYS, Hands, Screens, choose
from firstboot.installing.carrying import Carrying
from firstboot.installing.mark import PATH
from firstboot.seat import Seat
from haagent import handover
from haagent.command import Exit, Places, is_at_a_terminal, look
from haagent.errors import OperatorError


def install_here(arguments: argparse.Namespace, places: Places) -> Exit:
    """`shoestring install`. Raises ShoestringError: the machine stays on its stick."""
    if not is_at_a_terminal():
        raise OperatorError(
            "Nothing was done: a disk is erased only for a person at a terminal.",
            "Type the command yourself; no script may do it.",
        )
    look(places)  # without an agent no guest could be handed over
    return with_restart(Seat(), Carrying(places.run), lambda: _restart(places))


def with_restart(screens: Screens, hands: Hands, restart: Callable[[], Exit]) -> Exit:
    """Asks, then restarts; whatever keeps the machine from restarting takes the mark back."""
    if not choose(screens, hands):
        return Exit.FAILED
    try:
        return restart()
    except BaseException:
        hands.remove(PATH)
        screens.tell(STAYS)
        raise


def _restart(places: Places) -> Exit:
    return handover.reboot(argparse.Namespace(yes=True), places)
