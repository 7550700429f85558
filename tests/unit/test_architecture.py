# SPDX-License-Identifier: MIT
"""What ARCHITECTURE.md and docs/arbitration.md show of the code is as the code is."""

import re
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path

import pytest

from haagent.core.model import Newest, PeerOff
from haagent.core.phases import diagram
from haagent.core.timing import Timing
from tests.sim.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text()
TEXT = (ROOT / "docs/arbitration.md").read_text()


def rows(mark: str) -> list[list[str]]:
    """The cells of the table after MARK, without its heading."""
    found = re.search(rf"<!-- {mark} -->\n((?:\|.*\n)+)", TEXT)
    assert found is not None, f"no table after {mark}"
    _, _, *lines = found[1].splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_phases() -> None:
    shown = re.search(r"<!-- phases -->\n```\n(.*?)\n```", PAGE, re.DOTALL)
    assert shown is not None
    assert shown[1] == diagram()


def test_the_timers() -> None:
    assert {name: float(seconds) for name, seconds, _ in rows("timers")} == asdict(Timing())


@pytest.mark.parametrize(("mark", "proofs"), [("peer-off", PeerOff), ("newest", Newest)])
def test_every_proof(mark: str, proofs: type[StrEnum]) -> None:
    assert [name for name, _, _ in rows(mark)] == list(proofs)


def test_what_was_wrong_first_is_a_history_that_is_told() -> None:
    named = [row[-1] for row in rows("wrong-first")]
    assert len(set(named)) == len(named)
    assert set(named) <= set(SCENARIOS)
