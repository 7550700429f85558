# SPDX-License-Identifier: MIT
"""docs/screens.md: what a person sees on the evening of the set-up, and then on each kind of day.

The evening is a rehearsal that is typed here; the days are simulated pairs, drawn as the consoles
draw them. Nothing is written by hand, so that no picture is older than the program.
"""

import contextlib
import io
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path as File
from unittest.mock import patch

from firstboot import driving, rehearsal
from firstboot.faces.pager import ROOM
from haagent.client import AgentSilent
from haagent.console import menu
from haagent.console.render import render, silence, starting
from haagent.console.surroundings import Surroundings
from haagent.console.survey import snapshot
from haagent.core import lacking
from haagent.core.events import MeasuresTaken, WatchdogArmed
from haagent.core.foresight import foresee
from haagent.core.model import Link, Measured, Path, Policy
from haagent.storage.findings import Finding
from haagent.storage.resync import Progress
from haagent.storage.verification import Verified
from tests.sim.ground import Frames
from tests.sim.machine import NAMES
from tests.sim.world import World, healthy

DATA = File(__file__).parent / "data"
SIZE = (80, ROOM + 1)
EVENING = 1_790_000_000.0  # the wall clock at which every day begins
LATELY = 5  # decisions, as the agent keeps them
FILE = File(__file__).parents[1] / "docs/screens.md"
TITLE = """\
# Screens

Made by `make screenshots`: the evening is a rehearsal (`python3 -m firstboot --dry-run`), the days
are simulated pairs of `a` and `b`. What a console shows is 80 characters wide and 24 lines high."""
EVENING_WORDS = """\
Two machines have found each other over the crossover cable. What was typed stands behind `>`; what
the other machine shows is behind the bar. A password is not shown."""
DAYS_WORDS = """\
The first line is meant to be read from the door. The guest ran on `a` when the day began."""
GUEST, ADDRESS = "counter", "10.0.2.50"
A, B = 0, 1

TYPED = (
    "111111",  # the wrong code
    "234 567",
    "details",
    *[""] * 3,
    "anna berta Europe/Berlin",
    "192.168.1.11/24 192.168.1.12 192.168.1.1",
    "?",
    "",
    "",
    "horse battery",
    "horse battery",
    "data data",
    "",
)


WELL = Finding(at=EVENING - 3 * 86400)


@dataclass(frozen=True, slots=True)
class Day:
    """What happens to a healthy pair whose guest runs on a, and the screen to look at then."""

    title: str
    happens: Callable[[World], None]
    on: int = A
    policy: Policy = Policy.AUTOMATIC
    resync: Progress | None = None
    verified: Finding = WELL


def nothing(world: World) -> None:
    """An ordinary day."""


def later(seconds: float) -> Callable[[World], None]:
    return lambda world: world.run(world.now + seconds)


def then(*what: Callable[[World], None]) -> Callable[[World], None]:
    def happens(world: World) -> None:
        for one in what:
            one(world)

    return happens


def off(node: int) -> Callable[[World], None]:
    return lambda world: world.power_off(node)


def on(node: int) -> Callable[[World], None]:
    return lambda world: world.power_on(node)


def unplugged(*paths: Path) -> Callable[[World], None]:
    def happens(world: World) -> None:
        for path in paths:
            world.unplug(path)

    return happens


def resyncing(world: World) -> None:
    """Until a resync has begun."""
    copy = world.mirrors[GUEST].copies[B]
    world.run_until(lambda: copy.link is Link.SYNC_SOURCE, world.now + 60)
    world.run(world.now + 1)


def unarmed(world: World) -> None:
    """The watchdog of a fails to be armed."""
    world.post(A, lambda: WatchdogArmed(world.clock(A), False))


def measured(node: int, memory: int) -> Callable[[World], None]:
    """NODE finds so many MiB for guests, and that the guest needs 1 GiB."""
    found = Measured(memory=memory, takes={GUEST: 1030})
    return lambda world: world.post(node, lambda: MeasuresTaken(world.clock(node), found))


def trying(world: World) -> None:
    """Until b speaks from its new address, and a does not yet."""
    world.change_lan(A)
    world.run_until(lambda: world.machines[B].lan_agent > 0, world.now + 60)
    world.run(world.now + 1)


def plugged(world: World) -> None:
    world.heal()


DAYS = (
    Day("Every day", nothing),
    Day("The machine that ran the guest has just lost its power", then(off(A), later(8)), B),
    Day("It was taken over", then(off(A), later(21)), B),
    Day(
        "The dead machine is back: its copy is brought up to date",
        then(off(A), later(90), on(A), resyncing),
        B,
        resync=Progress(left=3_400_000, total=11_000_000, seconds=62),
    ),
    Day("The standby lost its power", then(off(B), later(60))),
    Day(
        "Both lost their power, one after the other; the one with the older copy is back first",
        then(off(B), later(90), off(A), later(10), on(B), later(60)),
        B,
    ),
    Day("The crossover cable is out", then(unplugged(Path.CROSSOVER), later(40))),
    Day("The LAN is out", then(unplugged(Path.LAN), later(40))),
    Day("The gateway is dead", then(lambda world: world.set_gateway(False), later(40))),
    Day(
        "Both cables were cut in the same moment, with `automatic`, and are back: split brain",
        then(unplugged(Path.CROSSOVER, Path.LAN), later(90), plugged, later(30)),
        B,
    ),
    Day(
        "Both cables were cut in the same moment, with `wait for me`",
        then(unplugged(Path.CROSSOVER, Path.LAN), later(90)),
        B,
        Policy.WAIT,
    ),
    Day(
        "The machine that ran the guest has lost its power, with `wait for me`",
        then(off(A), later(90)),
        B,
        Policy.WAIT,
    ),
    Day("The guest is being moved", then(lambda world: world.move(A, GUEST), later(3))),
    Day("Maintenance", then(lambda world: world.maintenance(A, True), later(40))),
    Day("Other addresses on the LAN are being tried", trying),
    Day(
        "The other machine has too little memory for the guest",
        then(measured(A, 3072), measured(B, 700), later(5)),
    ),
    Day(
        "The same, on that machine",
        then(measured(A, 3072), measured(B, 700), later(5)),
        B,
    ),
    Day("The watchdog cannot be armed", then(unarmed, later(15))),
    Day(
        "A night's comparison found that the two copies differ",
        nothing,
        verified=Finding(at=EVENING - 20_000, differs=8, since=EVENING - 20_300),
    ),
    Day(
        "The same, after the standby lost its power and came back",
        then(off(B), later(60), on(B), later(90)),
        verified=Finding(EVENING - 20_000, 8, EVENING - 20_300, copied_from=NAMES[A]),
    ),
)


def screen(day: Day) -> list[str]:
    """What DAY ends with on the console of its machine."""
    world = healthy(guests={GUEST: A}, policy=day.policy, seed=1)
    began = world.now  # both copies were the same until then
    day.happens(world)
    state = world.machines[day.on].state
    assert state is not None, f"{NAMES[day.on]} is off"
    around = Surroundings(
        heartbeat={
            path: world.carries(path, 1 - day.on, day.on, Frames.HELLO)
            for path in (Path.CROSSOVER, Path.LAN)
        },
        wall=EVENING + world.now,
        in_sync_at={GUEST: EVENING + began},
        addresses={GUEST: ADDRESS},
        outlooks=foresee(state),
        resyncs={GUEST: day.resync} if day.resync else {},
        verified={GUEST: Verified(day.verified)},
        lately=tuple(_decided(world, day.on))[:LATELY],
    )
    return render(snapshot(state, lacking.sentences, around), *SIZE)


def _decided(world: World, node: int) -> Iterator[tuple[float, str]]:
    """What the agent of NODE said, the newest first."""
    for line in reversed(world.log):
        at, _, said = line.strip().partition("  ")
        if said.startswith(f"{NAMES[node]}: "):
            yield EVENING + float(at), said


def evening() -> str:
    """The rehearsal of a set-up, as it is on the screen of the machine where the code is typed."""
    numbers = itertools.cycle([123456, 234567])
    typed = io.TextIOWrapper(io.BytesIO("".join(f"{line}\n" for line in TYPED).encode()))
    said = io.StringIO()
    with (
        patch("secrets.randbelow", lambda limit: next(numbers)),
        patch.object(driving, "FILLS", 1),
        patch.object(sys, "stdin", typed),
        contextlib.redirect_stdout(said),
    ):
        status = rehearsal.run(DATA / "machine-virtio.json", DATA / "machine-nvme.json")
    assert status == 0, said.getvalue()
    return said.getvalue()


def document() -> str:
    """The whole page, in Markdown."""
    silent = AgentSilent("it was not there")
    parts = [
        TITLE,
        "## The evening of the set-up",
        EVENING_WORDS,
        _block(evening()),
        "## Every day, and the others",
        DAYS_WORDS,
    ]
    for day in DAYS:
        parts += [f"### {day.title}", _block("\n".join(screen(day)))]
    parts += ["### Right after the start", _block("\n".join(starting(*SIZE)))]
    parts += ["### The agent is away", _block("\n".join(silence(silent, None, *SIZE, now=0.0)))]
    parts += ["## The menu, behind Enter", _block("\n".join([*menu.page(True), menu.QUESTION]))]
    parts += ["### `?` in it", _block("\n".join(menu.explanation(*NAMES)))]
    parts += ["### Where no password was chosen", _block("\n".join(menu.page(False)))]
    return "\n\n".join(parts) + "\n"


def _block(text: str) -> str:
    lines = text.rstrip().lstrip("\n")
    return f"```\n{lines}\n```"


if __name__ == "__main__":
    FILE.write_text(document())
