# SPDX-License-Identifier: MIT
"""The plain face of an interview: a question as lines, and what a typed line makes of it. Pure."""

from dataclasses import dataclass

from firstboot.interview import Interview
from firstboot.prompts import BACK, Refused
from firstboot.question import Question, Topic

HELP = ("?", "help")


@dataclass(frozen=True, slots=True)
class Reply:
    """The interview after a line, and what there is to say about it; "" for nothing."""

    interview: Interview
    said: str = ""


def page(question: Question, told: str = "") -> str:
    """QUESTION in full, below what is to be TOLD first."""
    number = list(Topic).index(question.topic) + 1
    enter = "Enter takes what is in [ ]; " if question.default else ""
    return "\n".join(
        [
            *([told] if told else []),
            "",
            f"({number} of {len(Topic)}) {question.title}",
            question.why,
            *(f"  {choice}" for choice in question.choices),
            f"{enter}`?` explains, `back` goes back.",
        ]
    )


def prompt(question: Question) -> str:
    """What stands before the cursor."""
    return f"[{question.default}] > " if question.default else "> "


def reply(interview: Interview, typed: str) -> Reply:
    """What TYPED makes of the interview, which has a question open."""
    question = interview.question
    if question is None:
        return Reply(interview)
    word = typed.strip().lower()
    if word in HELP:
        return Reply(interview, question.help)
    if word == BACK:
        before = interview.back()
        is_first = before == interview
        return Reply(before, "This is the first question." if is_first else "")
    try:
        return Reply(interview.answer(typed))
    except Refused as error:
        return Reply(interview, str(error))
