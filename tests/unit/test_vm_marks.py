# SPDX-License-Identifier: MIT
"""The marks of the scenarios, as their source has them."""

from pathlib import Path

import pytest

from tests.vm.runs.marks import marked
from tests.vm.runs.rows import UnknownRow

TEXT = """\
import pytest


@pytest.mark.row("A1", "C16")
@pytest.mark.parametrize("x", [1])
def test_one(x): pass


def helper(): pass


def test_two(): pass


@pytest.mark.parametrize("y", [1, pytest.param(2, marks=pytest.mark.row("C14"), id="two")])
def test_three(y): pass
"""


def test_every_scenario_is_there_with_its_rows(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEXT)
    (tmp_path / "other.py").write_text(TEXT)
    found = marked(tmp_path, tmp_path)
    assert found == {
        "test_it.py::test_one": ("A1", "C16"),
        "test_it.py::test_two": (),
        "test_it.py::test_three": ("C14",),
    }


def test_an_unknown_row_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEXT.replace("C16", "C99"))
    with pytest.raises(UnknownRow, match=r"test_it\.py::test_one names row C99"):
        marked(tmp_path, tmp_path)


def test_the_scenarios_that_there_are_name_rows_that_there_are() -> None:
    found = marked()
    assert found["tests/vm/test_faults.py::test_the_standby_loses_power"] == ("A2",)
