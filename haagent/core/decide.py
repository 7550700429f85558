# SPDX-License-Identifier: MIT
"""The brain: one event in, one decision out.

Events change what is known at once; whether to start, to forfeit, to go on alone or to give up is
judged once a turn of the loop, when its queue is empty (core/rules.py).
"""

from collections.abc import Callable, Mapping
from typing import Any

from haagent.core import (
    departing,
    doubting,
    events,
    hearing,
    lacking,
    moving,
    ordering,
    proofs,
    relocating,
    replacing,
    resolving,
    rules,
    starting,
    stateless,
    wishing,
)
from haagent.core.actions import AnswerFence, AnswerOperator, Create, Reset
from haagent.core.copying import replace
from haagent.core.events import Deed, Event
from haagent.core.model import (
    GONE,
    HELD,
    PRESENT,
    Durable,
    FenceAnswer,
    GuestState,
    Ledger,
    Link,
    NodeState,
    Pair,
    Peer,
    Phase,
    Predecessor,
    Referee,
    Role,
)
from haagent.core.turn import Decision, Turn
from haagent.core.wish import AT_FIRST, Target, Wish


def first_state(
    pair: Pair,
    boot: str,
    durable: Durable | None,
    at: float,
    lan_files: int | None = None,
    before: Predecessor | None = None,
) -> NodeState:
    """What an agent knows that starts at AT: what it wrote down, and what the one BEFORE it in this
    boot left, if there was one.

    LAN_FILES as in NodeState; None: the addresses that it starts with are not on trial.
    """
    ledgers = {
        guest: Ledger(term=first, wish=AT_FIRST if guest in pair.off else Wish())
        for guest, first in pair.guests.items()
    }
    if durable is not None:
        durable = replacing.renewed(durable, pair.mark)
        ledgers |= durable.ledgers
    return NodeState(
        pair=pair,
        boot=boot,
        durable=replace(durable or Durable({}), ledgers=ledgers, mark=pair.mark),
        guests={guest: GuestState() for guest in ordering.sorted_by_place(pair, ledgers)},
        started=at,
        now=at,
        ticked=at,
        unusable_since=at,
        number=int(at * 1000),  # above all that an agent before us in this boot has sent
        peer=Peer(confirmed=before.confirmed) if before else Peer(),
        referee=Referee(before.answered, good_since=at) if before else Referee(),
        is_armed=before is not None,
        fed=before.fed if before else at,
        blind_since=before.blind_since if before and before.blind_since is not None else at,
        lan_files=pair.lan if lan_files is None else lan_files,
        lan_since=at,
    )


def decide(state: NodeState, event: Event) -> Decision:
    """What EVENT means in STATE. Pure: no clock, no I/O; time comes with the event."""
    turn = Turn(replace(state, now=max(state.now, event.at)))
    HANDLERS[type(event)](turn, event)
    return turn.decision()


def _replaced_heard(turn: Turn, event: events.ReplacedHeard) -> None:
    replacing.answer(turn)


def _referee_answered(turn: Turn, event: events.RefereeAnswered) -> None:
    referee = turn.state.referee
    is_gap = event.at - referee.answered > turn.state.timing.referee
    turn.set(
        referee=replace(
            referee,
            answered=max(referee.answered, event.sent),
            good_since=event.sent if is_gap else referee.good_since,
        )
    )


def _probe_answered(turn: Turn, event: events.ProbeAnswered) -> None:
    if event.guest and turn.mine(event.guest).phase in PRESENT:
        return  # our own one answers, too: that is no sign of the peer
    hearing.show_life(turn, "the peer's machine answers a probe: it is alive")


def _resource_changed(turn: Turn, event: events.ResourceChanged) -> None:
    guest, resource = event.guest, event.resource
    before = turn.mine(guest)
    waits = before.has_dropped and resource.link is Link.CONNECTING
    turn.set_guest(guest, resource=resource, has_dropped=waits)
    if resource.is_connected or before.is_connected:
        turn.set(peer=replace(turn.state.peer, connected=event.at))
    if before.is_connected and not resource.is_connected:
        turn.set_guest(guest, lost=turn.state.now)
    if resource.is_connected and turn.ledger(guest).alone is not None:
        turn.write(guest, alone=None)
    rules.stand_in(turn, guest)
    rules.notice_loss(turn, guest)


def _domain_seen(turn: Turn, event: events.DomainSeen) -> None:
    guest, ended = event.guest, event.ended
    # What is told late may be of a domain that was dealt with, and another one is there by now.
    is_news = ended is not None and ended.domain != turn.mine(guest).buried
    turn.set_guest(guest, is_running=event.is_running, ended=ended if is_news else None)
    if turn.mine(guest).phase is Phase.HOLDING and not event.is_running:
        wishing.again(turn, guest, "it ended by itself")
    else:
        wishing.look(turn, guest)


def _disk_hangs(turn: Turn, event: events.DiskHangs) -> None:
    turn.set_guest(event.guest, is_disk_hanging=event.is_hanging)
    what = "does not answer" if event.is_hanging else "answers again"
    turn.say(event.guest, f"its disk here {what}")


def _done(turn: Turn, event: events.Done) -> None:
    handler = DONE.get((turn.mine(event.guest).phase, event.deed))
    if event.deed is Deed.CONNECT:
        if turn.mine(event.guest).phase in (Phase.RELEASED, Phase.HOLDING):
            turn.write(event.guest, is_parted=False)  # else it is about to be taken down again
    elif event.deed in (Deed.KEEP, Deed.DISCARD):
        resolving.done(turn, event.guest, event.deed)
    elif event.deed is Deed.RESTART:
        turn.say(event.guest, "it was asked to start anew")
    elif handler:
        handler(turn, event.guest)
    else:
        turn.say(event.guest, f"{event.deed} came too late to matter")


def _failed(turn: Turn, event: events.Failed) -> None:
    mine, timing = turn.mine(event.guest), turn.state.timing
    if (mine.phase, event.deed) == (Phase.PROMOTING, Deed.PROMOTE):
        # No domain was created on it, so nothing was written in the term that was raised for it.
        turn.set_guest(event.guest, failed_from=proofs.base_term(turn.state, event.guest))
    turn.say(event.guest, f"{event.deed} failed: {event.why}")
    retry = turn.state.now + timing.dead
    match mine.phase, event.deed:
        case (Phase.PROMOTING, Deed.PROMOTE) | (Phase.CREATING, Deed.CREATE):
            # Where the peer could run it as well, it has its turn before we try again.
            could_be_there = mine.is_in_sync and proofs.is_talking(turn.state)
            turn.set_guest(
                event.guest, retry_at=turn.state.now + timing.take if could_be_there else retry
            )
            rules.destroy(turn, event.guest, "it could not be started")
        case _, Deed.KEEP | Deed.DISCARD:
            resolving.failed(turn, event.guest, event.why)
        case _, Deed.RESTART:
            pass  # it goes on as it is
        case Phase.STOPPING, Deed.SHUTDOWN:
            rules.destroy(turn, event.guest, "it could not be shut down")
        case Phase.FORFEITING, _ if mine.resource is not None and mine.resource.disk in GONE:
            # It is Consistent at most when its disk is back, and nothing that we saw speaks for it.
            turn.move(event.guest, Phase.RELEASED, "our disk has failed, and with it our copy")
        case _:
            turn.set_guest(event.guest, retry_at=retry)  # rules.repeat tries again then


def _outdated(turn: Turn, guest: str) -> None:
    turn.move(guest, Phase.RELEASED, "our copy is Outdated")
    request = turn.mine(guest).grant
    if request is not None:
        turn.say(guest, f"agreed: term {request.term} is the peer's")


def _promoted(turn: Turn, guest: str) -> None:
    turn.write(guest, held_in=turn.state.boot)
    turn.set_guest(guest, failed_from=None)
    turn.move(guest, Phase.CREATING, "Primary")
    turn.act(Create(guest))


def _created(turn: Turn, guest: str) -> None:
    turn.set_guest(guest, request=None, taking=None, is_confirmed=False, created=turn.state.now)
    turn.move(guest, Phase.HOLDING, "it runs")
    rules.notice_loss(turn, guest)


def _stopped(turn: Turn, guest: str) -> None:
    hello = proofs.hello_of(turn.state, guest)
    # safety: whoever signs off relies on no promise any more; only then may the peer start.
    returned = max(turn.ledger(guest).returned, hello.promise if hello else 0)
    turn.write(guest, held_in="", evidence=0, returned=returned)
    turn.set_guest(guest, request=None, fence_asked=False, farewell=turn.ledger(guest).term)
    _is_gone(turn, guest)
    turn.move(guest, Phase.RELEASED, "farewell")


def _destroyed(turn: Turn, guest: str) -> None:
    turn.write(guest, held_in="")
    turn.set_guest(guest, request=None, taking=None, is_confirmed=False)
    _is_gone(turn, guest)
    turn.move(guest, Phase.RELEASED, "gone and Secondary")


def _is_gone(turn: Turn, guest: str) -> None:
    """It was read back; what Xen and DRBD tell by themselves may come later."""
    resource = turn.mine(guest).resource
    if resource is not None:
        resource = replace(resource, role=Role.SECONDARY, is_suspended=False)
    turn.set_guest(guest, is_running=False, ended=None, resource=resource)


DONE: Mapping[tuple[Phase, Deed], Callable[[Turn, str], None]] = {
    (Phase.FORFEITING, Deed.OUTDATE): _outdated,
    (Phase.PROMOTING, Deed.PROMOTE): _promoted,
    (Phase.CREATING, Deed.CREATE): _created,
    (Phase.STOPPING, Deed.SHUTDOWN): _stopped,
    (Phase.DESTROYING, Deed.DESTROY): _destroyed,
}


def _fence_asked(turn: Turn, event: events.FenceAsked) -> None:
    guest = event.guest
    mine = turn.mine(guest)
    match mine.phase:
        case Phase.PROMOTING if starting.is_proven(turn.state, guest):
            stale = proofs.is_granted(turn.state, guest) and proofs.is_peer_outdated(
                turn.state, guest
            )
            answer = FenceAnswer.PEER_OUTDATED if stale else FenceAnswer.PEER_OFF
            turn.act(AnswerFence(guest, answer))
        case Phase.CREATING | Phase.HOLDING | Phase.FROZEN | Phase.STOPPING:
            turn.set_guest(guest, fence_asked=True)  # rules.hold answers, or nobody does
        case Phase.RELEASED if proofs.may_be_here(turn.state, guest):
            turn.set_guest(guest, fence_asked=True)  # DRBD asks once: rules.settle comes first
        case _:
            # safety: somebody else promotes, or a proof fell: DRBD is told nothing.
            turn.act(AnswerFence(guest, FenceAnswer.UNPROVEN))


def _clock_broke(turn: Turn, event: events.ClockBroke) -> None:
    turn.say("", f"the clocks ran {event.seconds:.1f} s apart: this machine stood still")
    if any(mine.phase in HELD for mine in turn.state.guests.values()):
        turn.act(Reset())
    doubting.doubt(turn, "this machine stood still")


def _watchdog_armed(turn: Turn, event: events.WatchdogArmed) -> None:
    turn.set(is_armed=event.is_armed)
    turn.say("", "the watchdog is armed" if event.is_armed else "the watchdog cannot be armed")


def _leave(turn: Turn, event: events.Leave) -> None:
    if turn.state.left is None:
        turn.set(left=event.at)
        turn.say("", "leaving")


def _operator_confirmed(turn: Turn, event: events.OperatorConfirmed) -> None:
    if turn.mine(event.guest).phase is not Phase.RELEASED:
        return
    if (why := lacking.unstartable(turn.state, event.guest)) is not None:
        turn.say(event.guest, f"a person wants it here, in vain: {why}")
        return
    if not wishing.is_wanted(turn.state, event.guest):
        wishing.wish(turn, event.guest, Target.STARTED)
    turn.set_guest(event.guest, is_confirmed=True)
    turn.say(event.guest, "a person confirmed to start it here, whatever the peer has")


def _move_asked(turn: Turn, event: events.MoveAsked) -> None:
    guest, state = event.guest, turn.state
    why = moving.blocker(state, guest)
    if why is None:
        moving.let_go(turn, guest, f"a person moves it to {state.pair.names[1 - state.me]}")
    else:
        turn.say(guest, f"it is not moved: {why}")
    turn.act(AnswerOperator(guest, why))


def _wish_asked(turn: Turn, event: events.WishAsked) -> None:
    why = wishing.ask(turn, event.guest, event.target)
    turn.act(AnswerOperator(event.guest, why))


def _restart_asked(turn: Turn, event: events.RestartAsked) -> None:
    turn.act(AnswerOperator(event.guest, wishing.ask_restart(turn, event.guest)))


def _maintenance_asked(turn: Turn, event: events.MaintenanceAsked) -> None:
    why = stateless.refusal(turn.state)
    if why is None and event.is_on != turn.state.durable.in_maintenance:
        turn.set(durable=replace(turn.state.durable, in_maintenance=event.is_on))
        departing.announce_maintenance(turn)
    turn.act(AnswerOperator("", why))


def _choice_asked(turn: Turn, event: events.ChoiceAsked) -> None:
    why = resolving.propose(turn, event)
    if why is not None:
        turn.say(event.guest, f"the choice is refused: {why}")
    turn.act(AnswerOperator(event.guest, why))


def _measures_taken(turn: Turn, event: events.MeasuresTaken) -> None:
    turn.set(measured=event.measured)


def _lan_asked(turn: Turn, event: events.LanAsked) -> None:
    why = relocating.ask(turn, event)
    if why is not None:
        turn.say("", f"other addresses on the LAN are refused: {why}")
    turn.act(AnswerOperator("", why))


def _lan_written(turn: Turn, event: events.LanWritten) -> None:
    turn.set(lan_files=event.number, lan_tried=False)


def _state_lost(turn: Turn, event: events.StateLost) -> None:
    stateless.lose(turn, event.why)


def _tick(turn: Turn, event: events.Tick) -> None:
    rules.turn_over(turn)


HANDLERS: Mapping[type[Event], Callable[[Turn, Any], None]] = {
    events.Tick: _tick,
    events.HelloHeard: hearing.hear,
    events.ReplacedHeard: _replaced_heard,
    events.RefereeAnswered: _referee_answered,
    events.ProbeAnswered: _probe_answered,
    events.ResourceChanged: _resource_changed,
    events.DomainSeen: _domain_seen,
    events.DiskHangs: _disk_hangs,
    events.Done: _done,
    events.Failed: _failed,
    events.FenceAsked: _fence_asked,
    events.ClockBroke: _clock_broke,
    events.WatchdogArmed: _watchdog_armed,
    events.Leave: _leave,
    events.OperatorConfirmed: _operator_confirmed,
    events.MoveAsked: _move_asked,
    events.WishAsked: _wish_asked,
    events.RestartAsked: _restart_asked,
    events.MaintenanceAsked: _maintenance_asked,
    events.ChoiceAsked: _choice_asked,
    events.MeasuresTaken: _measures_taken,
    events.LanAsked: _lan_asked,
    events.LanWritten: _lan_written,
    events.StateLost: _state_lost,
}
