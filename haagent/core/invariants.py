# SPDX-License-Identifier: MIT
"""What must hold after every decision, whatever the rules say: a sentence each, and its check.

They are written apart from the rules on purpose, and know less: a rule that is wrong should meet a
check that does not share its mistake.
"""

from haagent.core.actions import (
    AnswerFence,
    Create,
    Discard,
    Feed,
    LanOrder,
    Outdate,
    Promote,
    Reset,
    SendHello,
    Shutdown,
    TakeUpLan,
)
from haagent.core.copying import replace
from haagent.core.model import (
    GONE,
    HELD,
    NEVER,
    STALE,
    Disk,
    FenceAnswer,
    LanStage,
    NodeState,
    PeerOff,
    Phase,
    Role,
    owner,
)
from haagent.core.turn import Decision
from haagent.core.wish import RUNS


class InvariantBroken(Exception):
    """A decision that must not be carried out. The agent stops; its watchdog ends the boot."""


def check(before: NodeState, decision: Decision) -> None:
    """Raises InvariantBroken with the first sentence that does not hold."""
    after = decision.state
    for guest, mine in after.guests.items():
        old, new = before.durable.ledgers[guest], after.durable.ledgers[guest]
        require(new.term >= old.term and new.theirs >= old.theirs, guest, "terms never fall")
        require(new.promise >= old.promise, guest, "promises are numbered upwards")
        require(new.returned >= old.returned, guest, "what was given back stays given back")
        require(
            new.evidence == 0 or new.evidence > new.returned,
            guest,
            "a promise that was given back is no evidence",
        )
        require(new.choice.number >= old.choice.number, guest, "choices are numbered upwards")
        require(new.wish.number >= old.wish.number, guest, "wishes are numbered upwards")
        if new.alone is not None and (new.alone, new.term) != (old.alone, old.term):
            has_disk = mine.resource is not None and mine.resource.disk not in GONE
            require(has_disk, guest, "nobody goes on alone without a disk")
        if mine.phase in (Phase.PROMOTING, Phase.CREATING) or mine.phase in HELD:
            require(owner(new.term) == after.me, guest, "whoever holds it owns its term")
            require(new.theirs <= new.term, guest, "nobody holds it below a term of the peer")
        if mine.phase is Phase.PROMOTING:
            require(mine.taking is not None, guest, "a start names both its proofs")
            by_operator = mine.taking is not None and mine.taking.peer_off is PeerOff.OPERATOR
            require(not new.stands_down or by_operator, guest, "a promise not to start is kept")
    _check_lan(before, after)
    if before.is_stateless:
        _check_stateless(before, after)
    for action in decision.actions:
        _check_action(before, after, action)


def _check_lan(before: NodeState, after: NodeState) -> None:
    old, new, hello = before.durable.lan, after.durable.lan, after.peer.hello
    require(new.number >= old.number, "", "changes of the LAN are numbered upwards")
    if new == old:
        return
    told = hello.lan if hello and hello.lan.number == new.number else None
    if new.stage is LanStage.KEPT:
        is_told = told is not None and told.stage in (LanStage.PROVEN, LanStage.KEPT)
        require(is_told, "", "addresses are kept when both machines have on disk that they work")
    if old.stage is LanStage.PROVEN and new.stage is LanStage.DROPPED:
        is_told = hello is not None and (told is None or told.stage is LanStage.DROPPED)
        require(is_told, "", "who waits for the asker's verdict does not drop the change alone")


def _check_stateless(before: NodeState, after: NodeState) -> None:
    """What a machine without its stick has in memory alone may bind it more, and never less."""
    require(after.is_stateless, "", "a stick that was lost stays lost in this boot")
    rest = replace(after.durable, ledgers=before.durable.ledgers)
    require(rest == before.durable, "", "nothing is decided that cannot be written down")
    for guest, new in after.durable.ledgers.items():
        old = before.durable.ledgers[guest]
        same = replace(
            new,
            theirs=old.theirs,  # that it only rises is checked for all
            is_parted=old.is_parted,
            alone=old.alone if new.alone is None else new.alone,
            evidence=old.evidence if new.evidence == 0 else new.evidence,
            farewell=old.farewell if new.farewell is None else new.farewell,
            held_in=old.held_in if new.held_in == "" else new.held_in,
            wish=new.wish if new.wish.target in RUNS else old.wish,
        )
        require(same == old, guest, "no claim and no promise that cannot be written down")


def _check_action(before: NodeState, after: NodeState, action: object) -> None:
    match action:
        case Promote(guest, _):
            is_fresh = before.guests[guest].phase is Phase.RELEASED
            raised = after.durable.ledgers[guest].term > before.durable.ledgers[guest].term
            require(is_fresh and raised, guest, "the term is on disk before DRBD is asked")
            require(not after.is_stateless, guest, "nothing is started without a stick")
            resource = before.guests[guest].resource
            may_serve = resource is not None and (
                resource.is_connected or resource.disk in (Disk.UP_TO_DATE, Disk.CONSISTENT)
            )
            require(may_serve, guest, "no term is taken for a copy that DRBD will not start")
            is_wanted = after.durable.ledgers[guest].wish.target in RUNS
            require(is_wanted, guest, "what is not to run is not started")
            taking = after.guests[guest].taking
            by_person = taking is not None and taking.peer_off is PeerOff.OPERATOR
            require(
                by_person or not before.durable.in_maintenance,
                guest,
                "in maintenance only a person starts it",
            )
            if taking is not None and taking.peer_off is PeerOff.VACANT:
                is_alone = before.peer.hello is None and before.peer.connected == NEVER
                require(before.pair.is_vacant, guest, "only who was set up alone has no peer")
                require(is_alone, guest, "who has met a second machine is not alone")
            is_start = after.guests[guest].phase is Phase.PROMOTING
            require(is_start, guest, "DRBD is asked to promote for a start alone")
        case Outdate(guest):
            is_only = before.guests[guest].is_only_copy and after.guests[guest].is_only_copy
            require(not is_only, guest, "the only copy there is is not given up")
        case Create(guest):
            require(
                before.guests[guest].phase in (Phase.PROMOTING, Phase.HOLDING),
                guest,
                "a domain is created on a Primary that we hold",
            )
        case Discard(guest):
            # A step behind: what is given up now was on disk before this decision.
            mine, choice = after.guests[guest], before.durable.ledgers[guest].choice
            is_chosen = choice.is_open and choice.is_agreed and choice.node == 1 - after.me
            require(is_chosen, guest, "a copy is given up at a person's word, on both disks")
            require(choice.is_kept or not choice.stamp, guest, "what is given up is kept first")
            is_idle = (
                mine.phase is Phase.RELEASED
                and mine.is_running is False
                and mine.resource is not None
                and mine.resource.role is not Role.PRIMARY
            )
            require(is_idle, guest, "a copy that is given up does not run")
        case Shutdown(guest):
            was, now = before.guests[guest].phase, after.guests[guest].phase
            is_begin = was is not Phase.STOPPING and now is Phase.STOPPING
            require(is_begin, guest, "a guest is asked once to shut down")
        case AnswerFence(guest, answer) if answer is not FenceAnswer.UNPROVEN:
            mine, ledger = after.guests[guest], after.durable.ledgers[guest]
            is_proven = mine.phase is Phase.PROMOTING or (
                mine.phase in (Phase.HOLDING, Phase.STOPPING) and ledger.alone is not None
            )
            require(is_proven, guest, "DRBD is told that the peer is off only on proof, on disk")
        case Feed():
            require(not after.is_fenced, "", "who gave up is never fed again in this boot")
            for guest in after.guests:
                is_late = _is_frozen_for_long(after, guest)
                require(not is_late, guest, "a frozen holder is not fed for ever")
                is_stuck = _is_stuck(after, guest)
                require(not is_stuck, guest, "who cannot end or see a guest is not fed for ever")
        case SendHello(hello) if after.is_stateless:
            for guest, words in hello.guests.items():
                is_marked = words.disk in STALE and not words.is_connected
                require(
                    words.grant is None or is_marked,
                    guest,
                    "without a stick only a copy that is marked on the data disk is a promise",
                )
        case TakeUpLan(order):
            require(not after.is_stateless, "", "no addresses are taken up without a stick")
            # A step behind: what is taken up was on disk before this decision.
            stage = before.durable.lan.stage
            is_meant = {
                LanOrder.TRY: stage is LanStage.AGREED,
                LanOrder.KEEP: stage is LanStage.KEPT,
                LanOrder.BACK: stage in (LanStage.DROPPED, LanStage.PROVEN, LanStage.KEPT),
            }[order]
            require(is_meant, "", "addresses are taken up as it was agreed, and as it is on disk")
        case Reset():
            pass


def _is_frozen_for_long(state: NodeState, guest: str) -> bool:
    mine = state.guests[guest]
    is_alone = state.durable.ledgers[guest].alone is not None
    waits = mine.phase is Phase.FROZEN or (
        mine.phase is Phase.STOPPING and not mine.is_connected and not is_alone
    )
    begin = mine.since if mine.phase is Phase.FROZEN else max(mine.since, mine.lost)
    return waits and state.now - begin >= state.timing.self_fence + state.timing.resume


def _is_stuck(state: NodeState, guest: str) -> bool:
    mine, timing = state.guests[guest], state.timing
    is_unseen = mine.phase is Phase.RELEASED and (mine.resource is None or mine.is_running is None)
    if is_unseen and state.durable.ledgers[guest].held_in == state.boot:
        return state.now - state.started >= timing.take
    return mine.phase is Phase.DESTROYING and state.now - mine.since >= timing.watchdog


def require(holds: bool, guest: str, sentence: str) -> None:
    if not holds:
        raise InvariantBroken(f"{guest}: {sentence}" if guest else sentence)
