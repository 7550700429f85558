# SPDX-License-Identifier: MIT
"""A backup with all that it builds on: where each of its blocks is to be found.

All of it is settled when the chain is opened, from the heads and indexes alone: a base that is
missing or another one is told before anything is written anywhere. Everything raises BadBackup.
"""

import contextlib
from array import array
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from haagent.backup.examining import located
from haagent.backup.head import Base
from haagent.backup.layout import NO_SUM, RECORD, BadBackup, readable, title
from haagent.backup.naming import SUFFIX
from haagent.backup.reading import Backup, peek

NOWHERE = 255  # of the numbers of backups, of which there are fewer


class Chain:
    """The backup WANTED, which stays open as long as its owner keeps it so; `add` its base, the
    base's base, and so on to a full one.
    """

    def __init__(self, wanted: Backup) -> None:
        self.backups: list[Backup] = []
        self.head = wanted.head
        self._index = wanted.index
        self._who = bytearray([NOWHERE]) * self.head.blocks
        self._where = array("Q", bytes(8 * self.head.blocks))  # of the file
        self._packed = array("I", bytes(4 * self.head.blocks))
        self._numbers: list[dict[str, int]] = []  # of the disks, in each backup
        self.add(wanted)

    def add(self, backup: Backup) -> None:
        """Notes what BACKUP stores of the blocks that none above it does, and drops its index: the
        memory has room for some, not for a hundred.
        """
        number = len(self.backups)
        self.backups.append(backup)
        self._numbers.append({disk.name: at for at, disk in enumerate(backup.head.disks)})
        at, entries, head = backup.blocks_at, iter(backup.index), backup.head
        for disk, first, end in zip(head.disks, head.firsts, head.firsts[1:], strict=False):
            for place, (found, stored) in enumerate(islice(entries, end - first)):
                if not stored:
                    continue
                block = self._index.find(disk.name, place)
                # What another block was on the way here is of no use to us.
                is_new = block is not None and self._who[block] == NOWHERE
                if block is not None and is_new and found == self._index.sum_of(block):
                    self._who[block] = number
                    self._where[block], self._packed[block] = at, stored
                at += RECORD.size + stored
        backup.forget_index()

    def check(self) -> None:
        """Raises BadBackup unless every block is to be found."""
        for block, (found, _) in enumerate(self._index):
            if found != NO_SUM and self._who[block] == NOWHERE:
                where = located(self.head, block)
                raise BadBackup(
                    self.backups[0].title, f"{where} is in none of the backups that it builds on"
                )

    def blocks(self, disk: str) -> Iterator[tuple[int, int, int]]:
        """The blocks of DISK: which one among all, at which byte of the disk, how long."""
        number = self._numbers[0][disk]
        first, size = self.head.firsts[number], self.head.disks[number].size
        for offset in range(0, size, self.head.block):
            length = min(self.head.block, size - offset)
            yield first + offset // self.head.block, offset, length

    def sum_of(self, block: int) -> bytes | None:
        """Of what BLOCK holds; None if it is zero."""
        found = self._index.sum_of(block)
        return None if found == NO_SUM else found

    def read(self, disk: str, block: int, offset: int) -> bytes | None:
        """What BLOCK holds, at OFFSET of DISK; None if it is zero. It was checked."""
        found = self.sum_of(block)
        if found is None:
            return None
        who = self._who[block]
        return self.backups[who].block(
            self._numbers[who][disk],
            offset // self.head.block,
            self._where[block],
            self._packed[block],
            found,
        )


@contextlib.contextmanager
def opened(path: Path, folders: Sequence[Path] = ()) -> Iterator[Chain]:
    """The backup at PATH, with its bases, which lie beside it or in one of FOLDERS."""
    with contextlib.ExitStack() as stack:
        backup = stack.enter_context(Backup(path))
        chain = Chain(backup)
        while (base := backup.head.base) is not None:
            above = backup
            backup = stack.enter_context(_found(above, base, (path.parent, *folders)))
            _check_base(above, base, backup)
            chain.add(backup)
        chain.check()
        yield chain


def _found(above: Backup, base: Base, folders: Sequence[Path]) -> Backup:
    """The base of the backup ABOVE."""
    named: list[Path] = []
    others: list[Path] = []
    for folder in folders:
        with readable(title(folder)):
            named += [path for path in (folder / base.name,) if path.is_file()]
            others += sorted(folder.glob(f"*{SUFFIX}"))
    for path in named:
        if peek(path).id == base.id:
            return Backup(path)
    for path in others:
        # It may have another name by now. What cannot be read is not the one.
        with contextlib.suppress(BadBackup):
            if peek(path).id == base.id:
                return Backup(path)
    if named:
        raise _another(above, base, named[0])
    raise BadBackup(
        above.title,
        f"it has only what changed since {base.name}, which is not there",
        f"Put {base.name} beside it (its id is {base.id}), or take a full backup.",
    )


def _check_base(above: Backup, base: Base, found: Backup) -> None:
    ours, theirs = above.head, found.head
    is_it = (
        found.digest.hex() == base.digest
        and theirs.depth == ours.depth - 1
        and (theirs.guest, theirs.block) == (ours.guest, ours.block)
    )
    if not is_it:
        raise _another(above, base, found.path)


def _another(above: Backup, base: Base, path: Path) -> BadBackup:
    return BadBackup(
        above.title,
        f"it builds on {base.name}, and {title(path)} is another backup than that one was",
        f"Look for the one with the id {base.id}, or take a full backup.",
    )
