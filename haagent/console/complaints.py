# SPDX-License-Identifier: MIT
"""What is wrong with a pair, in the words of the person who must put it right at night.

Pure. Every complaint says what is wrong, what it means and what to do. The pair is protected if and
only if there is none: so each condition of "either machine may fail now" has its complaint here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from haagent.console.alarms import Alarm
from haagent.console.facts import (
    hello_of,
    is_answered,
    is_recent,
    is_split_brain,
    is_talking,
    names,
    runs_on,
    troubles_of_peer,
)
from haagent.console.surroundings import Surroundings
from haagent.console.times import since
from haagent.core import moving, proofs
from haagent.core.foresight import Fate
from haagent.core.model import (
    HELD,
    Disk,
    LanStage,
    Link,
    NodeState,
    Path,
    PathState,
    Phase,
)
from haagent.core.proofs import is_lan_settled
from haagent.core.relocating import OPEN
from haagent.storage.lvm import GROUP

AWAY = (Phase.RELEASED, Phase.FORFEITING)  # nothing of the guest is on that node

Missing = Callable[[NodeState, str], Sequence[str]]

OWN_PATHS = {
    Path.CROSSOVER: ("the crossover cable", "Look at that cable and at its lamps on both sides."),
    Path.LAN: ("the LAN", "Look at the LAN cables of both machines and at the switch."),
}


@dataclass(frozen=True, slots=True)
class Complaint:
    """A code, and three sentences about this time."""

    code: Alarm
    what: str
    means: str
    do: str


def find(state: NodeState, around: Surroundings, missing: Missing) -> tuple[Complaint, ...]:
    """Everything that keeps the pair from being protected, the worst first."""
    guests = list(state.guests)
    lan = tuple(_lan(state))
    # Addresses change without a referee, by promises: it is not the router that is to be looked at.
    of_gateway = () if _lan_changes(state) else (*_promises(state), *_referee(state))
    return (
        *(c for guest in guests for c in _whereabouts(state, around, guest, missing)),
        *(c for guest in guests for c in _data(state, around, guest)),
        *_node(state),
        *_replaced(state),
        *lan,
        *_peer(state),
        *of_gateway,
        *_heartbeat(state, around),
        *_units(around),
    )


def _whereabouts(
    state: NodeState, around: Surroundings, guest: str, missing: Missing
) -> Iterator[Complaint]:
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
    elif not where:
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
            f"It starts on {peer} when its disk is released.",
            "Wait.",
        )


def _last_same(state: NodeState, around: Surroundings, guest: str) -> str:
    """A sentence to add, about how old our copy may be; "" while it is in sync, or never was."""
    moment = around.in_sync_at.get(guest)
    if moment is None or state.guests[guest].is_in_sync:
        return ""
    return f" The two copies were last the same on {since(moment, around.wall)}."


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
                "It must not go on here: it may start on the other machine.",
                "Wait. If this stays, this machine resets itself.",
            )
    if hello is not None and is_talking(state) and hello.phase not in AWAY:
        return Complaint(
            Alarm.CHANGES_ELSEWHERE,
            f"{guest} is {hello.phase} on {peer}.",
            "It is not up yet.",
            "Wait.",
        )
    return _not_started(state, around, guest, "; ".join(missing(state, guest)))


def _starts_in(state: NodeState, around: Surroundings, guest: str) -> float | None:
    """Seconds until GUEST is started here if the peer stays silent; None: it is not, or nobody has
    looked ahead since the peer fell silent.
    """
    outlook = around.outlooks.get(guest)
    if is_talking(state) or outlook is None or outlook.fate is not Fate.STARTS:
        return None
    if outlook.phase is not state.guests[guest].phase or outlook.at < state.peer.hello_at:
        return None
    return max(0.0, outlook.at + outlook.seconds - state.now)


def _not_started(state: NodeState, around: Surroundings, guest: str, why: str) -> Complaint:
    """A guest that runs nowhere, and that we do not start because of WHY."""
    me, peer = names(state)
    hello = hello_of(state, guest)
    was_there = hello is not None and hello.phase in HELD and not is_talking(state)
    soon = _starts_in(state, around, guest)
    if soon is not None:
        means = f"It starts on {me} by itself in about {soon:.0f} s, if {peer} stays silent."
    elif why:
        means = f"It cannot start on {me}: {why}.{_last_same(state, around, guest)}"
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
    else:
        anyway = _anyway(state, guest, f"which gives up whatever {peer} wrote last")
        do = f"Switch {peer} on. {anyway}"
    return Complaint(
        Alarm.LOST_WITH_PEER if was_there else Alarm.RUNS_NOWHERE,
        f"{guest} was on {peer}, and {peer} is silent." if was_there else f"{guest} runs nowhere.",
        means,
        do,
    )


def _anyway(state: NodeState, guest: str, which: str) -> str:
    """What is left to do here if the peer never comes back; WHICH says what that act does."""
    me, peer = names(state)
    why = proofs.unstartable(state, guest)
    if why is None:
        act = f"`shoestring start {guest} --anyway` on {me}"
        return f"Only if {peer} is off and stays off: {act}, {which}."
    return f"It cannot be started on {me}, even by a person: {why}.{_kept(state, guest)}"


def _kept(state: NodeState, guest: str) -> str:
    """A sentence to add, where what was given up here is whole and what replaces it is not yet."""
    choice, resource = state.durable.ledgers[guest].choice, state.guests[guest].resource
    is_part = resource is not None and resource.disk is Disk.INCONSISTENT
    if not (is_part and choice.is_kept and choice.node != state.me):
        return ""
    me, peer = names(state)
    return (
        f" Without {peer} the only whole copy is what was kept of the one on {me}: the volume "
        f"{GROUP}/{guest}-before-{choice.stamp}. Ask for help before you touch it."
    )


def _data(state: NodeState, around: Surroundings, guest: str) -> Iterator[Complaint]:
    me, peer = names(state)
    ledger = state.durable.ledgers[guest]
    if ledger.choice.is_open:
        yield _choice(state, guest)
    if ledger.choice.is_open and not state.guests[guest].is_connected:
        pass  # the two are not one yet because of that, and it is said
    elif is_split_brain(state, guest):
        gone = f"Switch {peer} on. If it died for good: `shoestring replace` on {me}."
        yield Complaint(
            Alarm.SPLIT_BRAIN,
            f"{guest}: split brain. The two copies do not connect.",
            "Each may hold writes that the other has not. Nothing was discarded.",
            f"Leave both machines on. `shoestring resolve {guest}` on either of them shows both "
            "histories, asks which copy counts, and keeps a copy of the other one."
            if is_talking(state)
            else gone,
        )
    elif not state.guests[guest].is_in_sync:
        yield _not_in_sync(state, around, guest)
    if ledger.by_operator:
        yield Complaint(
            Alarm.CHOSEN_COPY,
            f"Do not power up {peer} alone.",
            f"A person chose the copy of {guest} on {me}. The one on {peer} is another.",
            f"Power {peer} up while {me} runs. This goes away when the two have met.",
        )


def _choice(state: NodeState, guest: str) -> Complaint:
    choice, (me, peer) = state.durable.ledgers[guest].choice, names(state)
    counts, given_up = state.pair.names[choice.node], state.pair.names[1 - choice.node]
    own, others = state.guests[guest].trouble, troubles_of_peer(state).get(guest, "")
    trouble = f"{me}: {own}" if own else f"{peer}: {others}" if others else ""
    if trouble:
        do = f"It is tried again. `shoestring resolve {guest}` says what else can be done."
    elif is_talking(state):
        do = f"Wait, and leave both machines on. `shoestring resolve {guest}` shows how far it is."
    else:
        do = f"Switch {peer} on."
        if me == given_up:
            which = f"which takes the choice back, and gives up what {peer} has"
            do += f" {_anyway(state, guest, which)}"
    return Complaint(
        Alarm.CHOICE,
        f"{guest}: the copy on {given_up} is being given up for the one on {counts}.",
        trouble or f"A person chose so. Until it is done, {guest} is on {counts} alone.",
        do,
    )


def _not_in_sync(state: NodeState, around: Surroundings, guest: str) -> Complaint:
    me, peer = names(state)
    resource = state.guests[guest].resource
    if resource is None:
        return Complaint(
            Alarm.DISK_NOT_KNOWN,
            f"{guest}: its disk is not known yet.",
            "DRBD has not said what it has.",
            "Wait a minute. If it stays so: `journalctl -b -u haagent`.",
        )
    match resource.link:
        case Link.SYNC_SOURCE | Link.SYNC_TARGET:
            old, new = (peer, me) if resource.link is Link.SYNC_SOURCE else (me, peer)
            return Complaint(
                Alarm.RESYNC,
                f"{guest}: the copy on {old} is being brought up to date.",
                f"Until that is done, everything is on {new} alone.",
                "Wait, and leave both machines on.",
            )
        case Link.CONNECTED:
            return Complaint(
                Alarm.DISK_NOT_UP_TO_DATE,
                f"{guest}: its copy is {resource.disk} on {me} and {resource.peer_disk} on {peer}.",
                "Both must be UpToDate; a disk that does not work is left out.",
                "Look for disk errors on both machines: `journalctl -k`.",
            )
    alone = state.durable.ledgers[guest].alone
    do = f"Bring {peer} and the crossover cable back; the mirror follows by itself."
    if proofs.has_hung_up(state, guest) and is_talking(state):
        do = (
            f"Look at the crossover cable: its other end must be in {peer}, and in no machine of "
            "another pair. It is tried again by itself."
        )
    verb = "writes" if state.guests[guest].phase in HELD else "wrote"
    return Complaint(
        Alarm.NOT_MIRRORED,
        f"{guest} is not mirrored: DRBD is {resource.link}.",
        (f"{me} {verb} alone, because {alone}." if alone else "The two copies may differ.")
        + _last_same(state, around, guest),
        do,
    )


def _node(state: NodeState) -> Iterator[Complaint]:
    me, peer = names(state)
    if state.is_fenced:
        yield Complaint(
            Alarm.GAVE_UP,
            f"{me} has given up.",
            f"Nothing proved that {peer} was off, so {me} ended its guests.",
            "Wait: its watchdog restarts it.",
        )
    if state.left is not None:
        yield Complaint(
            Alarm.LEAVING,
            f"{me} is shutting down.",
            f"Its guests go to {peer}, if {peer} can take them.",
            "Wait.",
        )
    if state.durable.in_maintenance:
        yield Complaint(
            Alarm.MAINTENANCE,
            f"{me} is in maintenance.",
            " ".join((_maintenance_means(me, peer), *_staying(state))),
            f"When you are done: `shoestring maintenance off` on {me}.",
        )
    if not state.is_armed:
        yield Complaint(
            Alarm.WATCHDOG,
            f"The watchdog of {me} is not armed.",
            f"If {me} hangs, nothing ends its guests: {peer} must not take over.",
            "See why: `journalctl -b -u haagent`.",
        )


def _replaced(state: NodeState) -> Iterator[Complaint]:
    me, peer = names(state)
    hello = state.peer.hello
    if hello is not None and hello.has_replaced:
        yield Complaint(
            Alarm.REPLACED,
            f"{me} was replaced.",
            f"Another machine has its place beside {peer}, and perhaps its address. The copies "
            f"here are old, and {me} starts nothing any more.",
            f"Switch {me} off. To use this PC again: a stick flashed anew, and an empty data disk.",
        )
    if is_recent(state, state.replaced_at):
        yield Complaint(
            Alarm.REPLACED_IS_ON,
            f"The machine that {peer} replaced is switched on.",
            f"It was told so, and starts nothing; but it may have the address of {peer}.",
            "Switch it off, or pull its LAN cable.",
        )


def _maintenance_means(who: str, other: str) -> str:
    return f"Nothing starts on {who} by itself: if {other} dies, its guests are off."


def _staying(state: NodeState) -> Iterator[str]:
    """The guests that are still here, and why."""
    for guest, mine in state.guests.items():
        why = moving.blocker(state, guest)
        if mine.phase in (Phase.HOLDING, Phase.FROZEN) and why is not None:
            yield f"{guest} stays on {names(state)[0]}: {why}."


def _path(state: NodeState, path: Path) -> PathState:
    return state.peer.paths.get(path, PathState())


def _peer(state: NodeState) -> Iterator[Complaint]:
    me, peer = names(state)
    hello = state.peer.hello
    paths = {path: _path(state, path) for path in OWN_PATHS}
    if hello is None or not is_talking(state):
        yield Complaint(
            Alarm.PEER_SILENT,
            f"{peer} is silent.",
            "It is off, or it hangs, or no cable carries its words.",
            f"Look at {peer}: switch it on, or look at its screen. Then at both cables.",
        )
        return
    for path, heard in paths.items():
        way, look = OWN_PATHS[path]
        if not is_recent(state, heard.last_word):
            yield Complaint(
                Alarm.PATH_SILENT,
                f"Nothing comes from {peer} over {way}.",
                "The other way still works. If it fails too, no machine knows of the other.",
                look,
            )
        elif not is_recent(state, heard.two_way):
            yield Complaint(
                Alarm.PATH_ONE_WAY,
                f"{peer} does not hear {me} over {way}.",
                "It works in one direction only, and does not count.",
                look,
            )
    if not hello.figures.is_armed:
        yield Complaint(
            Alarm.WATCHDOG,
            f"The watchdog of {peer} is not armed.",
            f"If {peer} hangs, nothing ends its guests: {me} must not take over.",
            f"See why, on {peer}: `journalctl -b -u haagent`.",
        )
    if hello.is_leaving:
        yield Complaint(
            Alarm.LEAVING,
            f"{peer} is shutting down.",
            f"{me} is on its own then.",
            "Switch it on again.",
        )
    if hello.in_maintenance:
        yield Complaint(
            Alarm.MAINTENANCE,
            f"{peer} is in maintenance.",
            _maintenance_means(peer, me),
            f"When you are done: `shoestring maintenance off` on {peer}.",
        )
    if hello.scale != state.pair.scale:
        yield Complaint(
            Alarm.TIME_SCALE,
            f"The time scale is {state.pair.scale:g} on {me} and {hello.scale:g} on {peer}.",
            "Their timers do not fit together: neither may rely on the other's.",
            "Take shoestring.timescale= off both kernel command lines, and restart them.",
        )


def _lan_changes(state: NodeState) -> bool:
    return state.durable.lan.stage in OPEN or not is_lan_settled(state)


def _lan(state: NodeState) -> Iterator[Complaint]:
    me, peer = names(state)
    change = state.durable.lan
    if not _lan_changes(state):
        if state.lan_files != state.pair.lan:
            yield Complaint(
                Alarm.LAN_CHANGES,
                f"{me} has not written its new address to its stick yet.",
                "It would start with the old one, and take the new one up again then.",
                "Wait a minute. If this stays: `journalctl -b -t shoestring-lan` says why.",
            )
        return
    waits = change.stage is LanStage.PROVEN and state.pair.lan != change.number
    yield Complaint(
        Alarm.LAN_CHANGES,
        "The addresses on the LAN are being changed.",
        f"{me} is back at its old address: {peer} has not said yet whether the new ones stay."
        if waits
        else f"Guests stay where they run; until that is done neither {me} nor {peer} takes over.",
        f"Switch {peer} on, or bring the crossover cable back."
        if waits
        else "Wait, and leave both machines on.",
    )


def _promises(state: NodeState) -> Iterator[Complaint]:
    me, peer = names(state)
    for guest in state.guests:
        hello = hello_of(state, guest)
        ours = state.durable.ledgers[guest].stands_down
        theirs = hello is not None and hello.stands_down
        for name in (*[me] * ours, *[peer] * theirs):
            yield Complaint(
                Alarm.STANDS_DOWN,
                f"{name} stands down for {guest}.",
                f"It promised not to start {guest} while no gateway answers both machines.",
                "Bring the gateway back. The promise is then given back by itself.",
            )


def referee_sentence(state: NodeState) -> str:
    """Whom the gateway answers."""
    me, peer = names(state)
    if state.usable_since is not None:
        return f"answers {me} and {peer}"
    hello = state.peer.hello
    deaf = [me] * (not is_answered(state))
    if hello is not None and is_talking(state):
        deaf += [peer] * (not hello.has_referee)
        return f"does not answer {' and '.join(deaf)}" if deaf else "answers, but not reliably yet"
    return f"does not answer {me}" if deaf else f"answers {me}"


def _referee(state: NodeState) -> Iterator[Complaint]:
    me, _ = names(state)
    if state.usable_since is not None or (not is_talking(state) and is_answered(state)):
        return  # a silent peer has a complaint of its own
    yield Complaint(
        Alarm.NO_REFEREE,
        f"No referee: the gateway {referee_sentence(state)}.",
        "Neither machine could tell whether it is the one cut off, so none takes over."
        if is_talking(state)
        else f"{me} may be the one cut off, so it takes nothing over.",
        "Look at the router and the LAN. `haagent show-config` lists the referees.",
    )


def _heartbeat(state: NodeState, around: Surroundings) -> Iterator[Complaint]:
    """What heartbeat alone tells: of a silent cable, or peer, somebody else complains."""
    if not around.heartbeat:
        is_deaf = around.heartbeat is None
        yield Complaint(
            Alarm.HEARTBEAT_SILENT if is_deaf else Alarm.HEARTBEAT_NO_LINK,
            "heartbeat does not answer."
            if is_deaf
            else "heartbeat has no link to the other machine.",
            "A third way of hearing the other machine is missing.",
            "It is restarted by itself. If this stays: `systemctl status heartbeat`.",
        )
        return
    if not is_talking(state):
        return
    silent = {
        path.lower() for path in OWN_PATHS if not is_recent(state, _path(state, path).last_word)
    }
    for link in sorted(link for link, is_up in around.heartbeat.items() if not is_up):
        if link.lower() not in silent:
            yield Complaint(
                Alarm.HEARTBEAT_LINK_DOWN,
                f"heartbeat hears nothing on {link}.",
                "We do hear the other machine there. One of its ways to us is down.",
                "It mends by itself. If this stays: `systemctl status heartbeat`.",
            )


def _units(around: Surroundings) -> Iterator[Complaint]:
    for unit in around.failed_units:
        yield Complaint(
            Alarm.UNIT_FAILED,
            f"{unit} has failed.",
            "A part of the system does not run.",
            f"See why: `journalctl -b -u {unit}`.",
        )
