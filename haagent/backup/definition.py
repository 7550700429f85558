# SPDX-License-Identifier: MIT
"""The guest's definition as it travels in a backup: YAML text that holds one plain mapping.

What is in it is not known here. It must be judged like anything from outside by whoever uses it.
"""

from typing import Any

import yaml

LONGEST = 1 << 16  # bytes
DEEPEST = 16  # mappings and lists within each other


def mapping(text: str) -> dict[str, Any]:
    """What TEXT says. Raises ValueError unless it is one mapping of plain values."""
    if len(text.encode()) > LONGEST:
        raise ValueError("it is too long")
    try:
        _check(text)
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"it is no YAML ({' '.join(str(error).split())!s:.120})") from error
    if not isinstance(found, dict) or not all(type(key) is str for key in found):
        raise ValueError("it is no mapping of names")
    return found


def _check(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        # safety: a few lines of aliases are gigabytes to whoever walks through them.
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("it has an alias")
        if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            raise ValueError("it has an anchor")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag:
            raise ValueError(f"it has a tag, {event.tag!r:.40}")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError("it is nested too deep")
