# SPDX-License-Identifier: MIT
from tests.vm.counter import lost


def test_nothing_is_lost_when_more_is_there_than_was_acknowledged() -> None:
    assert lost([1, 2, 3], [1, 2, 3, 4]) == []


def test_a_record_that_is_missing_on_the_volume_is_told() -> None:
    assert lost([1, 2, 3], [1, 3]) == [2]
