# SPDX-License-Identifier: MIT
"""Writes files so that a power cut leaves the old one or the new one, and both last.

It knows nothing of what is in them, and no file is readable for more people than it should be, not
for a moment.
"""

import contextlib
import os
from pathlib import Path


def write(path: Path, data: bytes, mode: int) -> None:
    """Replaces PATH by DATA with just MODE, and makes its folder if need be. Raises OSError."""
    _make_folder(path.parent)
    new = path.with_name(f"{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()  # what a power cut left; it may have another mode
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    new.replace(path)
    sync(path.parent)


def link(path: Path, target: Path) -> None:
    """Makes PATH a link to TARGET, whatever it was, and its folder if need be. Raises OSError."""
    _make_folder(path.parent)
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(path)
    sync(path.parent)


def remove(path: Path) -> None:
    """Removes PATH if it is there, and what a power cut left of a newer one. Raises OSError."""
    for one in (path.with_name(f"{path.name}.new"), path):
        with contextlib.suppress(FileNotFoundError):
            one.unlink()
            sync(one.parent)


def sync(path: Path) -> None:
    """Makes a file, the names in a folder, or what was written to a disk last. On a disk this also
    empties the disk's own cache (block/fops.c of the kernel, blkdev_fsync).
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(mode=0o755)
    sync(folder.parent)
