# SPDX-License-Identifier: MIT
"""The menu's words: what each line means, and that the other words of the house lead to it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from haagent import shoestring
from haagent.console import complaints, menu
from haagent.console.alarms import Alarm
from haagent.console.menu import ACTS, SHELL, Act, Asked, Chosen, Refusal, Wish, understand
from haagent.folding import WIDTH


def chosen(line: str) -> Chosen:
    found = understand(line)
    assert isinstance(found, Chosen), found
    return found


@pytest.mark.parametrize("act", ACTS, ids=[act.word for act in ACTS])
def test_every_act_is_a_command_under_the_same_word(
    act: Act, capsys: pytest.CaptureFixture[str]
) -> None:
    if act.word == SHELL:
        return
    with pytest.raises(SystemExit) as ended:
        shoestring.main([act.word, "--help"])
    assert ended.value.code == 0
    usage = capsys.readouterr().out
    assert ("GUEST" in usage) == (act.asked is Asked.GUEST)
    assert ("{on,off}" in usage) == (act.asked is Asked.SWITCH)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("1", "status"),
        ("guests", "guests"),
        ("  MOVE counter ", "move counter"),
        ("4 counter --yes", "move counter --yes"),
        ("shoestring maintenance off", "maintenance off"),
        ("`shoestring maintenance off`", "maintenance off"),
        ("6", "shutdown"),
        ("start counter", "start counter --anyway"),
        ("shoestring start counter --anyway", "start counter --anyway"),
        ("14", "factory-reset"),
        ("15", "save-report"),
    ],
)
def test_a_number_a_word_and_the_pages_own_words_mean_the_same(line: str, command: str) -> None:
    assert " ".join(chosen(line).command()) == f"shoestring {command}"


def test_what_was_not_typed_is_asked() -> None:
    assert chosen("4").needs is Asked.GUEST
    assert chosen("8").needs is Asked.GUEST
    assert chosen("5").needs is Asked.SWITCH
    assert chosen("8").command("counter")[1:] == ("start", "counter", "--anyway")
    assert chosen("move counter").needs is chosen("7").needs is None


@pytest.mark.parametrize("line", ["", "  ", "back", "q", "0", "exit", "shoestring"])
def test_empty_or_a_word_goes_back(line: str) -> None:
    assert understand(line) is Wish.BACK


def test_a_question_mark_explains() -> None:
    assert understand("?") is understand("help") is Wish.EXPLAIN


@pytest.mark.parametrize("line", ["99", "-1", "status!", "rm -rf /", "4x", "mvoe"])
def test_anything_else_is_refused_in_words(line: str) -> None:
    found = understand(line)
    assert isinstance(found, Refusal) and line.split()[0] in found.words


@pytest.mark.parametrize("act", [act for act in ACTS if not act.is_guarded])
def test_without_the_password_nobody_says_where_something_is_written(act: Act) -> None:
    """safety: `report FILE` makes a file, as root."""
    assert act.word in ("status", "guests", "report")
    assert isinstance(understand(f"{act.word} /run/systemd/system/mine.service"), Refusal)


def backticked() -> Iterator[str]:
    """Every command that an alarm or a complaint tells a person to type."""
    texts = [f"{alarm.means} {alarm.do}" for alarm in Alarm]
    folder = Path(complaints.__file__).parent
    source = "".join(file.read_text() for file in sorted(folder.glob("*.py")))
    # A sentence may go on in the next string of the source.
    texts.append(re.sub(r'"\s*\n\s*f?"', "", source))
    for text in texts:
        for command in re.findall(r"`([^`]+)`", text):
            if " " in command or command in menu.OF_THE_SHELL:
                yield command.replace("{guest}", "GUEST").replace("{unit}", "UNIT")


@pytest.mark.parametrize("command", sorted(set(backticked())))
def test_every_command_that_is_told_at_night_is_found_in_the_menu(command: str) -> None:
    if command.startswith("shoestring status --json"):
        return  # for programs: the details have it in words
    found = understand(command)
    if command.startswith("shoestring "):
        assert " ".join(chosen(command).command()) == command
    else:
        assert isinstance(found, Refusal) and "for the shell, which is number 12" in found.words


def test_commands_were_found_at_all() -> None:
    assert "shoestring maintenance off" in set(backticked())


@pytest.mark.parametrize("has_password", [True, False])
def test_it_fits_a_small_screen(has_password: bool) -> None:
    page = menu.page(has_password)
    assert len(page) + len(("", "first line", "question")) <= 24
    assert max(map(len, page)) <= WIDTH
    assert len(menu.QUESTION) < 70


def test_without_a_password_only_looking_is_offered_and_the_way_is_told() -> None:
    page = "\n".join(menu.page(False))
    assert "shell" in page and "Rescue" in page
    assert not re.search(r"^ *\d+  (move|shell|factory-reset)", page, re.M)
    assert re.search(r"^ *1  status", page, re.M)


def test_every_act_is_explained() -> None:
    text = "\n".join(menu.explanation("a" * 63, "b" * 63))
    for act in ACTS:
        assert f"  {act.word} " in text
    assert "{" not in text
    assert max(map(len, text.splitlines())) <= WIDTH
