# SPDX-License-Identifier: MIT
"""What of one machine is in the way of a change of the list of guests. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from firstboot.answers import MOST_GUESTS
from firstboot.roster.change import Change, Kind, NewGuest, Stage
from haagent.config import Config
from haagent.console.snapshot import GuestView
from haagent.core.model import Phase
from haagent.core.wish import RUNS
from haagent.guests import disks
from haagent.guests.definition import Kind as GuestKind
from haagent.guests.footprint import MOST_PCS
from haagent.storage import overwritten
from haagent.storage.growth import BLOCK_OF_A_BIT, usable
from haagent.storage.lvm import GROUP

MEBIBYTE = 1 << 20
EXTENT = 4 << 20  # bytes; LVM rounds a volume up to it
SPARE = 64  # MiB of its memory that a machine's own system is left


@dataclass(frozen=True, slots=True)
class Ground:
    """A machine that serves."""

    config: Config
    volumes: Mapping[str, int]  # in our group: names, and bytes
    room: int  # MiB free in it; -1: it is not there
    views: Mapping[str, GuestView]  # what its agent shows
    kinds: frozenset[GuestKind] = frozenset(GuestKind)  # of guests that its processor can run
    copies: Mapping[str, str] = field(default_factory=dict)  # of those volumes: whose each is
    disk: int = 0  # bytes that DRBD has of the guest in question
    memory: int = -1  # MiB that its own system has left; -1: not known

    @property
    def name(self) -> str:
        return self.config.pair.names[self.config.pair.me]


def obstacle(change: Change, ground: Ground) -> str | None:
    """A sentence, or None if nothing is in the way."""
    match change.kind:
        case Kind.ADDED:
            return _of_adding(change.guest, ground)
        case Kind.REMOVED:
            return _of_removing(change.guest.name, ground)
        case Kind.EDITED:
            return _of_editing(change.guest, ground)
        case Kind.RENAMED:
            return _of_renaming(change, ground)
        case Kind.RESIZED:
            return _of_resizing(change.guest, ground)


def _of_adding(guest: NewGuest, ground: Ground) -> str | None:
    config, me = ground.config, ground.name
    if (why := _of_the_name(guest.name, ground)) is not None:
        return why
    if len(config.guests) >= MOST_GUESTS:
        return f"a pair has {MOST_GUESTS} guests at most, and this one has them."
    if (why := _of_its_type(guest, ground) or _of_what_others_have(guest, config)) is not None:
        return why
    if ground.room < 0:
        return f"the data disk of {me} is not there."
    if (needed := -(-(guest.size + EXTENT) // MEBIBYTE)) > ground.room:
        return f"the data disk of {me} has {ground.room} MiB free, and it takes {needed}."
    return None


def _of_the_name(name: str, ground: Ground) -> str | None:
    if name in ground.config.guests:
        return f"there is a guest {name} already."
    if name in ground.volumes:
        # safety: nobody knows what is on it. Only what a change made is ever made anew.
        return (
            f"the data disk of {ground.name} has a volume {name} that is no guest's. Rename it"
            " with `lvrename`, or remove it with `lvremove` if nobody needs it."
        )
    return None


def _of_renaming(change: Change, ground: Ground) -> str | None:
    if (why := _of_the_name(change.guest.name, ground)) is not None:
        return why
    if (why := _of_what_must_be_off(change.was, ground)) is not None:
        return why
    # safety: what the agents know of it goes with its name, and with that which copy is newer.
    # DRBD alone would know, if one of the two machines was lost.
    is_the_only_one = ground.config.pair.is_vacant
    if change.stage is Stage.BEGUN and not (is_the_only_one or ground.views[change.was].is_in_sync):
        return f"the two copies of {change.was} are not one. `shoestring status` says why."
    if change.stage is Stage.BEGUN and (left := overwritten.called(change.was)) in ground.copies:
        # safety: by its name it is found, and not again under another one.
        return (
            f"{left} is still there on {ground.name}, from before a resync that is over. A restart"
            f" of {ground.name} removes it, and `lvremove {GROUP}/{left}` does."
        )
    return None


def _of_editing(guest: NewGuest, ground: Ground) -> str | None:
    now = ground.config.guests.get(guest.name)
    if now is None:
        return f"there is no guest {guest.name}."
    # safety: its disk is never another one's, whoever asks, nor cut otherwise.
    if (now.disks, now.slices) != (guest.config.disks, guest.slices):
        return f"the disk of {guest.name} is another one on {ground.name}."
    view = ground.views.get(guest.name)
    if view is None:
        return f"the agent of {ground.name} does not answer."
    changes_card = (now.mac, now.address) != (guest.mac, guest.config.address)
    if view.runs_on and changes_card:
        return f"{guest.name} runs, and its card's addresses change only while it is off."
    return _of_its_type(guest, ground) or _of_what_others_have(guest, ground.config)


def _of_resizing(guest: NewGuest, ground: Ground) -> str | None:
    """Of the beginning; and, when it is decided, of each machine's part."""
    me, now = ground.name, ground.config.guests.get(guest.name)
    if now is None:
        return f"there is no guest {guest.name}."
    # safety: as above.
    if (now.disks, now.slices) != (guest.config.disks, guest.slices):
        return f"the disk of {guest.name} is another one on {me}."
    if ground.disk >= usable(guest.size):
        return None  # DRBD has it, and the rest waits for nothing
    volume = ground.volumes.get(guest.name)
    if volume is None or ground.room < 0:
        return f"the data disk of {me} is not there."
    if guest.size < volume:
        return f"the volume of {guest.name} on {me} is larger already."
    return _of_its_mirror(guest.name, ground) or (
        _of_a_larger_volume(guest, volume, ground) if guest.size > volume else None
    )


def _of_its_mirror(name: str, ground: Ground) -> str | None:
    """What keeps DRBD from taking a larger disk (drbd_nl.c, drbd_adm_resize)."""
    view = ground.views.get(name)
    if view is None:
        return f"the agent of {ground.name} does not answer."
    if ground.config.pair.is_vacant:
        is_busy = view.phase not in (Phase.HOLDING, Phase.RELEASED)
        return f"{name} is being started or ended." if is_busy else None
    if not view.runs_on:
        return (
            f"{name} is off, and the mirror takes a larger disk only while a guest runs."
            f" `shoestring guest start {name}` first."
        )
    if not view.is_in_sync:
        return f"the copies of {name} are not both whole and connected."
    if view.verification.is_under_way:
        return f"the two copies of {name} are being compared."
    if {view.phase, view.peer_phase} != {Phase.HOLDING, Phase.RELEASED}:
        return f"{name} is being started, moved or ended."
    return None


def _of_a_larger_volume(guest: NewGuest, volume: int, ground: Ground) -> str | None:
    me = ground.name
    if copies := sorted(copy for copy, origin in ground.copies.items() if origin == guest.name):
        return (
            f"there is a copy of the volume on {me}, {copies[0]}, and LVM makes none larger that"
            " has one. A backup's goes by itself, and so does a resync's when that is over; one"
            " that was kept goes with `lvremove`."
        )
    if usable(guest.size) < volume:
        # safety: DRBD's own data must not be moved over themselves.
        least = -(-volume // MEBIBYTE) - sum(guest.slices)  # of its last disk
        return f"that is too small a step for the mirror: --disk {least}M is the least."
    if (needed := -(-(guest.size - volume) // MEBIBYTE)) > ground.room:
        return f"the data disk of {me} has {ground.room} MiB free, and it takes {needed} more."
    bitmap = -(-(guest.size - volume) // BLOCK_OF_A_BIT // 8 // MEBIBYTE)
    if 0 <= ground.memory < bitmap + SPARE:
        # safety: DRBD would refuse it when it is decided, and nothing else could be changed then.
        return (
            f"the mirror of so large a disk takes {bitmap} MiB of the memory that {me} keeps for"
            f" itself, and {max(0, ground.memory - SPARE)} are left."
        )
    return None


def _of_its_type(guest: NewGuest, ground: Ground) -> str | None:
    count, most = len(guest.slices) + 1, disks.most(is_pc=guest.config.kind is GuestKind.HVM)
    if count > most:
        return f"a guest of type {guest.kind} has {most} disks at most, and {guest.name} {count}."
    if guest.config.kind in ground.kinds:
        return _of_other_pcs(guest, ground.config)
    return (
        f"the processor of {ground.name} cannot run a guest of type {guest.kind}. Look whether"
        " virtualization (VT-x, SVM) is off in its firmware, or say --type pv."
    )


def _of_other_pcs(guest: NewGuest, config: Config) -> str | None:
    """One machine must be able to have them all: what they take of its own memory nobody gives."""
    if guest.config.kind is not GuestKind.HVM:
        return None
    others = [n for n, one in config.guests.items() if one.kind is GuestKind.HVM]
    if len({*others, guest.name}) <= MOST_PCS:
        return None
    return (
        f"a pair has {MOST_PCS} guests of type hvm at most, for each takes memory of the machine's"
        f" own system, and there are {', '.join(others)}."
    )


def _of_what_others_have(guest: NewGuest, config: Config) -> str | None:
    for name, other in config.guests.items():
        if name == guest.name:
            continue
        if guest.number in other.minors:
            return f"the number {guest.number} is that of the guest {name}."
        if guest.mac == other.mac:
            return f"the guest {name} has the MAC address {guest.mac}."
        if guest.address and guest.config.address == other.address:
            return f"the guest {name} has the address {guest.address}."
    if guest.config.address in _taken(config):
        return f"{guest.address} is an address of the pair or of its gateway."
    if guest.mac in (config.lan.peer_mac, config.crossover.peer_mac):
        return f"{guest.mac} is the MAC address of a card of the other machine."
    return None


def _taken(config: Config) -> set[object]:
    paths = (config.crossover, config.lan)
    return {one for path in paths for one in (path.address, path.peer_address)} | {*config.referees}


def _of_removing(name: str, ground: Ground) -> str | None:
    if (why := _of_what_must_be_off(name, ground)) is not None:
        return why
    if len(ground.config.guests) == 1:
        return f"{name} is the last guest: a pair has one at least."
    return None


def _of_what_must_be_off(name: str, ground: Ground) -> str | None:
    if name not in ground.config.guests:
        return f"there is no guest {name}."
    view = ground.views.get(name)
    if view is None:
        return f"the agent of {ground.name} does not answer."
    if view.runs_on or view.target in RUNS:
        return f"{name} is not stopped. `shoestring guest stop {name}` first."
    return None
