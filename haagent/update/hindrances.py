# SPDX-License-Identifier: MIT
"""Why an update cannot be installed on this machine now. Pure: sentences about values.

The pair's own update asks the same; what it allows beside is its own business.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from haagent.console import prospects
from haagent.console.snapshot import Snapshot
from haagent.update.manifest import ROOT, Formats, Manifest
from haagent.update.release import Release
from haagent.update.slots import Standing

SPARE = 1 << 20  # bytes that stay free on the ESP


@dataclass(frozen=True, slots=True)
class Hindrance:
    """One reason, and what to do about it."""

    what: str
    do: str


@dataclass(frozen=True, slots=True)
class Room:
    """How much the target slot could hold."""

    root: int  # bytes of its partition
    esp: int  # bytes that are free there, or taken by the slot's own files


@dataclass(frozen=True, slots=True)
class Understood:
    """The formats that the running release writes and speaks."""

    state: int
    wire: Formats


def of_update(
    manifest: Manifest,
    found: Standing,
    room: Room,
    ours: Understood,
    current: Release,
    *,
    is_older_wanted: bool = False,
) -> Iterator[Hindrance]:
    """Why MANIFEST's update does not go onto this stick. CURRENT is the release that runs."""
    if manifest.release <= current and not is_older_wanted:
        yield Hindrance(
            f"It is {manifest.release}, and {current} runs",
            "`--older` installs it all the same.",
        )
    yield from _formats(manifest, ours)
    yield from of_trial(found, current)
    yield from _room(manifest, room)


def of_trial(found: Standing, current: Release) -> Iterator[Hindrance]:
    """safety: what runs here was never seen to be well; no other slot, here or on the peer, is to
    be given up for an update meanwhile.
    """
    if found.is_on_trial:
        yield Hindrance(
            f"{current} is on trial: the other slot is the way back",
            "Wait until it has run well for a minute. `shoestring update --status` tells.",
        )


def of_machine(shown: Snapshot) -> Iterator[Hindrance]:
    """Why a machine of a pair is not to be updated at this moment."""
    running = [guest.name for guest in prospects.here(shown)]
    running += [guest.name for guest in shown.guests if shown.me in guest.runs_on]
    if running:
        names = " and ".join(dict.fromkeys(running))
        yield Hindrance(
            f"{names} runs on {shown.me}, and an update restarts {shown.me}",
            prospects.to_empty(shown),
        )
    yield from of_pair(shown)


def of_leader(shown: Snapshot) -> Iterator[Hindrance]:
    """Why an update of both machines is not to be led from this one at this moment.

    This one restarts last, so the guests must be here, and able to go; the other one goes first.
    """
    peer = shown.peer
    alone = "`shoestring update --here` updates one machine, and nothing else."
    if shown.is_vacant:
        yield Hindrance("There is no second machine, and both are to be updated", alone)
        return
    if not any(node.is_heard for node in shown.nodes if not node.is_me):
        yield Hindrance(f"{peer} is silent, and both are to be updated", f"Switch it on. {alone}")
        return
    away = [guest.name for guest in shown.guests if peer in guest.runs_on]
    staying = prospects.here(shown)
    if away:
        do = f"Plug the stick in at {peer}, and say it there. {alone}"
        if staying:
            do = f"`shoestring move`, said on {peer}, brings the guests together. {alone}"
        yield Hindrance(f"{' and '.join(away)} runs on {peer}, and both are updated from there", do)
        return
    for guest in staying:
        if guest.blocker is not None and guest.resync is None:
            yield Hindrance(
                f"{guest.name} could not move to {peer}: {guest.blocker}",
                "`shoestring status` says what is wrong, if anything.",
            )
    for guest in prospects.crowded(shown, staying):
        yield Hindrance(
            f"{peer} has too little memory left for {guest.name}, which needs {guest.takes} MiB and"
            " is to move there",
            f"`shoestring guest edit {guest.name} --memory` gives it less, or `shoestring guest"
            f" stop {guest.name}` has it off meanwhile.",
        )
    yield from of_pair(shown)


def of_pair(shown: Snapshot) -> Iterator[Hindrance]:
    """Why no machine of the pair is to be updated: something is being changed."""
    wait = "Wait until it is done; `shoestring status` says how far it is."
    if shown.lan.is_open or not shown.lan.is_settled or shown.lan.runs != shown.lan.files:
        yield Hindrance("The addresses on the LAN are being changed", wait)
    for guest in shown.guests:
        if guest.is_proposed or (guest.choice is not None and guest.choice.is_open):
            yield Hindrance(f"One copy of {guest.name} is being given up for the other", wait)
        elif len(guest.runs_on) > 1:
            yield Hindrance(f"{guest.name} runs on both machines", wait)
        elif guest.resync is not None:
            yield Hindrance(f"A copy of {guest.name} is being brought up to date", wait)
    for node in shown.nodes:
        if node.is_leaving and (node.is_me or node.is_heard):
            yield Hindrance(f"{node.name} is shutting down", "Wait until it is back.")


def _formats(manifest: Manifest, ours: Understood) -> Iterator[Hindrance]:
    # safety: an agent that does not understand what was promised decides nothing.
    if ours.state not in manifest.state:
        yield Hindrance(
            f"{manifest.release} would not understand what this machine has on its stick",
            "Take a release between the two, or set the machine up again with it.",
        )
    if not ours.wire.meets(manifest.wire):
        yield Hindrance(
            f"{manifest.release} could not talk to the release that runs on the other machine",
            "Take a release between the two.",
        )


def _room(manifest: Manifest, room: Room) -> Iterator[Hindrance]:
    flash = "Flash the stick anew with the new release; `shoestring replace` brings it in."
    if manifest.slot.size > room.root:
        yield Hindrance(
            f"Its system has {manifest.slot.size >> 20} MiB, and the slot {room.root >> 20}", flash
        )
    files = sum(part.size for part in manifest.parts if part.name != ROOT)
    if files + SPARE > room.esp:
        yield Hindrance(
            f"It needs {(files + SPARE >> 20) + 1} MiB to boot from, and the stick has"
            f" {room.esp >> 20}",
            flash,
        )
