# SPDX-License-Identifier: MIT
"""Complaints about the machines themselves: that one is silent, unguarded, leaving or replaced."""

from collections.abc import Iterator, Sequence

from haagent.console.alarms import Alarm
from haagent.console.complaints.complaint import Complaint
from haagent.console.facts import is_recent, is_talking
from haagent.console.surroundings import Surroundings
from haagent.core import hanging, moving
from haagent.core.model import HELD, NodeState, Phase
from haagent.core.together import names


def ours(state: NodeState) -> Iterator[Complaint]:
    """About this machine."""
    me, peer = names(state)
    if state.is_fenced:
        yield Complaint(
            Alarm.GAVE_UP,
            f"{me} has given up.",
            f"The disk below {' and '.join(hung)} does not answer, and {peer} can go on without it."
            if (hung := hanging.hung_below(state))
            else f"Nothing proved that {peer} was off, so {me} ended its guests.",
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
    if state.is_stateless:
        held = [guest for guest, mine in state.guests.items() if mine.phase in HELD]
        yield _stick_lost(me, peer, held, f" ({state.lost_because})")
    if not state.is_armed:
        yield Complaint(
            Alarm.WATCHDOG,
            f"The watchdog of {me} is not armed.",
            f"If {me} hangs, nothing ends its guests: {peer} must not take over.",
            "See why: `journalctl -b -u haagent`.",
        )


def replaced(state: NodeState) -> Iterator[Complaint]:
    """About machines whose place another one has: this one, or one that came back."""
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


def silence(state: NodeState, around: Surroundings) -> Iterator[Complaint]:
    """About a peer that nothing is heard of, or nothing that we understand."""
    me, peer = names(state)
    if is_talking(state):
        return
    if is_recent(state, around.misunderstood_at):
        yield Complaint(
            Alarm.NOT_UNDERSTOOD,
            f"{me} does not understand {peer}.",
            f"{peer} speaks, but its release and that of {me} do not understand each other. "
            "Neither may rely on the other.",
            "Leave guests where they run. Bring both to the same release, the older one first.",
        )
    else:
        yield Complaint(
            Alarm.PEER_SILENT,
            f"{peer} is silent.",
            "It is off, or it hangs, or no cable carries its words.",
            f"Look at {peer}: switch it on, or look at its screen. Then at both cables.",
        )


def peers(state: NodeState) -> Iterator[Complaint]:
    """About the other machine, by what it says of itself."""
    me, peer = names(state)
    hello = state.peer.hello
    if hello is None or not is_talking(state):
        return
    if not hello.figures.is_armed:
        yield Complaint(
            Alarm.WATCHDOG,
            f"The watchdog of {peer} is not armed.",
            f"If {peer} hangs, nothing ends its guests: {me} must not take over.",
            f"See why, on {peer}: `journalctl -b -u haagent`.",
        )
    if hello.is_stateless:
        held = [guest for guest, words in hello.guests.items() if words.phase in HELD]
        yield _stick_lost(peer, me, held)
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


def releases(state: NodeState) -> Iterator[Complaint]:
    """A note for the hours of an update; nobody is less protected."""
    me, peer = names(state)
    hello, ours = state.peer.hello, state.pair.release
    if hello is None or not is_talking(state) or hello.release == ours:
        return
    theirs = f"release {hello.release}" if hello.release else "an older release"
    yield Complaint(
        Alarm.RELEASES_DIFFER,
        f"{me} runs release {ours}, {peer} runs {theirs}.",
        "They understand each other. That holds for one release and the next, and no further.",
        "Finish the update: bring both machines to the same release.",
    )


def units(around: Surroundings) -> Iterator[Complaint]:
    """About this machine's parts."""
    for unit in around.failed_units:
        yield Complaint(
            Alarm.UNIT_FAILED,
            f"{unit} has failed.",
            "A part of the system does not run.",
            f"See why: `journalctl -b -u {unit}`.",
        )


def _stick_lost(who: str, other: str, held: Sequence[str], why: str = "") -> Complaint:
    """WHO cannot write its stick, and has the guests HELD."""
    if held:
        what = " and ".join(held)
        runs, ends = ("runs", "it ends") if len(held) == 1 else ("run", "they end")
        means = f"{what} {runs} on, but {other} must not fail or be switched off: {ends} then."
        do = f"`shoestring shutdown` on {who}: what runs there goes to {other} first."
    else:
        means = f"{who} takes nothing over: if {other} dies, its guests are off."
        do = f"`shoestring shutdown` on {who}; the guests stay on {other}."
    return Complaint(
        Alarm.STICK_LOST,
        f"{who} cannot write to its stick any more{why}.",
        f"{means} {who} would not start again without a stick.",
        f"{do} Then put the stick back, or flash a new one and type `shoestring replace` on "
        f"{other}.",
    )


def _maintenance_means(who: str, other: str) -> str:
    return f"Nothing starts on {who} by itself: if {other} dies, its guests are off."


def _staying(state: NodeState) -> Iterator[str]:
    """The guests that are still here, and why."""
    for guest, mine in state.guests.items():
        why = moving.blocker(state, guest)
        if mine.phase in (Phase.HOLDING, Phase.FROZEN) and why is not None:
            yield f"{guest} stays on {names(state)[0]}: {why}."
