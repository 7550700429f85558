# SPDX-License-Identifier: MIT
"""An owner's acts on whether a guest runs: start it, stop it for good, have it start anew.

It must not decide anything: the agents keep what is wanted, and what is reported in the end is what
this machine's agent then shows.
"""

import argparse
from collections.abc import Callable

from haagent import client, config
from haagent.asking import tell
from haagent.command import Exit, Places, look
from haagent.console import prospects
from haagent.console.snapshot import GuestView, Snapshot
from haagent.core.model import Phase
from haagent.core.wish import RUNS
from haagent.errors import OperatorError
from haagent.handover import Watch, agree, guest_of, saying_what_goes_on

LIMIT = 180.0  # seconds, on real hardware: shut down by force, and a start on the other machine


def start(arguments: argparse.Namespace, places: Places) -> Exit:
    _, shown = look(places)
    view = guest_of(shown, arguments.guest)
    if arguments.cdrom is None:
        return start_again(shown, view, places)
    from haagent import inserting

    inserting.check(view, places)
    cd = inserting.within_reach(arguments.cdrom, places.run)
    return inserting.start_with(shown, view, cd, places)


def start_again(shown: Snapshot, before: GuestView, places: Places) -> Exit:
    """BEFORE, as SHOWN has it, is to run from now on."""
    name = before.name
    if before.runs_on:
        tell(f"{prospects.whereabouts(shown, before)} already.")
        return Exit.PROTECTED
    if is_wanted(before):
        raise OperatorError(
            f"{name} is to run already, and does not: {'; '.join(before.missing) or 'wait'}.",
            "`shoestring status` says what to do. The last resort is `shoestring start"
            f" {name} --anyway`.",
        )
    client.start(name, places.socket)
    return await_start(name, places)


def await_start(name: str, places: Places) -> Exit:
    """Tells how it goes on with the guest NAME, which is to run, until it does."""
    newest = _follow(
        name, lambda now: bool(guest_of(now, name).runs_on), f"{name} goes on starting.", places
    )
    now = guest_of(newest, name)
    if not now.runs_on:
        raise OperatorError(
            f"{name} is to run, and does not yet: {'; '.join(now.missing) or 'it is on its way'}.",
            "It is started as soon as that is safe. `shoestring status` says what to do.",
        )
    tell(f"{prospects.whereabouts(newest, now)}.")
    return Exit.PROTECTED


def stop(arguments: argparse.Namespace, places: Places) -> Exit:
    _, shown = look(places)
    before = guest_of(shown, arguments.guest)
    name = before.name
    if not is_wanted(before) and not before.runs_on:
        tell(f"{name} is off already, and stays so.")
        return Exit.PROTECTED
    tell(*prospects.of_stop(shown, before))
    agree(arguments)
    client.stop(name, places.socket)

    def is_over(now: Snapshot) -> bool:
        view = guest_of(now, name)
        return not is_wanted(view) and view.phase not in _THERE and view.peer_phase not in _THERE

    now = _follow(name, is_over, f"{name} goes on shutting down, and stays off.", places)
    if not is_over(now):
        raise OperatorError(
            f"{name} has not ended yet: {prospects.whereabouts(now, guest_of(now, name))}.",
            "It goes on shutting down. `shoestring status` says what is wrong, if anything.",
        )
    tell(f"{name} is off, and stays so until you say `shoestring guest start {name}`.")
    return Exit.PROTECTED


def restart(arguments: argparse.Namespace, places: Places) -> Exit:
    _, shown = look(places)
    before = guest_of(shown, arguments.guest)
    name = before.name
    if before.runs_on and shown.me not in before.runs_on:
        raise OperatorError(
            f"{name} runs on {shown.peer}, which is where to ask for that.",
            f"Nothing was done. Say it on {shown.peer}.",
        )
    tell(f"{name} is asked to shut down and to start anew on {shown.me}.")
    agree(arguments)
    client.restart(name, places.socket)
    has_ended = False

    def is_over(now: Snapshot) -> bool:
        nonlocal has_ended
        is_here = guest_of(now, name).phase == Phase.HOLDING
        has_ended = has_ended or not is_here
        return has_ended and is_here

    newest = _follow(name, is_over, f"{name} goes on starting anew, if it listens.", places)
    if not has_ended:
        raise OperatorError(
            f"{name} was asked to start anew, and has not done so.",
            f"It runs on as it is. `shoestring guest stop {name}` ends it, by force if it does not"
            " listen; then start it.",
        )
    tell(f"{prospects.whereabouts(newest, guest_of(newest, name))}.")
    return Exit.PROTECTED


_THERE = (Phase.PROMOTING, Phase.CREATING, Phase.HOLDING, Phase.FROZEN, Phase.STOPPING)


def is_wanted(guest: GuestView) -> bool:
    return guest.target in RUNS


def refuse_unless_off(guest: GuestView) -> None:
    """Raises OperatorError if GUEST runs, or is to run."""
    if is_wanted(guest) or guest.runs_on:
        raise OperatorError(
            f"{guest.name} is not stopped. Nothing was done.",
            f"`shoestring guest stop {guest.name}` first; then say it again.",
        )


def _follow(
    name: str, is_over: Callable[[Snapshot], bool], goes_on: str, places: Places
) -> Snapshot:
    """Tells how it goes on with the guest NAME until IS_OVER, or for as long as that may take. What
    was seen last. GOES_ON is what Ctrl-C does not end.
    """
    watch = Watch([name], is_over)
    with saying_what_goes_on(goes_on):
        limit = LIMIT * config.time_scale(places.cmdline)
        client.follow(watch.sees, limit, places.socket)
    return watch.newest
