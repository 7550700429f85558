# SPDX-License-Identifier: MIT
"""The pages of docs/ name commands that there are, with options that they take."""

import re
import shlex

import pytest

from haagent.shoestring import command_line
from tests.vm.pages import PAGES, commands

TASKS = (
    "back-up-and-restore",
    "bring-a-virtual-machine",
    "install-a-virtual-machine",
    "maintenance",
    "replace-a-machine",
)
INLINE = re.compile(r"`(shoestring [a-z][^`]*)(?<!--help)`")


@pytest.mark.parametrize("page", TASKS)
def test_every_command_of_a_page_is_one(page: str) -> None:
    """Nothing runs: it is parsed, with all of its options."""
    words = [typed.words for typed in commands(page)]
    words += INLINE.findall((PAGES / f"{page}.md").read_text())
    assert words
    for line in words:
        program, *argv = shlex.split(line)
        assert program == "shoestring"
        command_line().parse(argv)


def test_a_command_that_is_none_is_noticed() -> None:
    for line in ("guest import --memory", "guest paint web", "guest edit web --size 4"):
        with pytest.raises(SystemExit):
            command_line().parse(line.split())


def test_who_types_and_what() -> None:
    [first, *_] = commands("bring-a-virtual-machine")
    assert (first.at, first.words, first.agrees) == ("a", "shoestring guest import", True)
    assert {typed.at for typed in commands("back-up-and-restore")} == {"b"}
