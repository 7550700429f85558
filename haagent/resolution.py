# SPDX-License-Identifier: MIT
"""`shoestring resolve`: a person sees both histories of a disk that went apart, and chooses.

It must not decide anything: the two agents agree to the choice and carry it out, and what is
reported in the end is what they then show. Nothing is asked of them before the guest's name was
typed.
"""

import argparse
from datetime import UTC, datetime
from typing import Any

from haagent import client
from haagent.asking import ask, tell
from haagent.command import Exit, Places, is_at_a_terminal, look
from haagent.config import time_scale
from haagent.console.histories import GroundsView, grounds, histories, stage
from haagent.console.snapshot import ChoiceView, GuestView, Snapshot, from_dict
from haagent.core.model import Link
from haagent.errors import OperatorError
from haagent.handover import guest_of, saying_what_goes_on
from haagent.storage.kept import name_of
from haagent.storage.lvm import GROUP

AGREE_LIMIT = 30.0  # seconds, on real hardware: the two have to hear each other four times
RESYNC_LIMIT = 7 * 86400.0  # a large disk takes its time; Ctrl-C ends the watching at any moment
WITHOUT = "without a copy"  # typed in words by whoever means it

NOTHING_DONE = "Nothing was done: both copies are as they were."


def resolve(arguments: argparse.Namespace, places: Places) -> Exit:
    """safety: the one way to give data up. It takes a person who saw both histories."""
    if not is_at_a_terminal():
        raise OperatorError(
            "To choose between two copies takes a person at a terminal.",
            "Log in, and type the command yourself; no script may do it.",
        )
    _, shown = look(places)
    view = _wanted(shown, arguments.guest)
    if view.choice is not None and view.choice.is_open:
        return _go_on(shown, view, view.choice, places)
    if not view.is_split_brain or not _hears_peer(shown):
        raise _nothing_to_choose(shown, view)
    if all(view.unfit):
        raise _not_now(view, view.unfit[0])
    tell(*histories(shown, view))
    counts = _whose(shown, view)
    found = grounds(shown, view, counts, _stamp())
    tell(*found.lines)
    if not found.keeps:
        _agree_to_lose_all(found)
    _ask_for_name(view)
    _refuse_changes(shown, view, places)
    before = view.choice.number if view.choice else 0
    client.resolve(view.name, found.node, found.stamp, places.socket)
    _await_agreement(view.name, before, places)
    return _watch(view.name, places)


def _wanted(shown: Snapshot, name: str | None) -> GuestView:
    """The guest that is meant. Raises OperatorError."""
    if name is not None:
        return guest_of(shown, name)
    found = [
        guest
        for guest in shown.guests
        if guest.is_split_brain or (guest.choice is not None and guest.choice.is_open)
    ]
    match found:
        case [only]:
            return only
        case []:
            silent = [guest for guest in shown.guests if not guest.runs_on]
            if silent:
                raise _nothing_to_choose(shown, silent[0])
            raise OperatorError(
                "There is nothing to choose: no guest has two copies that went apart.",
                "`shoestring status` says what is wrong, if anything.",
            )
    names = ", ".join(guest.name for guest in found)
    raise OperatorError(
        f"Several guests have copies that went apart: {names}.",
        f"One after the other: `shoestring resolve {found[0].name}`.",
    )


def _nothing_to_choose(shown: Snapshot, view: GuestView) -> OperatorError:
    """Why there is no choice, and what the person may need instead."""
    name, me, peer = view.name, shown.me, shown.peer
    is_heard = _hears_peer(shown)
    if view.is_in_sync:
        return OperatorError(
            f"{name}: both copies are one. There is nothing to choose.",
            "`shoestring status` says what is wrong, if anything.",
        )
    if view.link in (Link.SYNC_SOURCE, Link.SYNC_TARGET):
        return OperatorError(
            f"{name}: one copy is being brought up to date from the other. Nothing is to choose.",
            "Wait, and leave both machines on. `shoestring status` shows how far it is.",
        )
    if not is_heard and not view.runs_on:
        anyway = (
            f" Only if {peer} is off and will not come back: `shoestring start {name} --anyway` on "
            f"{me}, which gives up whatever {peer} wrote last."
        )
        return OperatorError(
            f"{name}: {peer} is silent, and to choose between the copies takes both machines.",
            f"Switch {peer} on: it may have the newer copy, and then all is well by itself."
            f"{'' if view.unstartable else anyway}",
        )
    if not is_heard:
        return OperatorError(
            f"{name} runs on {view.runs_on[0]}; {peer} is silent, and a choice takes both.",
            f"Switch {peer} on, and look at the crossover cable. The copies come together by "
            "themselves, unless both were written; then `shoestring resolve` asks.",
        )
    return OperatorError(
        f"{name}: DRBD has not refused to connect the two copies. There is nothing to choose.",
        "Look at the crossover cable. When both machines see each other the older copy is brought "
        "up to date by itself.",
    )


def _whose(shown: Snapshot, view: GuestView) -> int:
    """The node whose copy counts. Raises OperatorError."""
    numbers = {node.name: node.number for node in shown.nodes}
    first, second = sorted(numbers, key=lambda name: numbers[name])
    typed = ask(f"Whose copy shall count, {first} or {second}? (Enter: neither) ")
    if typed not in numbers:
        what = f"{typed!r} is neither" if typed else "no machine was named"
        raise OperatorError(f"{NOTHING_DONE} {what[0].upper()}{what[1:]}.", "Say it again.")
    why = view.unfit[numbers[typed]]
    if why is not None:
        raise _not_now(view, why)
    return numbers[typed]


def _not_now(view: GuestView, why: str | None) -> OperatorError:
    return OperatorError(
        f"{view.name} cannot be resolved now: {why}.",
        "Nothing was done. If this stays, `shoestring status` says what to do about it.",
    )


def _hears_peer(shown: Snapshot) -> bool:
    return any(node.is_heard for node in shown.nodes if not node.is_me)


def _agree_to_lose_all(found: GroundsView) -> None:
    if ask(f"To go on all the same, type: {WITHOUT}\n> ") != WITHOUT:
        raise OperatorError(
            f"{NOTHING_DONE} No copy can be kept on {found.given_up} now.",
            f"Make room there: `lvs {GROUP}` lists volumes, `lvremove {GROUP}/NAME` removes one. "
            "Then say it again.",
        )


def _ask_for_name(view: GuestView) -> None:
    if ask(f"Type the guest's name, {view.name}, to do it: ") != view.name:
        raise OperatorError(
            f"{NOTHING_DONE} The name was not typed.", "Say it again if you want it."
        )


def _refuse_changes(shown: Snapshot, view: GuestView, places: Places) -> None:
    """The world may have moved while the person was reading."""
    _, now = look(places)
    again = guest_of(now, view.name)
    then_and_now = [
        (one.ours, one.theirs, one.runs_on, one.choice, one.is_split_brain) for one in (view, again)
    ]
    if then_and_now[0] != then_and_now[1]:
        raise OperatorError(
            f"{NOTHING_DONE} The histories changed meanwhile.", "Look at them again."
        )


def _await_agreement(name: str, before: int, places: Places) -> None:
    """Returns when both machines have the choice on disk. Raises OperatorError if they have not."""
    was_proposed = False

    def is_agreed(view: GuestView) -> bool:
        return view.choice is not None and view.choice.number > before and view.choice.is_agreed

    def seen(data: dict[str, Any]) -> bool:
        # What is shown first may be older than our word; it may have an old trouble, too.
        nonlocal was_proposed
        view = guest_of(from_dict(data), name)
        was_proposed = was_proposed or view.is_proposed
        return is_agreed(view) or (was_proposed and not view.is_proposed)

    print("Asking both machines ...", flush=True)
    client.follow(seen, AGREE_LIMIT * time_scale(places.cmdline), places.socket)
    _, now = look(places)
    view = guest_of(now, name)
    if not is_agreed(view):
        trouble = next(filter(None, view.troubles), "")
        raise OperatorError(
            f"{NOTHING_DONE} The two machines did not agree: {trouble or 'no answer came'}.",
            "Look at the other machine's screen, then say it again.",
        )


def _go_on(shown: Snapshot, view: GuestView, choice: ChoiceView, places: Places) -> Exit:
    """A choice is being carried out already: shows how far it is, and what can be done."""
    print(f"{view.name}: the copy on {choice.counts} counts; {choice.given_up} gives up its own.")
    if not _hears_peer(shown):
        back = f"`shoestring start {view.name} --anyway` on {choice.given_up} takes the choice back"
        anyway = "" if view.unstartable else f" Only if it is off for good: {back}."
        tell(f"{shown.peer} is silent: switch it on.{anyway}")
    trouble = next(filter(None, view.troubles), "")
    if trouble and choice.stamp and not choice.is_kept:
        print(f"It does not get on: {trouble}.")
        print(f"It is tried again. To go on without keeping a copy, type: {WITHOUT}")
        if ask("(Enter: only look on) > ") == WITHOUT:
            node = next(node.number for node in shown.nodes if node.name == choice.counts)
            client.resolve(view.name, node, "", places.socket, about=choice.number)
    return _watch(view.name, places)


def _watch(name: str, places: Places) -> Exit:
    """Prints what happens until the copies are one, or the choice was dropped."""
    said = ""

    def seen(data: dict[str, Any]) -> bool:
        nonlocal said
        now = from_dict(data)
        view = guest_of(now, name)
        line = stage(now, view)
        if line != said:
            print(f"{line} ...", flush=True)
        said = line
        return view.choice is None or not view.choice.is_open

    goes_on = f"The choice stands, and is carried out by both machines: {name} goes on."
    with saying_what_goes_on(goes_on):
        client.follow(seen, RESYNC_LIMIT, places.socket)
        # The machine that hears last that it is done may still be a moment behind.
        client.follow(
            lambda data: guest_of(from_dict(data), name).is_in_sync,
            AGREE_LIMIT * time_scale(places.cmdline),
            places.socket,
        )
    return _verdict(name, places)


def _verdict(name: str, places: Places) -> Exit:
    _, now = look(places)
    view = guest_of(now, name)
    choice = view.choice
    if choice is None or choice.is_open or not view.is_in_sync:
        raise OperatorError(
            f"{name}: the two copies are not one: DRBD is {view.link}, {view.disk} here and "
            f"{view.peer_disk} on {now.peer}.",
            f"`shoestring status` says why; `shoestring resolve {name}` goes on.",
        )
    where = f"runs on {view.runs_on[0]}" if view.runs_on else "is about to start"
    print(f"{name}: both copies are one again, UpToDate on {now.me} and on {now.peer}.")
    print(f"{name} {where}.")
    if choice.is_kept:
        kept = name_of(name, choice.stamp)
        # The two commands are lines of their own, to be copied whole.
        tell(f"What was given up is kept on {choice.given_up} as {kept}. To look into it there:")
        print(f"  losetup --find --show --partscan --read-only /dev/{GROUP}/{kept}")
        tell(f"It takes room, and makes {name} slower until it is removed, there too:")
        print(f"  lvremove {GROUP}/{kept}", flush=True)
    return Exit.PROTECTED


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y%m%d-%H%M")
