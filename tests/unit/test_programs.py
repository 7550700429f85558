# SPDX-License-Identifier: MIT
"""What programs print, before it is shown to somebody who is no root."""

import os
import time

import pytest

from haagent.console.programs import LIMIT, NOT_STARTED, Programs, readable, shell_environment
from haagent.errors import ToolError


@pytest.mark.parametrize(
    ("printed", "lines"),
    [
        (b"", []),
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\n\ntwo", ["one", "", "two"]),
        (b"a\tb\r\n", ["a       b"]),
        (b"\x1b[2J\x07caf\xc3\xa9\n", ["?[2J?caf?"]),
        (
            b"  " + b"word " * 20 + b"\n",
            ["  " + "word " * 14 + "word", "    " + "word " * 4 + "word"],
        ),
        (b"x" * 100 + b"\n", ["x" * 79, "x" * 21]),
    ],
)
def test_no_line_is_wrapped_or_obeyed(printed: bytes, lines: list[str]) -> None:
    assert readable(printed) == lines


def test_what_a_program_prints_and_complains_is_read() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    programs = Programs(null, null, None)
    assert programs.lines(("sh", "-c", "echo said; echo complained >&2")) == ["said", "complained"]
    for start in (programs.lines, programs.run):
        with pytest.raises(ToolError) as caught:
            start(("shoestring-that-is-not-there",))
        assert caught.value.exit == NOT_STARTED
    assert programs.run(("sh", "-c", "exit 3")) == 3
    os.close(null)


def test_what_does_not_end_is_ended_and_what_it_printed_is_shown() -> None:
    """The page has to come back, also when somebody else keeps the output open."""
    null = os.open(os.devnull, os.O_RDWR)
    programs = Programs(null, null, None, limit=2.0)
    begin = time.monotonic()
    told = programs.lines(("sh", "-c", "echo one; sleep 50 & exec sleep 60"))
    assert told == ["one", "It was not done after 2 s."]
    assert programs.lines(("sh", "-c", "sleep 50 & echo two")) == ["two"]
    assert time.monotonic() - begin < 30
    assert 60 <= LIMIT <= 600
    os.close(null)


def test_a_shell_left_alone_ends_by_itself_and_writes_no_history() -> None:
    found = shell_environment("anna")
    assert 60 <= int(found["TMOUT"]) <= 3600
    assert found["HISTFILE"] == ""
    assert found["PS1"].startswith("root@anna:")
