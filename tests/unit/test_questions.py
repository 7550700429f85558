# SPDX-License-Identifier: MIT
"""The plain face: what stands on the screen, and the words that are no answer."""

import pytest

from firstboot.faces.questions import page, prompt, reply
from firstboot.interview import Interview
from firstboot.question import Topic
from haagent.folding import folded
from tests.unit.test_interview import FACTS, HAPPY, after


@pytest.mark.parametrize("count", range(len(HAPPY)))
def test_every_question_fits_a_small_screen(count: int) -> None:
    question = after(*HAPPY[:count]).question
    assert question is not None
    lines = folded(page(question, "Something was refused, and this says why in a sentence."))
    assert len(lines) <= 22
    assert any(f"({count + 1} of {len(Topic)})" in line for line in lines)


def test_enter_shows_what_it_takes() -> None:
    question = Interview(FACTS).question
    assert question is not None
    assert prompt(question) == "[anna berta UTC] > "
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
    assert "Two names" in reply(Interview(FACTS), "b").said, "it is short for nothing"


def test_what_is_refused_says_why_and_asks_again() -> None:
    asked = reply(Interview(FACTS), "one")
    assert asked.interview == Interview(FACTS)
    assert "Two names" in asked.said


def test_what_was_typed_is_what_enter_means_after_a_way_back() -> None:
    lan = "10.0.0.1/24 10.0.0.2 10.0.0.254"
    back = reply(after("clara dora", lan), "back").interview
    question = back.question
    assert question is not None and prompt(question) == f"[{lan}] > "
    first = reply(back, "back").interview
    assert reply(reply(first, "").interview, "").interview == after("clara dora", lan)
    # Neither a password nor a consent is kept for anybody who presses Enter.
    blind = reply(after(*HAPPY), "back").interview
    assert not any(topic.value.startswith(("password", "consent")) for topic in blind.typed)


def test_after_the_last_answer_nothing_is_asked() -> None:
    done = after(*HAPPY)
    assert reply(done, "whatever").interview == done
