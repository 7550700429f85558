# SPDX-License-Identifier: MIT
"""One node's copy of a guest's disk, as DRBD 8.4 keeps it: its data, its metadata, its state.

What is kept on disk survives `detach`, and that the disk fails. Data is the set of writes;
generations are numbers.
"""

from dataclasses import dataclass, field, replace

from haagent.core.model import Disk, Link, Role

METADATA = (
    "current",
    "bitmap",
    "history",
    "is_inconsistent",
    "is_outdated",
    "marks_peer",
    "was_primary",
    "has_missed_end",
)


@dataclass(slots=True)
class Copy:
    """One node's copy. The first group is on disk."""

    data: set[int] = field(default_factory=set)
    current: int = 1
    bitmap: int = 0
    history: set[int] = field(default_factory=set)
    is_inconsistent: bool = False
    is_outdated: bool = False
    marks_peer: Disk | None = None  # Outdated or Inconsistent, by our metadata
    was_primary: bool = False
    has_missed_end: bool = False  # its peer was brought up to date, and it still has the bitmap
    secret: str = "first"
    has_failed: bool = False  # the disk; what is on it may be read again one day
    is_hanging: bool = False  # the disk: neither an answer nor an error comes

    is_attached: bool = False
    role: Role = Role.SECONDARY
    link: Link = Link.CONNECTING
    disk: Disk = Disk.DISKLESS
    is_suspended: bool = False
    pending: int | None = None  # the write that waits
    broken_since: float | None = None
    discards: bool = False  # in a split brain this one gives up its data
    lacks_data: bool = False  # no disk works, here and there: writes wait, and no handler is asked
    based_on: int = 0  # without a disk: the generation that its role was played on, ed_uuid
    owed_since: float | None = None  # an answer of the peer, to the write that waits
    on_disk: "Copy | None" = None  # while it hangs: the metadata as it was when that began

    @property
    def has_disk(self) -> bool:
        return self.disk is not Disk.DISKLESS

    def attach(self) -> None:
        """As after a boot: what the metadata proves, and no more. Without a disk nothing is brought
        up: /usr/lib/shoestring/drbd-up waits for it.
        """
        self.is_attached, self.role, self.link = True, Role.SECONDARY, Link.CONNECTING
        self.is_suspended, self.pending, self.broken_since = False, None, None
        self.discards = self.lacks_data = False
        self.owed_since = None
        if self.has_failed or self.is_hanging:
            self.is_attached, self.link, self.disk = False, Link.STANDALONE, Disk.DISKLESS
        else:
            self.look_at_metadata()

    def look_at_metadata(self) -> None:
        if self.marks_peer:
            self.marks_peer = Disk.OUTDATED  # one flag stands for Inconsistent as well
        if self.is_inconsistent:
            self.disk = Disk.INCONSISTENT
        elif self.is_outdated:
            self.disk = Disk.OUTDATED
        else:
            self.disk = Disk.UP_TO_DATE if self.marks_peer else Disk.CONSISTENT

    def hang(self) -> None:
        """From here on nothing reaches the disk; what DRBD has in memory goes on."""
        if self.is_hanging:
            return
        self.on_disk = replace(self, history=set(self.history))
        self.on_disk.detach()
        self.is_hanging = True

    def go_on(self) -> None:
        """All that waited is on disk at once."""
        self.is_hanging, self.on_disk = False, None

    def detach(self) -> None:
        if self.on_disk is not None:
            for name in METADATA:
                setattr(self, name, getattr(self.on_disk, name))
            self.is_attached, self.on_disk = False, None
            return
        if self.has_disk:
            self.was_primary = self.was_primary or self.role is Role.PRIMARY
        if self.link is Link.SYNC_SOURCE:
            self.marks_peer = Disk.INCONSISTENT  # on disk all the while, drbd_state.c
        self.is_attached = False

    def new_generation(self, number: int) -> None:
        if not self.bitmap:
            self.bitmap = self.current
        else:
            self.history.add(self.current)
        self.current = number


def lone_copy() -> Copy:
    """As the set-up of a lone machine leaves it: its metadata say that nobody else has it."""
    return Copy(marks_peer=Disk.OUTDATED)
