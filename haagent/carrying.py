# SPDX-License-Identifier: MIT
"""Files that a person carries to this machine on a USB stick.

It looks only at names, in no folder, and leaves no stick mounted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from haagent import usb
from haagent.errors import OperatorError, ToolError
from haagent.mounting import mounted
from haagent.run import Run
from haagent.usb import READABLE, Stick, plugged


@dataclass(frozen=True, slots=True)
class Words:
    """What a person is told: a word for such files, and what to do if there is NONE, or SEVERAL."""

    what: str
    none: str
    several: str


def the_only(
    run: Run, is_meant: Callable[[Path], bool], wanted: str | None, words: Words
) -> tuple[Stick, str]:
    """The file on a stick that IS_MEANT by its name, and has the name WANTED if that is given; and
    the stick. One that cannot be read is told of if nothing is found on the others. Raises
    OperatorError and ToolError.
    """
    found = plugged(run, READABLE)
    fitting: list[tuple[Stick, str]] = []
    remark = found.remark
    for stick in found.fit:
        try:
            there = _names(stick, run, is_meant)
        except (OSError, ToolError) as error:
            why = error.stderr.strip() if isinstance(error, ToolError) else ""
            remark += f" {stick.title} cannot be read: {(why or str(error)).rstrip('.')}."
            continue
        fitting += [(stick, name) for name in there if wanted in (None, name)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        missing = words.what if wanted is None else shown(wanted)
        raise OperatorError(
            f"There is no {missing} on a USB stick.{remark} Nothing was changed.", words.none
        )
    names = ", ".join(shown(name) for _, name in fitting)
    raise OperatorError(
        f"There are several {words.what}s: {names}. Nothing was changed.", words.several
    )


def _names(stick: Stick, run: Run, is_meant: Callable[[Path], bool]) -> list[str]:
    with mounted(stick.device, stick.kind, usb.POINT, run=run) as place:
        return sorted(file.name for file in place.iterdir() if is_meant(file) and file.is_file())


def shown(name: str) -> str:
    """NAME, fit for a terminal."""
    # safety: a file's name is whatever somebody wrote there, and a terminal obeys.
    return "".join(c if c.isprintable() else "?" for c in name)
