# SPDX-License-Identifier: MIT
"""Who comes second is told, or waits; and what must not be cut short is not."""

import signal
import threading
from pathlib import Path

import pytest

from firstboot.replacement import shielded
from haagent.alone import alone, in_turn
from haagent.errors import OperatorError

BUSY = OperatorError("It is in use.", "Wait.")


def test_who_comes_second_is_told(tmp_path: Path) -> None:
    lock = tmp_path / "run/lock"
    with alone(lock, BUSY), pytest.raises(OperatorError, match="in use"), alone(lock, BUSY):
        pass
    with in_turn(lock), pytest.raises(OperatorError, match="in use"), alone(lock, BUSY):
        pass
    with alone(lock, BUSY):
        pass


def test_who_waits_comes_after_the_first(tmp_path: Path) -> None:
    lock, said = tmp_path / "lock", list[str]()

    def second() -> None:
        with in_turn(lock):
            said.append("second")

    waiting = threading.Thread(target=second)
    with in_turn(lock):
        waiting.start()
        waiting.join(0.2)
        said.append("first")
    waiting.join(10)
    assert said == ["first", "second"]


def test_what_has_no_way_back_is_ended_by_no_signal() -> None:
    ends = {signal.SIGINT, signal.SIGHUP, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with shielded():
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) >= ends
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
