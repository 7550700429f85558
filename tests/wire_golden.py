# SPDX-License-Identifier: MIT
"""What one format of a hello is, as a file: the rules of its decoder, and some datagrams of it.

Owns tests/data/wire/. A file there was made by the release that spoke the format first, and is
never made anew: what a later release calls that format is compared with it. For a new format:

    python -m tests.wire_golden > tests/data/wire/version-N.json
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path as File
from typing import Any

from haagent.cluster import wire
from haagent.core.model import (
    Choice,
    Disk,
    Figures,
    GuestHello,
    Hello,
    LanChange,
    LanStage,
    Path,
    Phase,
    Request,
)
from haagent.core.wish import Target, Wish
from tests.decoders import named

FOLDER = File(__file__).parent / "data" / "wire"
KEY = b"k" * 32  # of no pair

QUIET = Hello(
    node=1,
    boot="b1",
    number=7,
    heard_boot="",
    heard={Path.LAN: 3},
    scale=1.0,
    figures=Figures(is_armed=True, self_fence=8.0, watchdog=5.0, feed=1.0),
    has_referee=False,
    guests={},
)
RESTING = GuestHello(
    term=4,
    theirs=3,
    phase=Phase.RELEASED,
    disk=Disk.UP_TO_DATE,
    is_connected=True,
    is_alone=False,
    request=Request(nonce=8, term=5),
    grant=Request(nonce=21, term=6),
    promise=2,
    stands_down=True,
    evidence=1,
    returned=1,
    farewell=4,
    keeps_farewell=True,
)
PARTED = GuestHello(
    term=9,
    theirs=8,
    phase=Phase.HOLDING,
    disk=Disk.UP_TO_DATE,
    is_connected=False,
    is_alone=True,
    request=None,
    grant=None,
    promise=0,
    stands_down=False,
    evidence=0,
    returned=0,
    farewell=None,
    keeps_farewell=False,
    choice=Choice(3, 1, "20260102-0304", is_open=True, is_agreed=True, is_kept=True),
    proposal=Choice(4, 0, "", is_open=True),
    is_refused=True,
    has_dropped=True,
    differs=12,
    wish=Wish(6, Target.RETRIED),
)
FULL = Hello(
    node=0,
    boot="0a1b2c3d-0000-4000-8000-0123456789ab",
    number=81234,
    heard_boot="b1",
    heard={Path.LAN: 70, Path.CROSSOVER: 71, Path.HEARTBEAT: 69},
    scale=4.0,
    figures=Figures(is_armed=False, self_fence=32.0, watchdog=20.0, feed=4.5),
    has_referee=True,
    guests={"mail": RESTING, "files": PARTED},
    is_leaving=True,
    in_maintenance=True,
    room=4096,
    troubles={"files": "no room for a copy"},
    lan=LanChange(2, "10.0.2.11/24", "10.0.2.12/24", "10.0.2.1", LanStage.AGREED),
    lan_runs=2,
    lan_trouble="the new gateway does not answer a",
    release="0.2.0",
    memory=7023,
)
VERDICT = Hello(
    node=0,
    boot="b7",
    number=1,
    heard_boot="",
    heard={},
    scale=1.0,
    figures=QUIET.figures,
    has_referee=False,
    guests={"mail": PARTED},
    has_replaced=True,
)
SAID: Mapping[str, Hello] = {"quiet": QUIET, "full": FULL, "verdict": VERDICT}


def rules() -> dict[str, Any]:
    """What the decoder takes: the fields of each record, the words of each enumeration, bounds."""
    return {
        "records": {
            record.__name__: {name: named(kind) for name, kind in wire._sent_fields(record).items()}
            for record in sorted(wire._RECORDS, key=lambda kind: kind.__name__)
        },
        "words": {
            kind.__name__: [str(word) for word in kind]
            for kind in sorted(wire._WORDS, key=lambda kind: kind.__name__)
        },
        "largest": wire.LARGEST,
        "longest text": wire.LONGEST_TEXT,
        "largest number": wire.LARGEST_NUMBER,
    }


def document() -> str:
    """The file of the newest format."""
    said = {}
    for name, hello in SAID.items():
        data = wire.encode(hello, KEY)
        # What zlib makes may differ from one of its releases to the next; what it stands for not.
        said[name] = {
            "mac": data[:32].hex(),
            "packed": data[32:].hex(),
            "body": zlib.decompress(data[32:]).decode("ascii"),
        }
    content = {"version": wire.VERSION, "key": KEY.hex(), "rules": rules(), "said": said}
    return json.dumps(content, indent=1) + "\n"


if __name__ == "__main__":
    print(document(), end="")
