# SPDX-License-Identifier: MIT
"""Complaints about a guest: that it runs twice, nowhere, or is on its way."""

from collections.abc import Iterator

from haagent.console.alarms import Alarm
from haagent.console.complaints.complaint import Complaint, Missing
from haagent.console.complaints.data import anyway, last_same
from haagent.console.facts import hello_of, is_as_meant, is_talking, runs_on
from haagent.console.surroundings import Surroundings
from haagent.core import fitting, lacking, moving, proofs, wishing
from haagent.core.blockers import Blocker
from haagent.core.foresight import Fate
from haagent.core.model import HELD, NodeState, Phase, owner
from haagent.core.together import names
from haagent.core.wish import Target

AWAY = (Phase.RELEASED, Phase.FORFEITING)  # nothing of the guest is on that node


def whereabouts(
    state: NodeState, around: Surroundings, guest: str, missing: Missing
) -> Iterator[Complaint]:
    """Where GUEST runs, or why it does not. MISSING names what it needs to be started here."""
    me, peer = names(state)
    mine = state.guests[guest]
    where = runs_on(state, guest)
    if len(where) > 1:
        yield Complaint(
            Alarm.RUNS_TWICE,
            f"{guest} runs on both machines.",
            "Two copies of its disk are being written, and they drift apart.",
            "The older one ends by itself within a minute. If it does not, pull the power cord of "
            "the machine that you trust less.",
        )
    elif state.durable.ledgers[guest].wish.target is Target.FAILED and mine.phase in AWAY:
        yield Complaint(
            Alarm.CRASHED,
            f"{guest} crashed again and again, and was given up.",
            "It is off on both machines. Something in it is broken, or the machines cannot run it."
            if not proofs.is_vacant(state)
            else f"It is off. Something in it is broken, or {me} cannot run it.",
            f"`shoestring guest start {guest}` tries it again, as often as at first.",
        )
    elif not is_as_meant(state, guest):
        yield _stopped(state, around, guest, missing)
    if mine.phase is Phase.FROZEN:
        limit = state.timing.self_fence + state.timing.resume
        yield Complaint(
            Alarm.FROZEN,
            f"{guest} is frozen on {me}: what it writes waits.",
            f"The mirror lost {peer}, and nothing proves yet that {peer} is off.",
            f"Wait {limit:.0f} seconds: then it goes on here, or ends here and starts on {peer}. "
            "Meanwhile look at both cables.",
        )
    elif mine.phase is Phase.STOPPING:
        yield Complaint(
            Alarm.BEING_SHUT_DOWN,
            f"{guest} is being shut down on {me}.",
            _after_shutdown(state, guest),
            "Wait.",
        )


def _after_shutdown(state: NodeState, guest: str) -> str:
    me, peer = names(state)
    if not wishing.is_wanted(state, guest):
        return "It stays off then."
    if proofs.is_vacant(state):
        return f"It starts again with {me}."
    return f"It starts on {peer} when its disk is released."


def tried(state: NodeState) -> Iterator[Complaint]:
    """A note about each guest that crashed too often on one machine, and runs on the other."""
    me, peer = names(state)
    for guest, ledger in state.durable.ledgers.items():
        if ledger.wish.target is Target.RETRIED:
            before, now = (me, peer) if owner(ledger.wish.number) == state.me else (peer, me)
            yield Complaint(
                Alarm.TRIED_ELSEWHERE,
                f"{guest} crashed again and again on {before}, and was given to {now}.",
                f"If it crashes there as well, it is given up. It may be {before} that is broken.",
                f"Look at its console, and at `journalctl -k` on {before}.",
            )


def memory(state: NodeState, guest: str) -> Iterator[Complaint]:
    """About each machine that could not hold GUEST without the other one."""
    for node in (state.me, 1 - state.me):
        why = fitting.in_words(state, node, guest)
        if why is None or (node != state.me and not is_talking(state)):
            continue  # of a machine that is silent anything may be true by now
        there, other = state.pair.names[node], state.pair.names[1 - node]
        yield Complaint(
            Alarm.NO_MEMORY,
            f"{there} has no memory for {guest}.",
            f"{why}. Without {other} it is off.",
            f"Put more memory into {there}, or do without a guest that need not run: `shoestring "
            "guest stop GUEST`.",
        )


def _stopped(state: NodeState, around: Surroundings, guest: str, missing: Missing) -> Complaint:
    me, peer = names(state)
    mine, hello = state.guests[guest], hello_of(state, guest)
    match mine.phase:
        case Phase.PROMOTING | Phase.CREATING:
            return Complaint(
                Alarm.BEING_STARTED,
                f"{guest} is being started on {me}.",
                "It is not up yet.",
                "Wait.",
            )
        case Phase.DESTROYING:
            return Complaint(
                Alarm.BEING_ENDED,
                f"{guest} is being ended on {me}.",
                "It must not go on here: it may start on the other machine."
                if not proofs.is_vacant(state)
                else "What is left of it is cleared away.",
                "Wait. If this stays, this machine resets itself.",
            )
    if hello is not None and is_talking(state) and hello.phase not in AWAY:
        return Complaint(
            Alarm.CHANGES_ELSEWHERE,
            f"{guest} is {hello.phase} on {peer}.",
            "It is not up yet.",
            "Wait.",
        )
    if is_talking(state) and moving.is_handed_over(state, guest):
        return Complaint(
            Alarm.CHANGES_ELSEWHERE,
            f"{guest} is on its way to {peer}.",
            f"It was shut down on {me} in order, and {peer} may start it.",
            f"Wait a minute. If it stays so, look at what {peer}'s screen says.",
        )
    return _not_started(state, around, guest, "; ".join(missing(state, guest)))


def _starts_in(state: NodeState, around: Surroundings, guest: str) -> float | None:
    """Seconds until GUEST is started here if the peer stays silent; None: it is not, or nobody has
    looked ahead since the peer fell silent.
    """
    outlook = around.outlooks.get(guest)
    if is_talking(state) or proofs.is_vacant(state):
        return None
    if outlook is None or outlook.fate is not Fate.STARTS:
        return None
    if outlook.phase is not state.guests[guest].phase or outlook.at < state.peer.hello_at:
        return None
    return max(0.0, outlook.at + outlook.seconds - state.now)


def _what_failed(state: NodeState, guest: str) -> str:
    """Words to add, where a start is tried again: it may fail as the one before did."""
    if Blocker.PAUSED not in lacking.blockers(state, guest):
        return ""
    return f": {lacking.in_words(state, guest, Blocker.PAUSED)}"


def _not_started(state: NodeState, around: Surroundings, guest: str, why: str) -> Complaint:
    """A guest that runs nowhere, and that we do not start because of WHY."""
    me, peer = names(state)
    hello = hello_of(state, guest)
    was_there = hello is not None and hello.phase in HELD and not is_talking(state)
    soon = _starts_in(state, around, guest)
    why = "; ".join(filter(None, (why, fitting.in_words(state, state.me, guest))))
    if soon is not None:
        tried = _what_failed(state, guest)
        means = f"It starts on {me} by itself in about {soon:.0f} s, if {peer} stays silent{tried}."
    elif why:
        means = f"It cannot start on {me}: {why}.{last_same(state, around, guest)}"
    elif is_talking(state):
        means = f"Nothing keeps it from starting on {me}."
    else:
        means = f"It is about to start on {me}."
    if soon is not None:
        do = f"Wait. Then see what became of {peer}."
    elif state.durable.in_maintenance:
        do = f"`shoestring maintenance off` on {me}: then it starts, unless more is missing."
    elif is_talking(state):
        do = "Wait a minute. If it stays so, look at what the other machine's screen says."
    elif proofs.is_vacant(state):
        do = "Wait a minute. If it stays so: `journalctl -b -u haagent` says what fails."
    else:
        gives_up = f"which gives up whatever {peer} wrote last"
        do = f"Switch {peer} on. {anyway(state, guest, gives_up)}"
    return Complaint(
        Alarm.LOST_WITH_PEER if was_there else Alarm.RUNS_NOWHERE,
        f"{guest} was on {peer}, and {peer} is silent." if was_there else f"{guest} runs nowhere.",
        means,
        do,
    )
