# SPDX-License-Identifier: MIT
"""The boot half of the stick that this machine was started from: its ESP and its two roots.

No policy is in here. Nothing is promised to last before `flush` has returned, and until then a
power cut may leave any of it.
"""

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from haagent.errors import OperatorError
from haagent.mounting import mounted
from haagent.run import Run, run
from haagent.update import grubenv, slots

DEVICES = Path("/dev/medium")  # links that udev makes
DEV = Path("/dev")
POINT = Path("/run/shoestring/esp")
CHUNK = 1 << 20  # bytes
FAILING = (
    "The stick may be failing, or was pulled. This machine goes on as it is: nothing of what runs"
    " is on the stick but the state. Look at `journalctl -k`."
)


class Medium(Protocol):
    """A file is named by its path on the ESP, such as slot-b/xen; the root of a slot by its
    partition, such as root-b. Every method raises OSError.
    """

    def read(self, name: str) -> bytes | None:
        """A small file of the ESP; None if there is none."""

    def names(self, folder: str) -> list[str]:
        """The files in a FOLDER of the ESP, by their paths on it."""

    def remove(self, name: str) -> None:
        """Removes the file, if it is there."""

    def write(self, name: str, offset: int, data: bytes) -> None:
        """DATA at OFFSET of a partition, or of a file that was not there, which is made."""

    def overwrite(self, name: str, data: bytes) -> None:
        """All of a file that is there and as long as DATA, in its place on the disk."""

    def flush(self) -> None:
        """Returns when everything so far is on the disk, and would be after a power cut."""

    def read_back(self, name: str, size: int) -> Iterator[bytes]:
        """The first SIZE bytes in chunks, from the disk and not from memory."""

    def room(self) -> int:
        """Bytes that are free on the ESP."""

    def size(self, name: str) -> int:
        """Bytes: of a file, or of a whole partition."""


@contextlib.contextmanager
def boot_medium(
    *, is_writable: bool = False, run: Run = run, devices: Path = DEVICES, point: Path = POINT
) -> Iterator[Medium]:
    """The stick's, with its ESP mounted meanwhile. Waits for whoever has it. Raises OperatorError,
    also for an OSError of whoever uses it, and ToolError.
    """
    try:
        point.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with point.with_suffix(".lock").open("w") as lock:
            # safety: a second one would find the ESP mounted, and unmount it under the first.
            fcntl.flock(lock, fcntl.LOCK_EX)
            esp = devices / "esp"
            if not esp.exists():
                raise OperatorError(
                    "The stick that this machine was started from is gone.", FAILING
                )
            device = str(esp.relative_to(DEV))
            with mounted(device, "vfat", point, is_writable=is_writable, run=run) as folder:
                stick = Stick(folder, devices)
                try:
                    yield stick
                finally:
                    stick.close()
    except OSError as error:
        raise failing(error) from error


def failing(error: OSError) -> OperatorError:
    """What an ERROR of the stick means."""
    return OperatorError(f"The stick cannot be read or written: {error.strerror}.", FAILING)


class Stick:
    """A `Medium` whose ESP is mounted at FOLDER, and whose partitions are links in DEVICES."""

    def __init__(self, folder: Path, devices: Path) -> None:
        self._folder = folder
        self._devices = devices
        self._open: dict[str, IO[bytes]] = {}  # written to, and not flushed yet
        self._touched: set[Path] = set()  # folders in which names came or went since the flush

    def close(self) -> None:
        for file in self._open.values():
            file.close()
        self._open.clear()

    def read(self, name: str) -> bytes | None:
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        place = self._folder / folder
        return sorted(f"{folder}/{file.name}" for file in place.iterdir()) if place.is_dir() else []

    def remove(self, name: str) -> None:
        path = self._path(name)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
            self._touched.add(path.parent)

    def write(self, name: str, offset: int, data: bytes) -> None:
        if name not in self._open:
            self._open[name] = self._opened(name)
        _write_all(self._open[name].fileno(), data, offset)

    def overwrite(self, name: str, data: bytes) -> None:
        # safety: GRUB saves into the very blocks that the file has. It is never made anew, made
        # longer or shorter, and one call writes all of it.
        file = self._path(name).open("r+b", buffering=0)
        self._open[name] = file
        if os.fstat(file.fileno()).st_size != len(data):
            raise OSError(errno.EIO, f"{name} has another size than it should have")
        _write_all(file.fileno(), data, 0)

    def flush(self) -> None:
        for file in self._open.values():
            os.fsync(file.fileno())
        self.close()
        for folder in self._touched:
            _sync(folder)
        self._touched.clear()

    def read_back(self, name: str, size: int) -> Iterator[bytes]:
        with self._path(name).open("rb", buffering=0) as file:
            # posix_fadvise(2): pages that were flushed are dropped, and come from the disk again.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            left = size
            while left and (chunk := file.read(min(left, CHUNK))):
                left -= len(chunk)
                yield chunk

    def room(self) -> int:
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize

    def size(self, name: str) -> int:
        with self._path(name).open("rb") as file:
            return file.seek(0, os.SEEK_END)

    def _path(self, name: str) -> Path:
        is_root = name in map(slots.root, slots.NAMES)
        return self._devices / name if is_root else self._folder / name

    def _opened(self, name: str) -> IO[bytes]:
        path = self._path(name)
        if path.parent == self._devices:
            return path.open("r+b", buffering=0)  # a partition is never made
        if not path.parent.is_dir():
            path.parent.mkdir()
            self._touched.add(path.parent.parent)
        self._touched.add(path.parent)
        return path.open("xb", buffering=0)


def standing(medium: Medium, cmdline: str) -> slots.Standing:
    """What MEDIUM holds, beside the kernel's command line. Raises OSError and OperatorError."""
    runs = slots.running(cmdline)
    held = {}
    for name in slots.NAMES:
        text = medium.read(f"{slots.folder(name)}/{slots.CONFIG}")
        with contextlib.suppress(ValueError):
            if text is not None:
                held[name] = slots.parse(text.decode("ascii", "replace"))
    try:
        variables = grubenv.parse(medium.read(slots.ENVIRONMENT) or b"")
        intent = slots.Intent.of(variables)
    except (grubenv.NotABlock, ValueError):
        # GRUB makes nothing of it either, and starts slot a; what runs is what shall start again.
        return slots.Standing(runs, slots.Intent(runs), held, is_damaged=True)
    rest = {name: value for name, value in variables.items() if name not in intent.variables()}
    return slots.Standing(runs, intent, held, rest)


def intend(medium: Medium, found: slots.Standing, intent: slots.Intent) -> None:
    """GRUB does as INTENT says from now on, also after a power cut. Raises OSError, and
    OperatorError if something else is read back.
    """
    data = grubenv.build({**found.rest, **intent.variables()})
    medium.overwrite(slots.ENVIRONMENT, data)
    medium.flush()
    if b"".join(medium.read_back(slots.ENVIRONMENT, grubenv.SIZE)) != data:
        raise OperatorError("What GRUB is told on the stick is not what is read back.", FAILING)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
