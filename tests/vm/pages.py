# SPDX-License-Identifier: MIT
"""The commands of a page of docs/: what a person reads there is what the tests type.

A block of them is fenced, and says at which machine, and whether each asks for a yes: ```sh a yes.
"""

import re
from dataclasses import dataclass

from tests.vm import tools

PAGES = tools.TOP / "docs"
BLOCK = re.compile(r"^```sh (?P<at>[a-z]+)(?P<yes> yes)?\n(?P<lines>.*?)^```$", re.M | re.S)
FENCE = re.compile(r"^```", re.M)


@dataclass(frozen=True, slots=True)
class Typed:
    """One command."""

    at: str  # which machine; or a word for what another scenario types
    words: str
    agrees: bool  # `yes` is the answer to what it asks, if it asks


def commands(page: str) -> list[Typed]:
    """Of docs/PAGE.md, in the order in which a reader comes to them."""
    text = (PAGES / f"{page}.md").read_text()
    blocks = list(BLOCK.finditer(text))
    assert 2 * len(blocks) == len(FENCE.findall(text)), f"a block of {page} says not who types it"
    return [
        Typed(block["at"], line, block["yes"] is not None)
        for block in blocks
        for line in block["lines"].splitlines()
    ]


ANSWERING = """
import os, pty, sys, termios
pid, terminal = pty.fork()
if pid == 0:
    os.execvp({words}[0], {words})
said, answers = "", {answers}
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    os.write(1, part)
    said += part.decode(errors="replace")
    if answers and answers[0][0] in said:
        said, (_, answer) = "", answers.pop(0)
        if answer[1]:  # what is typed before the echo is off would be thrown away
            while termios.tcgetattr(terminal)[3] & termios.ECHO:
                os.sched_yield()
        os.write(terminal, answer[0].encode() + b"\\n")
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def answering(words: str, *answers: tuple[str, str, bool]) -> str:
    """A script that types WORDS at a terminal and waits for each question before it answers: a
    part of it, the answer, and whether that is typed unseen.
    """
    plain = [(question, (answer, is_unseen)) for question, answer, is_unseen in answers]
    script = ANSWERING.format(words=words.split(), answers=plain)
    return f"python3 - <<'END'\n{script}END"


def typing(words: str, answer: str = "") -> str:
    """A bash script that types WORDS at a terminal, and ANSWER to whatever they ask. What asks a
    person asks nobody else, and some acts no script may do.
    """
    act = f"os.waitstatus_to_exitcode(pty.spawn({words.split()!r}))"
    return f'printf "{answer}\\n" | python3 -c "import os, pty; raise SystemExit({act})"'
