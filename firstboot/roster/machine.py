# SPDX-License-Identifier: MIT
"""The real hands of a machine whose list of guests changes: what part.py asks for, done by its own
programs. No policy is in here. DRBD is never forced, and nobody is made Primary but to be filled.
"""

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

from firstboot.appliance import LIMIT
from firstboot.apply import are_both_blank
from firstboot.rendering import GROUP, File, device, resource_path
from firstboot.roster import files, obstacles
from firstboot.roster.change import Change, Kind
from firstboot.roster.obstacles import Ground
from firstboot.serving import AGENT, Serving
from haagent import client, config
from haagent.console.snapshot import GuestView, from_dict
from haagent.errors import ShoestringError
from haagent.run import Run, run
from haagent.storage import lvm
from haagent.storage.drbd import Drbd
from haagent.storage.kept import Kept


class Changing(Serving):
    """This machine."""

    def __init__(self, run: Run = run) -> None:
        super().__init__(run)

    def list_number(self) -> int:
        return config.load().list

    def lists(self, guest: str) -> bool:
        return guest in config.load().guests

    def obstacle(self, change: Change) -> str | None:
        ground = Ground(
            config=config.load(),
            volumes=frozenset(volume.name for volume in self._volumes()),
            room=Kept(self._run).room(),
            views=_views(),
        )
        return obstacles.obstacle(change, ground)

    def make_disk(self, change: Change) -> None:
        guest = change.guest.name
        # safety: what is there now this very change made, in an earlier try: it was not begun
        # where there was one.
        self.remove_disk(guest)
        self.write(self._passing_file(change))
        self.make_volume(guest, change.guest.size)
        self.make_metadata(guest, self._passing_path(guest))

    def start_passing_mirror(self, change: Change) -> None:
        self.write(self._passing_file(change))
        drbd = self._passing(change.guest.name)
        drbd.up(change.guest.name)
        drbd.connect(change.guest.name)

    def fill_disk(self, change: Change, bring: Callable[[Path], None]) -> None:
        """BRING writes what belongs on the disk; returns when both machines have all of it."""
        guest = change.guest.name
        drbd = self._passing(guest)
        self.await_mirror(guest, are_both_blank)
        drbd.skip_first_sync(guest)
        drbd.promote(guest, disconnect=False, timeout=LIMIT)
        try:
            bring(Path(device(change.guest.number)))
        finally:
            drbd.demote(guest)
        self.await_mirror(guest, lambda now: now.is_in_sync)

    def stop_mirror(self, guest: str) -> None:
        Drbd(limit=LIMIT, run=self._run).forget(guest)
        self.remove(str(self._passing_path(guest)))

    def remove_disk(self, guest: str) -> None:
        if any(volume.name == guest for volume in self._volumes()):
            self._run(("lvremove", "--yes", f"{GROUP}/{guest}"), timeout=LIMIT)

    def write_list(self, change: Change) -> None:
        found = config.load()
        settings = files.settings(found, change)
        if change.kind is Kind.ADDED:
            self.write(files.mirror(found, change, config.read_key(found.key_file)))
            self.write(settings)
        else:
            self.write(settings)
            self.remove(resource_path(change.guest.name))

    def restart_agent(self) -> None:
        self._run(("systemctl", "restart", AGENT), timeout=LIMIT)

    def _passing(self, guest: str) -> Drbd:
        drbd = Drbd(limit=LIMIT, run=self._run)
        drbd.rely_on(self._passing_path(guest))
        return drbd

    def _passing_file(self, change: Change) -> File:
        found = config.load()
        return files.passing_mirror(found, change, config.read_key(found.key_file))

    def _volumes(self) -> tuple[lvm.Volume, ...]:
        return lvm.parse_volumes(self._run(lvm.list_volumes(GROUP), timeout=LIMIT))

    def _passing_path(self, guest: str) -> Path:
        return Path(files.PASSING.format(guest=guest))


def _views() -> Mapping[str, GuestView]:
    """What the agent shows of each guest; nothing, if it does not answer."""
    with contextlib.suppress(ShoestringError):
        return {view.name: view for view in from_dict(client.snapshot()).guests}
    return {}
