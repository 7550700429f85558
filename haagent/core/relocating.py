# SPDX-License-Identifier: MIT
"""Both machines get other addresses on the LAN, and another gateway, while the guests run on.

Owns the way from a person's word to addresses that both keep, or that both give up; it writes no
file. The machine where it was typed asks, and alone decides:

    asker   ASKED                AGREED                 KEPT, or DROPPED
    other            WRITTEN               AGREED, PROVEN         KEPT, or DROPPED

Each stage is on disk before the other machine hears of it. Before they are AGREED, whoever does not
hold a guest has promised not to start it, as when no gateway answers: should one die while the LAN
is away, the holder goes on. Both are AGREED before either touches an address. The other machine
goes first, the asker only when it hears that one speak with the new address: there is always an
agent that does not change. Who tries the new addresses has them until the next start of the
machine, and restarts its agent, which has heard nothing yet: what it then hears on the LAN, it
hears at the new addresses.

Until the asker has written KEPT it may drop the change alone; the other one until it has written
PROVEN. From then on it waits for the verdict; if none comes, it waits at the old addresses. So a
power cut at any moment ends with both on the same.
"""

from haagent.core import proofs, together, wishing
from haagent.core.actions import LanOrder, TakeUpLan
from haagent.core.copying import replace
from haagent.core.events import LanAsked
from haagent.core.model import (
    Hello,
    LanChange,
    LanStage,
    NodeState,
    Path,
    Phase,
    next_term,
    owner,
)
from haagent.core.together import names
from haagent.core.turn import Turn

OPEN, ON_TRIAL = proofs.OPEN_LAN, proofs.LAN_ON_TRIAL
DROPPABLE = OPEN - {LanStage.PROVEN}  # by whoever it is on whose disk


def blocker(state: NodeState) -> str | None:
    """Why other addresses cannot be agreed on now, in a sentence; None if nothing forbids it."""
    for why_not in (together.blocker, _not_settled):
        if (why := why_not(state)) is not None:
            return why
    return next(filter(None, (_not_safe(state, guest) for guest in state.guests)), None)


def _not_settled(state: NodeState) -> str | None:
    hello = state.peer.hello
    assert hello is not None
    # safety: a newer change of ours takes the place of the last one, whose verdict it may wait for.
    is_open = state.durable.lan.stage in OPEN or (
        hello.lan.stage in OPEN and hello.lan.number <= state.durable.lan.number
    )
    if is_open or not proofs.is_lan_settled(state):
        return "a change of the LAN's addresses is under way already"
    if state.lan_files != state.pair.lan:
        # safety: it is still to be done, and a newer change would take its place on disk.
        return f"{names(state)[0]} has not written its addresses of an earlier change to its stick"
    if hello.lan_runs != state.pair.lan:
        return f"{names(state)[1]} is still about to take up its addresses of an earlier change"
    return None


def _not_safe(state: NodeState, guest: str) -> str | None:
    """For a moment neither can take over from the other: both must be well before it begins."""
    mine, words = state.guests[guest], proofs.hello_of(state, guest)
    phases = {mine.phase, words.phase if words else None}
    where_it_is_to_be = (
        {Phase.HOLDING, Phase.RELEASED} if wishing.is_wanted(state, guest) else {Phase.RELEASED}
    )
    if words is None or phases != where_it_is_to_be:
        return f"{guest} does not run on exactly one of the two machines, and quietly"
    if not mine.is_in_sync or not words.is_connected:
        return f"the two copies of {guest} are not connected and the same"
    if state.durable.ledgers[guest].choice.is_open or words.choice.is_open:
        return f"a choice between the two copies of {guest} is being carried out"
    return None


def ask(turn: Turn, event: LanAsked) -> str | None:
    """Takes a person's word. Why not, in a sentence; None if it is on its way to the peer."""
    state = turn.state
    if (why := blocker(state)) is not None:
        return why
    hello = state.peer.hello
    number = next_term(state.me, max(state.durable.lan.number, hello.lan.number if hello else 0))
    turn.set(lan_trouble="")
    change = LanChange(number, event.first, event.second, event.gateway)
    turn.say("", f"a person asks for other addresses on the LAN: {in_words(change)}")
    _write(turn, change, LanStage.ASKED)
    return None


def in_words(change: LanChange) -> str:
    return f"{change.first}, {change.second.partition('/')[0]}, gateway {change.gateway}"


def hear(turn: Turn, hello: Hello) -> None:
    """Takes in how far the peer is."""
    state, ours, theirs = turn.state, turn.state.durable.lan, hello.lan
    if hello.has_replaced or state.is_stateless:
        return
    if _plan(ours) != _plan(theirs):
        is_new = theirs.number > ours.number and owner(theirs.number) != state.me
        if is_new and theirs.stage is LanStage.ASKED:
            _consider(turn, theirs)
        elif ours.stage in ON_TRIAL:
            _drop(turn, "the other machine does not know of it any more")
    elif owner(ours.number) == state.me:
        _hear_as_asker(turn, theirs)
    else:
        _hear_as_other(turn, theirs)


def _hear_as_asker(turn: Turn, theirs: LanChange) -> None:
    ours = turn.state.durable.lan
    if theirs.stage is LanStage.DROPPED and ours.stage in OPEN:
        _drop(turn, "the other machine has dropped it")
    elif theirs.stage is LanStage.WRITTEN and ours.stage is LanStage.ASKED:
        if (why := _lost_since(turn.state)) is not None:
            _drop(turn, why)
        elif all(_is_promised(turn.state, guest) for guest in turn.state.guests):
            _write(turn, ours, LanStage.AGREED)
            turn.say("", "both machines have the new addresses on disk")


def _hear_as_other(turn: Turn, theirs: LanChange) -> None:
    ours = turn.state.durable.lan
    if theirs.stage is LanStage.KEPT and ours.stage is not LanStage.KEPT:
        # safety: the asker's word alone decides; it does not say so before we have PROVEN on disk.
        _write(turn, ours, LanStage.KEPT)
        turn.say("", "the new addresses on the LAN are kept: the other machine says so")
    elif theirs.stage is LanStage.DROPPED and ours.stage in OPEN:
        _drop(turn, "the other machine has dropped it")
    elif theirs.stage is LanStage.AGREED and ours.stage is LanStage.WRITTEN:
        _write(turn, ours, LanStage.AGREED)


def _consider(turn: Turn, asked: LanChange) -> None:
    why = blocker(turn.state)
    if why is None:
        turn.set(lan_trouble="")
        _write(turn, asked, LanStage.WRITTEN)
    elif turn.state.lan_trouble != why:
        turn.set(lan_trouble=why)
        turn.say("", f"other addresses on the LAN are not agreed to: {why}")


def _lost_since(state: NodeState) -> str | None:
    """What forbids it now, of what was there when it was asked for."""
    if (why := together.blocker(state)) is not None:
        return why
    return next(filter(None, (_not_safe(state, guest) for guest in state.guests)), None)


def look(turn: Turn) -> None:
    """Takes the next step of a change, or finds that it is over. Once a turn."""
    before = turn.state.durable.lan
    if turn.state.is_stateless:
        return  # neither a stage nor files can be written
    if before.stage in OPEN and (why := _end(turn.state)) is not None:
        _drop(turn, why)
    elif before.stage is LanStage.AGREED and _is_proven(turn.state):
        _prove(turn)
    if turn.state.durable.lan.stage is not before.stage:
        return  # the next turn acts: what it acts on was on disk before it began
    state, order = turn.state, _order(turn.state)
    if order is not None and state.now - state.lan_acted >= state.timing.take:
        turn.set(lan_acted=state.now, lan_tried=state.lan_tried or order is LanOrder.TRY)
        turn.say("", SAYINGS[order])
        turn.act(TakeUpLan(order))


SAYINGS = {
    LanOrder.TRY: "trying the new addresses on the LAN",
    LanOrder.KEEP: "taking up the new addresses on the LAN for good",
    LanOrder.BACK: "going back to the old addresses on the LAN",
}


def _prove(turn: Turn) -> None:
    state, change = turn.state, turn.state.durable.lan
    if owner(change.number) != state.me:
        _write(turn, change, LanStage.PROVEN)
        turn.say("", "the new addresses on the LAN work here")
    elif state.peer.hello is not None and state.peer.hello.lan.stage is LanStage.PROVEN:
        # safety: the other one has on disk that it waits for our word; from here on it is given.
        _write(turn, change, LanStage.KEPT)
        turn.say("", "the new addresses on the LAN work on both machines, and are kept")


def _end(state: NodeState) -> str | None:
    """Why an open change is dropped here, by us alone; None if it goes on."""
    change, hello = state.durable.lan, state.peer.hello
    age = state.now - state.lan_since
    if change.stage not in DROPPABLE:
        return None
    if change.boot != state.boot:
        return "the machine was restarted meanwhile"
    if state.left is not None:
        return "this machine leaves"
    if change.stage is not LanStage.AGREED:
        if proofs.is_talking(state) and age <= 2 * state.timing.dead:
            return None
        return hello.lan_trouble if hello and hello.lan_trouble else "it was not agreed to in time"
    if _went_back(state):
        return "the other machine has gone back to the old addresses"
    return _why_unproven(state) if age > state.timing.trial else None


def _went_back(state: NodeState) -> bool:
    """The other machine tried them, and does not any more."""
    hello, change = state.peer.hello, state.durable.lan
    return (
        hello is not None
        and hello.lan.number == change.number
        and hello.lan.stage is LanStage.PROVEN
        and hello.lan_runs != change.number
    )


def _why_unproven(state: NodeState) -> str:
    """What a person should know about a trial that came to nothing."""
    me, peer = names(state)
    hello, number = state.peer.hello, state.durable.lan.number
    if hello is None or not proofs.is_talking(state):
        return f"{peer} is silent"
    for name, runs in ((me, state.pair.lan), (peer, hello.lan_runs)):
        if runs != number:
            return f"{name} did not get to take up its new address"
    for name, is_answered in ((me, proofs.has_referee(state)), (peer, hello.has_referee)):
        if not is_answered:
            return f"the new gateway does not answer {name}"
    return f"{me} and {peer} do not hear each other on the LAN at the new addresses"


def _is_proven(state: NodeState) -> bool:
    """Both speak from the new addresses and hear each other there, and the gateway answers both.

    safety: an agent that speaks from them has heard nothing on the LAN before it did.
    """
    hello, number = state.peer.hello, state.durable.lan.number
    return (
        hello is not None
        and state.pair.lan == hello.lan_runs == number
        and proofs.is_talking(state)
        and not proofs.is_doubting(state)
        and proofs.is_whole(state, Path.LAN)
        and proofs.has_referee(state)
        and hello.has_referee
    )


def _order(state: NodeState) -> LanOrder | None:
    """What is to be done about our addresses now."""
    change, runs = state.durable.lan, state.pair.lan
    match change.stage:
        case LanStage.KEPT if change.number:
            return None if runs == state.lan_files == change.number else LanOrder.KEEP
        case LanStage.AGREED if runs != change.number:
            return LanOrder.TRY if _may_go(state) else None
        case LanStage.AGREED:
            return None
        case LanStage.PROVEN if state.now - state.lan_since <= state.timing.trial:
            return None
    is_still = runs == state.lan_files and not state.lan_tried
    return None if is_still else LanOrder.BACK


def _may_go(state: NodeState) -> bool:
    """It is our turn to change our addresses: there is an agent that does not."""
    hello, change = state.peer.hello, state.durable.lan
    if hello is None or not proofs.is_talking(state) or state.is_fenced:
        return False
    if _plan(hello.lan) != _plan(change) or hello.lan.stage not in ON_TRIAL:
        return False
    is_asker = owner(change.number) == state.me
    return hello.lan_runs == (change.number if is_asker else state.pair.lan)


def _is_promised(state: NodeState, guest: str) -> bool:
    """Who does not hold GUEST has promised not to start it, and its holder counts on that."""
    mine, ledger = state.guests[guest], state.durable.ledgers[guest]
    words = proofs.hello_of(state, guest)
    if words is None:
        return False
    if not wishing.is_wanted(state, guest):
        return words.wish == ledger.wish  # nobody starts it
    if mine.phase is Phase.HOLDING:
        return words.stands_down and ledger.evidence == words.promise
    is_relied_on = words.evidence == ledger.promise
    return words.phase is Phase.HOLDING and ledger.stands_down and is_relied_on


def _plan(change: LanChange) -> tuple[int, str, str, str]:
    return change.number, change.first, change.second, change.gateway


def _write(turn: Turn, change: LanChange, stage: LanStage) -> None:
    changed = replace(change, stage=stage, boot=turn.state.boot)
    turn.set(durable=replace(turn.state.durable, lan=changed), lan_since=turn.state.now)


def _drop(turn: Turn, why: str) -> None:
    _write(turn, turn.state.durable.lan, LanStage.DROPPED)
    turn.set(lan_trouble=why)
    turn.say("", f"the LAN keeps its old addresses: {why}")
