# SPDX-License-Identifier: MIT
"""The code: how it looks, and what of all that people type is taken for it."""

import re

import pytest

from firstboot.pairing import code
from haagent.errors import OperatorError


def test_a_code_has_six_digits_and_hardly_repeats() -> None:
    codes = [code.new() for _ in range(1000)]
    assert all(re.fullmatch("[0-9]{6}", one) for one in codes)
    assert len(set(codes)) > 990
    assert any(one.startswith("0") for one in codes)


def test_it_is_shown_in_groups() -> None:
    assert code.shown("482913") == "482 913"
    assert code.shown("000007") == "000 007"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("482913", "482913"),
        ("482 913", "482913"),
        ("  4 8 2\t9 1 3 \n", "482913"),
        ("482-913", "482913"),
        ("482.913", "482913"),
        ("48 29 13", "482913"),
        ("48\N{NO-BREAK SPACE}2913", "482913"),
        ("O82 9l3", "082913"),
        ("oOo IiL", "000111"),
        ("|00 000", "100000"),
    ],
)
def test_what_people_type_is_forgiven(typed: str, meant: str) -> None:
    assert code.parse(typed) == meant


def test_every_code_is_understood_as_it_is_shown() -> None:
    for number in range(0, 10**6, 997):
        text = f"{number:06}"
        assert code.parse(code.shown(text)) == text


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "A code has 6 digits; there are 0."),
        ("48291", "A code has 6 digits; there are 5."),
        ("482 913 4", "A code has 6 digits; there are 7."),
        ("48291S", "A code has digits only, and 'S' is none."),
        ("+82913", "A code has digits only, and '+' is none."),
        ("48291\N{ARABIC-INDIC DIGIT THREE}", r"A code has digits only, and '\u0663' is none."),
        ("482913\x1b", r"A code has digits only, and '\x1b' is none."),
        ("48291\ud800", r"A code has digits only, and '\ud800' is none."),
        ("4" * 100_000, "That is too long for a code."),
    ],
)
def test_anything_else_is_refused_with_a_sentence(typed: str, sentence: str) -> None:
    with pytest.raises(OperatorError) as refused:
        code.parse(typed)
    assert refused.value.message == sentence
    assert refused.value.hint == "Type the 6 digits that the other machine shows."
