# SPDX-License-Identifier: MIT
"""What a hello of the peer makes known, what it does not, and what follows from it at once.

Owns what is known of the peer and of its boots; what is proven by that is core/proofs.py's to say,
and what is agreed on with it core/agreeing.py's.
"""

from haagent.core import agreeing, events, relocating, resolving, rules, speaking, wishing
from haagent.core.copying import replace
from haagent.core.model import NEVER, Farewell, Hello, NodeState, Path, PathState, Phase, owner
from haagent.core.turn import Turn


def hear(turn: Turn, event: events.HelloHeard) -> None:
    state, hello = turn.state, event.hello
    if hello.node == state.me:
        return
    before = state.peer.hello
    if hello.boot in state.peer.past_boots:
        return  # kept back somewhere, or replayed: that boot is over
    if speaking.is_told_better(state, event):
        return
    if before is not None and hello.boot != before.boot and not _is_fresh(state, hello):
        _boot_met(turn, event.path, hello)
        return
    spoken = speaking.hear(turn, event)
    if spoken != state.peer.format:
        turn.set(peer=replace(state.peer, format=spoken))
        state = turn.state
    is_new_boot = before is None or hello.boot != before.boot
    paths = {} if is_new_boot and before is not None else dict(state.peer.paths)
    path = paths.get(event.path, PathState())
    if hello.number <= path.number:
        return  # a repetition, or late: it says nothing that we do not know better
    two_way = path.two_way
    if hello.heard_boot == state.boot:
        two_way = max(two_way, _sent_at(state, hello.heard.get(event.path, 0)))
    confirmed = max(state.peer.confirmed, _confirmed(state, hello))
    paths[event.path] = PathState(event.at, two_way, hello.number)
    peer = replace(state.peer, paths=paths, confirmed=confirmed)
    if not is_new_boot and before is not None and hello.number <= before.number:
        turn.set(peer=peer)
        return  # the same words by another way
    if is_new_boot and before is not None:
        peer = replace(peer, past_boots=peer.past_boots | {before.boot})
    turn.set(peer=replace(peer, hello=hello, hello_at=event.at, met="", met_numbers={}))
    if hello.has_replaced and (before is None or not before.has_replaced):
        turn.say("", "this machine was replaced: it starts nothing any more")
    if turn.state.durable.peer_figures != hello.figures and not state.is_stateless:
        turn.set(durable=replace(turn.state.durable, peer_figures=hello.figures))
    for guest in turn.state.guests:
        if guest in hello.guests:
            _words_about(turn, guest, hello, is_new_boot)
    relocating.hear(turn, hello)


def _is_fresh(state: NodeState, hello: Hello) -> bool:
    """Whether it was said a moment ago, by one that hears us; or can only restrain us.

    safety: that it has heard our boot is not enough. So had one that was off again before a word of
    it came here, and what was kept back of it may come when the next one is known. But its words
    confirm what we said then, and no machine is started anew within T_dead.
    """
    return hello.has_replaced or state.now - _confirmed(state, hello) <= state.timing.dead


def _boot_met(turn: Turn, path: Path, hello: Hello) -> None:
    """Of a boot that is not the known one, and has not heard us of late: a new one that soon will
    have, or one of long ago that is played again. It shows life, and what it says may bind us.

    safety: nothing in it is a proof. Taken for the peer's present boot, an old one would shut out
    the true one for good, which is then a boot of the past.
    """
    show_life(turn, "another boot of the peer is heard")
    peer = turn.state.peer
    numbers = peer.met_numbers if peer.met == hello.boot else {}
    numbers = {**numbers, path: max(hello.number, numbers.get(path, 0))}
    turn.set(peer=replace(peer, met=hello.boot, met_numbers=numbers))
    for guest in turn.state.guests:
        if guest not in hello.guests:
            continue
        term = hello.guests[guest].term
        if owner(term) == hello.node and term > turn.ledger(guest).theirs:
            turn.write(guest, theirs=term)
        rules.yield_to_higher_term(turn, guest)
        turn.set_guest(guest, grant=None)
        if turn.ledger(guest).farewell is not None:
            turn.write(guest, farewell=None)


def _confirmed(state: NodeState, hello: Hello) -> float:
    """When we sent the newest of ours that it has heard; NEVER if that is long ago."""
    if hello.heard_boot != state.boot:
        return NEVER
    return max((_sent_at(state, number) for number in hello.heard.values()), default=NEVER)


def _sent_at(state: NodeState, number: int) -> float:
    """When we sent our hello NUMBER; NEVER if that is long ago."""
    back = state.number - number
    return state.sent[-1 - back] if 0 <= back < len(state.sent) else NEVER


def _words_about(turn: Turn, guest: str, hello: Hello, is_new_boot: bool) -> None:
    """What the peer says about GUEST, in the order in which it must be taken in."""
    words, mine, ledger = hello.guests[guest], turn.mine(guest), turn.ledger(guest)
    if owner(words.term) == hello.node and words.term > ledger.theirs:
        turn.write(guest, theirs=words.term)
    rules.yield_to_higher_term(turn, guest)

    if is_new_boot:
        turn.set_guest(guest, grant=None)  # it was given to a question of an earlier boot
    if not mine.is_connected and (is_new_boot or not words.is_connected):
        # safety: from here on the peer may do things that we would not notice.
        turn.set_guest(guest, is_unbroken=False)

    wishing.hear(turn, guest, words)
    # safety: a farewell is void at the first sign of anything newer.
    farewell = None
    if words.farewell is not None:
        farewell = Farewell(hello.boot, words.farewell, hello.is_leaving)
    if ledger.farewell != farewell:
        turn.write(guest, farewell=farewell)

    is_returned = words.returned >= ledger.promise and turn.ledger(guest).stands_down
    if is_returned and not turn.state.is_stateless:
        turn.write(guest, stands_down=False)
        turn.say(guest, "our promise not to start it was given back")
    agreeing.keep_promise_of_peer(turn, guest, words)
    agreeing.consider_request(turn, guest, words)
    resolving.hear(turn, guest, words)


def show_life(turn: Turn, what: str) -> None:
    """The peer's machine lives, by a sign that is no word of its agent to us."""
    turn.set(peer=replace(turn.state.peer, probe_answered=turn.state.now))
    for guest, mine in turn.state.guests.items():
        if mine.is_unbroken and not mine.is_connected:
            turn.set_guest(guest, is_unbroken=False)
            if mine.phase is Phase.RELEASED:
                turn.say(guest, what)
