# SPDX-License-Identifier: MIT
"""The agent's log: each line has its priority, and a reset waits for the last one, but not long."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from haagent.journal import LAST_WORDS, Journal

PROGRAM = """
import logging, sys
from haagent import journal
journal.start()
logging.critical("why it resets")
journal.sync(float(sys.argv[1]))
sys.stdout.write("reset")
sys.stdout.flush()
import os; os._exit(0)
"""


def ended(folder: Path, journalctl: str, limit: float, stderr: int) -> tuple[str, float]:
    """What was written by a program that logs a line, syncs and is gone; and how long it took."""
    program = folder / "journalctl"
    program.write_text(f"#!/bin/sh\n{journalctl}\n")
    program.chmod(0o755)
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(limit)],
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=stderr,
        timeout=60,
        check=True,
        text=True,
    )
    assert done.stdout == "reset"
    return done.stderr or "", time.monotonic() - begin


def test_the_last_line_is_written_and_then_put_on_the_disk(tmp_path: Path) -> None:
    said, _ = ended(tmp_path, f'echo "$@" >{tmp_path}/asked', 30.0, subprocess.PIPE)
    assert said == "<2>why it resets\n"
    assert (tmp_path / "asked").read_text() == "--sync\n"


@pytest.mark.parametrize("journalctl", ["sleep 50", "exit 1", "kill -9 $$"])
def test_a_journal_that_hangs_or_fails_holds_no_reset_up(tmp_path: Path, journalctl: str) -> None:
    _, seconds = ended(tmp_path, journalctl, 0.5, subprocess.DEVNULL)
    assert seconds < 30


def test_nor_does_one_that_takes_nothing(tmp_path: Path) -> None:
    """Its end of the pipe is full, and nobody reads."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    _, seconds = ended(tmp_path, "exit 0", 0.5, writer)
    assert seconds < 30
    os.close(reader)
    os.close(writer)


def test_a_reset_waits_a_second_at_most() -> None:
    assert 0 < LAST_WORDS <= 1.0


def test_every_line_for_the_journal_has_its_priority() -> None:
    record = logging.LogRecord("haagent", logging.INFO, "", 0, "one\ntwo", None, None)
    assert Journal("%(message)s").format(record) == "<6>one\n<6>two"
