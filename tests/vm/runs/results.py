# SPDX-License-Identifier: MIT
"""build/vm-results.jsonl: a line for each run, appended and never changed.

A line is on the disk before the next scenario begins. A power cut or a SIGKILL in the middle of one
leaves a piece of a line at the end: it is no run, and the next line takes its place.
"""

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path

from tests.vm import tools
from tests.vm.runs.record import Record, dump, load

FILE = tools.BUILD / "vm-results.jsonl"
LONGEST = 1 << 20  # bytes; no line is longer


def append(record: Record, path: Path) -> None:
    """RECORD is the last line of PATH, and on the disk, when this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)  # two parts of the scenarios may run side by side
        _end_the_line(file)
        line = dump(record).encode() + b"\n"
        while line:
            line = line[os.write(file, line) :]
        os.fsync(file)
    finally:
        os.close(file)


def _end_the_line(file: int) -> None:
    """What stands behind the last newline of FILE is a whole line now, or gone."""
    size = os.fstat(file).st_size
    begin = max(0, size - LONGEST)
    tail = os.pread(file, size - begin, begin)
    whole, piece = tail[: tail.rfind(b"\n") + 1], tail[tail.rfind(b"\n") + 1 :]
    if not piece:
        return
    try:
        load(piece.decode(errors="replace"))
        os.write(file, b"\n")
    except ValueError:
        os.ftruncate(file, begin + len(whole))


def read(path: Path) -> list[Record]:
    """Every run in PATH, the oldest first; none if there is no such file. A torn last line is left
    out. Raises ValueError with the number of any other line that is not a run.
    """
    try:
        lines = path.read_text(errors="replace").split("\n")
    except FileNotFoundError:
        return []
    return list(_records(path, lines))


def _records(path: Path, lines: list[str]) -> Iterable[Record]:
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            yield load(line)
        except ValueError as error:
            if number == len(lines):  # nothing ended it
                return
            raise ValueError(f"{path}, line {number}: {error}") from error
