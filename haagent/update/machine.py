# SPDX-License-Identifier: MIT
"""What an update needs to know of the machine beside the stick: its place in a pair, its guests.

It only looks, but for `restart`.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from haagent import __version__, state
from haagent.client import AgentSilent
from haagent.cluster import wire
from haagent.command import Places, look
from haagent.console import prospects
from haagent.console.snapshot import Snapshot
from haagent.errors import OperatorError, ToolError
from haagent.guests.xen import LIST, parse_list
from haagent.update import hindrances, news, slots, source
from haagent.update.hindrances import Hindrance, Room, Understood
from haagent.update.manifest import Formats, Manifest
from haagent.update.medium import Medium, boot_medium
from haagent.update.release import Release
from haagent.update.slots import Standing

LIMIT = 60.0  # seconds for one program
# What this release reads; it writes the newest.
STATE = Formats(1, state.VERSION)
WIRE = Formats(min(wire.FORMATS), wire.VERSION)


class OpenMedium(Protocol):
    """How the stick is opened; the tests have one of their own."""

    def __call__(self, *, is_writable: bool = False) -> AbstractContextManager[Medium]: ...


@dataclass(frozen=True, slots=True)
class Ground:
    """Where everything is that only updates need."""

    key: Path = Path("/usr/share/shoestring/update.pub")
    news: Path = news.FILE
    fetched: Path = source.FETCHED
    setup: Path = Path("/state/setup")
    change: Path = Path("/state/etc/shoestring/change.json")  # of the list of guests
    hypervisor: Path = Path("/sys/hypervisor/type")
    medium: OpenMedium = boot_medium


def current(found: Standing) -> Release:
    """The release that runs: what its slot says, or what is built in here."""
    held = found.slots.get(found.running)
    return Release.of(__version__) if held is None else held.release


def room(medium: Medium, target: str) -> Room:
    """What TARGET could hold. Raises OSError."""
    own = sum(medium.size(name) for name in medium.names(slots.folder(target)))
    return Room(medium.size(slots.root(target)), medium.room() + own)


def of_update(
    manifest: Manifest, medium: Medium, found: Standing, *, is_older_wanted: bool
) -> list[Hindrance]:
    """`hindrances.of_update` of this machine and MEDIUM. Raises OSError."""
    return list(
        hindrances.of_update(
            manifest,
            found,
            room(medium, slots.other(found.running)),
            Understood(state.VERSION, WIRE),
            current(found),
            is_older_wanted=is_older_wanted,
        )
    )


def of_machine(places: Places, ground: Ground) -> list[Hindrance]:
    """Why this machine must not be updated now; empty if it may. Raises ShoestringError."""
    found = list(half_done(ground))
    if is_paired(ground):
        shown = snapshot(places)
        found += [*_domains(places, ground)] if shown is None else hindrances.of_machine(shown)
    return found


def is_paired(ground: Ground) -> bool:
    """The set-up is behind this machine."""
    return (ground.setup / "complete").exists()


def snapshot(places: Places) -> Snapshot | None:
    """What the agent shows; None if it does not answer, as in the rescue system."""
    try:
        return look(places)[1]
    except AgentSilent:
        return None


def holds_guests(places: Places, ground: Ground) -> bool:
    """A guest runs here; or nobody can say whether one does."""
    if not is_paired(ground):
        return False
    shown = snapshot(places)
    if shown is not None and prospects.here(shown):
        return True
    try:
        return any(True for _ in _domains(places, ground))
    except ToolError:
        return shown is None


def restart(places: Places) -> None:
    """In order: what runs here is handed over first, as by `shoestring reboot`. Returns when it has
    begun. Raises OperatorError.
    """
    try:
        places.run(("systemctl", "reboot"), timeout=LIMIT)
    except ToolError as error:
        raise OperatorError(
            f"This machine does not restart: {error}.",
            "`shoestring reboot` tries it again. What was installed waits for it.",
        ) from error


def half_done(ground: Ground) -> Iterator[Hindrance]:
    """What the set-up's files say; firstboot/ owns them."""
    if (ground.setup / "forgetting.json").exists():
        yield Hindrance("This machine is forgetting its pair", "Wait until it is blank.")
    if not is_paired(ground) and (ground.setup / "journal.json").exists():
        yield Hindrance("The set-up of this machine is under way", "Finish it first.")
    if is_paired(ground) and (ground.setup / "agreement.json").exists():
        yield Hindrance("A machine of this pair is being replaced", "Wait until that is done.")
    if ground.change.exists():
        yield Hindrance(
            "The list of guests is being changed",
            "Wait until that is done: `journalctl -b -u shoestring-list` tells how it goes.",
        )


def _domains(places: Places, ground: Ground) -> Iterator[Hindrance]:
    """Without an agent, Xen says whether a guest runs here. Raises ToolError."""
    if not ground.hypervisor.exists():
        return
    for domain in parse_list(places.run(LIST, timeout=LIMIT)):
        yield Hindrance(
            f"{domain.name or f'Guest number {domain.number}'} runs here, and the agent does not"
            " answer",
            "`systemctl status haagent` says why.",
        )
