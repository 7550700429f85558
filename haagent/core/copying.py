# SPDX-License-Identifier: MIT
"""Copies of frozen values that differ in a few fields: most of what the core does to a state."""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


def replace(value: T, **changes: Any) -> T:
    """VALUE, a frozen dataclass with slots and no __post_init__, with other fields.

    As dataclasses.replace, in a sixth of the time. Raises AttributeError for a field that is none.
    """
    kind: Any = type(value)
    copy = _thaw(kind)(value)
    for name, new in changes.items():
        setattr(copy, name, new)
    copy.__class__ = kind
    return copy  # type: ignore[no-any-return]


@cache
def _thaw(kind: Any) -> Callable[[Any], Any]:
    """What makes of a value of KIND one that can be changed, of a class with the same slots.

    A frozen one is filled by a call for each slot, which is what takes so long. An object may
    become one of another class that has the same slots (typeobject.c, compatible_for_assignment).
    Written out slot by slot, as dataclasses does it, none of them takes a call or a search for its
    name (PEP 659).
    """
    slots: tuple[str, ...] = kind.__slots__
    names: dict[str, Any] = {"Mould": type(kind.__name__, (), {"__slots__": slots})}
    lines = [f"    copy.{name} = value.{name}" for name in slots]
    exec("\n".join(["def thaw(value):", "    copy = Mould()", *lines, "    return copy"]), names)
    thaw: Callable[[Any], Any] = names["thaw"]
    return thaw
