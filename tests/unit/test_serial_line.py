# SPDX-License-Identifier: MIT
import sys
import time

import pytest
from pexpect import EOF, TIMEOUT

from tests.vm.serial_line import SerialLine


def spoken(script: str) -> SerialLine:
    return SerialLine([sys.executable, "-uc", script], encoding="utf-8", timeout=60)


def test_what_comes_late_is_read_and_waited_for_without_work() -> None:
    line = spoken("import time; time.sleep(1); print('login:', end=''); time.sleep(1); print('x')")
    begun = time.thread_time()
    assert line.expect(["login:", "password:"]) == 0
    assert line.read_nonblocking(100, -1).strip() == "x"
    assert time.thread_time() - begun < 0.5, "it asked again and again"


def test_silence_is_told_after_a_time() -> None:
    line = spoken("input()")
    with pytest.raises(TIMEOUT):
        line.read_nonblocking(100, 0.05)
    assert line.expect(["anything", TIMEOUT], timeout=0.05) == 1
    line.sendline("")


def test_the_end_is_told_after_what_was_said() -> None:
    line = spoken("print('about to get started', end='')")
    assert line.expect("get started") == 0
    with pytest.raises(EOF):
        line.read_nonblocking(100, 60)
    with pytest.raises(EOF):
        line.expect("more")
