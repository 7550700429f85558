# SPDX-License-Identifier: MIT
"""The model of DRBD against what a real pair was read to do, step by step.

`RECORD=1 pytest tests/vm/test_models.py` writes the readings; without a machine they are compared
here, in a second.
"""

from collections.abc import Callable

import pytest

from haagent.core.model import Disk, Link
from tests.sim import drbd
from tests.sim.copies import Copy
from tests.sim.drbd import Mirror
from tests.sim.player import Player
from tests.sim.readings import RECORDED, Row, differences, read, write
from tests.sim.sequences import SEQUENCES, UNLIKE, steps

TABLE = read(RECORDED.read_text())


def unlike(name: str) -> list[str]:
    """How the model differs from the machines in NAME."""
    return differences(Player().play(name), TABLE[name], ("model", "machine"))


@pytest.mark.parametrize("name", SEQUENCES)
def test_the_model_does_what_was_read(name: str) -> None:
    found = unlike(name)
    if name in UNLIKE:
        assert found, f"the model does it, too; take it out of UNLIKE: {UNLIKE[name]}"
    else:
        assert not found, "\n".join(["", *found])


def test_every_sequence_was_read_and_no_other() -> None:
    assert list(TABLE) == list(SEQUENCES)
    assert UNLIKE.keys() <= SEQUENCES.keys()


def test_there_are_many_and_none_is_short() -> None:
    assert len(SEQUENCES) >= 25
    assert {name for name in SEQUENCES if len(steps(name)) < 5} == set()


def test_a_table_is_read_as_it_was_written() -> None:
    text = RECORDED.read_text()
    about = text.splitlines()[0].removeprefix("# ")
    assert write(about, TABLE) == text


def test_a_difference_is_shown_among_the_steps() -> None:
    same, ours, theirs = (Row(step, "0", ("x", step)) for step in ("a up", "cut", "plug"))
    shown = differences([same, ours], [same, theirs, same], ("model", "machine"))
    signs = [(line[0], line.split()[-1]) for line in shown]
    assert signs == [(" ", "up"), ("!", "cut"), ("!", "plug"), ("!", "step"), ("!", "up")]
    assert differences([same, ours], [same, ours], ("model", "machine")) == []


# safety: each of these is a habit of DRBD that a rule of the core rests on. A model without it must
# not pass for one that has it.


def frozen_is_believed_by_1(plant: pytest.MonkeyPatch) -> None:
    plant.setitem(drbd.JUDGED, 1, Disk.OUTDATED)


def five_is_believed_of_a_restarted_one(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(drbd, "IS_DOWN", 0)


def seven_is_not_believed(plant: pytest.MonkeyPatch) -> None:
    plant.delitem(drbd.JUDGED, 7)


def marks_do_not_last(plant: pytest.MonkeyPatch) -> None:
    attach = Copy.attach

    def forget(copy: Copy) -> None:
        copy.marks_peer = None
        attach(copy)

    plant.setattr(Copy, "attach", forget)


def who_leaves_a_primary_is_not_outdated(plant: pytest.MonkeyPatch) -> None:
    def disconnect(mirror: Mirror, node: int) -> None:
        for copy in mirror.copies:
            copy.link = Link.STANDALONE if copy is mirror.copies[node] else Link.CONNECTING

    plant.setattr(Mirror, "disconnect", disconnect)


def nobody_is_frozen(plant: pytest.MonkeyPatch) -> None:
    lose = Mirror.lose

    def go_on(mirror: Mirror, node: int) -> None:
        lose(mirror, node)
        mirror.copies[node].is_suspended = False

    plant.setattr(Mirror, "lose", go_on)


def split_brains_are_merged(plant: pytest.MonkeyPatch) -> None:
    plant.setattr(Mirror, "_source_of", lambda mirror: 0)


PLANTS: dict[Callable[[pytest.MonkeyPatch], None], str] = {
    frozen_is_believed_by_1: "frozen-holder-1",
    five_is_believed_of_a_restarted_one: "restarted-5",
    seven_is_not_believed: "survivor-7",
    marks_do_not_last: "alone-and-restarts",
    who_leaves_a_primary_is_not_outdated: "standby-leaves",
    nobody_is_frozen: "write-waits",
    split_brains_are_merged: "split-brain",
}


@pytest.mark.parametrize("change", PLANTS, ids=lambda change: change.__name__)
def test_a_model_with_another_habit_is_seen(
    change: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(monkeypatch)
    assert unlike(PLANTS[change])
