# SPDX-License-Identifier: MIT
"""Leads a change of the list of guests from this machine: on both, or on neither.

The decision is one write on this machine's stick. Before it, whatever fails takes all of it back;
after it, all of it comes to its end, however often the power fails. The other machine does what it
is told and never decides: what it made waits there until this machine has told it which.
"""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from firstboot.roster.change import Change, Stage
from firstboot.roster.part import Part, Standing
from haagent.errors import ShoestringError


class Side(Protocol):
    """A machine's part: this one's (part.py), or the other's behind its door. The other's raises
    PeerError if it cannot be told.
    """

    def standing(self) -> Standing: ...
    def disk_size(self, guest: str) -> int | None: ...
    def begin(self, change: Change) -> None: ...
    def prepare(self, number: int) -> None: ...
    def decide(self, change: Change) -> None: ...
    def carry_out(self) -> None: ...
    def drop(self, number: int, *, keeps_word: bool = False) -> None: ...


def lead(change: Change, here: Side, there: Side, fill: Callable[[], None]) -> None:
    """CHANGE is made on both machines when this returns; FILL puts onto the guest's disk what
    belongs there, and returns when both copies have it.

    Raises what went wrong. Then it was taken back here, and there as soon as that machine can be
    told; or, after the decision, PeerError: it counts, and goes on by `settle`.
    """
    here.begin(replace(change, leads=True))
    try:
        there.begin(change)
        there.prepare(change.number)
        here.prepare(change.number)
        fill()
    except BaseException:
        with contextlib.suppress(ShoestringError):  # what is left `settle` takes back
            here.drop(change.number, keeps_word=True)
            there.drop(change.number)
            here.drop(change.number)
        raise
    here.decide(change)
    _carry_out(change, here, there)


def settle(here: Side, there: Side) -> None:
    """Ends what this machine once led and a power cut, or a silent peer, left open. What it follows
    in is ended too, once that is decided. Raises PeerError while the other one cannot be told.
    """
    change = here.standing().change
    if change is None:
        return
    if change.stage is Stage.DECIDED:
        if change.leads:
            _carry_out(change, here, there)
        else:
            here.carry_out()
    elif change.leads:
        here.drop(change.number, keeps_word=True)
        there.drop(change.number)
        here.drop(change.number)


def settle_here(here: Part) -> None:
    """What is decided is carried out on this machine, whatever becomes of the other one, which may
    still come back and be told.
    """
    change = here.standing().change
    if change is not None and change.stage is Stage.DECIDED:
        here.carry_out(keeps_word=change.leads, is_alone=True)


def settle_alone(here: Part) -> None:
    """All that is open ends here and now: the place of the other machine is given to a new one,
    which is told of the list as it is.
    """
    change = here.standing().change
    if change is None:
        return
    if change.stage is Stage.DECIDED:
        here.carry_out(is_alone=True)
    else:
        here.drop(change.number)


def _carry_out(change: Change, here: Side, there: Side) -> None:
    # The other one first: an agent that lists what its peer has not heard of can only wait, and
    # so can a DRBD that is to take a disk before both are larger.
    there.decide(change)
    there.carry_out()
    here.carry_out()
