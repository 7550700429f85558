# SPDX-License-Identifier: MIT
"""Copies by slots: the same as dataclasses.replace, for all that the core copies."""

import dataclasses
from typing import Any

import pytest

from haagent.core import actions, events, model
from haagent.core.copying import replace
from haagent.core.model import PathState

COPIED = [
    kind
    for module in (model, events, actions)
    for kind in vars(module).values()
    if dataclasses.is_dataclass(kind) and kind.__module__ == module.__name__
]


def test_a_copy_differs_in_what_was_said_and_the_value_stays() -> None:
    value = PathState(1.0, 2.0, 3)
    assert (
        replace(value, number=4) == dataclasses.replace(value, number=4) == PathState(1.0, 2.0, 4)
    )
    assert value == PathState(1.0, 2.0, 3)


def test_a_field_that_is_none_is_refused() -> None:
    with pytest.raises(AttributeError):
        replace(PathState(), nmuber=4)


@pytest.mark.parametrize("kind", COPIED)
def test_whatever_is_copied_has_nothing_but_slots(kind: Any) -> None:
    """Neither a field of a parent, which would be lost, nor a check, which would be passed by."""
    assert {field.name for field in dataclasses.fields(kind)} == set(kind.__slots__)
    assert not hasattr(kind, "__post_init__")
