# SPDX-License-Identifier: MIT
"""What is longer than a screen: it stops before anything scrolls away."""

import pytest

from firstboot.faces.pager import ROOM, parts
from haagent.folding import WIDTH, folded


@pytest.mark.parametrize("lines", [0, 1, ROOM, ROOM + 1, 3 * ROOM, 100])
def test_every_part_fits_and_nothing_is_lost(lines: int) -> None:
    text = "\n".join(f"line {number}" for number in range(lines))
    found = parts(text)
    assert all(len(part.splitlines()) <= ROOM for part in found)
    assert "\n".join(found) == text
    assert len(found) == max(1, -(-lines // ROOM))


def test_long_lines_are_counted_as_they_will_stand_on_the_screen() -> None:
    (first, second) = parts("\n".join(["word " * 20] * 20))
    assert all(len(folded(part)) <= ROOM for part in (first, second))
    assert max(map(len, first.splitlines())) <= WIDTH


def test_a_part_ends_with_a_paragraph_if_that_leaves_it_half_full() -> None:
    paragraph = "\n".join(["text"] * 9)
    found = parts("\n\n".join([paragraph] * 4))
    assert found == ["\n\n".join([paragraph] * 2)] * 2
    assert parts("\n".join(["a", "", *["b"] * 30]))[0].count("\n") == ROOM - 1
