# SPDX-License-Identifier: MIT
"""What an agent leaves to the next one of its boot, and what is not believed of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from haagent import predecessor
from haagent.core.model import NEVER, Predecessor

LEFT = Predecessor(confirmed=7.5, answered=NEVER, fed=9.0, blind_since=8.0)


def test_the_next_agent_reads_what_was_left(tmp_path: Path) -> None:
    file = tmp_path / "predecessor"
    for left in (LEFT, replace(LEFT, blind_since=None)):
        predecessor.leave(left, "b1", file)
        assert predecessor.read("b1", 10.0, file) == left
    assert [one.name for one in tmp_path.iterdir()] == ["predecessor"]
    assert predecessor.read("b2", 10.0, file) is None, "another boot's clock"


def test_without_a_watchdog_nothing_is_left(tmp_path: Path) -> None:
    file = tmp_path / "predecessor"
    predecessor.leave(None, "b1", file)
    predecessor.leave(LEFT, "b1", file)
    predecessor.leave(None, "b1", file)
    assert not file.exists() and predecessor.read("b1", 10.0, file) is None


def test_what_cannot_be_written_leaves_nothing_old(tmp_path: Path) -> None:
    file = tmp_path / "predecessor"
    predecessor.leave(LEFT, "b1", file)
    (tmp_path / "predecessor.new").mkdir()
    predecessor.leave(LEFT, "b1", file)
    assert not file.exists()
    predecessor.leave(LEFT, "b1", tmp_path / "nowhere" / "predecessor")


@pytest.mark.parametrize("moment", ["confirmed", "answered", "fed", "blind_since"])
def test_what_is_yet_to_come_is_not_believed(tmp_path: Path, moment: str) -> None:
    file = tmp_path / "predecessor"
    for wrong in (10.5, float("nan"), "9"):
        predecessor.leave(replace(LEFT, **{moment: wrong}), "b1", file)  # type: ignore[arg-type]
        assert predecessor.read("b1", 10.0, file) is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"boot": "b1", "more": 1}', "\xff", '{"boot": "b1"'],
)
def test_what_is_torn_is_nothing(tmp_path: Path, text: str) -> None:
    file = tmp_path / "predecessor"
    file.write_text(text)
    assert predecessor.read("b1", 10.0, file) is None
    file.write_bytes(b"\xff")
    assert predecessor.read("b1", 10.0, file) is None
