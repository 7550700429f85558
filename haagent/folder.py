# SPDX-License-Identifier: MIT
"""Writes what must outlast a power cut. It must not know what is in it."""

import os
from pathlib import Path


class Folder:
    """A folder on a real disk. Every method raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self) -> None:
        if not self._path.is_dir():
            self._path.mkdir(mode=0o700)
            sync_folder(self._path.parent)

    def read(self, name: str) -> bytes | None:
        try:
            return (self._path / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        path = self._path / name
        path.unlink(missing_ok=True)
        with open(path, "xb", opener=_private) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def rename(self, old: str, new: str) -> None:
        (self._path / old).replace(self._path / new)

    def sync(self) -> None:
        sync_folder(self._path)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def sync_folder(path: Path) -> None:
    # fsync(2): a file's own fsync does not make its name durable.
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
