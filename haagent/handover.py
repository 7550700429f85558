# SPDX-License-Identifier: MIT
"""An operator's acts that move guests: said first, agreed to, asked of the agent, then watched.

It must not decide anything: the agent refuses what cannot be done, and what is reported in the end
is what the agent then shows.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from haagent import client, config
from haagent.asking import ask, tell
from haagent.client import AgentSilent
from haagent.command import Exit, Interrupted, Places, is_at_a_terminal, look
from haagent.console import prospects
from haagent.console.snapshot import GuestView, Snapshot, from_dict
from haagent.core.model import Phase
from haagent.errors import OperatorError

MOVE_LIMIT = 240.0  # seconds, on real hardware: shut down by force, start there, or come back
LEAVE_LIMIT = 120.0  # the same: guests shut down, the peer takes them, disks close
SYSTEMCTL_LIMIT = 60.0


class Watch:
    """Prints each new word about the guests with NAMES, until IS_OVER."""

    def __init__(self, names: Sequence[str], is_over: Callable[[Snapshot], bool]) -> None:
        self._names = names
        self._is_over = is_over
        self._said: set[str] = set()
        self._newest: Snapshot | None = None

    def sees(self, data: dict[str, Any]) -> bool:
        self._newest = shown = from_dict(data)
        lines = prospects.progress(shown, self._names)
        for line in lines:
            if line not in self._said:
                print(f"{line} ...", flush=True)
        self._said = set(lines)
        return self._is_over(shown)

    @property
    def newest(self) -> Snapshot:
        """What was seen last. Raises AgentSilent if nothing ever was."""
        if self._newest is None:
            raise AgentSilent("it showed nothing")
        return self._newest


def move(arguments: argparse.Namespace, places: Places) -> Exit:
    _, shown = look(places)
    before = guest_of(shown, arguments.guest)
    if before.blocker is not None:
        raise OperatorError(
            f"{before.name} cannot be moved: {before.blocker}.",
            "Nothing was done. `shoestring status` says what is wrong, if anything.",
        )
    tell(*prospects.of_move(shown, before))
    agree(arguments)
    client.move(before.name, places.socket)
    has_left = False

    def is_over(now: Snapshot) -> bool:
        nonlocal has_left
        view = guest_of(now, before.name)
        is_here = view.phase == Phase.HOLDING
        has_left = has_left or not is_here or view.newest_term != before.newest_term
        return (has_left and is_here) or _has_arrived(now, before)

    watch = Watch([before.name], is_over)
    with saying_what_goes_on(f"{before.name} goes on shutting down, to start on {shown.peer}."):
        client.follow(watch.sees, MOVE_LIMIT * _scale(places), places.socket)
    return _verdict(watch, [before])


def maintenance(arguments: argparse.Namespace, places: Places) -> Exit:
    is_on = arguments.switch == "on"
    _, shown = look(places)
    tell(*prospects.of_maintenance(shown, is_on))
    agree(arguments)
    goers = _still_going(shown, places) if is_on else []
    client.maintenance(is_on, places.socket)

    def is_over(now: Snapshot) -> bool:
        return _is_resting(now) is is_on and all(
            _has_arrived(now, before) or _stays(guest_of(now, before.name)) for before in goers
        )

    watch = Watch([guest.name for guest in goers], is_over)
    goes_on = " Its guests go on moving." if goers else ""
    with saying_what_goes_on(f"The maintenance stays {arguments.switch}.{goes_on}"):
        limit = MOVE_LIMIT * _scale(places) * max(1, len(goers))
        client.follow(watch.sees, limit, places.socket)
    now = watch.newest
    tell(f"{now.me} is {'in' if _is_resting(now) else 'not in'} maintenance.")
    for guest in prospects.here(now) if is_on else ():
        tell(f"{guest.name} stays on {now.me}: {guest.blocker or 'it waits for its turn'}.")
    code = _verdict(watch, goers)
    return code if _is_resting(now) is is_on else Exit.FAILED


def shutdown(arguments: argparse.Namespace, places: Places) -> Exit:
    return _go_down(arguments, places, "poweroff")


def reboot(arguments: argparse.Namespace, places: Places) -> Exit:
    return _go_down(arguments, places, "reboot")


def _go_down(arguments: argparse.Namespace, places: Places, verb: str) -> Exit:
    _, shown = look(places)
    tell(*prospects.of_going_down(shown, is_back_soon=verb == "reboot"))
    agree(arguments)
    return go_down(shown, places, verb)


def go_down(shown: Snapshot, places: Places, verb: str) -> Exit:
    """What was agreed to, when SHOWN was what is. VERB is systemctl's. Raises ShoestringError."""
    goers = _still_going(shown, places)
    watch = Watch(
        [guest.name for guest in prospects.here(shown)],
        lambda now: all(_has_arrived(now, before) for before in goers),
    )
    with saying_what_goes_on(
        f"{shown.me} goes on signing off, and starts nothing more; but it does not go down by "
        f"itself. `systemctl {verb}` makes it."
    ):
        leave(watch.sees, LEAVE_LIMIT * _scale(places), places)
        client.follow(watch.sees, MOVE_LIMIT * _scale(places), places.socket)
    code = _verdict(watch, goers)
    if code is not Exit.PROTECTED and verb == "poweroff":
        raise OperatorError(
            f"{shown.me} is not switched off: not every guest that was to go has arrived.",
            f"It has signed off: `systemctl reboot` brings it back, `systemctl {verb}` switches it "
            "off all the same.",
        )
    tell(f"{shown.me} has signed off, and goes down now.")
    places.run(("systemctl", verb), timeout=SYSTEMCTL_LIMIT)
    return code


def leave(progress: Callable[[dict[str, Any]], object], limit: float, places: Places) -> None:
    """The agent's farewell, as before every shutdown. Raises as `client.leave`."""
    client.leave(progress, limit, places.socket)


def guest_of(shown: Snapshot, name: str) -> GuestView:
    """Raises OperatorError if there is no such guest."""
    for view in shown.guests:
        if view.name == name:
            return view
    names = ", ".join(view.name for view in shown.guests)
    raise OperatorError(f"There is no guest {name}.", f"There are: {names}.")


def _is_resting(shown: Snapshot) -> bool:
    return any(node.is_me and bool(node.in_maintenance) for node in shown.nodes)


def _stays(view: GuestView) -> bool:
    return view.phase == Phase.HOLDING and view.blocker is not None


def _has_arrived(now: Snapshot, before: GuestView) -> bool:
    """The other machine runs it, by a newer claim than the one that it had here."""
    view = guest_of(now, before.name)
    return view.runs_on == (now.peer,) and view.newest_term > before.newest_term


def _verdict(watch: Watch, goers: Sequence[GuestView]) -> Exit:
    """Says of each of GOERS where it is now; whether all have arrived."""
    now, code = watch.newest, Exit.PROTECTED
    for before in goers:
        view = guest_of(now, before.name)
        told = prospects.whereabouts(now, view)
        if view.runs_on:
            told += f", term {view.newest_term}"
        if _has_arrived(now, before):
            tell(f"{told}.")
        else:
            code = Exit.FAILED
            tell(f"{view.name} did not get to {now.peer}: {told}.")
    return code


def agree(arguments: argparse.Namespace) -> None:
    """Returns if a person, or a script by --yes, agrees. Raises OperatorError."""
    if arguments.yes:
        return
    if not is_at_a_terminal():
        raise OperatorError(
            "Nothing was done: this takes a yes, typed at a terminal.", "A script says --yes."
        )
    if ask("Type yes to do it: ").lower() != "yes":
        raise OperatorError("Nothing was done: no yes was typed.", "Say it again if you want it.")


def _still_going(shown: Snapshot, places: Places) -> list[GuestView]:
    """The guests that go, if what was agreed to is still what would happen."""
    _, now = look(places)
    then, goes = (
        {guest.name: guest.blocker is None for guest in prospects.here(one)} for one in (shown, now)
    )
    if then != goes:
        raise OperatorError(
            "Nothing was done: what would happen has changed meanwhile.", "Look at it again."
        )
    return prospects.going(now)


@contextmanager
def saying_what_goes_on(what: str) -> Iterator[None]:
    """Ctrl-C ends the watching, and nothing else."""
    try:
        yield
    except KeyboardInterrupt:
        print()
        raise Interrupted(what, "`shoestring status` shows how far it is.") from None


def _scale(places: Places) -> float:
    return config.time_scale(places.cmdline)
