# SPDX-License-Identifier: MIT
"""When two situations are one: all that the future depends on, and nothing else.

Times become ages, cut off where they are beyond every timer that looks at them; boots become this
one, the one before, and older ones; terms count from the lowest in use; nonces, promises,
generations and writes get names by where they are. Two situations of one shape have one future:
a test lets those that were merged go on side by side.
"""

from haagent.core.model import Link, Path
from tests.sim.copies import Copy
from tests.sim.exhaustive.minds import Names, Shape, age, in_flight, ledger_of, state_of
from tests.sim.exhaustive.situation import GUEST, WIRES, Node, Situation


def fingerprint(situation: Situation) -> int:
    """64 bits of the shape. In thirty million explorations of a million situations two that differ
    would be taken for one once.
    """
    return hash(shape(situation))


def shape(situation: Situation) -> Shape:
    names = Names(situation)
    return (
        situation.is_turn_next,
        situation.cut,
        situation.gateway,
        situation.gateway_cut,
        situation.is_hole,
        situation.is_frozen_class,
        _broken(situation),
        *(_node(situation, node, names) for node in situation.nodes),
        _mirror(situation),
        _audit(situation),
    )


def _broken(situation: Situation) -> Shape:
    """As far as a hole could still come of it."""
    limit = 4 * situation.timing.keepalive
    since = situation.broken
    ages = tuple((path, age(situation.now, since[path], limit)) for path in WIRES if path in since)
    if len(since) < 2:
        return ages
    return len(since), min(abs(since[Path.CROSSOVER] - since[Path.LAN]), limit)


def _node(situation: Situation, node: Node, names: Names) -> Shape:
    now, clock, timing = situation.now, situation.clock(node), situation.timing
    boots_in = None if node.boot_at is None else node.boot_at - now
    agent = (
        node.is_promoting,
        node.has_drbd_news,
        node.has_domain_news,
        node.is_fence_asked,
        node.reports,
        tuple((path, in_flight(situation, hello, names)) for path, hello in node.inbox),
        None if node.answered is None else clock - node.answered,
        node.hits,
        node.orders,
    )
    words = None if node.words is None else in_flight(situation, node.words, names)
    state, kept = None, None
    if node.state is not None:
        state = state_of(situation, node, node.state, names)
    elif node.kept is not None:
        kept = (
            ledger_of(node.me, node.kept.ledgers[GUEST], "", names),
            node.kept.peer_figures,
            node.kept.in_maintenance,
        )
    return (
        node.is_on,
        boots_in,
        node.has_saved,
        node.still,
        age(clock, node.fed, timing.watchdog + situation.half) if node.is_on else None,
        node.has_opened,
        node.is_xen_hanging,
        None if node.owes_at is None else node.owes_at - now,
        tuple((work.what, work.due - now, work.limit - now, work.is_orphan) for work in node.works),
        agent,
        words,
        node.ways if node.words is not None else None,
        node.asks_gateway is not None,
        node.asks_peer,
        state,
        kept,
    )


def _mirror(situation: Situation) -> Shape:
    mirror, now = situation.mirror, situation.now
    zero, one = mirror.copies
    called = {0: 0}
    generations = tuple(
        called.setdefault(number, len(called))
        for copy in mirror.copies
        for number in (copy.current, copy.bitmap, copy.based_on, *_unwritten(copy)[:2])
    )
    copies = tuple(
        (
            copy.is_inconsistent,
            copy.is_outdated,
            copy.marks_peer,
            copy.was_primary,
            copy.has_missed_end,
            copy.is_attached,
            copy.role,
            copy.link,
            copy.disk,
            copy.is_suspended,
            copy.has_failed,
            copy.is_hanging,
            _unwritten(copy)[2:],
            copy.owed_since and now - copy.owed_since,
            copy.lacks_data,
            copy.pending and (copy.pending in zero.data, copy.pending in one.data),
            copy.broken_since and now - copy.broken_since,
        )
        for copy in mirror.copies
    )
    is_syncing = {zero.link, one.link} == {Link.SYNC_SOURCE, Link.SYNC_TARGET}
    ready, *sync = mirror.under_way(now)
    under_way = (ready, *(sync if is_syncing else ()))
    return generations, zero.current in one.history, one.current in zero.history, copies, under_way


def _unwritten(copy: Copy) -> tuple[int, int, Shape]:
    """Of a disk that hangs: what of its metadata is found should the power go now."""
    kept = copy.on_disk
    if kept is None:
        return 0, 0, ()
    marks = (
        kept.is_inconsistent,
        kept.is_outdated,
        kept.marks_peer,
        kept.was_primary,
        kept.has_missed_end,
    )
    return kept.current, kept.bitmap, (*marks, len(copy.history - kept.history))


def _audit(situation: Situation) -> Shape:
    """Where acknowledged writes are, and which of two domains was the last to have one."""
    zero, one = (copy.data for copy in situation.mirror.copies)
    newest = situation.audit.newest_acked.get(GUEST, 0)
    starts = [node.start for node in situation.nodes]
    order = None if None in starts else starts[0] < starts[1]  # type: ignore[operator]
    return (
        frozenset((number in zero, number in one) for number in situation.acked()),
        tuple(None if start is None else start >= newest for start in starts),
        order,
    )
