# SPDX-License-Identifier: MIT
"""What a node does when something may have escaped it: its copies that may be old start nothing."""

from haagent.core.actions import Outdate
from haagent.core.model import Phase, owner
from haagent.core.turn import Turn


def doubt(turn: Turn, why: str) -> None:
    """We stood still: even what DRBD shows may be old. Nothing counts before a round trip."""
    turn.set(doubted=turn.state.now)
    for guest, mine in turn.state.guests.items():
        if mine.is_connected:
            turn.set_guest(guest, is_unbroken=False)
    break_chains(turn, why)


def break_chains(turn: Turn, why: str) -> None:
    """Something escaped us. A copy that is not connected may be old from here on: forfeit it."""
    for guest, mine in turn.state.guests.items():
        if mine.is_connected or not mine.is_unbroken:
            continue
        turn.set_guest(guest, is_unbroken=False)
        if mine.is_only_copy:
            continue  # safety: nobody can go on alone without it, and nothing may start but on it
        # safety: a holder may go on alone while we cannot see it; our copy must not start again.
        if mine.phase is Phase.RELEASED and owner(turn.ledger(guest).term) != turn.state.me:
            forfeit(turn, guest, why)


def forfeit(turn: Turn, guest: str, why: str) -> None:
    """Gives our copy up as one to start from: DRBD is told to mark it Outdated."""
    turn.set_guest(guest, is_unbroken=False)
    turn.write(guest, is_parted=True)
    turn.move(guest, Phase.FORFEITING, why)
    turn.act(Outdate(guest))
