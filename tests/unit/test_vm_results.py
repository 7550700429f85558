# SPDX-License-Identifier: MIT
"""The lines of runs: none is lost, and a torn one harms no other."""

from pathlib import Path

import pytest

from tests.unit.fake_runs import RUN, run
from tests.vm.runs import record
from tests.vm.runs.results import append, read


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new" / "results.jsonl"


def test_no_file_has_no_runs(file: Path) -> None:
    assert read(file) == []


def test_what_is_appended_is_read_in_order(file: Path) -> None:
    runs = [run(name=name, rows=("A1", "C16"), about={"cut": 3}) for name in ("one", "two\n", "ö")]
    for one in runs:
        append(one, file)
    assert read(file) == runs
    assert len(file.read_bytes().splitlines()) == 3


def test_a_key_of_another_release_is_left_out() -> None:
    line = record.dump(RUN)
    assert record.load(line[:-1] + ', "later": 1}') == RUN


@pytest.mark.parametrize("kept", [1, 40, -2])
def test_a_torn_last_line_is_no_run_and_makes_room(file: Path, kept: int) -> None:
    append(RUN, file)
    append(run(name="torn"), file)
    first, second = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(first + second[:kept])
    assert read(file) == [RUN]
    append(run(name="next"), file)
    assert [one.name for one in read(file)] == [RUN.name, "next"]


def test_a_last_line_that_lacks_its_end_alone_is_a_run(file: Path) -> None:
    append(RUN, file)
    file.write_bytes(file.read_bytes().removesuffix(b"\n"))
    assert read(file) == [RUN]
    append(run(name="next"), file)
    assert [one.name for one in read(file)] == [RUN.name, "next"]


def test_damage_before_the_last_line_is_told(file: Path) -> None:
    append(RUN, file)
    file.write_bytes(b'{"when": 1}\n' + file.read_bytes())
    with pytest.raises(ValueError, match="line 1: no record"):
        read(file)


def test_nothing_that_was_there_is_written_anew(file: Path) -> None:
    append(RUN, file)
    before = file.stat().st_ino, file.read_bytes()
    append(RUN, file)
    assert file.stat().st_ino == before[0]
    assert file.read_bytes().startswith(before[1])
