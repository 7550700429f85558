# SPDX-License-Identifier: MIT
"""The agent's log: written by a thread of its own, for a journal that hangs must not hold up a
decision. It does not know what is said.
"""

import contextlib
import logging
import logging.handlers
import queue
import sys
import threading
from typing import ClassVar

from haagent.errors import ToolError
from haagent.run import run

SYNC = ("journalctl", "--sync")
LAST_WORDS = 1.0  # seconds that a reset waits, at most, until its reason is on the disk


class Journal(logging.Formatter):
    """Each line with its priority, as systemd reads it (sd-daemon(3))."""

    PRIORITIES: ClassVar = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "INFO": 6, "DEBUG": 7}

    def format(self, record: logging.LogRecord) -> str:
        priority = f"<{self.PRIORITIES[record.levelname]}>"
        return "\n".join(f"{priority}{line}" for line in super().format(record).splitlines())


_listener: logging.handlers.QueueListener | None = None


def start() -> None:
    """Everything that is logged goes to the standard error from now on."""
    global _listener
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    door = logging.handlers.QueueHandler(lines)
    door.setFormatter(Journal())
    _listener = logging.handlers.QueueListener(lines, logging.StreamHandler(sys.stderr))
    _listener.start()
    logging.basicConfig(level=logging.INFO, handlers=[door])


def flush() -> None:
    """What was logged is written when this returns, and nothing after it is. It may hang."""
    if _listener is not None:
        _listener.stop()


def sync(limit: float) -> None:
    """What was logged is on the disk when this returns, or LIMIT seconds are over; nothing more is
    logged.

    safety: who resets this machine calls this. It waits for no lock, program or disk, but for a
    thread that does, and for that no longer than LIMIT.
    """

    def write_out() -> None:
        flush()
        with contextlib.suppress(ToolError):
            run(SYNC, timeout=limit)  # journalctl(1): all that was written before is on the disk

    writer = threading.Thread(target=write_out, name="last words", daemon=True)
    writer.start()
    writer.join(limit)
