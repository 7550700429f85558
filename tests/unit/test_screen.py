# SPDX-License-Identifier: MIT
"""What a set-up says reaches every console, and no console can stop it."""

import os
import threading
from pathlib import Path

import pytest

from firstboot.screen import WIDTH, Screen


@pytest.fixture
def dev(tmp_path: Path) -> Path:
    (tmp_path / "active").write_text("tty0 hvc0\n")
    for name in ("tty0", "tty1", "hvc0"):
        (tmp_path / name).touch()
    return tmp_path


def test_speaks_on_the_monitor_and_on_the_serial_line(
    dev: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Screen(dev / "active", dev).tell("one\ntwo")
    assert (dev / "tty1").read_bytes() == b"one\r\ntwo\r\n"
    assert (dev / "hvc0").read_bytes() == b"one\r\ntwo\r\n"
    assert (dev / "tty0").read_bytes() == b""  # it is tty1, or whatever is in front of it
    assert capsys.readouterr().out == "one\ntwo\n"


def test_speaks_on_without_a_terminal(dev: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (dev / "tty1").unlink()
    (dev / "active").unlink()
    Screen(dev / "active", dev).tell("one")
    assert capsys.readouterr().out == "one\n"


def test_a_terminal_that_nobody_reads_holds_nothing_up(dev: Path) -> None:
    (dev / "hvc0").unlink()
    os.mkfifo(dev / "hvc0")
    reader = os.open(dev / "hvc0", os.O_RDONLY | os.O_NONBLOCK)
    screen = Screen(dev / "active", dev)

    def speak() -> None:
        for _ in range(2000):  # far more than the pipe holds
            screen.tell("x" * 70)

    speaker = threading.Thread(target=speak, daemon=True)
    speaker.start()
    speaker.join(60)
    assert not speaker.is_alive()
    os.close(reader)


def test_wraps_long_lines_and_keeps_short_ones(dev: Path) -> None:
    Screen(dev / "active", dev).tell("  indented\n" + "word " * 40)
    lines = (dev / "tty1").read_text().splitlines()
    assert lines[0] == "  indented"
    assert len(lines) > 3 and max(map(len, lines)) <= WIDTH
