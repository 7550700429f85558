# SPDX-License-Identifier: MIT
"""JSON objects as bytes, and back. Owns how strict we are; knows nothing of what they say. Pure."""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from haagent.errors import BugError, PeerError


def pack(content: Mapping[str, Any], largest: int) -> bytes:
    """CONTENT as at most LARGEST bytes of ASCII. Raises BugError if it cannot be said."""
    try:
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BugError(f"this is no JSON object: {error}") from error
    if len(text) > largest:
        raise BugError(f"an object of {len(text)} bytes is too large to be sent")
    return text.encode("ascii")


def unpack(data: bytes, largest: int) -> dict[str, Any]:
    """The object in DATA. Raises PeerError, which says what is wrong with it."""
    if len(data) > largest:
        raise PeerError(f"an object of {len(data)} bytes is larger than {largest}")
    try:
        content = json.loads(
            data.decode(),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
        # Half of a surrogate pair is JSON, but no text: it would fail where it is printed.
        json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise PeerError(f"something that is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise PeerError("JSON that is no object")
    return content


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """json.loads takes the last of two equal names; we take none."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return made


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text:.40} is too large a number")
    return number
