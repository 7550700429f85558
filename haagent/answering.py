# SPDX-License-Identifier: MIT
"""What a command answers a program: with --json, one value on standard output at its end.

What a person would read goes to standard error meanwhile, questions too. It must not know any
command: an act answers with what it told, unless it has something better to give.
"""

import contextlib
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Answer:
    """Of one command."""

    said: list[str] = field(default_factory=list)  # sentences
    given: Any = None  # instead of them; what JSON takes
    error: str | None = None  # what happened; it did not come about
    hint: str | None = None  # what to do now

    def ended_with(self, code: int) -> Any:
        """What is printed in the end."""
        if self.error is not None:
            return {"exit": code, "said": self.said, "error": self.error, "hint": self.hint}
        return {"exit": code, "said": self.said} if self.given is None else self.given


_answer: ContextVar[Answer | None] = ContextVar("answer", default=None)


@contextlib.contextmanager
def answering() -> Iterator[Answer]:
    """Keeps what is told and given meanwhile, and leaves standard output to the answer."""
    answer = Answer()
    token = _answer.set(answer)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield answer
    finally:
        _answer.reset(token)


def note(sentence: str) -> None:
    """SENTENCE was told; it is part of the answer, if there is to be one."""
    if (answer := _answer.get()) is not None:
        answer.said.append(sentence)


def give(data: Any) -> None:
    """DATA is the answer, if there is to be one."""
    if (answer := _answer.get()) is not None:
        answer.given = data
