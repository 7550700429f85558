# SPDX-License-Identifier: MIT
"""The pair whose list of guests a person changes: both machines' parts, and how the change is led.

What another change left open is ended before.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from firstboot.roster import leading
from firstboot.roster.change import Change, Stage
from firstboot.roster.door import Other
from firstboot.roster.leading import Side
from firstboot.roster.machine import Changing
from firstboot.roster.nobody import Nobody
from firstboot.roster.part import Part
from haagent import config
from haagent.alone import alone
from haagent.asking import tell
from haagent.command import Interrupted, Places
from haagent.console.snapshot import Snapshot
from haagent.errors import OperatorError, PeerError, ShoestringError, ToolError
from haagent.guests.definition import Kind as GuestKind
from haagent.progress import Line

LOCK = Path("/run/shoestring/list.lock")
Turn = contextlib.AbstractContextManager[None]


class Ours(Protocol):
    """What of this machine alone is asked for."""

    def kinds(self) -> frozenset[GuestKind]: ...
    def fill_disk(self, change: Change, bring: Callable[[Sequence[Path]], None]) -> None: ...


@dataclass(frozen=True, slots=True)
class Pair:
    """Both machines' parts, and what of this one is asked for."""

    name: str  # of the other machine
    here: Side
    there: Side
    ours: Ours
    carry_on: Callable[[], None]  # what is left open is ended by itself from now on
    line: Line = field(default_factory=Line)  # how far either is with what takes long
    where: str = "on both machines"  # or on the only one
    turn: Callable[[], Turn] = contextlib.nullcontext  # held from `next_number` on
    held: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def lead(self, change: Change, fill: Callable[[], None]) -> None:
        """Raises what went wrong. If it is decided, or the other machine was lost on the way, that
        is an OperatorError which says what becomes of it; and so is Ctrl-C, unless all of it is
        taken back.
        """
        with self.held:
            self._lead(change, fill)

    def _lead(self, change: Change, fill: Callable[[], None]) -> None:
        name = change.guest.name
        try:
            leading.lead(change, self.here, self.there, fill)
        except KeyboardInterrupt:
            left = self.here.standing().change
            if left is None and self.here.standing().number < change.number:
                raise
            if left is not None:
                self.carry_on()
            if left is None or left.stage is Stage.DECIDED:
                raise Interrupted(
                    f"This was interrupted after it was decided: {name} is {change.kind}"
                    f" {self.where}, or soon will be.",
                    "It goes on by itself; `journalctl -b -u shoestring-list` tells how it goes.",
                ) from None
            raise Interrupted(
                f"This was interrupted: {name} is not {change.kind}.",
                f"What was made for it is removed as soon as {self.name} can be told.",
            ) from None
        except ShoestringError as error:
            left = self.here.standing().change
            if left is not None:
                self.carry_on()
            if left is not None and left.stage is Stage.DECIDED:
                raise OperatorError(
                    f"{change.guest.name} is not {change.kind} {self.where} yet: {error}.",
                    "It is decided, and goes on by itself as soon as that is over. Nothing has to"
                    " be said again; `journalctl -b -u shoestring-list` tells how it goes.",
                ) from error
            if isinstance(error, ToolError):
                raise OperatorError(
                    f"{change.guest.name} is not {change.kind}: {error}.",
                    "Nothing was changed: what was made for it is removed again. `journalctl -b`"
                    " may say more.",
                ) from error
            if not isinstance(error, PeerError):
                raise
            raise OperatorError(
                f"{self.name} was lost on the way: {error}. Nothing is changed on {self.name} or"
                " here.",
                "What was made for it is removed, on each as soon as it can be. Look at the"
                f" crossover cable and at {self.name}, and say it again.",
            ) from error


def meet(places: Places) -> Pair:
    """This machine's pair. Raises ConfigError."""
    found = config.load(places.file, places.cmdline)
    name = found.pair.names[1 - found.pair.me]
    key = config.read_key(found.key_file)
    hands, line = Changing(places.run), Line()
    here, carry_on = Part(hands, tell, line.shows), hands.carry_on_with_the_list
    if found.pair.is_vacant:
        where = f"on {found.pair.names[found.pair.me]}"
        return Pair(name, here, Nobody(), hands, carry_on, line, where, my_turn)
    other = Other(name, found.crossover.peer_address, key, show=line.shows)
    return Pair(name, here, other, hands, carry_on, line, turn=my_turn)


def my_turn(lock: Path = LOCK) -> Turn:
    """safety: what another terminal has begun would be taken for what a power cut left open."""
    busy = OperatorError(
        "Somebody else on this machine is changing the list of guests. Nothing was changed.",
        "Wait until that has ended. Without anybody at it, an earlier change is being ended:"
        " `journalctl -b -u shoestring-list` tells how it goes.",
    )
    return alone(lock, busy)


def refuse(shown: Snapshot) -> None:
    """Raises OperatorError if the list cannot be changed now."""
    node = next(node for node in shown.nodes if not node.is_me)
    if not node.is_heard and not shown.is_vacant:
        raise OperatorError(
            f"{shown.peer} is silent. Nothing was changed.",
            "The list of guests is the same on both machines, so both must be there to change it.",
        )
    if shown.lan.is_open:
        raise OperatorError(
            "The addresses on the LAN are being changed. Nothing was changed.",
            "Wait until that is done: `shoestring status` says so.",
        )


def next_number(pair: Pair, shown: Snapshot) -> int:
    """Of the change that comes next, which nobody else makes meanwhile. What was left open is ended
    first. Raises OperatorError.
    """
    pair.held.enter_context(pair.turn())
    try:
        if pair.here.standing().change is not None:
            tell("First, what an earlier change of the list of guests left open is ended.")
            leading.settle(pair.here, pair.there)
        return 1 + max(pair.here.standing().number, pair.there.standing().number)
    except PeerError as error:
        raise OperatorError(
            f"{shown.peer} cannot be asked over the crossover cable: {error}. Nothing was changed.",
            "Look at the cable, and say it again in a minute.",
        ) from error
