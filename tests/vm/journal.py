# SPDX-License-Identifier: MIT
"""What an agent says in its machine's journal. Pure."""

import re
from dataclasses import dataclass

READ = "journalctl --unit=haagent --no-pager --output=short-unix --quiet --boot={boot}"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an agent's journal. AT is seconds of that machine's wall clock."""

    at: float
    text: str


def parse(text: str) -> list[Line]:
    """The lines of what READ printed. It sets in what was said before September of 2001, when the
    seconds had a digit less: a clock may have been set there.
    """
    found = re.findall(r"^ *(\d+\.\d+) \S+ \S+: (.*)$", text, re.MULTILINE)
    return [Line(float(at), said) for at, said in found]


def find(journal: list[Line], pattern: str, after: float = 0.0) -> Line | None:
    return next(
        (line for line in journal if line.at > after and re.search(pattern, line.text)), None
    )
