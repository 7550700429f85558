# SPDX-License-Identifier: MIT
"""The rows of the fault matrix: how they are read, and that every scenario's mark is one."""

import pytest

from tests.vm.runs.rows import ROWS, UnknownRow, checked, read


def test_a_row_is_a_name_a_fault_and_a_promise() -> None:
    (row,) = read("# about\n\nA1 it dies: the other: takes over\n").values()
    assert (row.name, row.fault, row.promise) == ("A1", "it dies", "the other: takes over")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A1 it dies\n", "line 1 is not `NAME fault: promise`"),
        ("A1 it dies: well\nI1 it dies: well\n", "line 2 is not"),
        ("A1 it dies: well\nA1 it dies: well\n", "line 2 has A1 a second time"),
    ],
)
def test_what_is_no_row_is_told_by_its_line(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read(text)


def test_the_rows_of_each_family_are_counted_without_a_gap() -> None:
    by_family: dict[str, list[int]] = {}
    for name in ROWS:
        by_family.setdefault(name[0], []).append(int(name[1:]))
    assert list(by_family) == list("ABCDEFGH")
    for numbers in by_family.values():
        assert numbers == list(range(1, len(numbers) + 1))


def test_who_names_an_unknown_row_is_told_so() -> None:
    assert checked(["A1", "H2"], "it") == ("A1", "H2")
    with pytest.raises(UnknownRow, match=r"^it names row A99, which tests/vm/rows.txt does not"):
        checked(["A1", "A99"], "it")
