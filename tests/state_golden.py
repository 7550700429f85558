# SPDX-License-Identifier: MIT
"""What the agent of this release reads from its state, as a file for the release after it.

Made once for each release, when it is out, and then compared with what its successor writes:

    python -m tests.state_golden > tests/data/state/read-by-the-release-before.json
"""

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import StrEnum
from pathlib import Path as File
from typing import Any, get_args, get_type_hints

from haagent import state
from haagent.core.model import Durable
from tests.decoders import named

FILE = File(__file__).parent / "data" / "state" / "read-by-the-release-before.json"


def rules() -> dict[str, Any]:
    """The newest format: the fields of each record, and the words of each enumeration."""
    kinds = set(_kinds(Durable))
    return {
        "version": state.VERSION,
        "records": {
            kind.__name__: {f.name: named(get_type_hints(kind)[f.name]) for f in fields(kind)}
            for kind in sorted(kinds, key=lambda kind: kind.__name__)
            if is_dataclass(kind)
        },
        "words": {
            kind.__name__: sorted(kind.__members__)
            for kind in sorted(kinds, key=lambda kind: kind.__name__)
            if issubclass(kind, StrEnum)
        },
        "longest text": 2**16,  # there is no limit
        "largest number": 2**63,
    }


def _kinds(kind: Any) -> Iterator[type]:
    """KIND and all that it is made of."""
    for part in get_args(kind):
        yield from _kinds(part)
    if isinstance(kind, type):
        yield kind
        if is_dataclass(kind):
            for hint in get_type_hints(kind).values():
                yield from _kinds(hint)


if __name__ == "__main__":
    print(json.dumps(rules(), indent=1))
