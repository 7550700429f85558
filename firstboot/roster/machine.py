# SPDX-License-Identifier: MIT
"""The real hands of a machine whose list of guests changes: what part.py asks for, done by its own
programs. No policy is in here. DRBD is never forced, and nobody is made Primary but to be filled.
"""

import contextlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from firstboot import agreement as agreements
from firstboot.appliance import LIMIT
from firstboot.apply import are_both_blank
from firstboot.rendering import GROUP, File, device, resource_path
from firstboot.roster import files, obstacles
from firstboot.roster.awaiting import await_both
from firstboot.roster.change import Change, Kind, NewGuest
from firstboot.roster.obstacles import Ground
from firstboot.serving import AGENT, Serving
from haagent import client, config
from haagent.config import Config
from haagent.console.snapshot import GuestView, from_dict
from haagent.core.model import Resource
from haagent.errors import ShoestringError
from haagent.guests.definition import Kind as GuestKind
from haagent.guests.xen import INFO, parse_kinds
from haagent.run import Run, run
from haagent.settings import ConfigError
from haagent.storage import kept
from haagent.storage.drbd import Drbd
from haagent.storage.growth import Growth, Progress
from haagent.storage.kept import Kept
from haagent.storage.slices import Slices

PATIENCE = 30.0  # seconds that the other machine may be away while a guest comes
AGENT_WITHIN = 30.0  # seconds that it may take until it says what it lists
CARRIES_ON = "shoestring-list.service"
MEMINFO = Path("/proc/meminfo")
DRAFT = "/run/shoestring/draft.yaml"  # of the settings with a change


class Changing(Serving):
    """This machine."""

    def __init__(self, run: Run = run) -> None:
        super().__init__(run)

    def list_number(self) -> int:
        return config.load().list

    def lists(self, guest: str) -> bool:
        return guest in config.load().guests

    def obstacle(self, change: Change) -> str | None:
        if self.read(agreements.PATH) is not None:
            # safety: the new machine was told of the list as it was.
            return "another machine is about to take the place beside this one."
        volumes = self._volumes()
        ground = Ground(
            config=config.load(),
            volumes={volume.name: volume.size for volume in volumes},
            copies={volume.name: volume.origin for volume in volumes if volume.origin},
            room=Kept(self._run).room(),
            views=_views(),
            kinds=self.kinds(),
            disk=self.disk_size(change.guest.name) or 0,
            memory=memory_left(MEMINFO.read_text()),
        )
        return obstacles.obstacle(change, ground) or self._flaw(ground.config, change)

    def _flaw(self, found: Config, change: Change) -> str | None:
        """safety: an agent that cannot read its settings does not start. What would be written is
        read before, as the agent will.
        """
        draft = File(DRAFT, files.settings(found, change).text)
        self.write(draft)
        try:
            read = config.load(Path(DRAFT))
        except ConfigError as error:
            return f"{error.message.removeprefix(DRAFT)}. {error.hint}"
        finally:
            self.remove(DRAFT)
        name = change.guest.name
        wanted = None if change.kind is Kind.REMOVED else change.guest.config
        is_so = read.guests.get(name) == wanted and read.list == change.number
        return None if is_so else f"the list cannot be written as it is meant for {name}."

    def kinds(self) -> frozenset[GuestKind]:
        """Of guests that the processor can run."""
        return parse_kinds(self._run(INFO, timeout=LIMIT))

    def make_disk(self, change: Change) -> None:
        guest = change.guest.name
        # safety: what is there now this very change made, in an earlier try: it was not begun
        # where there was one.
        self.remove_disk(guest)
        self.write(self._passing_file(change))
        self.make_volume(guest, change.guest.size)
        self.make_metadata(guest, self._passing_path(guest))
        if _is_alone():
            self.declare_only(guest, self._passing_path(guest))

    def start_passing_mirror(self, change: Change) -> None:
        self.write(self._passing_file(change))
        drbd = self._passing(change.guest.name)
        drbd.up(change.guest.name)
        drbd.connect(change.guest.name)

    def fill_disk(self, change: Change, bring: Callable[[Sequence[Path]], None]) -> None:
        """BRING writes what belongs on the disks; returns when each machine has all of it."""
        guest = change.guest.name
        drbd = self._passing(guest)
        is_alone = _is_alone()
        if not is_alone:
            self._await_both(guest, are_both_blank)
            drbd.skip_first_sync(guest)
        drbd.promote(guest, disconnect=False, timeout=LIMIT)
        try:
            bring(self._disks(change.guest))
        finally:
            drbd.demote(guest)
        if not is_alone:
            self._await_both(guest, lambda now: now.is_in_sync)

    def _disks(self, guest: NewGuest) -> tuple[Path, ...]:
        """Its devices where DRBD is Primary, which takes them away when it is so no more."""
        if not guest.slices:
            return (Path(device(guest.number)),)
        slices = Slices(limit=LIMIT, run=self._run)
        return slices.make(guest.number, guest.config.names, guest.slices)

    def _await_both(self, guest: str, is_enough: Callable[[Resource], bool]) -> None:
        drbd = Drbd(limit=LIMIT, run=self._run)
        await_both(drbd, guest, is_enough, PATIENCE * self.time_scale())

    def disk_size(self, guest: str) -> int | None:
        found = config.load().guests.get(guest)
        return None if found is None else self._growth(guest, found.minors[0]).disk()

    def grow_disk(self, change: Change, show: Progress) -> None:
        guest = change.guest
        self._growth(guest.name, guest.number).prepare(guest.size, show)

    def take_disk(self, change: Change, *, waits: bool) -> None:
        guest = change.guest
        growth = self._growth(guest.name, guest.number)
        growth.take(guest.size, waits=waits, is_only=_is_alone())

    def stop_mirror(self, guest: str) -> None:
        Drbd(limit=LIMIT, run=self._run).forget(guest)
        self.remove(str(self._passing_path(guest)))

    def remove_disk(self, guest: str) -> None:
        if any(volume.name == guest for volume in self._volumes()):
            self._run(("lvremove", "--yes", f"{GROUP}/{guest}"), timeout=LIMIT)

    def rename_disk(self, change: Change) -> None:
        if any(volume.name == change.was for volume in self._volumes()):
            # What a start of the machine took up of it, before it had its volume.
            Drbd(limit=LIMIT, run=self._run).forget(change.guest.name)
            self._run(("lvrename", GROUP, change.was, change.guest.name), timeout=LIMIT)

    def write_list(self, change: Change) -> None:
        found = config.load()
        settings = files.settings(found, change)
        if change.kind is Kind.RENAMED:
            # safety: never beside the new one. drbdadm reads no file at all where two give one
            # device away, and a start of the machine would have no guest.
            self.remove(resource_path(change.was))
        if change.kind in (Kind.ADDED, Kind.RENAMED):
            self.write(files.mirror(found, change, config.read_key(found.key_file)))
        self.write(settings)
        if change.kind is Kind.REMOVED:
            self.remove(resource_path(change.guest.name))

    def restart_agent(self) -> None:
        # safety: a script may change the list often. systemd refuses the eleventh start in a minute
        # (haagent.service), and the watchdog that nobody feeds then resets this machine.
        self._run(("systemctl", "reset-failed", AGENT), timeout=LIMIT)
        self._run(("systemctl", "restart", AGENT), timeout=LIMIT)
        guests = set(config.load().guests)
        end = time.monotonic() + AGENT_WITHIN * self.time_scale()
        while _views().keys() != guests and time.monotonic() < end:
            time.sleep(0.2)  # it is being started; there is no event to wait for

    def carry_on_with_the_list(self) -> None:
        """What is open still comes to its end by itself."""
        self._run(("systemctl", "--no-block", "start", CARRIES_ON), timeout=LIMIT)

    def _growth(self, guest: str, number: int) -> Growth:
        return Growth(guest, number, self._run)

    def _passing(self, guest: str) -> Drbd:
        drbd = Drbd(limit=LIMIT, run=self._run)
        drbd.rely_on(self._passing_path(guest))
        return drbd

    def _passing_file(self, change: Change) -> File:
        found = config.load()
        return files.passing_mirror(found, change, config.read_key(found.key_file))

    def _volumes(self) -> tuple[kept.Volume, ...]:
        return kept.parse_volumes(self._run(kept.LIST, timeout=LIMIT))

    def _passing_path(self, guest: str) -> Path:
        return Path(files.PASSING.format(guest=guest))


def _is_alone() -> bool:
    return config.load().pair.is_vacant


def memory_left(text: str) -> int:
    """MiB, from /proc/meminfo; -1: it does not say."""
    found = re.search(r"^MemAvailable: +(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) >> 10 if found else -1


def _views() -> Mapping[str, GuestView]:
    """What the agent shows of each guest; nothing, if it does not answer."""
    with contextlib.suppress(ShoestringError):
        return {view.name: view for view in from_dict(client.snapshot()).guests}
    return {}
