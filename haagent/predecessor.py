# SPDX-License-Identifier: MIT
"""What an agent leaves to the one that is started after it in the same boot: a file in memory.

What the moments in it mean is core/feeding.py's. A file that is missing, torn or of another boot is
none: the next agent then knows what it finds out for itself.
"""

import contextlib
import json
from dataclasses import asdict
from pathlib import Path

from haagent.core.model import Predecessor

FILE = Path("/run/shoestring/predecessor")


def leave(left: Predecessor | None, boot: str, file: Path = FILE) -> None:
    """Writes it down, a few times a second, and does not mind if that fails."""
    new = file.with_suffix(".new")
    try:
        if left is not None:
            new.write_text(json.dumps({"boot": boot, **asdict(left)}))
            new.replace(file)
            return
    except OSError:
        pass  # no room, perhaps; an old one would hold the next agent back for nothing
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)


def read(boot: str, now: float, file: Path = FILE) -> Predecessor | None:
    """What the last agent of BOOT left, as it may be believed at NOW."""
    try:
        content = json.loads(file.read_text())
        if content.pop("boot") != boot:
            return None
        left = Predecessor(**content)
        moments = [left.confirmed, left.answered, left.fed]
        if left.blind_since is not None:
            moments.append(left.blind_since)
        # safety: what is yet to come would be fed for.
        return left if all(moment <= now for moment in moments) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
