# SPDX-License-Identifier: MIT
"""The machine that is driven: answers what the other one asks, until both have agreed.

It believes the driver in what a person wants, and nobody in what this machine is: every set of
answers is judged against its own hardware before it is kept.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from firstboot import answers as answer_file
from firstboot.agreement import Agreement, Stage
from firstboot.answers import AnswersError
from firstboot.description import Description, to_message
from firstboot.meeting import Meeting, Met
from firstboot.validate import problems
from haagent.errors import PeerError

SAID = (
    "This machine is driven from the other one now: go there. What becomes of it is shown here,"
    " too."
)


class Driven:
    """One conversation."""

    def __init__(self, meeting: Meeting, met: Met, describe: Callable[[], Description]) -> None:
        self._meeting = meeting
        self._met = met
        self._describe = describe
        self._filled = 0  # bytes

    def run(self) -> None:
        """Until this machine is prepared. Raises PeerError if the other one went away."""
        screens, session = self._meeting.screens, self._met.session
        screens.tell(SAID)
        while True:
            came = self._meeting.wait(session.fileno())
            if isinstance(came, str):
                screens.tell(SAID)
            for question in session.hear():
                answer = self.answer(question)
                if answer is not None:
                    session.say(answer)
            if self._meeting.agreement is not None:
                return

    def answer(self, question: Mapping[str, Any]) -> dict[str, Any] | None:
        match question.get("ask"):
            case "fill":
                self._filled += len(_text(question, "text"))
                return None
            case "filled":
                filled, self._filled = self._filled, 0
                return {"bytes": filled}
            case "look":
                return to_message(self._describe())
            case "time":
                return {"time": time.time()}
            case "check":
                return {"problems": self._problems(question)}
            case "tell":
                self._meeting.screens.tell(_text(question, "text"))
                return {}
            case "prepare":
                return self._prepare(question)
        raise PeerError("the other machine asks for something that this one does not know")

    def _problems(self, question: Mapping[str, Any]) -> list[str]:
        """What is against the answers, in sentences; empty if nothing is."""
        try:
            answers = answer_file.read(_text(question, "answers"))
        except AnswersError as error:
            return [str(error)]
        here = self._describe()
        return [one.sentence for one in problems(answers, here.machine, here.scale)]

    def _prepare(self, question: Mapping[str, Any]) -> dict[str, Any]:
        found = self._problems(question)
        if not found:
            # From here on the announcements tell it, also after a power cut.
            self._meeting.keep(
                Agreement(
                    Stage.PREPARED,
                    self._met.crossover.peer.party.identity,
                    _text(question, "answers"),
                    self._met.keys.secret,
                )
            )
        return {"problems": found}


def _text(question: Mapping[str, Any], name: str) -> str:
    text = question.get(name)
    if not isinstance(text, str):
        raise PeerError(f"the other machine asks without {name}")
    return text
