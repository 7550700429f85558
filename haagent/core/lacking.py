# SPDX-License-Identifier: MIT
"""What a guest lacks to be started here.

As long as it is released, it is started if and only if nothing is found here. It is the log's and
the screens'; of it only `unstartable` is a rule.
"""

from collections.abc import Iterator

from haagent.core import hanging, ordering, proofs, resolving, wishing
from haagent.core.blockers import Blocker
from haagent.core.copying import replace
from haagent.core.model import GONE, STALE, Blocked, Disk, Link, NodeState, Phase, Policy
from haagent.core.together import names
from haagent.core.turn import Turn

AWAY = frozenset({Phase.RELEASED, Phase.FORFEITING})


def blockers(state: NodeState, guest: str) -> tuple[Blocker, ...]:
    """What stands between this node and starting GUEST; empty if nothing does."""
    if (off := wishing.blocker(state, guest)) is not None:
        return (*_found_on_this_machine(state), off)  # what else it lacks is nobody's concern
    is_confirmed = state.guests[guest].is_confirmed
    find = _found_against_a_person if is_confirmed else _found_by_itself
    return (*_found_on_this_machine(state), *find(state, guest))


def sentences(state: NodeState, guest: str) -> list[str]:
    """The same in plain words."""
    return [in_words(state, guest, blocker) for blocker in blockers(state, guest)]


def unstartable(state: NodeState, guest: str) -> str | None:
    """Why our copy cannot be made Primary, whoever asks, in a sentence; None if it may."""
    blocker = _unstartable(state, guest)
    return None if blocker is None else in_words(state, guest, blocker)


def tell(turn: Turn, guest: str) -> None:
    """Says once what GUEST lacks, when it runs nowhere and has lacked the same for T_dead.

    A wait that ends by itself, as a start-up and a move have them, is shorter.
    """
    state, before = turn.state, turn.mine(guest).blocked
    is_missed = _is_nowhere(state, guest) and wishing.is_wanted(state, guest)
    by = blockers(state, guest) if is_missed else ()
    if by != before.by:
        turn.set_guest(guest, blocked=Blocked(by, state.now, before.said if by else ()))
    elif by != before.said and state.now - before.since >= state.timing.dead:
        turn.set_guest(guest, blocked=replace(before, said=by))
        turn.say(guest, f"it is not started here: {'; '.join(sentences(state, guest))}")


def _is_nowhere(state: NodeState, guest: str) -> bool:
    """It is not here, and the peer is silent or does not have it either."""
    hello = proofs.hello_of(state, guest)
    is_there = hello is not None and proofs.is_present(hello) and proofs.is_talking(state)
    return state.guests[guest].phase in AWAY and not is_there


def in_words(state: NodeState, guest: str, blocker: Blocker) -> str:
    me, peer = names(state)
    resource = state.guests[guest].resource
    return blocker.value.format(me=me, peer=peer, disk=resource.disk if resource else "")


def _found_on_this_machine(state: NodeState) -> Iterator[Blocker]:
    if state.left is not None:
        yield Blocker.LEAVING
    if state.is_fenced:
        yield Blocker.GIVEN_UP


def _found_by_itself(state: NodeState, guest: str) -> Iterator[Blocker]:
    """As long as no person wants GUEST here in spite of all."""
    if state.durable.in_maintenance:
        yield Blocker.MAINTENANCE
    if state.guests[guest].resource is None:
        yield Blocker.DISK_UNSEEN
        return
    yield from _found_under_way(state, guest)
    if ordering.waits_for(state, guest) is not None:
        yield Blocker.ORDER
    if hanging.is_hung(state, guest):
        yield Blocker.DISK_HANGS
    if resolving.is_giving_up(state, guest):
        yield Blocker.CHOICE
    if state.durable.ledgers[guest].stands_down:
        yield Blocker.STANDS_DOWN
    for why_not in (_why_not_newest, _why_not_off):
        if (blocker := why_not(state, guest)) is not None:
            yield blocker
    if state.is_stateless:
        yield Blocker.STATELESS


def _found_against_a_person(state: NodeState, guest: str) -> Iterator[Blocker]:
    if (blocker := _unstartable(state, guest)) is not None:
        yield blocker
    yield from _found_under_way(state, guest)


def _found_under_way(state: NodeState, guest: str) -> Iterator[Blocker]:
    if not proofs.is_settled(state, guest):
        yield Blocker.UNSETTLED
    if state.now < state.guests[guest].retry_at:
        yield Blocker.PAUSED


def _why_not_newest(state: NodeState, guest: str) -> Blocker | None:
    ledger, resource = state.durable.ledgers[guest], state.guests[guest].resource
    if proofs.newest(state, guest) is not None:
        return None
    if ledger.theirs > ledger.term:
        return Blocker.HIGHER_TERM
    if resource is not None and resource.disk in GONE:
        return Blocker.NO_DISK
    if resource is not None and resource.link is Link.SYNC_TARGET:
        return Blocker.SYNCING
    if resource is not None and resource.disk in STALE:
        return Blocker.STALE
    return Blocker.UNPROVEN


def _why_not_off(state: NodeState, guest: str) -> Blocker | None:
    if proofs.peer_off(state, guest) is not None:
        return None
    if proofs.is_talking(state):
        return Blocker.NOT_AGREED
    if proofs.take_after(state) is None:
        return Blocker.NO_WATCHDOG
    # What a lone one waits for is less: nobody is asked, and how the peer fell silent is the same.
    is_lone = proofs.is_lone(state, guest)
    if is_lone and state.durable.ledgers[guest].evidence:
        return Blocker.NOT_RESET_YET
    if not is_lone and state.pair.policy is Policy.WAIT:
        return Blocker.WAIT_FOR_ME
    if not proofs.has_referee(state):
        return Blocker.NO_REFEREE
    if not is_lone and not proofs.fell_silent_together(state):
        return Blocker.NOT_TOGETHER
    if proofs.is_doubting(state):
        return Blocker.STOOD_STILL
    return Blocker.NOT_RESET_YET


def _unstartable(state: NodeState, guest: str) -> Blocker | None:
    """What holds whoever asks.

    Without a connection DRBD takes UpToDate and, if the fence-peer handler allows it, Consistent,
    and nothing else without --force, which nobody here says: is_valid_state in
    drivers/block/drbd/drbd_state.c, drbd_set_role in drbd_nl.c.
    """
    resource = state.guests[guest].resource
    if state.is_stateless:
        return Blocker.STATELESS
    if resource is None:
        return Blocker.DISK_UNSEEN
    if resource.disk in GONE:
        return Blocker.NO_DISK  # connected, DRBD would: but that is where it should run instead
    if hanging.is_hung(state, guest):
        return Blocker.DISK_HANGS
    if resource.is_connected or resource.disk in (Disk.UP_TO_DATE, Disk.CONSISTENT):
        return None
    if resource.disk is Disk.INCONSISTENT:
        return Blocker.PART_ONLY
    if resource.disk is Disk.OUTDATED:
        return Blocker.OUTDATED
    return Blocker.NO_DISK
