# SPDX-License-Identifier: MIT
"""Files that a person carries to this machine on a USB stick.

It looks only at names, in no folder, and leaves no stick mounted.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from haagent import saving
from haagent.errors import OperatorError
from haagent.mounting import LIMIT, mounted
from haagent.run import Run
from haagent.saving import Stick


def on_sticks(run: Run, is_meant: Callable[[Path], bool]) -> list[tuple[Stick, str]]:
    """Every file on a stick that is plugged in and that IS_MEANT by its name. Raises ToolError."""
    listed: list[tuple[Stick, str]] = []
    for stick in saving.sticks(saving.LIST, run(saving.LIST, timeout=LIMIT)):
        with mounted(stick.device, stick.kind, saving.POINT, run=run) as place:
            names = sorted(
                file.name for file in place.iterdir() if is_meant(file) and file.is_file()
            )
        listed += [(stick, name) for name in names]
    return listed


def the_only(
    listed: Sequence[tuple[Stick, str]], wanted: str | None, what: str, none: str, several: str
) -> tuple[Stick, str]:
    """The one of LISTED that is WANTED, by its name if there is one. WHAT is a word for such files,
    NONE and SEVERAL say what to do. Raises OperatorError.
    """
    fitting = [one for one in listed if wanted in (None, one[1])]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        missing = what if wanted is None else wanted
        raise OperatorError(f"There is no {missing} on a USB stick. Nothing was changed.", none)
    names = ", ".join(shown(name) for _, name in fitting)
    raise OperatorError(f"There are several {what}s: {names}. Nothing was changed.", several)


def shown(name: str) -> str:
    """NAME, fit for a terminal."""
    # safety: a file's name is whatever somebody wrote there, and a terminal obeys.
    return "".join(c if c.isprintable() else "?" for c in name)
