# SPDX-License-Identifier: MIT
"""What has its name only once it is whole and on the disk: a file, or a folder of files."""

import contextlib
import errno
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from haagent.backup.disks import HINTS, SETTLED, Target, settle
from haagent.backup.layout import title
from haagent.backup.naming import UNFINISHED
from haagent.errors import OperatorError
from haagent.folder import sync_folder

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def unwritten(what: str, error: OSError) -> OperatorError:
    """What ERROR means to a person, where WHAT should have been written."""
    return OperatorError(
        f"{what} could not be written: {error.strerror or error}. It is not there.",
        HINTS.get(error.errno or 0, "Look at where it should go, and try again."),
    )


class SettledFile(io.FileIO):
    """It never leaves much to be written for later: so a share that was told is true, and a slow
    stick does not fill the memory.
    """

    _waiting = 0

    def write(self, data: "ReadableBuffer", /) -> int:
        done = super().write(data)
        self._waiting += done
        if self._waiting >= SETTLED:
            settle(self.fileno())
            self._waiting = 0
        return done


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)  # all that the guest knows is in it


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[io.FileIO]:
    """A new file, which is PATH when the block has ended well. Raises OperatorError."""
    part = _part(path)
    try:
        file = SettledFile(part, "x+b", opener=_private)
    except FileExistsError:
        raise _in_the_way(part) from None
    except OSError as error:
        raise unwritten(title(path), error) from error
    with _removed_unless_whole(part):
        with file:
            yield file
            with _told(path):
                os.fsync(file.fileno())
        _take_up(part, path)


def sized(path: Path, file: io.FileIO, size: int) -> Target:
    """FILE, which will be PATH, as a disk of SIZE that is all holes. Raises OperatorError."""
    with _told(path):
        file.truncate(size)
    return Target(path, file.fileno(), is_new=True)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A new folder, which is PATH when the block has ended well; whoever writes a file in it has
    it on the disk before. Raises OperatorError.
    """
    part = _part(path)
    try:
        part.mkdir(mode=0o700)
    except FileExistsError:
        raise _in_the_way(part) from None
    except OSError as error:
        raise unwritten(title(path), error) from error
    with _removed_unless_whole(part):
        yield part
        with _told(path):
            _sync(part)
        _take_up(part, path)


def _part(path: Path) -> Path:
    if os.path.lexists(path):
        raise OperatorError(
            f"{title(path)} is there already. Nothing was written.",
            "Wait for the next minute, or name another place.",
        )
    return path.with_name(path.name + UNFINISHED)


def _in_the_way(part: Path) -> OperatorError:
    # safety: it may be another one's who is still writing, and would end with our name for it.
    return OperatorError(
        f"{title(part)} is there: it is being written just now, or was not finished. Nothing was "
        "written.",
        "If nobody is writing it, remove it.",
    )


@contextlib.contextmanager
def _removed_unless_whole(part: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # Also for Ctrl-C. What a power cut leaves still says that it is not finished.
        with contextlib.suppress(OSError):
            if part.is_dir():
                shutil.rmtree(part)
            else:
                part.unlink()
        raise


def _take_up(part: Path, path: Path) -> None:
    with _told(path):
        part.rename(path)
        try:
            _sync(path.parent)
        except OSError:
            # It is whole, but whether it keeps its name nobody knows. So it is told as not there.
            with contextlib.suppress(OSError):
                path.rename(part)
            raise


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unwritten(title(path), error) from error


def _sync(folder: Path) -> None:
    try:
        sync_folder(folder)
    except OSError as error:
        # Not every file system has an fsync of folders; where it has none, nobody can wait for it.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
