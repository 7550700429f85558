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


@pytest.mark.parametrize("kind", COPIED)
def test_every_kind_can_be_copied(kind: Any) -> None:
    """Field by field, whatever is in them; what is copied is as frozen as it was."""
    value, what = object.__new__(kind), {name: object() for name in kind.__slots__}
    for name, thing in what.items():
        object.__setattr__(value, name, thing)
    for name in kind.__slots__:
        new = object()
        copy = replace(value, **{name: new})
        assert type(copy) is kind
        assert {one: getattr(copy, one) for one in what} == {**what, name: new}
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(copy, name, None)
    assert {name: getattr(value, name) for name in what} == what
