# SPDX-License-Identifier: MIT
"""What the passing of time does to a situation.

Time goes in halves of a keepalive. In one half what is on its way arrives and what was begun ends;
in the other both loops turn. A `moment` is the end of either: there a history may take another
course, so what was said, saved and begun in a half has neither arrived nor been done yet.
"""

from haagent.core import events
from haagent.core.model import Path
from tests.sim.exhaustive.doing import boot, carry_words, drain, finish_due, hear, reset
from tests.sim.exhaustive.situation import GUEST, WIRES, Node, Situation

HOLE = 3.0  # keepalives: two, and the one by which a cut may be older than the last words tell


def half(situation: Situation) -> None:
    """The next half of a keepalive."""
    situation.now += situation.half
    for node in situation.nodes:
        node.has_saved = False
        if node.boot_at is not None and node.boot_at <= situation.now:
            boot(situation, node)
    # A resync takes as long as one promise of another to see it, and no longer.
    situation.mirror.step(
        situation.now, situation.timing.drbd_notices, 2 * situation.timing.keepalive
    )
    for node in situation.nodes:
        finish_due(situation, node)
    if not situation.is_turn_next:
        _arrive(situation)
    for node in situation.nodes:
        if node.owes_at is not None and node.owes_at <= situation.now and node.is_awake:
            node.owes_at = None
            hear(situation, node, events.DiskHangs(0, GUEST, True))
        drain(situation, node)
    if situation.is_turn_next:
        for node in situation.nodes:
            hear(situation, node, events.Tick(0))
    situation.is_turn_next = not situation.is_turn_next
    for node in situation.nodes:
        _write(situation, node)
    for node in situation.nodes:
        _look_at_watchdog(situation, node)
    _look_for_hole(situation)
    if all(node.start is not None for node in situation.nodes):
        situation.violate("two domains of one guest")


def _arrive(situation: Situation) -> None:
    for node in situation.nodes:
        carry_words(situation, node)
        if node.asks_gateway is not None and situation.sees_gateway(node.me):
            node.answered = node.asks_gateway
        if node.asks_peer:
            node.hits = _probed(situation, node)
        node.asks_gateway, node.asks_peer = None, False


def _probed(situation: Situation, node: Node) -> tuple[str, ...]:
    """Who answers: the peer's own address, and the guest's, here or there."""
    me, peer = node.me, situation.nodes[1 - node.me]
    is_reached = situation.carries(Path.LAN, me, 1 - me) and situation.carries(Path.LAN, 1 - me, me)
    is_there = node.start is not None or (is_reached and peer.start is not None)
    return ("",) * is_reached + (GUEST,) * is_there


def _write(situation: Situation, node: Node) -> None:
    if node.start is None or not node.is_live:
        return
    situation.writes += 1
    waiting = situation.mirror.copies[node.me].pending
    if situation.mirror.write(node.me, situation.writes):
        number = waiting or situation.writes
        situation.audit.acknowledged(situation.now, GUEST, node.me, number)


def _look_at_watchdog(situation: Situation, node: Node) -> None:
    if node.is_on and situation.clock(node) - node.fed > situation.timing.watchdog:
        reset(situation, node)


def _look_for_hole(situation: Situation) -> None:
    """Whether both paths were cut in one moment while both machines see the gateway."""
    is_live = all(node.is_live for node in situation.nodes)
    for path in WIRES:
        if not is_live or (situation.reaches(path, 0) and situation.reaches(path, 1)):
            situation.broken.pop(path, None)
        else:
            situation.broken.setdefault(path, situation.now)
    if len(situation.broken) == 2 and situation.sees_gateway(0) and situation.sees_gateway(1):
        crossover, lan = situation.broken.values()
        if abs(crossover - lan) < HOLE * situation.timing.keepalive:
            situation.is_hole = True


def is_serving(situation: Situation) -> bool:
    """One machine has the guest, both copies are one, and both agents agree on the term."""
    holders = [node for node in situation.nodes if node.start is not None]
    states = [node.state for node in situation.nodes if node.state is not None]
    return (
        len(holders) == 1
        and len({state.durable.ledgers[GUEST].term for state in states}) == 1
        and all(situation.mirror.show(node).is_in_sync for node in (0, 1))
    )


def pass_time(situation: Situation, seconds: float) -> None:
    for _ in range(round(seconds / situation.half)):
        half(situation)
    situation.forget_writes()


def pass_keepalive(situation: Situation) -> None:
    pass_time(situation, situation.timing.keepalive)


def pass_moment(situation: Situation) -> None:
    """Longer than T_stall, T_ref, and what may lie between two last words; shorter than T_dead."""
    timing = situation.timing
    pass_time(situation, max(timing.stall, timing.referee) + timing.keepalive)


def wait(situation: Situation) -> None:
    """Until a state was written, a guest began or ended, a machine came up or fell; or, if nothing
    of this happens, until every timer has run out.
    """
    timing = situation.timing
    longest = max(timing.take, timing.self_fence + timing.resume) + 2 * timing.keepalive
    before, limit = _seen(situation), situation.now + longest
    while situation.now < limit:
        half(situation)
        if _seen(situation) != before or situation.audit.violations:
            return


def _seen(situation: Situation) -> tuple[object, ...]:
    return tuple((node.kept, node.start, node.is_on, node.boots) for node in situation.nodes)
