# SPDX-License-Identifier: MIT
"""What the screens of this machine tell about its backups: a note below /run, for this boot.

Whoever makes them writes it; the agent, which must not wait for a stick, reads it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "backups.json"
FILE = Path("/run/shoestring") / NAME
LATEST = 1 << 37  # seconds: what is later no calendar of ours has


@dataclass(frozen=True, slots=True)
class News:
    """Of one guest that is to be backed up by itself. Moments are seconds since the epoch."""

    expected: float | None = None  # when the next good one is to be there, or was
    done: float | None = None  # when the newest was begun; None: there is none
    trouble: str = ""  # why the last try after that came to nothing; a sentence
    tried: float | None = None  # when that was


def write(news: Mapping[str, News], file: Path = FILE) -> None:
    """By the guests' names. Raises OSError."""
    if not news:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(json.dumps({guest: asdict(one) for guest, one in news.items()}))
    new.replace(file)


def read(file: Path = FILE) -> Mapping[str, News]:
    """Empty if nothing is known."""
    try:
        return {
            str(guest): News(
                moment(one["expected"]),
                moment(one["done"]),
                str(one["trouble"]),
                moment(one["tried"]),
            )
            for guest, one in json.loads(file.read_text()).items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def moment(value: object) -> float | None:
    """VALUE as it was read. Raises ValueError if it is none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < LATEST:
        raise ValueError(f"{value!r} is no moment")
    return float(value)
