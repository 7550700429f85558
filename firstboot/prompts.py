# SPDX-License-Identifier: MIT
"""A few questions in a row, one after the other, each with a way back. What is asked, and what an
answer means, is whoever's questions they are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

BACK = "back"  # and nothing shorter: a machine may be called b
FIRST = "This is the first question."


class Refused(ValueError):
    """What was typed will not do; the text is a sentence that says why and what would."""


class Again(Exception):
    """An answer that was taken will not do after all: question NUMBER, from 0, is asked again."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(why)
        self.number = number


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question: its lines, what Enter means ("" for nothing), and what a line means."""

    lines: tuple[str, ...]
    default: str
    take: Callable[[str], object]
    is_kept: bool = True  # after a way back Enter means what was typed
    is_secret: bool = False  # not to be seen while it is typed


class Screens(Protocol):
    """Where it is asked."""

    def show(self, text: str) -> None: ...
    def prompt(self, text: str) -> None: ...
    def hide(self, is_hidden: bool) -> None: ...
    def read(self) -> str: ...


def ask(
    screens: Screens, question: Callable[[Sequence[object]], Prompt | None], told: str = ""
) -> list[object]:
    """All answers, once QUESTION has none left after those that were given. It may raise Again.
    TOLD is said before the first one.
    """
    given: list[object] = []
    typed: dict[int, str] = {}
    while True:
        try:
            prompt = question(given)
            if prompt is None:
                return given
            default = typed.get(len(given), prompt.default)
            screens.show("\n".join([*([told] if told else []), "", *prompt.lines]))
            line, told = _read(screens, prompt, default), ""
            if line.lower() == BACK:
                told, given = "" if given else FIRST, given[:-1]
                continue
            answer = prompt.take(line or default)
        except Again as again:
            given, told = given[: again.number], str(again)
            continue
        except Refused as error:
            told = str(error)
            continue
        if prompt.is_kept and not prompt.is_secret:
            typed[len(given)] = line or default
        given.append(answer)


def _read(screens: Screens, prompt: Prompt, default: str) -> str:
    if prompt.is_secret or not prompt.is_kept:
        screens.hide(prompt.is_secret)  # what was typed ahead is no answer to this one
    screens.prompt(f"[{default}] > " if default else "> ")
    line = screens.read().strip()
    screens.hide(False)
    return line
