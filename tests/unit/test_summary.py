# SPDX-License-Identifier: MIT
"""Both machines on one screen of 24 lines, whatever they are."""

import random
from dataclasses import replace

import pytest

from firstboot.compare import compare
from firstboot.faces.page import COLUMN
from firstboot.faces.pager import ROOM
from firstboot.faces.summary import LINES, summary
from firstboot.probe import Machine
from haagent.folding import WIDTH
from tests.unit.test_page import BARE, MACHINES, strange

TOLD_BELOW = 2  # lines: what Enter does


def drawn(here: Machine, there: Machine) -> list[str]:
    lines = summary(here, there, compare(here, there))
    assert len(lines) <= LINES and LINES + TOLD_BELOW <= ROOM
    for line in lines:
        assert len(line) <= WIDTH and line == line.rstrip()
        assert line.isascii() and (line.isprintable() or not line)
    return lines


@pytest.mark.parametrize("there", MACHINES)
@pytest.mark.parametrize("here", MACHINES)
def test_any_two_machines_fit_one_screen(here: str, there: str) -> None:
    lines = drawn(MACHINES[here], MACHINES[there])
    found = compare(MACHINES[here], MACHINES[there])
    last = "Nothing is in the way: the two can become a pair."
    assert (lines[-1] == last) == (not found.refusals)


def test_whatever_the_strings_are_it_fits() -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(60):
        drawn(strange(chance), strange(chance))
    drawn(BARE, BARE)


def test_it_says_the_important_things_of_each_beside_each_other() -> None:
    lines = drawn(MACHINES["nvme"], MACHINES["sata"])
    assert all(line[COLUMN : COLUMN + 3] in (" | ", "-+-", " |") for line in lines[:10])
    for row in (
        "Processor Intel Core, 2 cores          | Processor AMD Opteron 240, 1 core",
        "Memory    4.0 GiB, for guests 2.9 GiB  | Memory    1.8 GiB, for guests 771 MiB",
        "          serial B-DATA                |           serial C-DATA",
        "          blank, health good           |           blank, health good, worn",
    ):
        assert row in lines


def test_what_does_not_fit_is_counted_and_what_is_in_the_way_comes_first() -> None:
    here, there = MACHINES["nvme"], replace(MACHINES["foreign"], xen=None, drbd=None, version="9")
    found = compare(here, there)
    lines = drawn(here, there)
    assert f"NOT YET: {len(found.refusals)} things in the way" in lines
    told = " ".join(" ".join(lines).split())
    shown = [refusal for refusal in found.refusals if refusal.sentence in told]
    assert shown == list(found.refusals[: len(shown)]) and shown
    assert all(f"-> {refusal.remedy}" in told for refusal in shown)
    assert lines[-1] == f"And {len(found.refusals) - len(shown)} more: type `details`."


def test_one_thing_alone_may_be_too_long_and_says_so() -> None:
    here, there = MACHINES["nvme"], replace(MACHINES["sata"], kernel="k " * 500, total_memory=1)
    lines = drawn(here, there)
    assert lines[-2:] == ["   ...", "And 1 more: type `details`."]
