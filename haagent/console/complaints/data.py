# SPDX-License-Identifier: MIT
"""Complaints about a guest's two copies, and the sentences about them that others add."""

from collections.abc import Iterator

from haagent.console.alarms import Alarm
from haagent.console.complaints.complaint import Complaint
from haagent.console.facts import is_split_brain, is_talking, troubles_of_peer
from haagent.console.surroundings import Surroundings
from haagent.console.times import since
from haagent.core import fitting, hanging, lacking, moving, proofs
from haagent.core.model import GONE, HELD, Disk, Link, NodeState
from haagent.core.together import names
from haagent.storage.lvm import GROUP


def copies(state: NodeState, around: Surroundings, guest: str) -> Iterator[Complaint]:
    """About GUEST's two copies: that they are not one."""
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
    elif _misses_end(state, guest):
        yield _end_not_seen(guest, me, peer)
    if guest in hanging.hung_below(state) and not state.is_fenced:
        yield Complaint(
            Alarm.DISK_HANGS,
            f"{guest}: the disk on {me} does not answer.",
            f"What {guest} reads and writes waits for it. {me} is not restarted because of that, "
            f"as {peer} cannot go on without it.",
            f"Bring {peer} back. Look at the disk, its cable and its power: `journalctl -k`.",
        )
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
            do += f" {anyway(state, guest, which)}"
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
    if around.has_strange_disk and resource.disk in GONE:
        return Complaint(
            Alarm.STRANGE_DISK,
            f"{guest}: the data disk in {me} is not the one of {me}.",
            "It is another pair's, or the other machine's. It was not touched, and nothing starts "
            "from it.",
            f"Switch {me} off, put its own data disk in and take this one out, switch it on. If "
            f"its own is lost: `shoestring replace` on {peer}.",
        )
    if (failed := _without_disk(state, guest)) is not None:
        return failed
    match resource.link:
        case Link.SYNC_SOURCE | Link.SYNC_TARGET:
            old, new = (peer, me) if resource.link is Link.SYNC_SOURCE else (me, peer)
            if guest in around.hanging_resyncs:
                return _end_not_seen(guest, peer, me)
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
        + last_same(state, around, guest),
        do,
    )


def _end_not_seen(guest: str, whole: str, unaware: str) -> Complaint:
    """The copy on WHOLE is up to date, and DRBD on UNAWARE goes on with the resync."""
    return Complaint(
        Alarm.RESYNC,
        f"{guest}: the copy on {whole} is up to date, and DRBD on {unaware} does not see it.",
        f"Until it does, {whole} could not take {guest} over.",
        "Wait, and leave both machines on. The mirror is connected anew by itself.",
    )


def _misses_end(state: NodeState, guest: str) -> bool:
    """The peer's DRBD does not see that our copy is whole, as core/saying.py of it tells."""
    words = proofs.hello_of(state, guest)
    if words is None or not is_talking(state):
        return False  # what it sees is not known
    return words.disk is Disk.UP_TO_DATE and not words.is_connected


def _without_disk(state: NodeState, guest: str) -> Complaint | None:
    """A disk has failed: what is left without it, and the way back."""
    (me, peer), resource = names(state), state.guests[guest].resource
    if resource is None:
        return None
    words = proofs.hello_of(state, guest)
    told = resource.peer_disk
    if not resource.is_connected and words is not None and is_talking(state):
        told = words.disk
    if resource.disk in GONE:
        bad, good, disk = me, peer, resource.disk
    elif told in GONE:
        bad, good, disk = peer, me, told
    else:
        return None
    # Only the machine itself knows which disk is in it.
    own = f" If that disk is not the one of {bad}, its screen says so." if bad == peer else ""
    is_only = resource.is_connected and Disk.UP_TO_DATE in (resource.disk, told)
    return Complaint(
        Alarm.DISK_NOT_UP_TO_DATE,
        f"{guest}: the disk on {bad} does not work. DRBD calls it {disk}.",
        f"{guest} has the disk on {good} alone, wherever it runs.{_goes(state, guest, bad)}"
        if is_only or bad == peer
        else f"Until a disk works again {guest} can neither read nor write on {bad}.",
        f"Look for disk errors: `journalctl -k` on {bad}. `shoestring reboot` there tries it "
        f"again, and moves what runs there first. If it fails again: `shoestring replace` on "
        f"{good}.{own}",
    )


def _goes(state: NodeState, guest: str, bad: str) -> str:
    """A sentence to add, about a guest that runs on this machine, whose own disk is the BAD one."""
    me, peer = names(state)
    if bad != me or state.guests[guest].phase not in HELD:
        return ""
    why = moving.blocker(state, guest)
    if why is None and not fitting.surely_fits(state, guest):
        why = f"{peer} is not known to have the memory for it"
    return f" It goes to {peer} by itself" + (f", but not yet: {why}." if why else ".")


def last_same(state: NodeState, around: Surroundings, guest: str) -> str:
    """A sentence to add, about how old our copy may be; "" while it is in sync, or never was."""
    moment = around.in_sync_at.get(guest)
    if moment is None or state.guests[guest].is_in_sync:
        return ""
    return f" The two copies were last the same on {since(moment, around.wall)}."


def anyway(state: NodeState, guest: str, which: str) -> str:
    """What is left to do here if the peer never comes back; WHICH says what that act does."""
    me, peer = names(state)
    why = lacking.unstartable(state, guest)
    if why is None:
        act = f"`shoestring start {guest} --anyway` on {me}"
        return f"Only if {peer} is off and stays off: {act}, {which}."
    saved = _kept(state, guest) or _saved(state, guest)
    return f"It cannot be started on {me}, even by a person: {why}.{saved}"


def _saved(state: NodeState, guest: str) -> str:
    """A sentence to add, where the copy is whole, and only older, or may be kept as it was then."""
    resource, (_, peer) = state.guests[guest].resource, names(state)
    disk = None if resource is None else resource.disk
    act = f"If {peer} is lost for good, `shoestring guest backup {guest} --older` saves"
    if disk is Disk.OUTDATED:
        return f" {act} it, to be restored on a machine set up alone."
    if disk is Disk.INCONSISTENT:
        return f" {act} what it was before it began to be written over, if there was room for that."
    return ""


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
