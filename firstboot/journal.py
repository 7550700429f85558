# SPDX-License-Identifier: MIT
"""Remembers, across power cuts, what of a set-up was begun and what is done.

Owns one file on the state partition. It holds no secret, and what it says is on the disk before it
is acted on.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from enum import StrEnum

from firstboot.rendering import File
from firstboot.steps import Step
from haagent.errors import OperatorError

PATH = "/state/setup/journal.json"
VERSION = 1


class Mark(StrEnum):
    """How far a step is."""

    BEGUN = "begun"  # it may have changed something
    DONE = "done"  # it was read back


class Journal:
    """The steps' marks, by name. A step that asks for something else than it did is a new step.

    WRITE must make a file last before it returns.
    """

    def __init__(
        self, write: Callable[[File], None], marks: Mapping[str, tuple[Mark, str]] | None = None
    ) -> None:
        self._write = write
        self._marks = dict(marks or {})

    def __bool__(self) -> bool:
        return bool(self._marks)

    def is_begun(self, step: Step) -> bool:
        """Also of one that is done."""
        return step.name in self._marks and self._marks[step.name][1] == digest(step)

    def is_done(self, step: Step) -> bool:
        return self.is_begun(step) and self._marks[step.name][0] is Mark.DONE

    def begin(self, step: Step) -> None:
        self._set(step, Mark.BEGUN)

    def finish(self, step: Step) -> None:
        self._set(step, Mark.DONE)

    def _set(self, step: Step, mark: Mark) -> None:
        if self._marks.get(step.name) == (mark, digest(step)):
            return
        self._marks[step.name] = (mark, digest(step))
        steps = {
            name: {"mark": mark.value, "digest": text} for name, (mark, text) in self._marks.items()
        }
        text = json.dumps({"version": VERSION, "steps": steps}, indent=1)
        self._write(File(PATH, text + "\n"))


def load(file: File | None, write: Callable[[File], None]) -> Journal:
    """The journal in FILE, an empty one if there is none. Raises OperatorError for one that cannot
    be understood: it says which disk is ours, and nobody may guess that.
    """
    if file is None:
        return Journal(write)
    try:
        data = json.loads(file.text)
        if data["version"] != VERSION:
            raise ValueError(f"its version is {data['version']}")
        marks = {
            str(name): (Mark(entry["mark"]), str(entry["digest"]))
            for name, entry in data["steps"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OperatorError(
            f"{PATH} cannot be understood: {error}",
            "Flash the stick anew to begin again.",
        ) from error
    return Journal(write, marks)


def digest(step: Step) -> str:
    """Tells a step from one of the same name that asks for something else. A file's text is not in
    it, for that may hold a key.
    """
    return hashlib.sha256(repr(step).encode()).hexdigest()
