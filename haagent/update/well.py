# SPDX-License-Identifier: MIT
"""`haagent well`: tells GRUB that what runs does well, so that it is not given up.

Once in each start, by a unit. It judges this machine alone: a release must not be given up because
the other machine is off. What is on trial and does not get well is restarted, in order, so that
GRUB's count goes on; but never under a guest.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from haagent import config
from haagent.command import Exit, Places
from haagent.console.snapshot import Snapshot
from haagent.errors import OperatorError, ToolError
from haagent.update import machine, news
from haagent.update.machine import Ground
from haagent.update.medium import Medium, intend, standing
from haagent.update.slots import TRIES, Intent, Standing

WELL = 30.0  # seconds, stretched by the time scale: this long without a trouble or a restart
TRIAL = 600.0  # the same, since the machine started: then what is on trial is not well
LOOK = 5.0  # the same, between two looks
LIMIT = 60.0  # seconds for one program

SET_UP = "shoestring-setup.service"
OF_A_PAIR = ("drbd-up.service", "haagent.service", "heartbeat.service")
OURS = re.compile(r"(shoestring-|drbd-up|haagent|heartbeat|xen|console@)")  # how their names begin
SHOW = ("systemctl", "show", "--property=Id,ActiveState,SubState,InvocationID")
FAILED = ("systemctl", "list-units", "--failed", "--plain", "--no-legend")


@dataclass(frozen=True, slots=True)
class Health:
    """One look. MARK changes when something was restarted in between."""

    trouble: str | None  # what is not well, in a sentence; None: all is
    mark: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Watch:
    """How long it has been well. Pure; times are of one clock, in seconds since the start."""

    scale: float
    since: float | None = None  # well, and nothing was restarted
    mark: tuple[str, ...] = ()

    def sees(self, health: Health, now: float) -> "Watch":
        if health.trouble is not None:
            return replace(self, since=None, mark=())
        if self.since is None or health.mark != self.mark:
            return replace(self, since=now, mark=health.mark)
        return self

    def is_well(self, now: float) -> bool:
        return self.since is not None and now - self.since >= WELL * self.scale

    def is_late(self, now: float) -> bool:
        """It is not well, and what is on trial had its time. One that is well at each look, and
        restarts in between, is not waited for much longer.
        """
        limit = TRIAL if self.since is None else TRIAL + 2 * WELL
        return now >= limit * self.scale


@dataclass(frozen=True, slots=True)
class Clock:
    """CLOCK_MONOTONIC of Linux counts from the start of the machine."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def well(places: Places, ground: Ground | None = None, clock: Clock | None = None) -> Exit:
    """Returns when GRUB was told, or when this machine restarts. Raises ShoestringError."""
    ground, clock = ground or Ground(), clock or Clock()
    cmdline = places.cmdline.read_text()
    with ground.medium() as medium:
        found = standing(medium, cmdline)
    tell(found, ground)
    if found.waits:
        print("The next start takes the other slot: there is nothing to mark.", flush=True)
        return Exit.PROTECTED
    if not await_well(found, places, ground, clock):
        print("It is on trial and not well: this machine restarts, and GRUB counts.", flush=True)
        machine.restart(places)
        return Exit.PROTECTED
    with ground.medium(is_writable=True) as medium:
        now = standing(medium, cmdline)
        # An update may have been installed meanwhile: then it is to be tried, whatever was well.
        if not now.waits:
            mark_good(medium, now)
    print(f"{machine.current(found)} is well in slot {found.running}: GRUB was told.", flush=True)
    return Exit.PROTECTED


def mark_good(medium: Medium, found: Standing) -> None:
    """What runs is not given up any more: there is no slot to fall back to, and all starts are
    left. Raises as `intend`.
    """
    if found.is_damaged:
        print("What GRUB is told on the stick could not be read. It is written anew.", flush=True)
        intend(medium, found, Intent(found.running))
        return
    # `other` is the mark of a trial. If it stayed, three power cuts in a row during the start would
    # bring an old release back, over files on state that it may not understand.
    intend(medium, found, replace(found.intent, left=TRIES, other=""))


def tell(found: Standing, ground: Ground) -> None:
    """The screens and the journal, about what GRUB did. Raises OperatorError."""
    told = news.of(found)
    try:
        news.write(told, ground.news)
    except OSError as error:
        raise OperatorError(
            f"{ground.news} cannot be written: {error.strerror}.", "The screens do not tell of it."
        ) from error
    if told.fallen:
        print(f"The update to {told.fallen} did not start; {told.runs} runs again.", flush=True)


def await_well(found: Standing, places: Places, ground: Ground, clock: Clock) -> bool:
    """False if it was not well in time, is on trial, and no guest is here."""
    watch, said = Watch(config.time_scale(places.cmdline)), ""
    while True:
        health, now = look(places, ground), clock.now()
        watch = watch.sees(health, now)
        if watch.is_well(now):
            return True
        trouble = health.trouble or ""
        if found.is_on_trial and watch.is_late(now):
            # safety: a guest that runs here counts for more than a doubtful release.
            if not machine.holds_guests(places, ground):
                return False
            why = trouble or "It does not stay up."
            trouble = f"{why} It is on trial, and stays because a guest runs here."
        if trouble and trouble != said:
            print(trouble, flush=True)
        said = trouble
        clock.sleep(LOOK * watch.scale)  # it is time itself that is waited for


def look(places: Places, ground: Ground) -> Health:
    """Whether this machine does what it is for, whatever the other one does."""
    try:
        if not machine.is_paired(ground):
            return of_set_up(places.run((*SHOW, SET_UP), timeout=LIMIT))
        shown = machine.snapshot(places)
        units = places.run((*SHOW, *OF_A_PAIR), timeout=LIMIT)
        return of_pair(shown, units, places.run(FAILED, timeout=LIMIT))
    except ToolError as error:
        return Health(f"{error}.")


def of_set_up(text: str) -> Health:
    """The set-up has the screens; it is there until a person or the other machine ends it."""
    (unit,) = parse(text)
    if (unit.get("ActiveState"), unit.get("SubState")) != ("activating", "start"):
        return Health("The set-up does not run.")
    return Health(None, (unit.get("InvocationID", ""),))


def of_pair(shown: Snapshot | None, units: str, failed: str) -> Health:
    """SHOWN is what the agent says, None if it says nothing."""
    if shown is None:
        return Health("The agent does not answer.")
    found = parse(units)
    off = [unit.get("Id", "") for unit in found if unit.get("ActiveState") != "active"]
    if off or len(found) != len(OF_A_PAIR):
        return Health(f"{' and '.join(off) or 'A part of the system'} does not run.")
    broken = [line.split()[0] for line in failed.splitlines() if OURS.match(line)]
    if broken:
        return Health(f"{' and '.join(broken)} has failed.")
    return Health(None, tuple(unit.get("InvocationID", "") for unit in found))


def parse(text: str) -> list[dict[str, str]]:
    """From `systemctl show`: the properties of each unit, with an empty line between two."""
    return [
        dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        for block in text.strip().split("\n\n")
    ]
