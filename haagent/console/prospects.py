# SPDX-License-Identifier: MIT
"""Says what an operator's act would do, before it is done, and how far it is while it is done.

Pure: what can be moved is core/moving.py's to say, and stands in the snapshot.
"""

from collections.abc import Iterable, Sequence

from haagent.console.alarms import Alarm
from haagent.console.snapshot import GuestView, Snapshot
from haagent.console.times import age
from haagent.core.model import CONNECTED, GONE, Disk, LanStage, Phase
from haagent.core.wish import RUNS
from haagent.hands import GRACE

ALIVE = (Phase.PROMOTING, Phase.CREATING, Phase.HOLDING, Phase.FROZEN)
HANDSHAKE = 2.0  # seconds from the end of a guest here until the other machine starts it


def here(shown: Snapshot) -> list[GuestView]:
    """The guests that run on this machine, or are about to."""
    return [guest for guest in shown.guests if guest.phase in ALIVE]


def going(shown: Snapshot) -> list[GuestView]:
    """Those of them that the other machine would start."""
    return [guest for guest in here(shown) if guest.blocker is None]


def to_empty(shown: Snapshot) -> str:
    """What to do where no guest may run here."""
    if shown.is_vacant:
        return "`shoestring guest stop GUEST` stops one. Then say it again."
    return f"`shoestring maintenance on` moves what runs here to {shown.peer}. Then say it again."


def of_move(shown: Snapshot, guest: GuestView) -> list[str]:
    return [*_journeys(shown, [guest], f"comes back to {shown.me}"), _away(shown)]


def of_stop(shown: Snapshot, guest: GuestView) -> list[str]:
    where = f" on {' and '.join(guest.runs_on)}" if guest.runs_on else ""
    either = "" if shown.is_vacant else ", on either machine"
    return [
        f"{guest.name} shuts down{where}; that is forced after {GRACE * shown.scale:.0f} s.",
        f"It stays off until you say `shoestring guest start {guest.name}`{either}.",
    ]


def of_maintenance(shown: Snapshot, is_on: bool) -> list[str]:
    if not is_on:
        return [f"Guests may start on {shown.me} by themselves again. Nothing moves back to it."]
    goers = going(shown)
    lines = _journeys(shown, goers, "is off until the maintenance is over")
    if len(goers) > 1:
        lines.append("They go one after the other: none is shut down before the last one runs.")
    lines += [
        f"{guest.name} stays on {shown.me}, because {_why(shown, guest)}."
        + " It goes when it can." * (not shown.is_vacant)
        for guest in here(shown)
        if guest.blocker is not None
    ]
    meanwhile = f"if {shown.peer} dies, its guests are off until you say"
    if shown.is_vacant:
        meanwhile = "what is off stays off until you say"
    return [
        *lines,
        *([_away(shown)] if goers else []),
        f"From then on nothing starts on {shown.me} by itself, also after a reboot: "
        f"{meanwhile} `shoestring maintenance off`.",
    ]


def of_going_down(shown: Snapshot, is_back_soon: bool) -> list[str]:
    """Of a reboot, or of a shutdown that lasts until somebody switches the machine on."""
    back = "is back" if is_back_soon else "is switched on again"
    goers, stayers = going(shown), [guest for guest in here(shown) if guest.blocker is not None]
    lines = _journeys(shown, goers, f"is off until {shown.me} {back}")
    lines += [
        f"{guest.name} would be off until {shown.me} {back}, because {_why(shown, guest)}."
        for guest in stayers
    ]
    if goers or stayers:
        lines.append(_away(shown))
    lines += [
        f"{guest.name} goes on on {shown.peer}."
        if guest.peer_disk not in GONE
        else f"{guest.name} stops on {shown.peer}: the disk there does not work, and the only copy "
        f"is on {shown.me}."
        for guest in shown.guests
        if guest.runs_on == (shown.peer,)
    ]
    resting = any(node.is_me and node.in_maintenance for node in shown.nodes)
    if stayers and resting:
        lines.append(f"{shown.me} is in maintenance: it starts nothing by itself then, either.")
    if not shown.is_vacant:
        lines.append(f"Until {shown.me} {back}, nothing protects what runs on {shown.peer}.")
    return [*lines, *_joins(shown, back)]


def _joins(shown: Snapshot, back: str) -> list[str]:
    """What becomes of copies that differ when the two meet again."""
    return [
        f"The two copies of {guest.name} differ, and nobody knows which is right "
        f"({Alarm.COPIES_DIFFER}). When {shown.me} {back}, DRBD copies what differs from the "
        f"machine that runs {guest.name} then."
        for guest in shown.guests
        if guest.verification.differs
        and not guest.verification.copied_from
        and not guest.verification.is_first
    ]


def no_replacement(shown: Snapshot) -> tuple[str, str] | None:
    """Why this machine cannot take a new peer now, and what to do; None if it can.

    It must serve every guest alone, with the newest copy that anybody knows of: by proof, or
    because a person has decided it. So nothing but that copy can be the source of the new one.
    After a split brain the other one has writes, too: a person gives them up before anything is
    done, for a machine that is dead takes part in no choice.
    """
    me, peer = shown.me, shown.peer
    for node in shown.nodes:
        if not node.is_me and node.is_heard:
            return (
                f"{peer} is there and talks: it is not dead",
                f"If {peer} is to be replaced all the same, switch it off first; its guests come"
                f" to {me}.",
            )
        if node.is_me and (node.is_leaving or not node.has_gateway):
            trouble = "is shutting down" if node.is_leaving else "is not answered by its gateway"
            return (f"{me} {trouble}", "`shoestring status` says more.")
    # Who only waits for the dead one's verdict, at its old addresses, waits no more.
    is_waiting = shown.lan.stage == LanStage.PROVEN and shown.lan.runs == shown.lan.files
    is_still = shown.lan.is_settled and shown.lan.runs == shown.lan.files
    if not is_waiting and (shown.lan.is_open or not is_still):
        return (
            f"{me} is about to change its address on the LAN",
            "Wait a few minutes: without the other machine it comes to an end by itself.",
        )
    for guest in shown.guests:
        if (why := _not_alone(shown, guest)) is not None:
            return (
                why,
                "The machine that stays must serve every guest alone. `shoestring status` says"
                f" what is missing.{_anyway(shown, guest)}",
            )
    return None


def apart(shown: Snapshot) -> tuple[str, ...]:
    """The guests whose two copies have writes that the other one has not."""
    return tuple(guest.name for guest in shown.guests if guest.is_split_brain)


def _anyway(shown: Snapshot, guest: GuestView) -> str:
    """The act that gives up what the peer has, where DRBD would follow."""
    if guest.unstartable is not None:
        return f" {guest.name} cannot be started on {shown.me}: {guest.unstartable}."
    return (
        f" If the data of {guest.name} on {shown.peer} is lost for good:"
        f" `shoestring start {guest.name} --anyway`, which gives it up."
    )


def _not_alone(shown: Snapshot, guest: GuestView) -> str | None:
    me, peer = shown.me, shown.peer
    if guest.phase != Phase.HOLDING:
        stopped = f": `shoestring guest start {guest.name}`" if guest.target not in RUNS else ""
        return f"{guest.name} does not run on {me}{stopped}"
    if guest.newest_term > guest.term:
        return f"{peer} has a newer copy of {guest.name}"
    if guest.disk != Disk.UP_TO_DATE:
        return f"the copy of {guest.name} on {me} is {guest.disk}"
    if guest.link in CONNECTED or not guest.is_alone:
        return f"{guest.name} is not written to by {me} alone"
    return None


def whereabouts(shown: Snapshot, guest: GuestView) -> str:
    """Where a guest is at the moment, on its way or not."""
    name, me, peer = guest.name, shown.me, shown.peer
    beginning = (Phase.PROMOTING, Phase.CREATING)
    if guest.phase == Phase.STOPPING:
        return f"{name} is shutting down on {me}"
    if len(guest.runs_on) > 1:
        return f"{name} runs on both machines"
    if guest.runs_on:
        return f"{name} runs on {guest.runs_on[0]}"
    for node, phase in ((me, guest.phase), (peer, guest.peer_phase)):
        if phase in beginning:
            return f"{name} is being started on {node}"
        if phase == Phase.DESTROYING:
            return f"{name} is being ended on {node}"
    return f"{name} is off"


def progress(shown: Snapshot, names: Iterable[str]) -> list[str]:
    """`whereabouts` of the guests with NAMES."""
    wanted = set(names)
    return [whereabouts(shown, guest) for guest in shown.guests if guest.name in wanted]


def _journeys(shown: Snapshot, goers: Sequence[GuestView], otherwise: str) -> list[str]:
    """What becomes of each of GOERS, as they go; OTHERWISE of one that finds too little memory."""
    short = crowded(shown, goers)
    return [
        f"{guest.name} shuts down on {shown.me}, finds too little memory on {shown.peer} (it needs "
        f"{guest.takes} MiB), and {otherwise}."
        if guest in short
        else f"{guest.name} shuts down on {shown.me} and starts on {shown.peer}."
        for guest in goers
    ]


def crowded(shown: Snapshot, goers: Sequence[GuestView]) -> list[GuestView]:
    """Those for which the other machine has no memory left when they come."""
    found = []
    for peer in shown.nodes:
        if peer.is_me or peer.memory < 0:
            continue
        left = peer.memory - peer.memory_used
        for guest in goers:
            if guest.takes > left:
                found.append(guest)
            else:
                left -= max(0, guest.takes)
    return found


def _away(shown: Snapshot) -> str:
    return (
        f"A guest is away for its own shutdown and its own start, and about "
        f"{HANDSHAKE * shown.scale:.0f} s more; a shutdown is forced after "
        f"{GRACE * shown.scale:.0f} s."
    )


def _why(shown: Snapshot, guest: GuestView) -> str:
    """Why it cannot go; how old the other copy is, where that is known."""
    at = guest.in_sync_at
    if guest.is_in_sync or at is None or at > shown.wall:
        return guest.blocker or ""
    return f"its copy on {shown.peer} is {age(at, shown.wall)} old ({guest.blocker})"
