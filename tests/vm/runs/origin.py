# SPDX-License-Identifier: MIT
"""What a run stands on: the commit, the images, and how busy this host is."""

import contextlib
import hashlib
import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.vm import tools

HASHES = tools.BUILD / "image-hashes.json"
# What a run's results are written into: a change of it changes no run.
NOT_CODE = ":(exclude)docs/reliability.md"


@dataclass(frozen=True, slots=True)
class Tree:
    commit: str
    is_dirty: bool


def tree(top: Path = tools.TOP) -> Tree:
    """The commit that is checked out in TOP, and whether anything differs from it."""
    return Tree(
        _git(top, "rev-parse", "HEAD"),
        bool(_git(top, "status", "--porcelain", "--", ".", NOT_CODE)),
    )


def _git(top: Path, *argv: str) -> str:
    ended = subprocess.run(
        ["git", *argv], cwd=top, stdout=subprocess.PIPE, encoding="utf-8", check=True
    )
    return ended.stdout.strip()


def hashes(images: Iterable[Path], cache: Path = HASHES) -> dict[str, str]:
    """The sha256 of each of IMAGES that is there, by file name.

    To read two gigabytes for each scenario would be a pity: CACHE keeps what was read, until a
    file's size or time of change is another.
    """
    known = _known(cache)
    found, is_new = {}, False
    for image in images:
        try:
            stat = image.stat()
        except FileNotFoundError:
            continue
        state = [stat.st_size, stat.st_mtime_ns]
        kept = known.get(str(image))
        if not isinstance(kept, dict) or kept.get("state") != state:
            with image.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            kept = known[str(image)] = {"state": state, "sha256": digest}
            is_new = True
        found[image.name] = str(kept["sha256"])
    if is_new:
        _keep(known, cache)
    return found


def _known(cache: Path) -> dict[str, object]:
    with contextlib.suppress(OSError, ValueError):
        read = json.loads(cache.read_text())
        if isinstance(read, dict):
            return read
    return {}


def _keep(known: Mapping[str, object], cache: Path) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    new = cache.with_name(f"{cache.name}.{os.getpid()}")
    new.write_text(json.dumps(known, indent=1) + "\n")
    new.replace(cache)


def now() -> str:
    """As a record has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def load() -> float:
    """How many processes ran on this host, or wanted to, in the last minute."""
    return round(os.getloadavg()[0], 2)
