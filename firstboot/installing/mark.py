# SPDX-License-Identifier: MIT
"""The mark on the stick's state partition that says how far an install is. Pure.

It exists from the moment that a person agreed until the stick is given up, and while it is there
nothing of the pair starts from the stick.
"""

import json
from dataclasses import dataclass
from enum import StrEnum

from firstboot.rendering import File
from haagent.errors import OperatorError

PATH = "/state/setup/install.json"
WHY_NOT = "/state/setup/install-failed"  # what became of the last try that was given up
DONE = "/state/setup/installed.json"  # on the new disk: where it came from
VERSION = 1


class Stage(StrEnum):
    """How far it is."""

    AGREED = "agreed"  # the disk still holds what a person saw on it
    BEGUN = "begun"  # what is on the disk is ours, and no machine
    DECIDED = "decided"  # safety: the disk is this machine, and the stick never again


@dataclass(frozen=True, slots=True)
class Mark:
    """What a person agreed to, and how far it is."""

    serial: str
    model: str
    size: int  # bytes
    erases: bool  # whether there was anything on the disk when that was agreed
    volume: str  # 8 hex digits: the volume ID that the new ESP gets, to be found by
    stage: Stage = Stage.AGREED
    tries: int = 0


def to_file(mark: Mark) -> File:
    content = {
        "version": VERSION,
        "stage": mark.stage.value,
        "serial": mark.serial,
        "model": mark.model,
        "size": mark.size,
        "erases": mark.erases,
        "volume": mark.volume,
        "tries": mark.tries,
    }
    return File(PATH, json.dumps(content, indent=1) + "\n")


def from_file(file: File | None) -> Mark | None:
    """The reverse; None if there is no such file. Raises OperatorError if it is damaged."""
    if file is None:
        return None
    try:
        content = json.loads(file.text)
        if content["version"] != VERSION:
            raise ValueError(f"its version is {content['version']}")
        texts = content["serial"], content["model"], content["volume"]
        numbers = content["size"], content["tries"]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("something in it is no text")
        if not all(type(number) is int for number in numbers):
            raise ValueError("something in it is no number")
        if not isinstance(content["erases"], bool):
            raise ValueError("something in it is no yes or no")
        if len(bytes.fromhex(content["volume"])) != 4:
            raise ValueError("its volume ID is none")
        return Mark(
            serial=content["serial"],
            model=content["model"],
            size=content["size"],
            erases=content["erases"],
            volume=content["volume"],
            stage=Stage(content["stage"]),
            tries=content["tries"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise OperatorError(
            f"{PATH} is damaged: {error!r}",
            "This machine was being installed to a disk. Start it from that disk; if it does not"
            " start there, flash its stick anew, and set it up or replace it.",
        ) from error
