# SPDX-License-Identifier: MIT
"""Lines that no terminal breaks by itself."""

import pytest

from haagent.folding import WIDTH, folded


def test_a_long_line_is_folded_between_words_and_a_command_stays_whole() -> None:
    long = "x " * 37 + "save-report"  # there is room for `save-`
    assert folded(long) == [("x " * 37).rstrip(), "save-report"]


def test_lines_stay_lines_and_empty_ones_stay() -> None:
    assert folded("one\n\ntwo") == ["one", "", "two"]
    assert folded("") == []


@pytest.mark.parametrize(("set_in", "later"), [(0, 0), (2, 4), (6, 8)])
def test_what_is_set_in_stays_so(set_in: int, later: int) -> None:
    lines = folded(" " * set_in + "word " * 40)
    assert [line.index("w") for line in lines] == [set_in] + [later] * (len(lines) - 1)
    assert len(lines) > 1 and max(map(len, lines)) <= WIDTH


@pytest.mark.parametrize("set_in", [78, 79, 200])
def test_what_is_set_in_far_still_fits(set_in: int) -> None:
    lines = folded(" " * set_in + "word " * 40)
    assert max(map(len, lines)) <= WIDTH
    assert " ".join(lines).split() == ["word"] * 40


def test_a_word_without_an_end_is_cut() -> None:
    assert folded("y" * 100) == ["y" * WIDTH, "y" * (100 - WIDTH)]
