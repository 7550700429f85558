# SPDX-License-Identifier: MIT
"""Puts the disks of a backup onto block devices or into files, and checks a backup without any.

Nothing is written before all that can be known beforehand is known: the whole chain, and that each
target is there, large enough, and no other one's. Then each block is checked before it is written.
What is not finished is told as that. Everything raises OperatorError.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from haagent.backup.chain import Chain
from haagent.backup.disks import Target, is_zero, target
from haagent.backup.examining import Examined
from haagent.backup.files import sized, whole_file
from haagent.backup.layout import BadBackup, Progress, checksum, place, silent, title
from haagent.errors import OperatorError

READ_BACK = "Use another disk: this one does not keep what is written to it."


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of the disks that were asked for."""

    disks: tuple[str, ...]
    data: int  # bytes that the guest had written
    zeros: int  # bytes that are zero
    read_back: int  # bytes that were compared afterwards


def restore(
    chain: Chain,
    targets: Mapping[str, Path],
    progress: Progress = silent,
    *,
    is_read_back: bool = False,
) -> Restored:
    """The disks of CHAIN that TARGETS names. A target that is not there becomes a file, which has
    its name only when it is whole.
    """
    sizes = {disk.name: disk.size for disk in chain.head.disks}
    taken = {backup.identity for backup in chain.backups}
    with contextlib.ExitStack() as stack:
        opened = prepared(stack, sizes, targets, taken)
        whole = sum(sizes[disk] for disk in targets) * (2 if is_read_back else 1)
        act = _Act(chain, progress, whole)
        for disk, place_ in opened.items():
            act.write(disk, targets[disk], place_)
        for disk, place_ in opened.items():
            if is_read_back:
                act.compare(disk, targets[disk], place_)
    return Restored(tuple(targets), act.data, act.zeros, act.read_back)


def verify(chain: Chain, progress: Progress = silent) -> list[Examined]:
    """Every byte of every file of CHAIN; with them each of its blocks was seen."""
    whole = sum(backup.length for backup in chain.backups)
    done, found = 0, []
    for backup in chain.backups:

        def told(share: float, done: int = done, length: int = backup.length) -> None:
            progress((done + share * length) / whole)

        found.append(backup.examine(told))
        done += backup.length
    return found


def prepared(
    stack: contextlib.ExitStack,
    sizes: Mapping[str, int],
    targets: Mapping[str, Path],
    taken: set[tuple[int, ...]],
) -> dict[str, Target]:
    """The TARGETS of disks of these SIZES, open until STACK is closed. TAKEN are the identities of
    the files that are read.
    """
    for disk in targets:
        if disk not in sizes:
            raise OperatorError(
                f"There is no disk {disk!r:.40} in the backup. Nothing was changed.",
                f"It has {', '.join(sizes)}.",
            )
    opened = {disk: _opened(stack, path, sizes[disk]) for disk, path in targets.items()}
    for disk, found in opened.items():
        name = title(targets[disk])
        if found.size < sizes[disk]:
            raise OperatorError(
                f"Disk {disk} has {sizes[disk]} bytes, and {name} only {found.size}. Nothing was "
                "changed.",
                "Name a larger one.",
            )
        if found.identity in taken:
            raise OperatorError(
                f"{name} is meant for disk {disk}, and is another disk's target, or the backup "
                "itself. Nothing was changed.",
                "Name another place for each disk.",
            )
        taken.add(found.identity)
    return opened


def _opened(stack: contextlib.ExitStack, path: Path, size: int) -> Target:
    """What is there, or a new file of SIZE."""
    with contextlib.suppress(
        OSError
    ):  # a file that cannot be looked for cannot be made, and tells why
        if path.exists():
            return stack.enter_context(target(path))
    return sized(path, stack.enter_context(whole_file(path)), size)


class _Act:
    """One restoration, and how far it is."""

    def __init__(self, chain: Chain, progress: Progress, whole: int) -> None:
        self.data = self.zeros = self.read_back = 0
        self._chain, self._progress, self._whole = chain, progress, whole

    def write(self, disk: str, path: Path, to: Target) -> None:
        try:
            for block, offset, length in self._chain.blocks(disk):
                data = self._chain.read(disk, block, offset)
                if data is None:
                    to.zero(offset, length)
                    self.zeros += length
                else:
                    to.write(offset, data)
                    self.data += length
                self._tell()
        except BadBackup as error:
            raise BadBackup(
                error.file,
                f"{error.what}. The restoring of disk {disk} stopped there",
                f"What is in {title(path)} now is no whole disk: do not use it. {error.hint}",
            ) from error
        to.settle()

    def compare(self, disk: str, path: Path, to: Target) -> None:
        for block, offset, length in self._chain.blocks(disk):
            data, found = to.read(offset, length), self._chain.sum_of(block)
            is_it = is_zero(data) if found is None else checksum(data) == found
            if len(data) != length or not is_it:
                raise OperatorError(
                    f"{place(disk, offset)[0].upper()}{place(disk, offset)[1:]} was written to "
                    f"{title(path)}, and something else is read back.",
                    READ_BACK,
                )
            self.read_back += length
            self._tell()

    def _tell(self) -> None:
        self._progress((self.data + self.zeros + self.read_back) / self._whole)
