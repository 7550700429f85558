# SPDX-License-Identifier: MIT
"""Says in a line what would become of the guests here if the other machine died now.

Pure: it words what core/foresight.py has found, and judges nothing.
"""

from collections.abc import Sequence

from haagent.console.snapshot import GuestView, OutlookView, Snapshot
from haagent.console.times import age
from haagent.core.foresight import Fate
from haagent.core.model import HELD, Disk
from haagent.core.wish import RUNS

NAMED = 3  # guests of one fate that are named; the others are counted


def sentences(shown: Snapshot) -> list[str]:
    """The bad news first, one line each; the good in one line. Empty if nothing is known,
    or nobody could die.
    """
    if shown.is_vacant:
        return []
    peer = next((node for node in shown.nodes if not node.is_me), None)
    is_heard = peer is not None and peer.is_heard
    begin = f"If {shown.peer} died now:" if is_heard else f"If {shown.peer} is off:"
    bad: dict[str, list[str]] = {}
    good: dict[tuple[str, str, str], list[str]] = {}
    for guest in shown.guests:
        if guest.outlook is None or guest.target not in RUNS:
            continue
        if guest.outlook.fate is Fate.NOT:
            bad.setdefault(_not(shown, guest, guest.outlook), []).append(guest.name)
        else:
            good.setdefault(_well(guest.outlook), []).append(guest.name)
    lines = [f"{begin} {_list(names)} {what}." for what, names in bad.items()]
    parts = [
        f"{_list(names)} {one if len(names) == 1 else many}{when}"
        for (one, many, when), names in good.items()
    ]
    return lines + ([f"{begin} {'; '.join(parts)}."] if parts else [])


def is_good(shown: Snapshot) -> bool:
    """No guest is known to be lost with the other machine."""
    return all(
        guest.outlook is None or guest.outlook.fate is not Fate.NOT or guest.target not in RUNS
        for guest in shown.guests
    )


def _well(outlook: OutlookView) -> tuple[str, str, str]:
    """What one guest does, what several do, and when."""
    seconds = int(outlook.seconds or 0.0)
    if outlook.fate is Fate.STARTS:
        return "starts", "start", f" here in about {seconds} s"
    return "goes on", "go on", f" here after about {seconds} s" if seconds else " here"


def _not(shown: Snapshot, guest: GuestView, outlook: OutlookView) -> str:
    why = "; ".join(outlook.missing)
    if guest.phase in HELD:
        return f"would NOT go on here: {why}"
    is_old = guest.disk != Disk.UP_TO_DATE  # else its age is not what stands in the way
    if is_old and guest.in_sync_at is not None and guest.in_sync_at <= shown.wall:
        return f"would NOT start here: its copy is {age(guest.in_sync_at, shown.wall)} old ({why})"
    return f"would NOT start here: {why}"


def _list(names: Sequence[str]) -> str:
    if len(names) > NAMED:
        return f"{', '.join(names[: NAMED - 1])} and {len(names) - NAMED + 1} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
