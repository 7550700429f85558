# SPDX-License-Identifier: MIT
"""The simplest backup there is, for whom nothing of ours shall be needed: a folder with each disk
as it is (NAME.raw, with holes where it is zero), the guest's definition (GUEST.yaml) and the sums
of all of them (SHA256SUMS, which `sha256sum -c` takes).

The sum of a disk is known only at its end. So a restoration reads a disk twice: first to check it,
then to write it. Everything raises OperatorError.
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from haagent.backup.definition import LONGEST, mapping
from haagent.backup.disks import Source, Target, is_zero
from haagent.backup.files import sized, whole_file, whole_folder
from haagent.backup.head import Disk, offspring
from haagent.backup.layout import MOST_DISKS, BadBackup, Progress, readable, silent, title
from haagent.backup.naming import Kind, Name
from haagent.backup.reading import opened
from haagent.backup.restoring import READ_BACK, Restored, prepared
from haagent.errors import OperatorError
from haagent.guests.name import checked

SUMS, RAW, YAML = "SHA256SUMS", ".raw", ".yaml"
LINE = re.compile(r"([0-9a-f]{64}) [ *]([a-z0-9-]+)(\.raw|\.yaml)", re.ASCII)
LONGEST_SUMS = 1 << 14  # bytes
CHUNK = 1 << 20  # bytes


def write(
    folder: Path,
    guest: str,
    at: datetime,
    definition: str,
    sources: Sequence[Source],
    progress: Progress = silent,
) -> Path:
    """A folder in FOLDER, under the name that it should have; DEFINITION is YAML text."""
    disks = [Disk(source.name, source.size) for source in sources]
    head = offspring(guest, at, definition, disks)
    path = folder / str(Name(guest, head.at, Kind.PLAIN))
    done = 0

    def told(count: int) -> None:
        nonlocal done
        done += count
        progress(done / head.size)

    with whole_folder(path) as place:
        sums = [f"{_write(place / f'{guest}{YAML}', definition.encode())}  {guest}{YAML}\n"]
        for source in sources:
            name = f"{source.name}{RAW}"
            sums.append(f"{_write_disk(place / name, source, told)}  {name}\n")
        _write(place / SUMS, "".join(sums).encode())
    return path


def _write(path: Path, data: bytes) -> str:
    """The sum of it."""
    with whole_file(path) as file:
        Target(path, file.fileno(), is_new=True).write(0, data)
    return hashlib.sha256(data).hexdigest()


def _write_disk(path: Path, source: Source, told: Callable[[int], None]) -> str:
    """The sum of it."""
    digest = hashlib.sha256()
    with whole_file(path) as file:
        to = sized(path, file, source.size)
        for at in range(0, source.size, CHUNK):
            data = source.read(at, min(CHUNK, source.size - at))
            digest.update(data)
            if not is_zero(data):
                to.write(at, data)
            told(len(data))
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Plain:
    """Such a folder. The sums were read, and not yet compared."""

    folder: Path
    guest: str
    definition: str
    disks: tuple[Disk, ...]
    sums: Mapping[str, str]  # of the disks

    def verify(self, progress: Progress = silent) -> None:
        """Raises BadBackup unless every disk is as its sum says."""
        whole, done = sum(disk.size for disk in self.disks), 0
        for disk in self.disks:
            digest = hashlib.sha256()
            for data in self.chunks(disk):
                digest.update(data)
                done += len(data)
                progress(done / whole)
            self.compare(disk, digest.hexdigest())

    def restore(
        self,
        targets: Mapping[str, Path],
        progress: Progress = silent,
        *,
        is_read_back: bool = False,
    ) -> Restored:
        """As `restoring.restore`."""
        sizes = {disk.name: disk.size for disk in self.disks}
        with contextlib.ExitStack() as stack:
            taken = {self._identity(disk) for disk in self.disks}
            places = prepared(stack, sizes, targets, taken)
            self.verify(lambda share: progress(share / 2))
            act = _Act(self, progress, sum(sizes[disk] for disk in targets), is_read_back)
            for disk in self.disks:
                if disk.name in places:
                    act.write(disk, places[disk.name])
            if is_read_back:
                for disk in self.disks:
                    if disk.name in places:
                        act.compare(disk, places[disk.name], targets[disk.name])
        return Restored(tuple(targets), act.data, act.zeros, act.read_back)

    def _identity(self, disk: Disk) -> tuple[int, ...]:
        with readable(title(self.folder)):
            found = _raw(self.folder, disk.name).stat()
        return (found.st_dev, found.st_ino)

    def chunks(self, disk: Disk) -> Iterator[bytes]:
        """All of it; raises BadBackup."""
        left = disk.size
        with opened(_raw(self.folder, disk.name)) as file:
            while left:
                try:
                    data = file.read(min(left, CHUNK))
                except OSError as error:
                    raise self._bad(disk, f"cannot be read at byte {disk.size - left}") from error
                if not data:
                    raise self._bad(disk, f"ends too early, at byte {disk.size - left}")
                left -= len(data)
                yield data

    def compare(self, disk: Disk, found: str) -> None:
        if found != self.sums[disk.name]:
            raise self._bad(disk, f"is damaged: its sum is not that in {SUMS}")

    def _bad(self, disk: Disk, why: str) -> BadBackup:
        return BadBackup(title(self.folder), f"{disk.name}{RAW} {why}")


class _Act:
    """One restoration, and how far it is."""

    def __init__(self, plain: Plain, progress: Progress, size: int, is_read_back: bool) -> None:
        self.data = self.zeros = self.read_back = 0
        self._plain, self._progress = plain, progress
        self._whole = size * (2 if is_read_back else 1)

    def write(self, disk: Disk, to: Target) -> None:
        digest, at = hashlib.sha256(), 0
        for data in self._plain.chunks(disk):
            digest.update(data)
            if is_zero(data):
                to.zero(at, len(data))
                self.zeros += len(data)
            else:
                to.write(at, data)
                self.data += len(data)
            at += len(data)
            self._tell()
        to.settle()
        # It was right a moment ago; if it is not any more, what was written is wrong as well.
        self._plain.compare(disk, digest.hexdigest())

    def compare(self, disk: Disk, to: Target, path: Path) -> None:
        digest = hashlib.sha256()
        for at in range(0, disk.size, CHUNK):
            data = to.read(at, min(CHUNK, disk.size - at))
            digest.update(data)
            self.read_back += len(data)
            self._tell()
        if digest.hexdigest() != self._plain.sums[disk.name]:
            raise OperatorError(
                f"Disk {disk.name} was written to {title(path)}, and something else is read back.",
                READ_BACK,
            )

    def _tell(self) -> None:
        done = self.data + self.zeros + self.read_back
        self._progress(0.5 + done / self._whole / 2)


def read(folder: Path) -> Plain:
    """The plain backup in FOLDER; only the sums and the definition are looked at."""
    with readable(title(folder)):
        return _read(folder)


def _read(folder: Path) -> Plain:
    name = title(folder)
    sums = _sums(name, _small(folder, SUMS, LONGEST_SUMS))
    guests = [file.removesuffix(YAML) for file in sums if file.endswith(YAML)]
    disks = [file.removesuffix(RAW) for file in sums if file.endswith(RAW)]
    if len(guests) != 1 or not 1 <= len(disks) <= MOST_DISKS:
        raise BadBackup(name, f"{SUMS} does not name one definition and at least one disk")
    try:
        for one in (*guests, *disks):
            checked(one)
        definition = _small(folder, f"{guests[0]}{YAML}", LONGEST)
        if hashlib.sha256(definition).hexdigest() != sums[f"{guests[0]}{YAML}"]:
            raise ValueError("its sum is wrong")
        text = definition.decode()
        mapping(text)
    except BadBackup:
        raise
    except (ValueError, OperatorError) as error:
        raise BadBackup(name, f"its definition or a name in it is wrong: {error}") from error
    sizes = tuple(Disk(disk, _size(folder, disk)) for disk in disks)
    return Plain(folder, guests[0], text, sizes, {disk: sums[f"{disk}{RAW}"] for disk in disks})


def _sums(name: str, data: bytes) -> dict[str, str]:
    sums: dict[str, str] = {}
    for line in data.decode("ascii", "replace").splitlines():
        found = LINE.fullmatch(line)
        if found is None or found[2] + found[3] in sums:
            raise BadBackup(name, f"{SUMS} has a line that is not understood: {line!r:.80}")
        sums[found[2] + found[3]] = found[1]
    return sums


def _raw(folder: Path, disk: str) -> Path:
    path = folder / f"{disk}{RAW}"
    # safety: on a stick that somebody found, a link may lead to a disk of this machine.
    if path.is_symlink():
        raise BadBackup(title(folder), f"{path.name} is a link")
    return path


def _size(folder: Path, disk: str) -> int:
    with opened(_raw(folder, disk)) as file:
        size = os.fstat(file.fileno()).st_size
    if size == 0:
        raise BadBackup(title(folder), f"{disk}{RAW} is empty")
    return size


def _small(folder: Path, name: str, limit: int) -> bytes:
    path = folder / name
    if path.is_symlink():
        raise BadBackup(title(folder), f"{name} is a link")
    with opened(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise BadBackup(title(folder), f"{name} is too long")
    return data
