# SPDX-License-Identifier: MIT
"""Complaints of a machine that was set up alone: that it is, and what else is wrong with it. Nobody
is silent there, and nothing is missing that takes two.
"""

from collections.abc import Iterator

from haagent.console.alarms import Alarm
from haagent.console.complaints import guests, machines, updates
from haagent.console.complaints.complaint import Complaint, Missing
from haagent.console.surroundings import Surroundings
from haagent.core import hanging
from haagent.core.model import GONE, HELD, NodeState
from haagent.core.together import names


def find(state: NodeState, around: Surroundings, missing: Missing) -> tuple[Complaint, ...]:
    """The worst first; that nothing takes over is always one."""
    return (
        *(c for guest in state.guests for c in guests.whereabouts(state, around, guest, missing)),
        *(c for guest in state.guests for c in _disk(state, around, guest)),
        *_ours(state),
        _vacant(state),
        *machines.units(around),
        *updates.ours(state, around),
    )


def _vacant(state: NodeState) -> Complaint:
    me, _ = names(state)
    return Complaint(
        Alarm.NO_SECOND,
        "This machine is alone: there is no second one.",
        f"Guests run, and nothing takes over: if {me} dies, they are off, and what is on its disk "
        "may be lost.",
        "Make backups (`shoestring guest backup`). `shoestring replace` puts a second machine "
        "beside this one, while the guests run on.",
    )


def _disk(state: NodeState, around: Surroundings, guest: str) -> Iterator[Complaint]:
    me, _ = names(state)
    resource = state.guests[guest].resource
    if resource is None:
        yield Complaint(
            Alarm.DISK_NOT_KNOWN,
            f"{guest}: its disk is not known yet.",
            "DRBD has not said what it has.",
            "Wait a minute. If it stays so: `journalctl -b -u haagent`.",
        )
    elif resource.disk in GONE and around.has_strange_disk:
        yield Complaint(
            Alarm.STRANGE_DISK,
            f"{guest}: the data disk in {me} is not the one of {me}.",
            "It is another machine's. It was not touched, and nothing starts from it.",
            f"Switch {me} off, put its own data disk in and take this one out, switch it on.",
        )
    elif resource.disk in GONE:
        yield Complaint(
            Alarm.DISK_NOT_UP_TO_DATE,
            f"{guest}: the disk on {me} does not work. DRBD calls it {resource.disk}.",
            f"{guest} can neither read nor write, and there is no other copy.",
            f"Look for disk errors: `journalctl -k`. `shoestring reboot` tries it again. If it is "
            f"lost: set {me} up anew with another disk, and restore a backup.",
        )
    if guest in hanging.hung_below(state):
        yield Complaint(
            Alarm.DISK_HANGS,
            f"{guest}: the disk on {me} does not answer.",
            f"What {guest} reads and writes waits for it, and there is no other copy.",
            "Look at the disk, its cable and its power: `journalctl -k`.",
        )


def _ours(state: NodeState) -> Iterator[Complaint]:
    me, _ = names(state)
    if state.is_fenced:
        yield Complaint(
            Alarm.GAVE_UP,
            f"{me} has given up.",
            "It could not tell or end what runs on it.",
            "Wait: its watchdog restarts it.",
        )
    if state.left is not None:
        yield Complaint(
            Alarm.LEAVING,
            f"{me} is shutting down.",
            "Its guests are off until it is back.",
            "Wait.",
        )
    if state.durable.in_maintenance:
        yield Complaint(
            Alarm.MAINTENANCE,
            f"{me} is in maintenance.",
            f"Nothing starts on {me} by itself; what runs there stays.",
            "When you are done: `shoestring maintenance off`.",
        )
    if state.is_stateless:
        held = " and ".join(guest for guest, mine in state.guests.items() if mine.phase in HELD)
        yield Complaint(
            Alarm.STICK_LOST,
            f"{me} cannot write to its stick any more ({state.lost_because}).",
            f"Nothing is started here any more{f'; what runs, runs on: {held}' if held else ''}. "
            f"{me} would not start again without a stick.",
            "Make a backup of each guest now (`shoestring guest backup`). Then `shoestring "
            f"shutdown`, and put the stick back. If it is lost, set {me} up anew and restore them.",
        )
    if not state.is_armed:
        yield Complaint(
            Alarm.WATCHDOG,
            f"The watchdog of {me} is not armed.",
            f"If {me} hangs, it stays so until somebody restarts it.",
            "See why: `journalctl -b -u haagent`.",
        )
