# SPDX-License-Identifier: MIT
"""A dead machine's place in the pair goes to another one: what that makes of what we wrote down,
and what the dead one is told should it ever come back.

Starts nothing and proves nothing. Whose key is whose is known outside of here; that there is
another peer now is seen by the mark of the pair's key.
"""

from collections.abc import Mapping

from haagent.core import saying
from haagent.core.actions import TellReplaced
from haagent.core.copying import replace
from haagent.core.model import (
    Choice,
    Disk,
    Durable,
    GuestHello,
    Hello,
    LanChange,
    Ledger,
    NodeState,
    Phase,
    next_term,
)
from haagent.core.turn import Turn

LEAP = 1000  # terms: more than a machine takes in its life


def renewed(durable: Durable, mark: str) -> Durable:
    """What is left of DURABLE in a pair whose key has MARK: all of it if it is the same pair.

    Idempotent: as long as nothing newer was saved, every start makes the same of it.
    """
    if durable.mark in ("", mark):
        return replace(durable, mark=mark)
    # What the old peer was asked about the LAN ended with it; the files are made anew.
    ledgers = _with_another_peer(durable.ledgers)
    return replace(durable, mark=mark, ledgers=ledgers, lan=LanChange())


def _with_another_peer(ledgers: Mapping[str, Ledger]) -> Mapping[str, Ledger]:
    """Terms stay, for they only rise; so does that we wrote alone, by which a survivor serves again
    after a power cut. The old peer's figures stay as well: until the new one speaks it is the only
    other machine that ever ran the guest.
    """
    return {
        guest: replace(
            ledger,
            # A person has decided, twice, that whatever the old peer wrote last is given up.
            by_operator=False,
            # safety: what the old peer promised, the new one did not. Its numbers begin anew, so
            # what was given back to the old one would make us deaf to the new one.
            stands_down=False,
            evidence=0,
            returned=0,
            farewell=None,
            choice=Choice(),  # made between our copy and one that is gone
            # Whatever hung up on the old one's secret: the mirror is to look for the new one.
            is_parted=True,
        )
        for guest, ledger in ledgers.items()
    }


def answer(turn: Turn) -> None:
    """The replaced machine spoke: it is told what became of it."""
    state = turn.state
    if state.now - state.replaced_at > state.timing.dead:
        turn.say("", "the machine that was replaced is switched on: telling it so")
    turn.set(replaced_at=state.now)
    turn.act(TellReplaced(verdict(state)))


def verdict(state: NodeState) -> Hello:
    """A hello for whoever was replaced: all guests are ours, in terms above all that it may have.

    safety: it writes that down like any term of its peer, and starts nothing any more, also when
    it is alone; what runs there ends. Its copy may have been written last, and by proof: a person
    gave it up. Nothing in here depends on what that machine remembers or asks.
    """
    return replace(
        saying.hello(state),
        heard_boot="",  # it shall not count on anything that it said
        heard={},
        has_referee=False,
        guests={
            guest: GuestHello(
                term=next_term(state.me, max(ledger.term, ledger.theirs) + LEAP),
                theirs=-1,
                phase=Phase.HOLDING,
                disk=Disk.UP_TO_DATE,
                is_connected=False,
                is_alone=True,
                request=None,
                grant=None,
                promise=0,
                stands_down=False,
                evidence=0,
                returned=0,
                farewell=None,
                keeps_farewell=False,
            )
            for guest, ledger in state.durable.ledgers.items()
        },
        has_replaced=True,
    )
