# SPDX-License-Identifier: MIT
"""The real hands of an install: what install.py asks for, done to the disks by their own programs.

No policy is in here. What was written is flushed, forgotten by the kernel's cache, and read back
from the disk, before a method ends.
"""

import contextlib
import filecmp
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from firstboot import files, stick
from firstboot.appliance import STATE, Appliance
from firstboot.installing import esp
from firstboot.installing import layout as layouts
from firstboot.installing.layout import BIOS, ESP, ROOTS, SECTOR, Layout, node
from firstboot.installing.layout import STATE as STATE_LABEL
from firstboot.installing.mark import DONE, PATH, WHY_NOT
from haagent.errors import OperatorError, ToolError
from haagent.update import slots
from haagent.update.slots import Slot

LIMIT = 120.0  # seconds for one program
LONG_LIMIT = 3600.0  # for one that reads or writes a whole file system
CHUNK = 4 << 20  # bytes
BOOT_CODE = 440  # bytes of sector 0 that are no partition table (UEFI 2.10, 5.2.1)
DEV = Path("/dev")
MEDIUM = DEV / "medium/disk"  # what we run from
NEW_STATE = Path("/run/shoestring/new-state")
# Below STATE; the logs move on while they are copied, the others are not to be the same.
MARK, NOTE, RECORD = (str(Path(path).relative_to(STATE)) for path in (PATH, WHY_NOT, DONE))
NOT_COMPARED = ("lost+found", "var/log", MARK, NOTE, RECORD)
ANOTHER = "Use another disk: this one does not keep what is written to it."


class Carrying(Appliance):
    """This machine."""

    def stick(self) -> Layout:
        return self._table(self._medium())

    def used(self) -> int:
        status = os.statvfs(STATE)
        return (status.f_blocks - status.f_bfree) * status.f_frsize

    def count_starts_anew(self) -> None:
        with stick.mounted(self._own(ESP), is_writable=True, run=self._run) as folder:
            path = folder / slots.ENVIRONMENT
            if not path.exists():
                return  # GRUB counts no starts
            with _told(path), path.open("r+b") as file:
                # In its place: GRUB writes to the blocks that it found the file in.
                whole = esp.with_all_starts(file.read())
                file.seek(0)
                file.write(whole)
                file.flush()
                os.fsync(file.fileno())

    def clear(self, disk: str, layout: Layout) -> None:
        self.clear_disk(disk)
        device = DEV / disk
        # safety: an older file system that is in just this place would come back with the table.
        with _told(device):
            for start in (0, layout.part(ESP).start, layout.part(STATE_LABEL).start):
                write(device, start * SECTOR, [bytes(1 << 20)])

    def divide(self, disk: str, layout: Layout) -> None:
        device = str(DEV / disk)
        argv = ("sfdisk", "--quiet", "--wipe=always", "--wipe-partitions=never", device)
        self._run(argv, timeout=LIMIT, stdin=layouts.script(layout))
        files.sync(Path(device))
        self._settle()
        if self._table(disk).parts != layout.parts:
            raise ToolError(argv, 0, "the partitions are others than were asked for")

    def copy_boot_code(self, disk: str, layout: Layout) -> None:
        with _told(DEV / disk):
            sector = read(DEV / self._medium(), 0, SECTOR)
            if not esp.boot_code_leads_to(sector, layout.part(BIOS).start):
                raise OperatorError(
                    "The boot code of the stick is not GRUB's, or GRUB is not where it looks.",
                    "Flash a new stick, and install from that one.",
                )
            write(DEV / disk, 0, [sector[:BOOT_CODE]])
            part = layout.part(BIOS)
            self._copy(BIOS, disk, layout, part.size * SECTOR)
            if read(DEV / disk, 0, BOOT_CODE) != sector[:BOOT_CODE]:
                raise OperatorError(f"The boot code on {disk} reads otherwise.", ANOTHER)

    def copy_esp(self, disk: str, layout: Layout, volume: str) -> None:
        source = DEV / self._own(ESP)
        place = DEV / node(disk, layout.part(ESP).number)
        length = layout.part(ESP).size * SECTOR
        with _told(place):
            second = esp.backup_at(read(source, 0, SECTOR))
            write(place, 0, chunks(source, SECTOR, length, before=bytes(SECTOR)))
            write(place, second, [esp.with_volume(read(source, second, SECTOR), volume)])
            for at, chunk in numbered(chunks(source, SECTOR, length, before=bytes(SECTOR))):
                if at <= second < at + len(chunk):
                    inside = second - at
                    copied = esp.with_volume(chunk[inside : inside + SECTOR], volume)
                    chunk = chunk[:inside] + copied + chunk[inside + SECTOR :]
                _assert_same(place, at, chunk)

    def copy_slots(self, disk: str, layout: Layout, tell: Callable[[str], None]) -> None:
        for name, slot in self._slots().items():
            label = ROOTS[name]
            part = layout.part(label)
            if slot.size > part.size * SECTOR:
                raise OperatorError(f"slot-{name}/slot.cfg is damaged.", "Flash a new stick.")
            place = str(DEV / node(disk, part.number))
            if not self._is_whole(place, slot):
                tell(f"Copying the system in slot {name}, {slot.size >> 20} MiB.")
                with _told(Path(place)):
                    self._copy(label, disk, layout, slot.size)
                self._verify(place, slot)

    def copy_state(self, disk: str, layout: Layout) -> None:
        device = str(DEV / node(disk, layout.part(STATE_LABEL).number))
        # The journal would grow while it is copied; it goes on in memory, and this start's ends.
        self._run(("journalctl", "--relinquish-var"), timeout=LIMIT)
        if NEW_STATE.is_mount():
            self._run(("umount", str(NEW_STATE)), timeout=LIMIT)
        argv = ("mkfs.ext4", "-q", "-F", "-m", "0", "-L", "shoestring-state", device)
        self._run(argv, timeout=LONG_LIMIT)
        with self._mounted(device, "rw,noatime"):
            copy = ("cp", "--archive", "--one-file-system", f"{STATE}/.", str(NEW_STATE))
            self._run(copy, timeout=LONG_LIMIT)
            with _told(NEW_STATE):
                for name in (MARK, NOTE):
                    files.remove(NEW_STATE / name)
                files.write(NEW_STATE / RECORD, b'{"version": 1}\n', 0o644)
        files.sync(Path(device))
        self._run(("e2fsck", "-f", "-n", device), timeout=LONG_LIMIT)
        with self._mounted(device, "ro"), _told(NEW_STATE):
            found = difference(STATE, NEW_STATE)
            if found is not None:
                raise OperatorError(f"The copy of {STATE / found} is not the same.", ANOTHER)

    def start_from(self, disk: str, layout: Layout, volume: str) -> None:
        place = DEV / node(disk, layout.part(ESP).number)
        with _told(place):
            forget_cache(place)
            found = read(place, 0, SECTOR)
            if esp.has_volume(found, volume):
                return
            if found.strip(b"\0"):
                raise OperatorError(
                    f"The disk {disk} holds something else by now.",
                    "The machine was on it. Flash the stick anew, and replace the machine.",
                )
            sector = esp.with_volume(read(DEV / self._own(ESP), 0, SECTOR), volume)
            write(place, 0, [sector])
            _assert_same(place, 0, sector)

    def give_up_stick(self, words: str) -> None:
        with stick.mounted(self._own(ESP), is_writable=True, run=self._run) as folder:
            with _told(folder):
                files.write(folder / "grub/grub.cfg", words.encode(), 0o644)
                # Or the disk's grub.cfg would come back to it, when the firmware starts the stick.
                (folder / "grub/menu.cfg").unlink(missing_ok=True)
                files.sync(folder / "grub")
            stick.retire_answers(folder)
        with stick.mounted(self._own(ESP), run=self._run) as folder, _told(folder):
            if (folder / "grub/grub.cfg").read_text() != words:
                raise OperatorError("The stick does not keep what is written to it.", "Pull it.")
        medium = self._medium()
        table = self._table(medium)
        if not any(part.label == STATE_LABEL for part in table.parts):
            return
        # Mounted as it is: the kernel is not told, and the next start finds no state.
        number = str(table.part(STATE_LABEL).number)
        options = ("--quiet", "--force", "--no-reread", "--no-tell-kernel", "--delete")
        self._run(("sfdisk", *options, str(DEV / medium), number), timeout=LIMIT)
        files.sync(DEV / medium)

    def _medium(self) -> str:
        """What we run from, below /dev. Raises OperatorError."""
        found = [disk.name for disk in self.machine().disks if disk.is_boot_medium]
        name = MEDIUM.resolve().name
        if found != [name]:
            raise OperatorError(
                f"The medium that this machine started from is not known: {MEDIUM} is {name}.",
                "Start the machine again.",
            )
        return name

    def _own(self, label: str) -> str:
        """The partition called LABEL of what we run from, below /dev."""
        medium = self._medium()
        return node(medium, self._table(medium).part(label).number)

    def _table(self, disk: str) -> Layout:
        argv = layouts.read_table(str(DEV / disk))
        return layouts.parse_table(argv, self._run(argv, timeout=LIMIT))

    def _slots(self) -> dict[str, Slot]:
        found = {}
        with stick.mounted(self._own(ESP), run=self._run) as folder, _told(folder):
            for name in ROOTS:
                path = folder / slots.folder(name) / slots.CONFIG
                if path.exists():
                    found[name] = esp.parse_slot(name, path.read_text(encoding="ascii"))
        if not found:
            raise OperatorError("There is no system on the stick.", "Flash a new one.")
        return found

    def _copy(self, label: str, disk: str, layout: Layout, length: int) -> None:
        """The first LENGTH bytes of the partition called LABEL. Raises OSError or OperatorError."""
        source, place = DEV / self._own(label), DEV / node(disk, layout.part(label).number)
        write(place, 0, chunks(source, 0, length))
        for at, chunk in numbered(chunks(source, 0, length)):
            _assert_same(place, at, chunk)

    def _verify(self, place: str, slot: Slot) -> None:
        """Raises ToolError if what is in PLACE is not what SLOT says."""
        offset = f"--hash-offset={slot.blocks * slots.BLOCK}"
        argv = ("veritysetup", "verify", place, place, slot.roothash, offset)
        self._run(argv, timeout=LONG_LIMIT)

    def _is_whole(self, place: str, slot: Slot) -> bool:
        """Whether an earlier try left it there."""
        forget_cache(Path(place))
        try:
            self._verify(place, slot)
        except ToolError:
            return False
        return True

    @contextlib.contextmanager
    def _mounted(self, device: str, options: str) -> Iterator[None]:
        NEW_STATE.mkdir(parents=True, exist_ok=True)
        argv = ("mount", "-t", "ext4", "-o", options, device, str(NEW_STATE))
        self._run(argv, timeout=LIMIT)
        try:
            yield
        finally:
            self._run(("umount", str(NEW_STATE)), timeout=LONG_LIMIT)


def read(path: Path, at: int, length: int) -> bytes:
    """Raises OSError, also if there is less."""
    with path.open("rb") as file:
        file.seek(at)
        data = file.read(length)
    if len(data) != length:
        raise OSError(5, f"it ends after {at + len(data)} bytes")
    return data


def chunks(path: Path, begin: int, end: int, before: bytes = b"") -> Iterator[bytes]:
    """What is in PATH from BEGIN to END, after BEFORE. Raises OSError."""
    yield before
    with path.open("rb") as file:
        file.seek(begin)
        while begin < end:
            data = file.read(min(CHUNK, end - begin))
            if not data:
                raise OSError(5, f"it ends after {begin} bytes")
            begin += len(data)
            yield data


def numbered(parts: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """Each of PARTS with the place where it begins."""
    at = 0
    for part in parts:
        yield at, part
        at += len(part)


def write(path: Path, at: int, parts: Iterator[bytes] | list[bytes]) -> None:
    """Writes PARTS to PATH from AT on; they are on the disk, and not in our cache, when this ends.
    Raises OSError.
    """
    with path.open("r+b", buffering=0) as file:
        file.seek(at)
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[file.write(view) or 0 :]
        os.fsync(file.fileno())
    forget_cache(path)


def forget_cache(path: Path) -> None:
    """What is read next comes from the disk (posix_fadvise(2)). Raises OSError."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def difference(one: Path, other: Path, at: Path = Path()) -> Path | None:
    """What is below ONE and not the same below OTHER, or the reverse; None if nothing is. Raises
    OSError.
    """
    if str(at) in NOT_COMPARED:
        return None
    try:
        first, second = (one / at).lstat(), (other / at).lstat()
    except FileNotFoundError:
        return at
    if (first.st_mode, first.st_uid, first.st_gid) != (
        second.st_mode,
        second.st_uid,
        second.st_gid,
    ):
        return at
    if stat.S_ISLNK(first.st_mode):
        return None if (one / at).readlink() == (other / at).readlink() else at
    if stat.S_ISREG(first.st_mode):
        return None if filecmp.cmp(one / at, other / at, shallow=False) else at
    if not stat.S_ISDIR(first.st_mode):
        return None
    names = {entry.name for top in (one, other) for entry in (top / at).iterdir()}
    for name in sorted(names):
        if (found := difference(one, other, at / name)) is not None:
            return found
    return None


def _assert_same(path: Path, at: int, data: bytes) -> None:
    if data and read(path, at, len(data)) != data:
        raise OperatorError(f"{path} was written, and something else is read back.", ANOTHER)


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """An OSError about PATH becomes an OperatorError."""
    try:
        yield
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be read or written: {error.strerror}",
            "The disk, the stick or a cable is failing.",
        ) from error
