# SPDX-License-Identifier: MIT
"""Asks the guest for a number all the time, and gives up on each soon: what is to be timed is the
first answer, and a request to a guest that is not there yet would wait longer than the guest takes.
"""

import threading
from types import TracebackType

from tests.vm.counter import Recorder

PATIENCE = 2.0  # seconds; how coarse the moment of a first answer may be


class Asker:
    """Use it as a context. `moments` are those of the answers, of this host's monotonic clock."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True, name="asker")

    def __enter__(self) -> "Asker":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def moments(self) -> list[float]:
        return list(self._recorder.moments)

    def answered_after(self, moment: float) -> float | None:
        """When it answered first after MOMENT; None while it did not."""
        return next((at for at in self.moments if at > moment), None)

    def _ask(self) -> None:
        while not self._stop.is_set():
            self._recorder.next(timeout=PATIENCE)
