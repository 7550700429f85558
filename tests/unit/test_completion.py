# SPDX-License-Identifier: MIT
"""What Tab gives in the root shell: bash is asked, with the file that the image has."""

import argparse
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from haagent import completion
from haagent.command import CommandLine, Exit, Places
from haagent.console.programs import COMPLETION, shell_environment
from haagent.control import SOCKET
from haagent.shoestring import command_line
from tests.unit.fake_agent import Agent
from tests.unit.fake_state import both
from tests.unit.test_units import EXTRA

OF_FILES = "-o filenames"  # what compopt is told
FILE = EXTRA / COMPLETION.removeprefix("/")
# compopt is bash's own only while it completes.
ASK = """
. "$1"
compopt() { echo "$@"; }
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_shoestring
printf '%s\\n' "${COMPREPLY[@]}"
"""


def tab(*typed: str, folder: Path | None = None, file: Path = FILE) -> list[str]:
    """What there is for the last one of the words TYPED, in FOLDER."""
    argv = ("bash", "--noprofile", "--norc", "-c", ASK, "bash", str(file), "shoestring", *typed)
    ended = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True)
    assert not ended.stderr
    return ended.stdout.split("\n")[:-1] if ended.stdout.strip() else []


def test_the_file_is_made_of_the_command_line() -> None:
    assert FILE.read_text() == completion.script(command_line()), (
        f"python -m haagent.completion > {FILE.relative_to(EXTRA.parents[1])}"
    )


def test_every_command_is_in_it() -> None:
    typed = dict(command_line().all())
    assert {"shoestring", "shoestring move", "shoestring guest import"} <= typed.keys()
    for words, parser in typed.items():
        assert parser.prog == words
        assert f'["{words}"]=' in FILE.read_text()


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (["ma"], ["maintenance"]),
        (["re"], ["reboot", "resolve", "replace", "report"]),
        (["guest", "ver"], ["verify", "verified"]),
        (["guest", "import", "x.qcow2", "--ma"], ["--mac"]),
        (["guest", "export", "web", "--h"], ["--help", "--host-key", "--here"]),
        (["guest", "export", "web", "--format", "v"], ["vmdk", "vdi"]),
        (["guest", "import", "--memory", ""], []),
        (["maintenance", ""], ["on", "off"]),
        (["maintenance", "-"], ["--help", "--json", "--yes"]),
        (["status", ""], []),
        (["nonsense", "gu"], ["guests", "guest"]),
        (["$(touch here)", "`touch here`", "@", "]", "gu"], ["guests", "guest"]),
    ],
)  # fmt: skip
def test_what_is_known_beforehand(tmp_path: Path, typed: list[str], found: list[str]) -> None:
    assert tab(*typed, folder=tmp_path) == found
    assert not list(tmp_path.iterdir()), "something was written"


def test_files_and_folders_are_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "my images").mkdir()
    (tmp_path / "my.qcow2").touch()
    assert sorted(tab("guest", "import", "my", folder=tmp_path)) == [
        OF_FILES,
        "my images",
        "my.qcow2",
    ]
    assert tab("guest", "backup", "web", "--to", "my", folder=tmp_path) == [OF_FILES, "my images"]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    agent = Agent(tmp_path / "run" / "s")
    agent.says(both())
    yield agent
    agent.stop()


def asking(socket: Path, folder: Path) -> Path:
    """The file, which asks at SOCKET."""
    file = folder / "completion"
    file.write_text(FILE.read_text().replace(str(SOCKET), str(socket)))
    return file


def test_names_of_guests_are_the_agents(agent: Agent, tmp_path: Path) -> None:
    file = asking(tmp_path / "run" / "s", tmp_path)
    assert tab("move", "", file=file) == ["counter"]
    found = tab("guest", "restore", "co", folder=tmp_path, file=file)
    assert found == [OF_FILES, "completion", "counter"]
    assert tab("move", "d", file=file) == []
    agent.stop_playing()
    assert not agent.heard, "more was asked for"


def test_without_an_agent_there_are_no_names(tmp_path: Path) -> None:
    assert tab("move", "", file=asking(tmp_path / "none", tmp_path)) == []


def test_the_root_shell_has_it_and_what_it_starts_does_not() -> None:
    ask = 'eval "$PROMPT_COMMAND"; complete -p shoestring; env | grep PROMPT_COMMAND'
    environment = shell_environment("anna")
    assert COMPLETION in environment["PROMPT_COMMAND"]
    environment["PROMPT_COMMAND"] = environment["PROMPT_COMMAND"].replace(COMPLETION, str(FILE))
    argv = ("bash", "--noprofile", "--norc", "-c", ask)
    ended = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert ended.stdout == "complete -F _shoestring shoestring\n"


def test_an_option_with_one_letter_is_not_offered() -> None:
    """It is as quickly typed."""
    program = CommandLine("shoestring", "")

    def nothing(arguments: argparse.Namespace, places: Places) -> Exit:
        return Exit.PROTECTED

    program.add("act", nothing, "").add_argument("-q", "--quiet", metavar="HOW")
    assert '["shoestring act"]="--help --json --quiet:HOW"' in completion.script(program)
