# SPDX-License-Identifier: MIT
"""What the screens of this machine tell about its updates: a note below /run, for this boot.

Whoever looks at the stick writes it; the agent, which must not wait for a stick, reads it.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from haagent.update.slots import Standing

FILE = Path("/run/shoestring/update.json")


@dataclass(frozen=True, slots=True)
class News:
    """Releases as people read them; "" for none."""

    runs: str
    waits: str = ""  # starts at the next start
    fallen: str = ""  # was given up, and nobody has put that aside yet


def of(standing: Standing) -> News:
    """What is to be told about STANDING."""
    fallen = standing.intent.fallen
    return News(
        standing.release(standing.running),
        standing.release(standing.intent.preferred) if standing.waits else "",
        standing.release(fallen) if fallen not in ("", standing.running) else "",
    )


def write(news: News, file: Path = FILE) -> None:
    """Raises OSError."""
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(json.dumps(asdict(news)))
    new.replace(file)


def read(file: Path = FILE) -> News | None:
    """None if nothing is known."""
    try:
        return News(**{str(k): str(v) for k, v in json.loads(file.read_text()).items()})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
