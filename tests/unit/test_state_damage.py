# SPDX-License-Identifier: MIT
"""The agent's state on a stick that loses what it was told to keep: byte by byte, bit by bit."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from haagent.core.model import Durable
from haagent.state import NAMES, VERSION, Damaged, StateError, decode, encode, examine
from tests.unit.fake_disk import ForgetfulDisk, altered, damage
from tests.unit.test_state import FULL, GUESTS, NEW, OLD, A, B


def halves(old: bytes, new: bytes) -> Iterator[bytes]:
    """What may be left of a file when the power failed as NEW was written over OLD: up to some byte
    it is NEW, and behind that nothing, zeros, or what was there before.
    """
    for cut in range(len(new)):
        yield new[:cut]
        yield new[:cut] + bytes(len(new) - cut)
        yield new[:cut] + old[cut:]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("other", [OLD, NEW], ids=["before", "after"])
def test_a_copy_that_is_torn_at_any_byte_costs_nothing(name: str, other: Durable) -> None:
    """Also on a stick that loses what it was told to keep; the OTHER copy was written before, or
    after that.
    """
    old, new = encode(OLD, 1), encode(NEW, 2)
    (rest,) = set(NAMES) - {name}
    whole = {rest: old if other is OLD else new}
    for torn in halves(old, new):
        found = examine(Path("/nowhere"), GUESTS, ForgetfulDisk({name: torn, **whole}))
        is_whole = torn in (old, new, new.rstrip())  # without its last line end it says the same
        assert found.durable == (NEW if torn in (new, new.rstrip()) else other)
        assert bool(found.warnings) != is_whole


def test_two_copies_that_are_torn_are_refused_at_any_byte() -> None:
    old, new = encode(OLD, 1), encode(NEW, 2)
    for torn in halves(old, new):
        if torn not in (old, new, new.rstrip()):
            with pytest.raises(StateError, match="lost"):
                examine(Path("/nowhere"), GUESTS, ForgetfulDisk({A: torn, B: torn}))


def test_a_copy_of_which_any_bit_is_flipped_is_known_as_damaged() -> None:
    """Never taken for one of another version, which a whole copy beside it would not outweigh."""
    data = encode(FULL, 2)
    for at, bit in itertools.product(range(len(data)), range(8)):
        with pytest.raises(Damaged):
            decode(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :])


@pytest.mark.parametrize("name", NAMES)
def test_a_copy_of_the_future_is_refused_whatever_the_other_one_is(name: str) -> None:
    data = encode(NEW, 2)
    future = altered(data, f'"version": {VERSION}', f'"version": {VERSION + 1}')
    (rest,) = set(NAMES) - {name}
    for other in (data, encode(OLD, 9), future, damage(data), b"", None):
        files = {name: future} if other is None else {name: future, rest: other}
        with pytest.raises(StateError, match="not for this version"):
            examine(Path("/nowhere"), GUESTS, ForgetfulDisk(files))
