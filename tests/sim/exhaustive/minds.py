# SPDX-License-Identifier: MIT
"""What an agent knows, as far as its future depends on it; of `snapshot`."""

from collections.abc import Iterator
from typing import TypeAlias

from haagent.core import proofs
from haagent.core.model import (
    HELD,
    NEVER,
    GuestHello,
    GuestState,
    Hello,
    Ledger,
    NodeState,
    Request,
)
from haagent.core.proofs import NOTHING_HEARD, last_word
from tests.sim.exhaustive.situation import GUEST, NAMES, WIRES, Node, Situation

Shape: TypeAlias = tuple[object, ...]


def age(moment: float, then: float, limit: float) -> float:
    return min(moment - then, limit)


def _hellos(situation: Situation, speaker: int) -> Iterator[Hello]:
    """All of SPEAKER's that somebody may still hear, or goes by."""
    there = situation.nodes[1 - speaker]
    words = situation.nodes[speaker].words
    if words is not None:
        yield words
    yield from (hello for _, hello in there.inbox)
    if there.state is not None and there.state.peer.hello is not None:
        yield there.state.peer.hello


def _ledgers(node: Node) -> Iterator[Ledger]:
    if node.state is not None:
        yield node.state.durable.ledgers[GUEST]
    if node.kept is not None:
        yield node.kept.ledgers[GUEST]


class Names:
    """What numbers are called that only have to be told apart, or are only compared."""

    def __init__(self, situation: Situation) -> None:
        self.boots = [node.boots for node in situation.nodes]
        terms = [ledger.term for node in situation.nodes for ledger in _ledgers(node)]
        lowest = min(terms, default=0)
        self.base = lowest - lowest % 2
        self.nonces: dict[int, int] = {}
        self.promises = tuple(sorted(self._promises(situation, of)) for of in (0, 1))

    @staticmethod
    def _promises(situation: Situation, of: int) -> set[int]:
        """The numbers in use of OF's promises; that nothing is relied on is no number."""
        theirs = list(_ledgers(situation.nodes[1 - of]))
        found = {ledger.promise for ledger in _ledgers(situation.nodes[of])}
        found |= {ledger.returned for ledger in theirs}
        found |= {ledger.evidence for ledger in theirs if ledger.evidence}
        found |= {hello.guests[GUEST].promise for hello in _hellos(situation, of)}
        for hello in _hellos(situation, 1 - of):
            words = hello.guests[GUEST]
            found |= {words.returned} | ({words.evidence} if words.evidence else set())
        return found

    def boot(self, boot: str) -> int:
        """How many boots ago that was."""
        return min(self.boots[NAMES.index(boot[0])] - int(boot[1:]), 2) if boot else -1

    def term(self, term: int | None) -> int | None:
        return None if term is None else max(term - self.base, -1)

    def promise(self, of: int, number: int) -> int:
        return self.promises[of].index(number)

    def evidence(self, of: int, number: int) -> int:
        return self.promise(of, number) if number else -1

    def request(self, request: Request | None) -> Shape | None:
        if request is None:
            return None
        return self.nonces.setdefault(request.nonce, len(self.nonces)), self.term(request.term)


def _sent_ago(situation: Situation, speaker: Node, boot: str, number: int) -> float | None:
    """How long ago SPEAKER said its hello NUMBER, if its agent remembers."""
    state = speaker.state
    if state is None or state.boot != boot:
        return None
    back = state.number - number
    if not 0 <= back < len(state.sent):
        return None
    return age(situation.clock(speaker), state.sent[-1 - back], _long(situation))


def _long(situation: Situation) -> float:
    """Beyond every timer."""
    timing = situation.timing
    longest = max(timing.take, timing.self_fence + timing.resume, 2 * timing.dead)
    return longest + situation.half


def in_flight(situation: Situation, hello: Hello, names: Names) -> Shape:
    """One that is still to be heard."""
    hearer = situation.nodes[1 - hello.node]
    heard = tuple(
        _sent_ago(situation, hearer, hello.heard_boot, hello.heard[path])
        for path in WIRES
        if path in hello.heard
    )
    return heard, *_words(hello, hearer.state, names)


def _words(hello: Hello, hearer: NodeState | None, names: Names) -> Shape:
    """What remains of one that was heard."""
    return (
        names.boot(hello.boot),
        hearer is not None and hello.heard_boot == hearer.boot,
        hello.has_referee,
        hello.is_leaving,
        hello.in_maintenance,
        hello.figures.is_armed,
        _about(hello.node, hello.guests[GUEST], names),
    )


def _about(me: int, words: GuestHello, names: Names) -> Shape:
    return (
        names.term(words.term),
        names.term(words.theirs),
        words.phase,
        words.disk,
        words.is_connected,
        words.is_alone,
        names.request(words.request),
        names.request(words.grant),
        names.promise(me, words.promise),
        words.stands_down,
        names.evidence(1 - me, words.evidence),
        names.promise(1 - me, words.returned),
        names.term(words.farewell),
        words.keeps_farewell,
        words.is_refused,
    )


def ledger_of(me: int, ledger: Ledger, boot: str, names: Names) -> Shape:
    farewell = ledger.farewell
    return (
        names.term(ledger.term),
        names.term(ledger.theirs),
        ledger.alone,
        ledger.by_operator,
        names.promise(me, ledger.promise),
        ledger.stands_down,
        names.evidence(1 - me, ledger.evidence),
        names.promise(1 - me, ledger.returned),
        farewell and (names.boot(farewell.boot), names.term(farewell.term), farewell.is_leaving),
        ledger.is_parted,
        bool(ledger.held_in) and ledger.held_in == boot,
    )


def state_of(situation: Situation, node: Node, state: NodeState, names: Names) -> Shape:
    clock, timing, long = situation.clock(node), state.timing, _long(situation)
    just, peer, referee = situation.half, state.peer, state.referee
    is_usable = state.usable_since is not None
    return (
        age(clock, state.started, long),
        age(clock, state.ticked, timing.stall + just),
        age(clock, last_word(state), long),
        _paths(situation, node, state),
        None if peer.hello is None else _words(peer.hello, state, names),
        names.boot(peer.met),
        _met_ago(situation, node, state),
        age(clock, peer.hello_at, timing.dead + just),
        age(clock, peer.confirmed, long),
        peer.confirmed < state.doubted,
        age(clock, referee.answered, timing.self_fence + just),
        age(clock, referee.good_since, long),
        referee.good_since <= last_word(state),
        is_usable,
        age(clock, state.usable_since or state.unusable_since, timing.referee + just),
        state.is_armed,
        age(clock, state.fed, timing.watchdog + timing.feed + just),
        proofs.may_be_here(state, GUEST) and age(clock, state.blind_since, timing.take + just),
        None if state.left is None else age(clock, state.left, long),
        state.is_fenced,
        state.durable.in_maintenance,
        state.durable.peer_figures,
        ledger_of(node.me, state.durable.ledgers[GUEST], state.boot, names),
        _guest(clock, state, state.guests[GUEST], names, long),
    )


def _met_ago(situation: Situation, node: Node, state: NodeState) -> Shape:
    """What it would tell a boot that it has met: that says when the other one was heard."""
    peer, there = state.peer, situation.nodes[1 - node.me]
    numbers = [(path, peer.met_numbers[path]) for path in WIRES if path in peer.met_numbers]
    return tuple((path, _sent_ago(situation, there, peer.met, number)) for path, number in numbers)


def _paths(situation: Situation, node: Node, state: NodeState) -> Shape:
    """Ages up to T_dead, and how far apart they are where two keepalives may matter."""
    clock, limit = situation.clock(node), situation.timing.dead + situation.half
    apart = 2 * situation.timing.keepalive + situation.half
    peer, there = state.peer, situation.nodes[1 - node.me]
    paths = [peer.paths.get(path, NOTHING_HEARD) for path in WIRES]
    silence = max(path.last_word for path in paths)
    boot = peer.hello.boot if peer.hello is not None else ""
    return silence == NEVER, *(
        (
            age(clock, path.last_word, limit),
            age(clock, path.two_way, limit),
            silence > NEVER and min(silence - path.last_word, apart),
            silence > NEVER and max(-apart, min(silence - path.two_way, apart)),
            _sent_ago(situation, there, boot, path.number),
        )
        for path in paths
    )


def _guest(clock: float, state: NodeState, mine: GuestState, names: Names, long: float) -> Shape:
    lost = max(mine.since, mine.lost) if mine.phase in HELD else mine.since
    request, taking = mine.request, mine.taking
    return (
        mine.phase,
        age(clock, mine.since, long),
        age(clock, lost, long),
        mine.phase in HELD and (state.referee.good_since <= mine.since),
        mine.phase in HELD and (state.referee.good_since <= lost),
        mine.resource,
        mine.is_running,
        mine.is_unbroken,
        mine.is_only_copy,
        mine.is_disk_hanging,
        max(mine.retry_at - clock, 0),
        mine.retry_at <= mine.since,
        max(mine.reconnect_at - clock, 0),
        names.request(request),
        None if request is None else age(clock, request.at, long),
        names.request(mine.grant),
        taking and (taking.peer_off, taking.newest, names.term(taking.from_term)),
        mine.fence_asked,
        names.term(mine.farewell),
    )
