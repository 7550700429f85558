# SPDX-License-Identifier: MIT
"""Which backups are in a folder, as they say themselves: a file may have another name by now."""

from pathlib import Path

from haagent.backup import naming, plain
from haagent.backup.layout import BadBackup
from haagent.backup.naming import SUFFIX, UNFINISHED, Kind
from haagent.backup.reading import Backup
from haagent.backup.retention import Point
from haagent.errors import OperatorError


def survey(folder: Path) -> tuple[list[Point], list[BadBackup]]:
    """The backups in FOLDER that can be opened, and what is wrong with the others."""
    points, bad = [], []
    for path in sorted(_entries(folder)):
        try:
            point = _point(path)
        except BadBackup as error:
            bad.append(error)
        else:
            points += [point] if point is not None else []
    return points, bad


def unfinished(folder: Path) -> list[Path]:
    """What is being written just now, or was when the power failed."""
    return sorted(
        path
        for path in _entries(folder)
        if path.name.endswith(UNFINISHED) and naming.parse(path.name.removesuffix(UNFINISHED))
    )


def _point(path: Path) -> Point | None:
    if path.name.endswith(SUFFIX):
        with Backup(path) as backup:
            head = backup.head
            return Point(path.name, head.name, head.id, head.base.id if head.base else None)
    name = naming.parse(path.name)
    if name is None or name.kind is not Kind.PLAIN:
        return None
    plain.read(path)
    return Point(path.name, name, path.name)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise OperatorError(
            f"The backups in {folder} cannot be listed: {error.strerror}.",
            "Look whether the disk is plugged in and mounted.",
        ) from error
