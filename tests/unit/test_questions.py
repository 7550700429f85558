# SPDX-License-Identifier: MIT
"""The plain face: what stands on the screen, and the words that are no answer."""

import pytest

from firstboot.faces.questions import page, prompt, reply
from firstboot.interview import Interview, Topic
from firstboot.terminals import wrapped
from tests.unit.test_interview import FACTS, HAPPY, after


@pytest.mark.parametrize("count", range(len(HAPPY)))
def test_every_question_fits_a_small_screen(count: int) -> None:
    question = after(*HAPPY[:count]).question
    assert question is not None
    lines = wrapped(page(question, "Something was refused, and this says why in a sentence."))
    assert len(lines) <= 22
    assert any(f"({count + 1} of {len(Topic)})" in line for line in lines)


def test_enter_shows_what_it_takes() -> None:
    question = Interview(FACTS).question
    assert question is not None
    assert prompt(question) == "[anna berta] > "
    blind = after(*HAPPY[:4]).question
    assert blind is not None and prompt(blind) == "> "


@pytest.mark.parametrize("word", ["?", "help", " ? "])
def test_a_question_mark_explains(word: str) -> None:
    asked = reply(Interview(FACTS), word)
    assert asked.interview == Interview(FACTS)
    assert "label" in asked.said


def test_back_goes_back_and_says_so_where_it_cannot() -> None:
    assert reply(after(""), "back").interview == Interview(FACTS)
    assert reply(Interview(FACTS), "back").said == "This is the first question."


def test_what_is_refused_says_why_and_asks_again() -> None:
    asked = reply(Interview(FACTS), "one two three")
    assert asked.interview == Interview(FACTS)
    assert "Two names" in asked.said


def test_after_the_last_answer_nothing_is_asked() -> None:
    done = after(*HAPPY)
    assert reply(done, "whatever").interview == done
