# SPDX-License-Identifier: MIT
"""What an agent of a situation hears and asks for, and what becomes of it.

The core is the one that the daemon runs, unchanged; its invariants are checked after each decision.
Nothing here waits: what takes time becomes a `Work`, and `passing` says when it is done.
"""

from contextlib import suppress
from dataclasses import replace

from haagent.core import actions, events, feeding
from haagent.core.decide import decide, first_state
from haagent.core.events import Deed, Event
from haagent.core.invariants import InvariantBroken, check
from haagent.core.model import Role
from haagent.core.turn import UnknownMove
from tests.sim.drbd import Refused
from tests.sim.exhaustive.situation import GUEST, WIRES, Node, Situation, Work

BOOT_TAKES = 6  # keepalives: longer than T_dead, and shorter than T_take
LIMIT = 3  # T_take, until a deed that hangs has failed: longer than any timer
DEEDS: dict[type[actions.Action], Deed] = {
    actions.Connect: Deed.CONNECT,
    actions.Outdate: Deed.OUTDATE,
    actions.Promote: Deed.PROMOTE,
    actions.AnswerFence: Deed.PROMOTE,
    actions.Create: Deed.CREATE,
    actions.Shutdown: Deed.SHUTDOWN,
    actions.Destroy: Deed.DESTROY,
}


class NotYetError(Exception):
    """What was to be done has to wait."""


# power


def switch_on(situation: Situation, node: Node) -> None:
    if not node.is_on and node.boot_at is None:
        node.boot_at = situation.now + BOOT_TAKES * situation.timing.keepalive


def switch_off(situation: Situation, node: Node) -> None:
    """What it keeps is on its stick and in the mirror's metadata; its last words are on the way."""
    node.is_on, node.boot_at, node.still = False, None, None
    node.works, node.asks_gateway, node.asks_peer = (), None, False
    node.owes_at = None
    _forget(node)
    node.state = None
    _end_domain(situation, node)
    situation.mirror.copies[node.me].detach()


def reset(situation: Situation, node: Node) -> None:
    switch_off(situation, node)
    switch_on(situation, node)


def boot(situation: Situation, node: Node) -> None:
    node.is_on, node.boot_at, node.clock_lost = True, None, 0.0
    node.is_xen_hanging = False
    node.boots += 1
    situation.mirror.copies[node.me].attach()
    start_agent(situation, node)


def start_agent(situation: Situation, node: Node) -> None:
    """A new agent; what the one before asked for goes on without anybody to hear of it."""
    clock = situation.clock(node)
    before = None if node.state is None else feeding.left_by(node.state)
    if node.state is not None and node.has_opened:
        node.fed = clock  # Linux feeds what is closed and does not stop
    _forget(node)
    node.works = tuple(replace(work, is_orphan=True) for work in node.works)
    boot = f"{node.name}{node.boots}"
    node.state = first_state(node.pair, boot, node.kept, clock, before=before)
    node.has_opened = False
    node.has_drbd_news = node.has_domain_news = True
    feel_disk(situation, node)
    if feeding.may_open(node.state):
        _open_watchdog(situation, node)


def feel_disk(situation: Situation, node: Node) -> None:
    """The agent's next read is answered, or owed."""
    copy, timing = situation.mirror.copies[node.me], situation.timing
    is_owed = copy.is_attached and copy.is_hanging
    node.owes_at = situation.now + timing.pulse + timing.disk if is_owed else None


def _open_watchdog(situation: Situation, node: Node) -> None:
    """Which feeds it."""
    node.has_opened, node.fed = True, situation.clock(node)
    node.orders = (*node.orders, events.WatchdogArmed(0, True))


def _forget(node: Node) -> None:
    """What waited for an agent that is gone."""
    node.has_drbd_news = node.has_domain_news = node.is_fence_asked = node.is_promoting = False
    node.reports, node.inbox, node.hits, node.orders, node.answered = (), (), (), (), None


def _end_domain(situation: Situation, node: Node) -> None:
    if node.start is not None:
        node.start = None
        situation.audit.stopped(situation.now, GUEST, node.me)
        node.has_domain_news = node.state is not None


# what the agent hears


def drain(situation: Situation, node: Node) -> None:
    """All that waits for the agent, in one order; the alphabet has steps for the other ones."""
    if not node.is_awake:
        return
    orders, node.orders = node.orders, ()
    for order in orders:
        hear(situation, node, order)
    hear_drbd(situation, node)
    if node.has_domain_news and not node.is_xen_hanging:
        node.has_domain_news = False
        hear(situation, node, events.DomainSeen(0, GUEST, node.start is not None))
    if node.is_fence_asked:
        node.is_fence_asked = False
        hear(situation, node, events.FenceAsked(0, GUEST))
    reports, node.reports = node.reports, ()
    for report in reports:
        hear(situation, node, report)
    hear_words(situation, node)
    answered, node.answered = node.answered, None
    if answered is not None:
        hear(situation, node, events.RefereeAnswered(0, answered))
    hits, node.hits = node.hits, ()
    for hit in hits:
        hear(situation, node, events.ProbeAnswered(0, hit))


def hear_drbd(situation: Situation, node: Node) -> None:
    if node.has_drbd_news:
        node.has_drbd_news = False
        resource = situation.mirror.show(node.me)
        hear(situation, node, events.ResourceChanged(0, GUEST, resource))


def hear_words(situation: Situation, node: Node) -> None:
    inbox, node.inbox = node.inbox, ()
    for path, hello in inbox:
        hear(situation, node, events.HelloHeard(0, path, hello))


def hear(situation: Situation, node: Node, event: Event) -> None:
    """EVENT is noticed now, if the agent still runs."""
    if node.is_awake:
        feed_in(situation, node, replace(event, at=situation.clock(node)))


def feed_in(situation: Situation, node: Node, event: Event) -> None:
    """What the daemon does: decide, check, persist, act."""
    before = node.state
    assert before is not None
    try:
        decision = decide(before, event)
        check(before, decision)
    except (InvariantBroken, UnknownMove) as broken:
        situation.is_bug = True
        situation.violate(f"{node.name}: {type(broken).__name__}: {broken}")
        node.state = None
        return
    node.state = decision.state
    if situation.reasons is not None:
        situation.reasons.extend(f"{situation.now:6.1f}  {why}" for why in decision.reasons)
    if node.kept != decision.state.durable:
        node.kept, node.has_saved = decision.state.durable, True
    for action in decision.actions:
        if node.state is not None:
            _act(situation, node, action)


# what the agent asks for


def _act(situation: Situation, node: Node, action: actions.Action) -> None:
    match action:
        case actions.SendHello(hello, _):
            node.words = hello
            node.ways = frozenset(path for path in WIRES if situation.reaches(path, node.me))
        case actions.ProbeReferee():
            if situation.sees_gateway(node.me):
                node.asks_gateway = situation.clock(node)
        case actions.ProbePeer():
            node.asks_peer = True
        case actions.Feed() if not node.has_opened:
            _open_watchdog(situation, node)
        case actions.Feed():
            node.fed = situation.clock(node)
        case actions.Reset():
            reset(situation, node)
        case actions.FinishLeaving():
            with suppress(Refused):  # then it goes without a word, like one that loses its power
                situation.mirror.disconnect(node.me)
            if situation.mirror.copies[node.me].has_disk:
                situation.mirror.copies[node.me].was_primary = False
            reset(situation, node)
        case actions.Outdate():
            _begin(situation, node, action, situation.timing.forfeit)
        case _ if type(action) in DEEDS:
            _begin(situation, node, action, situation.half)


def _begin(situation: Situation, node: Node, action: actions.Action, takes: float) -> None:
    due = situation.now + takes
    node.works = (*node.works, Work(action, due, due + LIMIT * situation.timing.take))


def finish_due(situation: Situation, node: Node) -> None:
    """What is due by now."""
    if node.is_live:
        for work in node.works:
            if work in node.works and work.due <= situation.now:
                finish(situation, node, work)


def finish(situation: Situation, node: Node, work: Work) -> None:
    """WORK is done; its end is not reported yet."""
    works = list(node.works)
    works.remove(work)
    node.works = tuple(works)
    deed = DEEDS[type(work.what)]
    report: events.Done | events.Failed = events.Done(0, GUEST, deed)
    try:
        is_over = _do(situation, node, work)
    except NotYetError:
        if situation.now < work.limit:
            later = replace(work, due=situation.now + situation.half)
            node.works = (*node.works, later)
            return
        is_over, report = True, events.Failed(0, GUEST, deed, "it is not done in time")
    except Refused as refused:
        is_over, report = True, events.Failed(0, GUEST, deed, str(refused))
    if is_over and node.state is not None and not work.is_orphan:
        node.reports = (*node.reports, report)


def _do(situation: Situation, node: Node, work: Work) -> bool:
    """Whether the deed is over by this. Raises Refused, NotYetError."""
    mirror, me = situation.mirror, node.me
    match work.what:
        case actions.Connect():
            mirror.connect(me)
        case actions.Outdate():
            mirror.disconnect(me)
            _wait_for_disk(situation, node)
            mirror.outdate(me)
            if not mirror.copies[me].has_disk:
                raise Refused("it is Diskless")
        case actions.Promote(_, disconnect):
            if disconnect:
                mirror.disconnect(me)
            if mirror.waits_for_peer(me):
                raise NotYetError
            if mirror.needs_handler(me):
                node.is_promoting = node.is_fence_asked = node.state is not None
                return False
            _wait_for_disk(situation, node)
            mirror.promote(me, None)
        case actions.AnswerFence(_, answer):
            if not node.is_promoting:
                mirror.answer(me, answer)
                return False
            _wait_for_disk(situation, node)
            node.is_promoting = False
            mirror.promote(me, answer)
        case actions.Create() | actions.Shutdown() | actions.Destroy() if node.is_xen_hanging:
            raise NotYetError
        case actions.Create():
            _create(situation, node)
        case actions.Shutdown():
            if mirror.copies[me].pending is not None and situation.now < work.limit:
                raise NotYetError
            _destroy(situation, node)
        case actions.Destroy():
            _destroy(situation, node)
    return True


def _wait_for_disk(situation: Situation, node: Node) -> None:
    copy = situation.mirror.copies[node.me]
    if copy.is_attached and copy.has_disk and copy.is_hanging:
        raise NotYetError


def _create(situation: Situation, node: Node) -> None:
    copy = situation.mirror.copies[node.me]
    if copy.lacks_data:
        raise Refused("its disk does not answer")
    if copy.role is not Role.PRIMARY:
        raise Refused("the device is not Primary")
    if node.start is not None:
        raise Refused("it runs already")
    situation.starts += 1
    node.start = situation.starts
    data = situation.mirror.data_of(node.me)
    situation.audit.started(situation.now, GUEST, node.me, data)
    node.has_domain_news = node.state is not None


def _destroy(situation: Situation, node: Node) -> None:
    if node.start is not None:
        _wait_for_disk(situation, node)
    _end_domain(situation, node)
    situation.mirror.demote(node.me)


def carry_words(situation: Situation, node: Node) -> None:
    """What NODE said arrives at the other machine, on each wire that it left by."""
    hello, node.words = node.words, None
    peer = situation.nodes[1 - node.me]
    if hello is None or not peer.is_live or peer.state is None:
        return
    for path in WIRES:
        if path in node.ways:
            kept = tuple(one for one in peer.inbox if one[0] is not path)
            peer.inbox = (*kept, (path, hello))
