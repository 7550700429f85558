# SPDX-License-Identifier: MIT
"""The whole console as a program of its own on a terminal of its own: page, menu, programs, keys.

The agent is played by the test behind a real door; `shoestring` is a script that is found first.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import pexpect
import pytest

from haagent import password
from haagent.console.menu import QUESTION
from haagent.console.snapshot import to_dict
from haagent.control import Server
from tests.unit.fake_state import WELL, look
from tests.unit.fake_verifier import Verifier

DEADLINE = 30  # seconds; on an idle machine nothing here takes two
RIGHT = "correct horse"
Spawn: TypeAlias = "pexpect.spawn[str]"  # it takes no argument but in its types
SHOESTRING = """\
#!/bin/sh
case $1 in
    guests) echo ready; exec sleep 1000 ;;
    move) printf 'moving %s, sure? ' "$2"; read -r answer; echo "it was $answer" ;;
    shutdown) kill -KILL $$ ;;
    *) echo "ran $*" ;;
esac
"""
PROGRAM = """\
import sys
from pathlib import Path
from haagent import cli
from haagent.command import Places
from haagent.console.guard import Guard
folder = Path(sys.argv[1])
guard = Guard(folder / "password", folder / "tries")
places = Places(socket=folder / "s", guard=guard)
sys.exit(cli.main(["console", "--menu"], places))
"""


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Spawn]:
    (tmp_path / "password").write_text(password.kept(RIGHT, b"0123456789abcdef"))
    program = tmp_path / "shoestring"
    program.write_text(SHOESTRING)
    program.chmod(0o755)
    server = Server(tmp_path / "s", ["counter"], lambda event: None, Verifier())
    server.start()
    # Not stale while a test waits for a busy host.
    server.publish(to_dict(replace(look(WELL), at=time.monotonic(), scale=100.0)))
    child: Spawn = pexpect.spawn(
        sys.executable,
        ["-c", PROGRAM, str(tmp_path)],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "TERM": "dumb"},
        cwd=str(Path(__file__).parents[2]),
        encoding="ascii",
        timeout=DEADLINE,
        dimensions=(24, 80),
    )
    yield child
    child.kill(signal.SIGKILL)  # pexpect's own way gives a busy host a tenth of a second
    child.wait()
    child.close()
    server.stop()


def to_menu(console: Spawn) -> None:
    console.expect_exact("Enter: menu")
    console.send("\r")
    console.expect_exact("PROTECTED")
    console.expect_exact(QUESTION)


def admitted(console: Spawn, act: str) -> None:
    console.send(f"{act}\r")
    console.expect_exact("Password (unseen; Enter alone goes back): ")
    console.send(f"{RIGHT}\r")


def test_enter_leads_to_the_menu_and_back(console: Spawn) -> None:
    to_menu(console)
    console.send("1\r")
    console.expect_exact("ran status")
    console.expect_exact(QUESTION)
    console.send("\r")
    console.expect_exact("Enter: menu")
    console.send("x")  # any other key paints the page
    console.expect_exact("Enter: menu")


def test_a_program_has_the_terminal_and_its_answers(console: Spawn) -> None:
    to_menu(console)
    admitted(console, "move")
    console.expect_exact("moving counter, sure? ")
    console.send("yes\r")
    console.expect_exact("it was yes")
    console.expect_exact(QUESTION)


@pytest.mark.parametrize("key", ["\x03", "\x1c"])
def test_ctrl_c_in_a_program_comes_back_to_the_menu(console: Spawn, key: str) -> None:
    to_menu(console)
    console.send("guests\r")
    console.expect_exact("Ctrl-C stops it.")
    # There is no telling from outside when the program is there to be stopped: it is asked again.
    for _ in range(DEADLINE):
        console.send(key)
        if console.expect_exact([QUESTION, pexpect.TIMEOUT], timeout=1) == 0:
            break
    else:
        pytest.fail("it is still there")
    admitted(console, "move")
    console.expect_exact("sure? ")
    console.send("\x03")
    console.expect_exact(QUESTION)
    assert console.isalive()


def test_keys_that_end_programs_do_not_end_the_page(console: Spawn) -> None:
    console.expect_exact("Enter: menu")
    for key in ("\x03", "\x1c", "\x1a", "\x04"):
        console.send(key)
    to_menu(console)
    console.send("\x03")  # back
    console.expect_exact("Enter: menu")
    assert console.isalive()


def test_a_program_that_is_killed_is_survived(console: Spawn) -> None:
    to_menu(console)
    admitted(console, "shutdown")
    console.expect_exact(QUESTION)


def test_the_shell_is_one_and_the_page_follows_it(console: Spawn) -> None:
    to_menu(console)
    admitted(console, "shell")
    console.expect_exact("A root shell on anna")
    console.expect_exact("root@anna:")
    console.send("echo $((6 * 7))\r")
    console.expect_exact("42")
    console.send("exit\r")
    console.expect_exact("Enter: menu")


def test_a_shell_that_is_killed_gives_the_terminal_back(console: Spawn) -> None:
    """It was in front of us, with a group of its own; whoever reads from behind is stopped."""
    to_menu(console)
    admitted(console, "shell")
    console.expect_exact("root@anna:")
    console.send("kill -KILL $$\r")
    to_menu(console)
