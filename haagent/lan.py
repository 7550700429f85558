# SPDX-License-Identifier: MIT
"""Which addresses on the LAN this machine's agent speaks from, and who is told to change them.

Must not decide: core/relocating.py does. It writes no file either; a unit does, which restarts the
agent when the files are there, and so ends what waits for it here.
"""

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from haagent import config
from haagent.config import Config
from haagent.core.actions import LanOrder
from haagent.core.events import Event, LanWritten
from haagent.errors import OperatorError, ToolError
from haagent.run import Run, run

LIMIT = 330.0  # seconds for the unit, which has a limit of its own: heartbeat may take long
UNIT = "shoestring-lan@{}.service"

log = logging.getLogger(__name__)


def settings_now(
    file: Path = config.FILE, trial: Path = config.ON_TRIAL, cmdline: Path = config.CMDLINE
) -> tuple[Config, int]:
    """The settings that count now, and the change that a start of the machine would take the LAN's
    addresses from. Raises ConfigError.
    """
    kept = config.load(file, cmdline)
    if not trial.exists():
        return kept, kept.pair.lan
    try:
        return config.load(trial, cmdline), kept.pair.lan
    except OperatorError as error:
        # An agent with the old addresses is better than none: the trial comes to nothing.
        log.error("%s %s", error, error.hint)
        return kept, kept.pair.lan


class Addresses:
    """Hands orders to the unit that carries them out, one after the other."""

    def __init__(
        self, run: Run = run, file: Path = config.FILE, cmdline: Path = config.CMDLINE
    ) -> None:
        self._run = run
        self._file, self._cmdline = file, cmdline
        self._at_it = threading.Lock()

    def take_up(self, order: LanOrder, post: Callable[[Event], None]) -> threading.Thread | None:
        """Returns at once. POST gets what was read back in the end, if this agent lives on.

        While an order is being carried out another one is left alone: the core gives it again.
        """
        if not self._at_it.acquire(blocking=False):
            return None
        thread = threading.Thread(
            target=self._carry_out, args=(order, post), name=f"LAN {order}", daemon=True
        )
        thread.start()
        return thread

    def _carry_out(self, order: LanOrder, post: Callable[[Event], None]) -> None:
        try:
            self._run(("systemctl", "start", UNIT.format(order)), timeout=LIMIT)
            number = config.load(self._file, self._cmdline).pair.lan
        except (ToolError, OperatorError) as error:
            log.warning("the LAN's addresses: %s", error)
        else:
            # Whoever tried new ones is a new agent by now; this one knows only of what lasts.
            if order is not LanOrder.TRY:
                post(LanWritten(time.monotonic(), number))
        finally:
            self._at_it.release()
