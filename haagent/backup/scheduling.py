# SPDX-License-Identifier: MIT
"""`shoestring guest schedule`: when this machine backs a guest up by itself."""

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from pathlib import Path

from haagent.answering import give
from haagent.asking import tell
from haagent.backup import finding, schedule
from haagent.backup.act import policy_of
from haagent.backup.layout import title
from haagent.backup.nightly import Nightly
from haagent.backup.retention import Policy
from haagent.backup.schedule import Schedule, Schedules
from haagent.command import Exit, Places, look
from haagent.console.snapshot import GuestView, Snapshot
from haagent.console.times import span
from haagent.elsewhere import address
from haagent.elsewhere.address import Scheme
from haagent.errors import BugError, OperatorError
from haagent.handover import guest_of

NOTHING = "Nothing was changed."


def plan(arguments: argparse.Namespace, places: Places) -> Exit:
    """`guest schedule`. Raises ShoestringError."""
    schedules = Schedules(places.file.parent)
    is_about_one = arguments.guest is not None
    if (arguments.at or arguments.off) and not is_about_one:
        raise OperatorError(
            f"No guest was named. {NOTHING}",
            "Say which one: `shoestring guest schedule GUEST ...`.",
        )
    if arguments.off:
        return _end(arguments, places, schedules)
    if arguments.at:
        return _begin(arguments, places, schedules)
    if arguments.days or arguments.to or policy_of(arguments) is not None:
        raise OperatorError(
            f"It was not said at what time. {NOTHING}", "Say all of it, with --at 02:30."
        )
    return _show(arguments, places, schedules)


def _begin(arguments: argparse.Namespace, places: Places, schedules: Schedules) -> Exit:
    _, shown = look(places)
    view = guest_of(shown, arguments.guest)
    made = Schedule(
        guest=view.name,
        at=schedule.time_of(arguments.at),
        days=schedule.days_of(arguments.days),
        policy=policy_of(arguments),
        to=None if arguments.to is None else _place(arguments.to),
        since=time.time(),
    )
    try:
        before = schedules.read(view.name)
    except OperatorError:
        before = None  # what cannot be read is said anew
    if before is not None:
        made = replace(made, done=before.done, file=before.file)
    in_the_way = _in_the_way(made, shown, places)
    schedules.write(made)
    if schedules.read(view.name) != made:
        raise BugError(f"another schedule of {view.name} is on the stick than was said")
    Nightly(places).look()
    _give([made], schedule.local_zone())
    tell(*_said(made, shown, view), *in_the_way)
    return Exit.PROTECTED


def _place(to: str) -> str:
    """Where backups go that are told to go TO. Raises OperatorError."""
    if address.is_one(to):
        found = address.parse(to)
        if found.scheme is not Scheme.NFS:
            raise OperatorError(
                f"{found} asks for a password, and nobody is there at night to type it. {NOTHING}",
                "Take a folder over NFS, which asks for none: nfs://HOST/FOLDER. Or none, for the"
                " one USB disk.",
            )
        return to
    if not Path(to).is_dir():
        raise OperatorError(
            f"There is no folder {title(Path(to))}. {NOTHING}",
            "Name one that is there at each start of this machine, with its whole path; or"
            " nfs://HOST/FOLDER; or none, for the one USB disk.",
        )
    return str(Path(to).absolute())


def _said(made: Schedule, shown: Snapshot, view: GuestView) -> list[str]:
    me, zone = shown.me, schedule.local_zone()
    due = schedule.following(made, time.time(), zone)
    lines = [
        f"{me} backs {made.guest} up by itself, {made.words}. The next time is"
        f" {_moment(due, zone)}.",
        f"It does so wherever {made.guest} runs, as long as {me} is on and its copy is the newest."
        " What is missed or fails is tried again each hour, for a day; the screens of"
        f" {me} tell it.",
        f"It keeps {_kept(made.policy)}.",
    ]
    if me in view.runs_on and view.is_in_sync:
        lines.append(
            f"{made.guest} runs on {me} now, and feels it while it is read there. It would not if"
            f" the disk were in {shown.peer}, and this were said there."
        )
    return lines


def _in_the_way(made: Schedule, shown: Snapshot, places: Places) -> list[str]:
    """What keeps a backup that would be due now from being made."""
    if made.to is not None or finding.POINT.is_mount():  # another backup has it just now
        return []
    found = finding.usb_disks(places.run)
    if len(found.fit) == 1:
        return []
    return [
        f"There must be one USB disk in {shown.me} then. Now there is {found.seen}.{found.remark}"
    ]


def _end(arguments: argparse.Namespace, places: Places, schedules: Schedules) -> Exit:
    guest = arguments.guest
    if guest not in schedules.guests():
        raise OperatorError(
            f"This machine does not back {guest!a:.40} up by itself. {NOTHING}",
            "`shoestring guest schedule`, on each machine, says what it does.",
        )
    schedules.remove(guest)
    Nightly(places).look()
    _give([], schedule.local_zone())
    tell(f"{guest} is not backed up by itself any more. The backups that there are stay.")
    return Exit.PROTECTED


def _show(arguments: argparse.Namespace, places: Places, schedules: Schedules) -> Exit:
    wanted = [guest for guest in schedules.guests() if arguments.guest in (None, guest)]
    zone, now = schedule.local_zone(), time.time()
    found, bad = [], []
    for guest in wanted:
        try:
            one = schedules.read(guest)
        except OperatorError as error:
            bad.append(error)
        else:
            found += [one] if one is not None else []
    if arguments.json:
        if bad:
            raise bad[0]
        _give(found, zone)
        return Exit.PROTECTED
    for trouble in bad:
        tell(f"{trouble} {trouble.hint}")
    for one in found:
        tell(*_shown(one, now, zone))
    if not found and not bad:
        what = "no guest" if arguments.guest is None else f"no guest {arguments.guest!a:.40}"
        tell(
            f"This machine backs {what} up by itself. What the other one does it says there.",
            "`shoestring guest schedule GUEST --at 02:30 --daily 7` begins it.",
        )
    return Exit.PROTECTED


def _shown(one: Schedule, now: float, zone: tzinfo) -> list[str]:
    due = schedule.following(one, now, zone)
    lines = [
        f"{one.guest}: {one.words}; it keeps {_kept(one.policy)}.",
        "  None was made yet."
        if one.done is None
        else f"  The last good one is of {_moment(one.done, zone)}: {one.file}.",
    ]
    if one.trouble:
        lines.append(f"  The last try failed: {one.trouble}")
    if schedule.is_due(one, now, zone):
        lines.append("  It is due since " + _moment(schedule.last(one, now, zone), zone) + ".")
    lines.append(f"  The next one is due on {_moment(due, zone)}, in {span(due - now)}.")
    return lines


def _kept(policy: Policy | None) -> str:
    if policy is None:
        return "all of them, until the disk is full: --daily 7 would keep those of seven days"
    last = f"the last {policy.last}" if policy.last else ""
    newest = [
        f"{number} {period}"
        for number, period in (
            (policy.daily, "days"),
            (policy.weekly, "weeks"),
            (policy.monthly, "months"),
        )
        if number
    ]
    each = f"the newest of each of the last {' and '.join(newest)}" if newest else ""
    return " and ".join(filter(None, (last, each)))


def _moment(at: float, zone: tzinfo) -> str:
    return datetime.fromtimestamp(at, zone).strftime("%a %Y-%m-%d %H:%M %Z")


def _give(found: Sequence[Schedule], zone: tzinfo) -> None:
    now = time.time()
    give([schedule.to_dict(one, now, zone) for one in found])
